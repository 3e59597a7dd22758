"""The contract of made-up scenes: every kind of the table is tried on it."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from smalti.data.dataset import Dataset
from smalti.data.scenes import SCENES, make_scene, scene_classes, scene_kind, scenes
from smalti.data.scenes.scene import split_of
from smalti.errors import InputError, UnknownName
from smalti.segmenter import parse_settings

SMALL = {kind: {"size_hw": (64, 96)} for kind in SCENES} | {"volume": {"size_dhw": (8, 48, 64)}}
SHAPES = dict.fromkeys(SCENES, (64, 96)) | {"volume": (8, 48, 64)}


@pytest.fixture(params=SCENES)
def kind(request):
    return request.param


def small(kind, index=0, seed=0, **more):
    return make_scene(kind, index, seed, **(SMALL[kind] | more))


def digest(sample):
    truth = sample.truth
    parts = [sample.image.pixels, truth.labels, truth.class_ids, *truth.attributes.values()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def test_image_and_truth_have_the_size_asked_for(kind):
    sample = small(kind)
    assert sample.image.shape == sample.truth.shape == SHAPES[kind]
    assert sample.image.geometry.spacing == sample.truth.geometry.spacing
    assert sample.image.pixels.dtype == np.uint8


def test_panoptic_truth_says_what_every_pixel_is(kind):
    for index in range(4):
        truth = small(kind, index).truth
        assert truth.labels.min() > 0 and truth.void_px == 0
        assert (truth.areas_px > 0).all()
        stuff = [k for k in truth.class_ids if not truth.classes.of(k).thing]
        assert len(stuff) == len(set(stuff)), "stuff is one segment per class"


def test_things_that_hardly_show_are_left_out(kind):
    for index in range(4):
        things = small(kind, index, task="instance").truth
        assert len(things) == 0 or things.areas_px.min() >= 8


def test_tasks_tell_the_same_truth(kind):
    panoptic, semantic, instance = (
        small(kind, 3, task=task).truth for task in ("panoptic", "semantic", "instance")
    )
    assert np.array_equal(semantic.semantic_map(), panoptic.semantic_map())
    assert len(semantic) == len(set(semantic.class_ids.tolist()))
    things = [panoptic.classes.of(k).thing for k in panoptic.class_ids]
    assert len(instance) == sum(things)
    assert all(entry.thing for entry in instance.classes) and instance.classes == scene_classes(
        kind, "instance"
    )
    assert np.array_equal(instance.labels > 0, np.isin(panoptic.labels, 1 + np.flatnonzero(things)))


def test_the_same_scene_comes_twice_and_others_differ(kind):
    assert digest(small(kind, 2, 5)) == digest(small(kind, 2, 5))
    assert len({digest(small(kind, index, seed)) for index in range(3) for seed in range(2)}) == 6


def test_a_scene_does_not_depend_on_how_many_are_made_or_in_what_order(kind):
    backwards = [digest(sample) for sample in reversed(scenes(kind, 4, seed=1, **SMALL[kind]))]
    assert backwards[::-1] == [digest(small(kind, index, 1)) for index in range(4)]


def test_another_process_draws_the_same():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_scenes import SCENES, digest, small\n"
        "print(*(digest(small(kind, 1, 7)) for kind in SCENES))"
    )
    source = Path(__file__).parents[3] / "src"
    environment = os.environ | {"PYTHONHASHSEED": "123", "PYTHONPATH": str(source)}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == [digest(small(kind, 1, 7)) for kind in SCENES]


def test_what_is_handed_out_can_be_changed_without_harm(kind):
    sample = small(kind)
    before = digest(sample)
    sample.image.pixels[...] = 0
    assert digest(sample) == before


def test_samples_go_to_other_processes(kind):
    sample = small(kind, 1)
    assert digest(pickle.loads(pickle.dumps(sample))) == digest(sample)


def test_a_sample_says_how_to_make_it_again(kind):
    sample = small(kind, 4, 9)
    assert sample.provenance.source == f"smalti scenes {kind} seed 9 index 4"
    assert sample.provenance.licence == "CC0-1.0"
    assert sample.metadata["seed"] == 9 and "size_" in sample.metadata["parameters"]
    assert sample.image_path is None


def test_parameters_typed_on_a_command_line_work(kind):
    size = "size_dhw=[8, 40, 40]" if kind == "volume" else "size_hw=[40, 40]"
    made = scene_kind(kind, **parse_settings([size]))
    assert made.describe()["name"] == kind
    assert scene_kind(kind, **{k: v for k, v in made.describe().items() if k != "name"}) == made
    for name, field in type(made).model_fields.items():
        assert field.description and field.description.endswith("."), name


def test_odd_tiny_and_long_sizes_work(kind):
    for height, width in ((32, 32), (33, 71), (32, 200), (150, 32)):
        size = {"size_dhw": (3, height, width)} if kind == "volume" else {"size_hw": (height, width)}
        for index in range(3):
            sample = make_scene(kind, index, 11, **size)
            assert sample.image.shape == sample.truth.shape


def border(labels):
    """Pixels on both sides of where two segments meet."""
    edge = np.zeros(labels.shape, bool)
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        meet = labels[one] != labels[other]
        edge[one] |= meet
        edge[other] |= meet
    return edge


@pytest.mark.parametrize("kind", [kind for kind in SCENES if kind != "volume"])
def test_the_image_has_its_edges_where_the_truth_has_and_nowhere_beside(kind):
    shifts = [(y, x) for y in (-4, -2, -1, 0, 1, 2, 4) for x in (-4, -2, -1, 0, 1, 2, 4)]
    found = dict.fromkeys(shifts, 0.0)
    for index in range(5):
        more = {"flawless": 0} if kind == "defects" else {}
        sample = make_scene(kind, index, 2, size_hw=(160, 160), **more)
        grey = sample.image.pixels.astype(np.float32).mean(-1)
        slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        edge = border(sample.truth.labels)
        for shift in shifts:
            found[shift] += slope[np.roll(edge, shift, (0, 1))].mean()
    assert max(found, key=found.get) == (0, 0)
    assert found[0, 0] > 1.15 * found[4, 4]


def test_a_volume_is_bright_inside_its_nuclei():
    sample = make_scene("volume", 0, 2)
    inside = sample.truth.semantic_map() == 1
    pixels = sample.image.pixels[..., 0].astype(float)
    assert 0.03 < inside.mean() < 0.7
    assert pixels[inside].mean() > 2 * pixels[~inside].mean()
    assert sample.image.geometry.spacing == (2.0, 0.5, 0.5)


def test_splits_hold_for_every_beginning():
    for shares in ((0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (1.0, 0.0, 0.0), (0.8, 0.2, 0.0)):
        names = [split_of(number, shares) for number in range(1000)]
        for count in (10, 100, 1000):
            for name, share in zip(("train", "val", "test"), shares, strict=True):
                assert abs(names[:count].count(name) - share * count) <= 2.5
    assert [sample.split for sample in scenes("cells", 6, splits=(0, 0, 1))] == ["test"] * 6


def test_clips_are_groups_with_constant_tracks():
    frames = scenes("moving", 24, seed=3, size_hw=(128, 128), frames=8)
    assert [frame.name for frame in frames[7:9]] == ["moving-0000/0007", "moving-0001/0000"]
    assert len({frame.group for frame in frames}) == 3
    assert all(len({frame.split for frame in frames[k : k + 8]}) == 1 for k in (0, 8, 16))
    for clip in (frames[:8], frames[8:16], frames[16:]):
        classes, middles = {}, {}
        for frame in clip:
            truth = frame.truth
            tracks = truth.attributes["track_id"]
            for k, track in enumerate(tracks.tolist(), 1):
                class_id = int(truth.class_ids[k - 1])
                assert (track > 0) == truth.classes.of(class_id).thing
                assert classes.setdefault(track, class_id) == class_id
                if track:
                    middles.setdefault(track, []).append(np.argwhere(truth.mask(k)).mean(0))
            assert len(set(tracks[tracks > 0].tolist())) == (tracks > 0).sum()
        steps = [np.linalg.norm(np.diff(way, axis=0), axis=1) for way in middles.values() if len(way) == 8]
        assert steps and max(step.max() for step in steps) < 40, "nothing jumps"


def test_fish_cross_and_hide():
    """Somewhere in some clips a fish is cut in two or shrinks behind another."""
    hidden = 0
    for clip in range(4):
        areas = {}
        for frame in scenes("moving", 16 * (clip + 1), size_hw=(128, 128), task="instance")[16 * clip :]:
            truth = frame.truth
            for k, track in enumerate(truth.attributes["track_id"].tolist()):
                areas.setdefault((track, int(truth.class_ids[k])), []).append(int(truth.areas_px[k]))
        hidden += sum(min(seen) < 0.6 * max(seen) for (_, c), seen in areas.items() if c == 1)
    assert hidden >= 3


def test_half_of_the_surfaces_have_no_defect():
    counts = [len(small("defects", index, task="instance").truth) for index in range(60)]
    assert 18 <= counts.count(0) <= 42
    assert all(len(small("defects", index, task="instance", flawless=1).truth) == 0 for index in range(3))


def test_nuclei_touch_and_their_spacing_is_known():
    touching = 0
    for index in range(6):
        truth = make_scene("cells", index, task="instance").truth
        assert truth.geometry.spacing == (0.5, 0.5) and truth.geometry.unit == "um"
        labels = truth.labels
        touching += int(
            ((labels[:, 1:] != labels[:, :-1]) & (labels[:, 1:] > 0) & (labels[:, :-1] > 0)).any()
        )
    assert touching >= 4
    assert len(make_scene("cells", 0, density=0, task="instance").truth) == 0
    assert make_scene("cells", 0, bit_depth=16).image.pixels.dtype == np.uint16


def test_nuclei_are_in_one_piece():
    for index in range(6):
        for mask in make_scene("cells", index, 4, task="instance", size_hw=(128, 128)).truth.masks():
            assert cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] == 2


def test_streets_have_every_class_and_the_sky_is_up():
    seen, sky, road = set(), [], []
    for index in range(12):
        truth = make_scene("street", index, size_hw=(128, 192)).truth
        names = {truth.classes.of(k).name: k for k in truth.class_ids}
        seen |= names.keys()
        rows = np.arange(128)[:, None] * np.ones(192)
        sky.append(rows[truth.semantic_map() == names["sky"]].mean())
        road.append(rows[truth.semantic_map() == names["road"]].mean())
    assert seen == set(scene_classes("street").names)
    assert max(sky) < min(road)
    assert not {"car", "truck", "person"} & {
        truth.classes.of(k).name
        for k in make_scene("street", 1, max_vehicles=0, max_people=0, size_hw=(64, 96)).truth.class_ids
    }


def test_rows_of_crops_have_weeds_only_if_wanted():
    assert 2 not in np.concatenate([small("crop-rows", k, weeds=0).truth.class_ids for k in range(4)])
    assert 2 in np.concatenate([small("crop-rows", k, weeds=1).truth.class_ids for k in range(4)])


@pytest.mark.parametrize(
    ("arguments", "parameters", "told"),
    [
        (("streets", 0), {}, "nearest: street"),
        (("street", -1), {}, "index must be a whole number"),
        (("street", 1.5), {}, "index must be a whole number"),
        (("street", 0, -3), {}, "seed must be a whole number"),
        (("street", 0), {"task": "boxes"}, "panoptic, semantic, instance"),
        (("street", 0), {"splits": (0.5, 0.5)}, "train, val and test"),
        (("street", 0), {"splits": (0.9, 0.3, -0.2)}, "train, val and test"),
        (("street", 0), {"size_hw": (8, 8)}, "32 to 8192 pixels"),
        (("street", 0), {"sise_hw": (64, 64)}, "nearest: size_hw"),
        (("cells", 0), {"spacing_um": 0}, "greater than 0"),
        (("volume", 0), {"size_dhw": (1, 64, 64)}, "2 slices"),
        (("volume", 0), {"spacing_um": (1, 0, 1)}, "above 0"),
        (("moving", 0), {"frames": 0}, "frames"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_drawn(arguments, parameters, told):
    with pytest.raises(InputError, match=told):
        make_scene(*arguments, **parameters)


def test_unknown_kinds_and_no_scenes_are_told():
    with pytest.raises(UnknownName, match="there are: cells, crop-rows, defects, moving, street, volume"):
        scenes("forest", 3)
    with pytest.raises(InputError, match="n must be 1 or more"):
        scenes("cells", 0)


def test_a_folder_of_scenes_reads_back_as_it_was_made(kind, tmp_path):
    made = scenes(kind, 3, seed=2, **SMALL[kind])
    report = Dataset(made, scene_classes(kind)).write(tmp_path / "out", "smalti")
    assert not report, report
    again = Dataset.open(tmp_path / "out")
    for one, other in zip(made, again, strict=True):
        assert (one.name, one.split, one.group) == (other.name, other.split, other.group)
        assert one.provenance.source == other.provenance.source and other.provenance.licence == "CC0-1.0"
        assert one.truth == other.truth
        assert np.array_equal(one.image.pixels, other.image.pixels)
