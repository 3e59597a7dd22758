"""Masks that are pictures: coloured ones, and white on black."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as PillowImage

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

RED, GREEN, BLACK, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 0), (155, 155, 155)
DUBAI = {
    "building": "#3c1098",
    "land": "#8429f6",
    "road": "#6ec1e4",
    "vegetation": "#fedd3a",
    "water": "#e2a929",
    "unlabeled": ["#9b9b9b", "#000000"],
}


def save(path, array, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(np.asarray(array, None if mode == "1" else np.uint8))
    if palette is not None:
        picture = PillowImage.fromarray(np.asarray(array, np.uint8), "P")
        picture.putpalette(np.asarray(palette, np.uint8).reshape(-1).tolist())
    picture.save(path, **({"quality": 80} if path.suffix == ".jpg" else {}))


def folder_of(folder, mask, suffix=".png", **how):
    save(folder / "images" / "a.png", np.zeros((*np.shape(mask)[:2], 3)))
    save(folder / "masks" / f"a{suffix}", mask, **how)
    return folder


def areas(truth):
    return {
        truth.classes.of(class_id).name: int(area)
        for class_id, area in zip(truth.class_ids, truth.areas_px, strict=True)
    }


def memory(truth, name="a"):
    return Sample.of(name, Image(np.zeros((*truth.shape, 1), np.uint8)), truth)


# Colours


def test_colours_are_found_when_nobody_names_them(tmp_path):
    dataset = Dataset.open(folder_of(tmp_path, [[RED, GREEN, GREEN, BLACK]]))
    assert dataset.format == "color-masks"
    assert dataset.classes.names == ("#00ff00", "#ff0000")
    assert areas(dataset["a"].truth) == {"#00ff00": 2, "#ff0000": 1}


def test_colours_have_the_names_of_a_list(tmp_path):
    folder = folder_of(tmp_path, [[RED, GREEN, GREEN, GREY, BLACK]])
    (folder / "label_colors.txt").write_text("255 0 0 weed\n0 255 0 crop\n155 155 155 Void\n")
    dataset = Dataset.open(folder)
    truth = dataset["a"].truth
    assert areas(truth) == {"weed": 1, "crop": 2}
    assert truth.void.tolist() == [[False, False, False, True, False]]
    assert dataset.classes.named("weed").color == RED


def test_palettes_are_colours_too(tmp_path):
    folder = folder_of(tmp_path, [[0, 1, 1]], palette=[RED, GREEN])
    truth = Dataset.open(folder, "color-masks", classes={"weed": "#ff0000", "crop": "#00ff00"})["a"].truth
    assert areas(truth) == {"weed": 1, "crop": 2}


def test_an_unknown_colour_names_colour_file_and_pixels(tmp_path):
    dataset = Dataset.open(folder_of(tmp_path, [[RED, GREEN, GREEN]]), classes={"weed": "#ff0000"})
    with pytest.raises(ReadError, match=r"a\.png: the colour #00ff00 on 2 pixels is not in classes"):
        dataset["a"].truth  # noqa: B018


def test_nearest_reads_masks_that_were_kept_as_jpeg(tmp_path):
    wanted = np.zeros((32, 32), bool)
    wanted[8:24, 8:24] = True
    mask = np.where(wanted[..., None], RED, BLACK)
    folder = folder_of(tmp_path, mask, ".jpg")
    with pytest.raises(ReadError, match="nearest="):
        Dataset.open(folder, "color-masks", classes={"weed": "#ff0000"})["a"].truth  # noqa: B018
    truth = Dataset.open(folder, "color-masks", classes={"weed": "#ff0000"}, nearest=220)["a"].truth
    assert np.array_equal(truth.mask(1), wanted)
    with pytest.raises(ReadError, match="nearest="):
        Dataset.open(folder, "color-masks", classes={"weed": "#ff0000"}, nearest=1)["a"].truth  # noqa: B018


def test_the_nearest_is_offered_for_noise_alone(tmp_path):
    folder = folder_of(tmp_path, [[RED, (250, 9, 0), GREEN]])
    with pytest.raises(ReadError, match="correct the list, give classes=$"):
        Dataset.open(folder, "color-masks", classes={"weed": "#ff0000"})["a"].truth  # noqa: B018
    with pytest.raises(ReadError, match="give classes=, or allow the nearest with nearest=11$"):
        Dataset.open(folder, "color-masks", classes={"weed": "#ff0000", "crop": "#00ff00"})["a"].truth  # noqa: B018


def test_a_list_of_other_masks_is_told(tmp_path):
    folder = folder_of(tmp_path, [[RED, GREEN, GREY, BLACK]])
    (folder / "classes.json").write_text('{"water": "#50e3c2", "land": "#f5a623", "void": "#9b9b9b"}')
    with pytest.raises(
        ReadError,
        match=r"none of the 2 colours of this mask is in .*classes\.json, which belongs to other masks",
    ) as raised:
        Dataset.open(folder, "color-masks")["a"].truth  # noqa: B018
    assert "nearest" not in str(raised.value) and "move classes.json away" in str(raised.value)


def test_what_is_taken_for_granted_of_colours_is_noted(tmp_path):
    folder = folder_of(tmp_path, [[RED, GREEN, BLACK]])
    (note,) = Dataset.open(folder).notes
    assert note.startswith("no list of classes: the 2 colours") and "black is taken for no segment" in note
    assert not Dataset.open(folder, classes={"weed": "#ff0000"}).notes


def test_masks_of_16_bits_that_hold_255_are_bright_there(tmp_path):
    folder = folder_of(tmp_path, [[0, 0, 0]])
    PillowImage.fromarray(np.array([[0, 255, 255]], np.uint16)).save(folder / "masks" / "a.png")
    assert areas(Dataset.open(folder, "binary-masks")["a"].truth) == {"object": 2}


def test_nearest_leaves_known_colours_as_they_are(tmp_path):
    folder = folder_of(tmp_path, [[(10, 0, 0), (20, 0, 0), (16, 0, 0)]])
    colors = {"a": "#0a0000", "b": "#140000"}
    assert areas(Dataset.open(folder, "color-masks", classes=colors, nearest=9)["a"].truth) == {
        "a": 1,
        "b": 2,
    }


def test_background_and_void_are_colours_a_person_can_name(tmp_path):
    folder = folder_of(tmp_path, [[RED, GREEN, GREY, BLACK]])
    truth = Dataset.open(folder, "color-masks", background="#ff0000", void=["#9b9b9b"])["a"].truth
    assert areas(truth) == {"#00ff00": 1, "#000000": 1}
    assert truth.void_px == 1
    with pytest.raises(InputError, match="#rrggbb"):
        Dataset.open(folder, "color-masks", background="blue")


def test_masks_of_nothing_have_no_classes(tmp_path):
    dataset = Dataset.open(folder_of(tmp_path, [[BLACK, BLACK]]), "color-masks")
    assert len(dataset.classes) == 0
    assert len(dataset["a"].truth) == 0


def test_one_colour_is_one_class(tmp_path):
    folder = folder_of(tmp_path, [[RED]])
    with pytest.raises(InputError, match="both 'x' and 'y'"):
        Dataset.open(folder, "color-masks", classes={"x": "#ff0000", "y": "#ff0000"})
    classes = [{"id": 1, "name": "x", "color": "#ff0000"}, {"id": 2, "name": "y", "color": "#ff0000"}]
    with pytest.raises(InputError, match="have one colour"):
        Dataset.open(folder, "color-masks", classes=classes)


def test_a_list_without_colours_is_refused(tmp_path):
    with pytest.raises(InputError, match="no colour for 'weed'"):
        Dataset.open(folder_of(tmp_path, [[RED]]), "color-masks", classes=["weed"])


def test_known_lists_have_colours(tmp_path):
    truth = Dataset.open(folder_of(tmp_path, [[(128, 64, 128), (0, 0, 0)]]), classes="cityscapes")["a"].truth
    assert areas(truth) == {"road": 1}
    assert truth.void_px == 1


def test_written_masks_have_the_classes_colours(tmp_path):
    classes = ClassSet([Class(4, "weed", RED), Class(7, "crop", GREEN, thing=False)])
    truth = Segmentation.from_labels(
        np.array([[1, 0, 2, 0]]),
        class_ids=[7, 4],
        classes=classes,
        void=np.array([[False, False, False, True]]),
    )
    report = Dataset([memory(truth)], classes).write(tmp_path / "out", "color-masks")
    assert not report, list(report.lines())
    with PillowImage.open(tmp_path / "out" / "masks" / "a.png") as picture:
        assert np.asarray(picture).tolist() == [[[0, 255, 0], [0, 0, 0], [255, 0, 0], [255, 255, 255]]]
    back = Dataset.open(tmp_path / "out")
    assert (back.format, back.classes) == ("color-masks", classes)


def test_classes_of_one_colour_get_their_own(tmp_path):
    classes = ClassSet([Class(1, "a", BLACK), Class(2, "b", BLACK), Class(3, "c", (255, 255, 255))])
    truth = Segmentation.from_labels(
        np.array([[0, 1, 2, 3, 0]]),
        classes=classes,
        class_ids=[1, 2, 3],
        void=np.array([[False] * 4 + [True]]),
    )
    assert not Dataset([memory(truth)], classes).write(tmp_path / "out", "color-masks")
    assert len({entry.color for entry in Dataset.open(tmp_path / "out").classes}) == 3


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_any_map_comes_back_as_colours(tmp_path_factory, mask):
    folder = tmp_path_factory.mktemp("map")
    truth = Segmentation.from_semantic_map(mask, ClassSet.from_names(["x", "y"]), void=3)
    report = Dataset([memory(truth)], truth.classes).write(folder / "out", "color-masks")
    assert not report, list(report.lines())
    assert Dataset.open(folder / "out", "color-masks")["a"].truth == truth


# White on black


@pytest.mark.parametrize("value", [1, 255])
def test_bright_is_the_object(tmp_path, value):
    dataset = Dataset.open(folder_of(tmp_path, [[0, value, value]]))
    assert dataset.format == "binary-masks"
    assert areas(dataset["a"].truth) == {"object": 2}


def test_a_mask_without_object_is_an_empty_truth(tmp_path):
    assert len(Dataset.open(folder_of(tmp_path, [[0, 0]]), "binary-masks")["a"].truth) == 0


def test_soft_edges_are_cut_in_the_middle(tmp_path):
    folder = folder_of(tmp_path, [[0, 60, 127, 128, 200, 255]])
    assert Dataset.open(folder, "binary-masks")["a"].truth.labels.tolist() == [[0, 0, 0, 1, 1, 1]]
    truth = Dataset.open(folder, "binary-masks", threshold=59)["a"].truth
    assert truth.labels.tolist() == [[0, 1, 1, 1, 1, 1]]


def test_the_noise_of_a_jpeg_is_no_object(tmp_path):
    folder = folder_of(tmp_path, np.full((16, 16), 1), ".jpg")
    assert len(Dataset.open(folder, "binary-masks")["a"].truth) == 0


def test_bits_can_be_inverted(tmp_path):
    folder = folder_of(tmp_path / "in", np.array([[True, False, False]]), mode="1")
    dataset = Dataset.open(folder, "binary-masks", inverted=True, classes=["vegetation"])
    assert areas(dataset["a"].truth) == {"vegetation": 2}
    report = dataset.write(tmp_path / "out", "binary-masks", inverted=True)
    assert not report, list(report.lines())
    with PillowImage.open(tmp_path / "out" / "masks" / "a.png") as picture:
        assert np.asarray(picture).tolist() == [[255, 0, 0]]


def test_pieces_are_segments_where_asked(tmp_path):
    mask = np.zeros((4, 4))
    mask[0, 0] = mask[1, 1] = mask[3, 3] = 255
    folder = folder_of(tmp_path, mask)
    assert len(Dataset.open(folder, "binary-masks", instances=True)["a"].truth) == 2
    assert len(Dataset.open(folder, "binary-masks", instances=True, connectivity=1)["a"].truth) == 3
    assert len(Dataset.open(folder, "binary-masks")["a"].truth) == 1


def test_grey_can_be_void(tmp_path):
    folder = folder_of(tmp_path / "one", [[0, 128, 255]])
    dataset = Dataset.open(folder, "binary-masks", void=128)
    assert dataset["a"].truth.labels.tolist() == [[0, 0, 1]]
    assert dataset["a"].truth.void.tolist() == [[False, True, False]]
    assert not dataset.write(tmp_path / "two", "binary-masks", void=128)


def test_two_classes_are_not_one(tmp_path):
    with pytest.raises(InputError, match="2 classes"):
        Dataset.open(folder_of(tmp_path, [[0, 255]]), "binary-masks", classes=["a", "b"])


def test_the_one_class_keeps_its_name(tmp_path):
    classes = ClassSet([Class(5, "crack", (1, 2, 3), thing=False)])
    truth = Segmentation.from_labels(np.array([[0, 1]]), classes=classes)
    assert not Dataset([memory(truth)], classes).write(tmp_path / "out", "binary-masks")
    back = Dataset.open(tmp_path / "out")
    assert (back.format, back.classes.names) == ("binary-masks", ("crack",))


# Real data


def rgb_counts(path):
    """Colour to pixels, by Pillow."""
    with PillowImage.open(path) as picture:
        found = picture.convert("RGB").getcolors(maxcolors=2**24)
    return {"#" + bytes(color).hex(): count for count, color in found}


@pytest.mark.realdata
def test_dubai(data_dir):
    dataset = Dataset.open(data_dir / "dubai_aerial", classes=DUBAI)
    assert dataset.format == "color-masks"
    assert len(dataset) == 36
    assert len(dataset.classes) == 5
    assert {sample.group for sample in dataset} == {"Tile 1", "Tile 2", "Tile 3", "Tile 5"}
    for sample in dataset[::4]:
        counts = rgb_counts(sample.truth_paths[0])
        truth = sample.truth
        wanted = {
            name: counts[color] for name, color in DUBAI.items() if isinstance(color, str) and color in counts
        }
        assert areas(truth) == wanted
        assert truth.void_px == sum(counts.get(color, 0) for color in DUBAI["unlabeled"])


@pytest.mark.realdata
def test_a_list_with_other_colours_than_the_masks_is_told(data_dir):
    dataset = Dataset.open(data_dir / "dubai_aerial")
    with pytest.raises(ReadError, match=r"none of the 5 colours of this mask is in .*classes\.json"):
        dataset[0].truth  # noqa: B018


@pytest.mark.realdata
def test_cwfid_has_masks_of_two_kinds(data_dir):
    folder = data_dir / "cwfid"
    with pytest.raises(InputError, match="masks=annotations"):
        Dataset.open(folder)
    colored = Dataset.open(folder, masks="annotations", classes={"weed": "#ff0000", "crop": "#00ff00"})
    binary = Dataset.open(folder, masks="masks", inverted=True, classes=["vegetation"])
    assert (colored.format, binary.format) == ("color-masks", "binary-masks")
    assert len(colored) == len(binary) == 6
    for one, other in zip(colored, binary, strict=True):
        counts = rgb_counts(one.truth_paths[0])
        assert areas(one.truth) == {"weed": counts["#ff0000"], "crop": counts["#00ff00"]}
        with PillowImage.open(other.truth_paths[0]) as picture:
            assert other.truth.areas_px.tolist() == [int(np.count_nonzero(~np.asarray(picture)))]


@pytest.mark.realdata
def test_davis(data_dir):
    dataset = Dataset.open(data_dir / "davis2016")
    assert dataset.format == "binary-masks"
    groups = [sample.group for sample in dataset]
    assert {group: groups.count(group) for group in groups} == {
        "car-shadow": 40,
        "dog": 60,
        "horsejump-high": 50,
    }
    for sample in dataset[::30]:
        with PillowImage.open(sample.truth_paths[0]) as picture:
            assert np.array_equal(sample.truth.mask(1), np.asarray(picture) == 255)


@pytest.mark.realdata
def test_magnetic_tile(data_dir):
    dataset = Dataset.open(data_dir / "magnetic_tile")
    assert dataset.format == "binary-masks"
    folders = [sample.name.split("/")[0] for sample in dataset]
    wanted = {"Blowhole": 69, "Break": 51, "Crack": 35, "Fray": 20, "Free": 30, "Uneven": 62}
    assert {folder: folders.count(folder) for folder in folders} == {
        f"MT_{name}": count for name, count in wanted.items()
    }
    assert {sample.group for sample in dataset} == {None}
    for sample in dataset[::20]:
        with PillowImage.open(sample.truth_paths[0]) as picture:
            mask = np.asarray(picture) > 127
        assert sample.truth.areas_px.sum() == mask.sum()
        assert len(sample.truth) == mask.any()


@pytest.mark.realdata
def test_alpha_mattes(data_dir):
    dataset = Dataset.open(data_dir / "alphamatting_lowres", masks="gt_training_lowres")
    assert (len(dataset), dataset.splits) == (4, ("train",))
    for sample in dataset:
        with PillowImage.open(sample.truth_paths[0]) as picture:
            assert np.array_equal(sample.truth.mask(1), np.asarray(picture)[..., 0] > 127)
