"""What is found out about a dataset: every number by samples small enough to count, and what cannot be learned from."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.scenes import scene_classes, scenes
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation
from smalti.train import survey as survey_module
from smalti.train.fingerprint import Fingerprint
from smalti.train.survey import survey

THINGS = ClassSet.from_names(("cell", "dirt"))
STUFF = ClassSet.from_names(("sky", "road", "line"), thing=False)


def disc(shape, center, radius):
    places = np.indices(shape)
    return sum((axis - at) ** 2 for axis, at in zip(places, center, strict=True)) <= radius**2


def a_sample(name, pixels, truth, geometry=None, **fields):
    return Sample.of(
        name, Image.from_array(pixels, ndim=truth.ndim, geometry=geometry or Geometry()), truth, **fields
    )


def cells(name="cells", value=200, ground=20, shape=(64, 64), **fields):
    """Two discs that touch and one by itself, of one class."""
    labels = np.zeros(shape, np.int32)
    for number, center in enumerate([(16, 16), (16, 29), (45, 45)], 1):
        labels[disc(shape, center, 6)] = number
    pixels = np.where(labels > 0, value, ground).astype(np.uint8)
    truth = Segmentation.from_labels(labels, class_ids=[1, 1, 1], classes=THINGS)
    return a_sample(name, pixels, truth, **fields)


def scene(name, seed, up="sky"):
    """Sky above road, or the other way round, with a line 3 pixels thick at a random place."""
    rng = np.random.default_rng(seed)
    truth = np.full((40, 60), 2 if up == "sky" else 1)
    truth[:20] = 1 if up == "sky" else 2
    at = int(rng.integers(5, 50))
    truth[:, at : at + 3] = 3
    pixels = (truth * 40 + rng.integers(0, 9, truth.shape)).astype(np.uint8)
    return a_sample(name, pixels, Segmentation.from_semantic_map(truth, STUFF))


def test_objects_are_counted_and_measured():
    found = survey([cells()])
    assert (found.task, found.ndim, found.channels, found.num_samples) == ("instance", 2, ("grey",), 1)
    area = int(disc((64, 64), (16, 16), 6).sum())
    assert found.objects.radius_px.median == pytest.approx((area / np.pi) ** 0.5)
    assert found.objects.touching == pytest.approx(2 / 3)
    assert found.objects.per_image.median == 3 and found.objects.in_pieces == 0
    cell, dirt = found.classes
    assert cell.segments == 3 and cell.image_share == 1
    assert cell.pixel_share == pytest.approx(3 * area / 64**2)
    assert found.background_share == pytest.approx(1 - cell.pixel_share)
    assert (dirt.segments, dirt.pixel_share, dirt.thickness_px, dirt.radius_px) == (0, 0, None, None)
    assert found.missing == ("dirt",) and [each.name for each in found.present] == ["cell"]


def test_objects_one_pixel_apart_touch_and_two_apart_do_not():
    def apart(gap):
        labels = np.zeros((20, 40), np.int32)
        labels[5:15, 5:15], labels[5:15, 15 + gap : 25 + gap] = 1, 2
        truth = Segmentation.from_labels(labels, class_ids=[1, 1], classes=THINGS)
        return survey([a_sample("a", labels.astype(np.uint8), truth)]).objects.touching

    assert [apart(gap) for gap in (0, 1, 2)] == [1, 1, 0]


def test_an_object_behind_another_is_in_pieces():
    labels = np.zeros((20, 40), np.int32)
    labels[8:12, 5:35] = 1
    labels[5:15, 18:22] = 2
    truth = Segmentation.from_labels(labels, class_ids=[1, 1], classes=THINGS)
    assert survey([a_sample("a", labels.astype(np.uint8), truth)]).objects.in_pieces == 0.5


def test_a_strip_is_as_thick_as_it_is_wide():
    found = survey([scene("a", 0)])
    line = found.classes[2]
    assert line.thickness_px == pytest.approx(
        3 * 4 / np.pi, rel=0.01
    )  # straight: faces are its length itself
    assert found.thinnest_px == line.thickness_px
    ramp = np.abs(np.subtract.outer(np.arange(80), 2 * np.arange(80))) < 8
    truth = Segmentation.from_semantic_map(ramp.astype(np.int32), STUFF)
    slanted = survey([a_sample("a", ramp.astype(np.uint8), truth)]).classes[0]
    assert slanted.thickness_px == pytest.approx(15 / 5**0.5, rel=0.15)


def test_the_task_follows_the_truths_or_what_is_asked():
    both = ClassSet([Class(1, "cell", (1, 2, 3)), Class(2, "ground", (3, 2, 1), thing=False)])
    labels = np.zeros((20, 20), np.int32)
    labels[:5, :5], labels[10:15, :5], labels[:, 10:] = 1, 2, 3
    truth = Segmentation.from_labels(labels, class_ids=[1, 1, 2], classes=both)
    sample = a_sample("a", labels.astype(np.uint8), truth)
    assert survey([sample]).task == "panoptic"
    assert survey([sample], task="semantic").task == "semantic"
    assert survey([scene("a", 0)]).task == "semantic"


def test_classes_that_lie_above_in_every_image_give_an_axis_its_direction():
    found = survey([scene(str(seed), seed) for seed in range(10)])
    assert found.directions_known
    assert found.leaning("y").name in ("sky", "road") and found.leaning("x") is None
    turned = survey([scene(str(seed), seed, up="sky" if seed % 2 else "road") for seed in range(10)])
    assert turned.leaning("y") is None and turned.leaning("x") is None
    few = survey([scene(str(seed), seed) for seed in range(3)])
    assert few.leaning("y") is None and not few.directions_known


def test_frames_that_follow_each_other_say_the_same_again():
    def a_frame(name, at):
        truth = np.full((20, 60), 1)
        truth[:, at : at + 6] = 2
        return a_sample(name, truth.astype(np.uint8), Segmentation.from_semantic_map(truth, STUFF))

    drifting = [34 + 20 * k // 24 for k in range(24)]  # right of the middle in one long stretch
    shuffled = [drifting[7 * k % 24] for k in range(24)]
    video = survey([a_frame(str(k), at) for k, at in enumerate(drifting)]).classes[1]
    apart = survey([a_frame(str(k), at) for k, at in enumerate(shuffled)]).classes[1]
    assert video.lean == pytest.approx(apart.lean)
    assert video.lean_error[1] > 2 * apart.lean_error[1]


def test_values_are_shares_of_unsigned_numbers():
    bright = cells(value=255, ground=0)
    found = survey([bright])
    share = found.classes[0].pixel_share
    assert found.intensities[0].mean == pytest.approx(share, abs=1e-6)
    assert found.intensities[0].labelled_mean == 1 and found.intensities[0].high == 1
    assert found.values.kinds == ("uint8",) and found.values.highest == 1


def test_images_that_differ_are_told_from_images_that_do_not():
    alike = survey([cells(str(k), 200, 20) for k in range(4)])
    assert alike.difference.between == pytest.approx(0, abs=1e-9)
    assert alike.difference.brighter == 1
    mixed = survey([cells("a", 60, 10), cells("b", 100, 250)])
    assert mixed.difference.between > 0.5 and mixed.difference.brighter == 0.5
    assert mixed.difference.told == 1  # things are few, so the tail is on their side
    spread = survey([cells("a", 22, 20), cells("b", 220, 20)])
    assert spread.difference.contrast > 10


def test_grey_saved_as_colour_is_grey():
    sample = cells()
    grey = np.repeat(sample.image.pixels, 3, axis=-1)
    assert survey([Sample.of("a", Image(grey), sample.truth)]).grey
    colored = grey.copy()
    colored[0, 0, 0] += 9
    assert not survey([Sample.of("a", Image(colored), sample.truth)]).grey


def test_alpha_is_left_out_and_other_channels_are_refused_by_name():
    sample = cells("fine")
    alpha = Sample.of("alpha", Image(np.repeat(sample.image.pixels, 4, axis=-1)), sample.truth)
    color = Sample.of("colour", Image(np.repeat(sample.image.pixels, 3, axis=-1)), sample.truth)
    assert survey([alpha, color]).channels == ("red", "green", "blue")
    with pytest.raises(InputError, match=r"3 channels.* in 1 samples, such as 'colour'.*same channels"):
        survey([sample, cells("other"), color])


def test_pictures_and_volumes_do_not_go_together():
    labels = np.zeros((8, 8, 8), np.int32)
    labels[:4] = 1
    volume = a_sample("volume", labels.astype(np.uint8), Segmentation.from_labels(labels, classes=THINGS))
    with pytest.raises(InputError, match="pictures and volumes"):
        survey([cells(), volume])


def test_an_image_of_another_size_than_its_truth_is_refused_with_its_name():
    truth = cells().truth
    sample = Sample("odd", lambda: Image(np.zeros((9, 9, 1), np.uint8)), lambda: (truth,))
    with pytest.raises(InputError, match="'odd'.*9, 9"):
        survey([cells(), sample])


def test_a_file_that_cannot_be_read_is_named():
    def broken():
        raise ReadError("half of it is missing")

    with pytest.raises(ReadError, match="sample 'torn': half of it"):
        survey([cells(), Sample("torn", broken, lambda: (cells().truth,))])


def test_a_class_of_no_class_set_is_refused():
    with pytest.raises(InputError, match="'cells' has segments of class 1"):
        survey([cells()], ClassSet([Class(7, "other", (1, 2, 3))]))


def test_nothing_to_learn_from_is_said():
    with pytest.raises(InputError, match="none of 0 samples"):
        survey([])
    with pytest.raises(InputError, match="none of 1 samples"):
        survey([replace(cells(), load_truths=None)])
    nothing = Segmentation.from_labels(np.zeros((8, 8), int), classes=THINGS, void=np.ones((8, 8), bool))
    with pytest.raises(InputError, match="all is void"):
        survey([a_sample("a", np.zeros((8, 8), np.uint8), nothing)])


def test_void_counts_neither_as_a_class_nor_as_background():
    sample = cells()
    void = np.zeros((64, 64), bool)
    void[:32] = sample.truth.labels[:32] == 0
    found = survey([Sample.of("a", sample.image, sample.truth.replace(void=void))])
    labelled = 64**2 - void.sum()
    assert found.void_share == pytest.approx(void.sum() / 64**2)
    assert found.classes[0].pixel_share == pytest.approx(sample.truth.areas_px.sum() / labelled)
    assert found.background_share == pytest.approx(1 - found.classes[0].pixel_share)
    assert not found.sparse


def test_spacing_is_put_into_one_unit_and_that_of_some_images_only_is_counted():
    near, far = Geometry((0.5, 0.5), "um"), Geometry((1e-3, 1e-3), "mm")
    found = survey([cells("a", geometry=near), cells("b", geometry=near), cells("c", geometry=far)])
    assert found.unit == "um" and found.spacing_known == 1
    assert [(each.low, each.median) for each in found.spacing] == [(0.5, 0.5)] * 2
    assert found.spacing[0].high == pytest.approx(1)
    assert survey([cells("a"), cells("b", geometry=near)]).spacing_known == 0.5


def test_large_sets_are_looked_at_in_part_and_for_classes_in_whole(monkeypatch):
    monkeypatch.setattr(survey_module, "MOST_IMAGES", 4)
    monkeypatch.setattr(survey_module, "MOST_TRUTHS", 20)
    read = []

    def counted(sample):
        return replace(sample, load_image=lambda: (read.append(sample.name), sample.image)[1])

    rare = scene("rare", 0)
    plain = Sample.of(
        "x", rare.image, Segmentation.from_semantic_map((rare.truth.semantic_map() > 2) + 1, STUFF)
    )
    samples = [counted(replace(plain, name=str(k))) for k in range(19)]
    samples.insert(5, counted(rare))
    found = survey(samples)
    assert len(read) == found.num_images == 4 and found.num_truths == 20
    assert found.classes[2].image_share == pytest.approx(1 / 20)
    assert found.classes[2].thickness_px is None and "line" not in found.missing


def test_every_image_is_read_once():
    read = []
    sample = cells()
    survey(
        [replace(sample, name=str(k), load_image=lambda: (read.append(0), sample.image)[1]) for k in range(5)]
    )
    assert len(read) == 5


def test_volumes_have_three_axes_of_everything():
    labels = disc((20, 24, 28), (10, 12, 14), 6).astype(np.int32)
    truth = Segmentation.from_labels(labels, classes=THINGS)
    found = survey([a_sample("a", labels.astype(np.float32), truth, Geometry((3, 1, 1), "mm"))])
    assert found.ndim == 3 and found.axes == ("z", "y", "x") and len(found.sizes) == 3
    assert found.classes[0].radius_px.median == pytest.approx(6, rel=0.02)
    assert len(found.classes[0].lean) == 3 and found.classes[0].lean == pytest.approx(
        (0.025, 0.52 - 0.5, 0.018), abs=0.02
    )


def test_infinite_pixels_are_left_out():
    sample = cells()
    pixels = sample.image.pixels.astype(np.float32)
    pixels[:8] = np.nan
    found = survey([Sample.of("a", Image(pixels), sample.truth)])
    assert 20 < found.intensities[0].mean < 200
    empty = survey([Sample.of("a", Image(np.full((64, 64, 1), np.nan, np.float32)), sample.truth)])
    assert empty.intensities[0].std == 0


def test_generated_scenes_are_what_they_are():
    street = survey(
        scenes("street", 8, task="semantic", size_hw=(64, 96)), scene_classes("street", "semantic")
    )
    assert street.task == "semantic" and street.leaning("y") is not None and not street.grey
    blobs = survey(scenes("cells", 3, task="instance", size_hw=(64, 64)), scene_classes("cells", "instance"))
    assert blobs.task == "instance" and blobs.objects.per_image.high >= 1


def test_a_fingerprint_is_restored_as_it_was_and_a_lie_is_refused():
    found = survey([cells(split="train", group="a"), cells("b", split="val")])
    assert found.splits == {"train": 1, "val": 1} and found.num_groups == 2
    said = found.described()
    assert Fingerprint.restored(said) == found
    for name, value in [
        ("ndim", 4),
        ("values", {"kinds": ["text"], "highest": 1}),
        ("void_share", 7),
        ("sizes", "?"),
    ]:
        with pytest.raises(ReadError):
            Fingerprint.restored({**said, name: value})
    with pytest.raises(ReadError, match="more"):
        Fingerprint.restored({**said, "more": 1})
    with pytest.raises(ReadError):
        Fingerprint.restored({name: each for name, each in said.items() if name != "values"})


def test_targets_leave_out_what_is_not_labelled():
    found = survey([cells()])
    assert found.targets(THINGS, 2).names == ("background", "cell", "border")
