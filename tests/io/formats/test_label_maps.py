"""Masks of numbers: of classes and of objects."""

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
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(2, "road", (1, 2, 3), thing=False), Class(9, "car", (4, 5, 6))])


def save(path, array, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(np.asarray(array))
    if palette is not None:
        picture = PillowImage.fromarray(np.asarray(array, np.uint8), "P")
        picture.putpalette(np.asarray(palette, np.uint8).reshape(-1).tolist())
    picture.save(path)


def folder_of(folder, masks, palette=None):
    """A dataset of images and masks; ``masks`` maps names to arrays."""
    for name, mask in masks.items():
        save(folder / "images" / f"{name}.png", np.zeros((*np.shape(mask)[:2], 3), np.uint8))
        save(folder / "masks" / f"{name}.png", mask, palette)
    return folder


def mask_of(*rows, dtype=np.uint8):
    return np.array(rows, dtype)


def areas(truth):
    return {
        truth.classes.of(class_id).name: int(area)
        for class_id, area in zip(truth.class_ids, truth.areas_px, strict=True)
    }


def memory(truth, name="a", **fields):
    return Sample.of(name, Image(np.zeros((*truth.shape, 1), np.uint8)), truth, **fields)


# Classes


def test_numbers_are_found_when_nobody_names_them(tmp_path):
    masks = {"a": mask_of([0, 3, 3]), "b": mask_of([255, 7, 0])}
    dataset = Dataset.open(folder_of(tmp_path, masks))
    assert dataset.format == "label-maps"
    assert dataset.classes.names == ("class 3", "class 7")
    assert areas(dataset["a"].truth) == {"class 3": 2}
    assert dataset["b"].truth.void.tolist() == [[True, False, False]]


def test_a_list_spares_reading_any_pixel(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 2])})
    (folder / "masks" / "a.png").write_bytes(b"no picture at all")
    dataset = Dataset.open(folder, "label-maps", classes=["road", "car"])
    assert dataset.classes.names == ("road", "car")
    with pytest.raises(ReadError, match=r"a\.png"):
        dataset["a"].truth  # noqa: B018


def test_ids_go_up_by_one_where_zero_is_a_class(tmp_path):
    dataset = Dataset.open(folder_of(tmp_path, {"a": mask_of([0, 1, 11])}), "label-maps", classes="camvid")
    assert dataset["a"].truth.class_ids.tolist() == [1, 2]
    assert areas(dataset["a"].truth) == {"sky": 1, "building": 1}
    assert dataset["a"].truth.void_px == 1


def test_numbers_can_be_called_void_and_background(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([1, 1, 2, 3])})
    truth = Dataset.open(folder, "label-maps", classes={"pet": 1}, background=2, void=3)["a"].truth
    assert areas(truth) == {"pet": 2}
    assert truth.void_px == 1


def test_zero_is_a_class_without_a_background(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 0, 1])})
    truth = Dataset.open(folder, "label-maps", classes=["sky", "tree"], background=[])["a"].truth
    assert areas(truth) == {"sky": 2, "tree": 1}


def test_255_is_void_only_beside_others(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 255, 255])})
    assert areas(Dataset.open(folder, "label-maps")["a"].truth) == {"class 255": 2}


def test_a_number_in_no_list_names_file_number_and_pixels(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 7, 7])})
    dataset = Dataset.open(folder, "label-maps", classes=["road"])
    with pytest.raises(ReadError, match=r"a\.png: the number 7 on 2 pixels"):
        dataset["a"].truth  # noqa: B018


def test_palettes_give_indices_and_colours(tmp_path):
    palette = [(0, 0, 0), (10, 20, 30), (40, 50, 60)]
    dataset = Dataset.open(
        folder_of(tmp_path, {"a": mask_of([0, 1, 2, 2])}, palette), "label-maps", classes=["x", "y"]
    )
    assert areas(dataset["a"].truth) == {"x": 1, "y": 2}
    assert dataset.classes.named("y").color == (40, 50, 60)


def test_three_equal_channels_are_one(tmp_path):
    folder = folder_of(tmp_path, {"a": np.repeat(mask_of([0, 1, 2])[..., None], 3, axis=-1)})
    assert areas(Dataset.open(folder, "label-maps", classes=["x", "y"])["a"].truth) == {"x": 1, "y": 1}


def test_coloured_masks_are_refused_with_the_format_that_reads_them(tmp_path):
    folder = folder_of(tmp_path, {"a": np.array([[[1, 2, 3], [0, 0, 0]]], np.uint8)})
    with pytest.raises(ReadError, match="color-masks"):
        Dataset.open(folder, "label-maps", classes=["x"])["a"].truth  # noqa: B018


def test_too_many_numbers_are_no_classes(tmp_path):
    folder = folder_of(tmp_path, {"a": np.arange(400, dtype=np.uint16).reshape(20, 20)})
    with pytest.raises(InputError, match="instance-maps"):
        Dataset.open(folder, "label-maps")


def test_ade20k_as_it_is_delivered(tmp_path):
    (tmp_path / "objectInfo150.txt").write_text(
        "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t1\t1\t1\twall\n2\t0.1\t1\t1\t0\tbed\n"
    )
    for split in ("training", "validation"):
        save(tmp_path / "images" / split / f"ADE_{split}_1.jpg", np.zeros((1, 3, 3), np.uint8))
        save(tmp_path / "annotations" / split / f"ADE_{split}_1.png", mask_of([0, 1, 2]))
    dataset = Dataset.open(tmp_path)
    assert dataset.format == "label-maps"
    assert dataset.splits == ("train", "val")
    truth = dataset["training/ADE_training_1"].truth
    assert areas(truth) == {"wall": 1, "bed": 1}
    assert truth.void_px == 1


def test_written_masks_hold_class_ids_and_255(tmp_path):
    void = np.array([[False, False, False, True]])
    truth = Segmentation.from_labels(mask_of([1, 0, 2, 2]), class_ids=[2, 9], classes=CLASSES, void=void)
    report = Dataset([memory(truth)], CLASSES).write(tmp_path / "out", "label-maps")
    with PillowImage.open(tmp_path / "out" / "masks" / "a.png") as picture:
        assert picture.mode == "L"
        assert np.asarray(picture).tolist() == [[2, 0, 9, 255]]
    back = Dataset.open(tmp_path / "out")
    assert back.format == "label-maps"
    assert back.classes == CLASSES
    assert not report.total.void_changed


def test_classes_are_written_under_the_numbers_of_a_list(tmp_path):
    truth = Segmentation.from_labels(mask_of([1, 0, 2]), class_ids=[2, 9], classes=CLASSES)
    Dataset([memory(truth)], CLASSES).write(tmp_path / "out", "label-maps", classes="cityscapes-train")
    with PillowImage.open(tmp_path / "out" / "masks" / "a.png") as picture:
        assert np.asarray(picture).tolist() == [[0, 255, 13]]  # what is no segment is void there
    with pytest.raises(InputError, match="road"):
        Dataset([memory(truth)], CLASSES).write(tmp_path / "other", "label-maps", classes="voc")


def test_more_than_8_bits_where_ids_need_it(tmp_path):
    classes = ClassSet([Class(1, "a", (0, 0, 0)), Class(300, "b", (0, 0, 0)), Class(70_000, "c", (0, 0, 0))])
    truth = Segmentation.from_labels(mask_of([1, 2, 3]), class_ids=[1, 300, 70_000], classes=classes)
    small = truth[:2]
    assert not Dataset([memory(truth)], classes).write(tmp_path / "large", "label-maps")
    assert not Dataset([memory(small)], classes).write(tmp_path / "small", "label-maps")
    assert Dataset.open(tmp_path / "large")["a"].truth == truth
    assert Dataset.open(tmp_path / "small").format == "label-maps"


@given(
    arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 255])
    ),
)
def test_any_map_comes_back(tmp_path_factory, mask):
    folder = tmp_path_factory.mktemp("map")
    truth = Segmentation.from_semantic_map(mask, ClassSet.from_names(["x", "y"]), void=255)
    report = Dataset([memory(truth)], truth.classes).write(folder / "out", "label-maps")
    assert not report, list(report.lines())
    assert Dataset.open(folder / "out", "label-maps")["a"].truth == truth


# Where samples belong


def test_names_splits_groups_and_origin_come_back(tmp_path):
    truth = Segmentation.from_labels(mask_of([1, 0]), class_ids=[2], classes=CLASSES)
    samples = [
        memory(truth, "one", split="train", group="p1", provenance=Provenance(licence="CC0-1.0")),
        memory(truth, "labels/two", split="my own", metadata={"site": "north", "age": 3.5}),
        memory(truth, "train/one", split="train"),
        Sample.of("bare", Image(np.zeros((2, 2, 1), np.uint8))),
    ]
    report = Dataset(samples, CLASSES).write(tmp_path / "out", "label-maps")
    assert not report, list(report.lines())
    back = Dataset.open(tmp_path / "out")
    assert back.names == ["one", "labels/two", "train/one", "bare"]
    assert back["one"].provenance.licence == "CC0-1.0"
    assert back["labels/two"].metadata == {"site": "north", "age": 3.5}
    assert not back["bare"].annotated


def test_folders_that_say_it_all_need_no_list_of_samples(tmp_path):
    truth = Segmentation.from_labels(mask_of([1, 0]), class_ids=[2], classes=CLASSES)
    Dataset([memory(truth, "val/a", split="val"), memory(truth, "b")], CLASSES).write(
        tmp_path / "out", "label-maps"
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "classes.json",
        "images",
        "masks",
        "smalti-loss.json",
    ]


@pytest.mark.parametrize(
    "record",
    ['{"name": "a", "image": "../../x.png"}', '{"name": "a", "image": "images/none.png"}',
     '{"image": "images/a.png"}', "3", '{"name": "../a"}', '{"name": "a", "split": 3}', '{"name": "a"}, {"name": "a"}'],
)  # fmt: skip
def test_a_list_of_samples_that_lies_is_a_problem(tmp_path, record):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1])})
    (folder / "samples.json").write_text(f'{{"smalti_samples": 1, "samples": [{record}]}}')
    with pytest.raises(ReadError, match=r"samples\.json, sample"):
        Dataset.open(folder, "label-maps", classes=["x"])
    assert Dataset.open(folder, "label-maps", classes=["x"], faulty="skip").problems


def test_a_list_of_samples_of_another_program_is_left_alone(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1])})
    (folder / "samples.json").write_text('{"samples": []}')
    assert Dataset.open(folder, "label-maps", classes=["x"]).names == ["a"]


def test_masks_of_two_kinds_must_be_chosen(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 2])})
    save(folder / "trimaps" / "a.png", mask_of([1, 2, 3]))
    with pytest.raises(InputError, match="masks=masks or masks=trimaps"):
        Dataset.open(folder)
    assert areas(Dataset.open(folder, "label-maps", masks="trimaps")["a"].truth)["class 3"] == 1


def test_folders_for_reading_are_no_folders_for_writing(tmp_path):
    truth = Segmentation.from_labels(mask_of([1, 0]), class_ids=[2], classes=CLASSES)
    with pytest.raises(InputError, match="masks="):
        Dataset([memory(truth)], CLASSES).write(tmp_path / "out", "label-maps", masks="here")


def test_volumes_are_refused_with_the_format_that_holds_them(tmp_path):
    truth = Segmentation.from_labels(np.ones((2, 3, 4), np.uint8), class_ids=[2], classes=CLASSES)
    with pytest.raises(InputError, match="stacks"):
        Dataset([memory(truth)], CLASSES).write(tmp_path / "out", "label-maps")


# Objects


def test_each_number_is_an_object(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 1, 2], dtype=np.uint16)})
    dataset = Dataset.open(folder)
    assert dataset.format == "instance-maps"
    truth = dataset["a"].truth
    assert truth.areas_px.tolist() == [2, 1]
    assert dataset.classes.names == ("object",)
    assert not truth.attributes  # 1, 2 say nothing that their order does not


def test_numbers_with_gaps_are_kept_and_written_again(tmp_path):
    folder = folder_of(tmp_path / "one", {"a": mask_of([0, 900, 7], dtype=np.uint16)})
    first = Dataset.open(folder, "instance-maps")
    assert first["a"].truth.attributes["source_id"].tolist() == [7, 900]
    assert not first.write(tmp_path / "two", "instance-maps")
    with PillowImage.open(tmp_path / "two" / "instances" / "a.png") as picture:
        assert np.asarray(picture).tolist() == [[0, 900, 7]]


def test_a_list_of_one_class_names_the_objects(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 255], dtype=np.uint16)})
    truth = Dataset.open(folder, "instance-maps", classes=["nucleus"])["a"].truth
    assert areas(truth[:1]) == {"nucleus": 1}
    assert len(truth) == 2  # 255 is an object like any other here


def test_a_list_of_several_classes_does_not_say_which(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1], dtype=np.uint16)})
    with pytest.raises(ReadError, match="divisor"):
        Dataset.open(folder, "instance-maps", classes=["x", "y"])["a"].truth  # noqa: B018


def test_numbers_divided_give_classes_and_crowds(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 7, 26, 26000, 26001, 24003], dtype=np.uint16)})
    dataset = Dataset.open(folder, "instance-maps", divisor=1000, classes="cityscapes")
    truth = dataset["a"].truth
    names = [dataset.classes.of(class_id).name for class_id in truth.class_ids]
    assert names == ["road", "car", "person", "car", "car"]
    assert truth.attributes["crowd"].tolist() == [False, True, False, False, False]
    assert truth.void_px == 1  # 0 is unlabeled there
    found = Dataset.open(folder, "instance-maps", divisor=1000)
    assert found.classes.names == ("class 7", "class 24", "class 26")


def test_divided_numbers_are_written_so(tmp_path):
    folder = folder_of(tmp_path / "one", {"a": mask_of([7, 26, 26000, 26001, 24003], dtype=np.uint16)})
    dataset = Dataset.open(folder, "instance-maps", divisor=1000, classes="cityscapes")
    report = dataset.write(tmp_path / "two", "instance-maps", divisor=1000, classes="cityscapes")
    assert not report, list(report.lines())
    with PillowImage.open(tmp_path / "two" / "instances" / "a.png") as picture:
        assert np.asarray(picture).tolist() == [[7, 26, 26000, 26001, 24003]]


def test_classes_scores_and_attributes_of_objects_survive(tmp_path):
    truth = Segmentation.from_labels(
        mask_of([1, 1, 0, 2, 3]),
        class_ids=[9, 2, 9, 9],
        scores=[0.25, 1, 0.5, 0.125],  # the fourth has no pixel
        classes=CLASSES,
        void=np.array([[False, False, True, False, False]]),
        attributes={
            "track_id": [4, 5, 6, 7],
            "note": ["", "wet", "", ""],
            "occluded": [True, False, False, True],
        },
    )
    report = Dataset([memory(truth)], CLASSES).write(tmp_path / "out", "instance-maps")
    assert not report, list(report.lines())
    back = Dataset.open(tmp_path / "out")["a"].truth
    assert back == truth


@pytest.mark.parametrize(
    "text",
    ["[", "{}", '{"segments": [{"id": 1}]}', '{"segments": [{"id": "x", "class": "car"}]}',
     '{"segments": [{"id": 1, "class": "car", "score": 9}]}', '{"segments": [], "void": "x"}',
     '{"segments": [{"id": 1, "class": "plane"}]}', '{"segments": []}',
     '{"segments": [{"id": 1, "class": "car"}, {"id": 1, "class": "car"}]}'],
)  # fmt: skip
def test_a_list_of_segments_that_lies_is_refused(tmp_path, text):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1], dtype=np.uint16)})
    (folder / "masks" / "a.segments.json").write_text(text)
    dataset = Dataset.open(folder, "instance-maps", classes=["car"])
    with pytest.raises(ReadError, match=r"a\.(png|segments\.json)") as raised:
        dataset["a"].truth  # noqa: B018
    assert "\n" not in str(raised.value)


def test_more_objects_than_16_bits_hold(tmp_path):
    labels = np.arange(1, 70_001, dtype=np.int32).reshape(280, 250)
    truth = Segmentation.from_labels(labels)
    assert not Dataset([memory(truth)], truth.classes).write(tmp_path / "out", "instance-maps")
    assert (tmp_path / "out" / "instances" / "a.tif").is_file()


def test_spacing_is_kept(tmp_path):
    from smalti.geometry import Geometry

    geometry = Geometry.parse("0.5um")
    truth = Segmentation.from_labels(mask_of([1, 0]), geometry=geometry)
    sample = Sample.of("a", Image(np.zeros((1, 2, 1), np.uint8), geometry=geometry), truth)
    assert not Dataset([sample], truth.classes).write(tmp_path / "out", "instance-maps")
    assert Dataset.open(tmp_path / "out")["a"].truth.geometry.spacing == pytest.approx((0.5, 0.5))


# What masks hold is seen


def grid(step, count):
    """Squares numbered 1..count on a ground of 0."""
    mask = np.zeros((step * 4, step * ((count + 3) // 4)), np.uint8)
    for k in range(count):
        y, x = (k % 4) * step, (k // 4) * step
        mask[y + 1 : y + step - 1, x + 1 : x + step - 1] = k + 1
    return mask


@pytest.mark.parametrize(
    ("mask", "palette", "wanted"),
    [
        (grid(6, 12), None, "instance-maps"),
        (np.random.default_rng(0).integers(0, 12, (20, 20)).astype(np.uint8), None, "label-maps"),
        (np.array([[0, 255], [255, 0]], np.uint8), None, "binary-masks"),
        (np.array([[0, 1], [1, 0]], np.uint8), None, "binary-masks"),
        (np.array([[0, 1], [2, 0]], np.uint8), [(0, 0, 0), (9, 8, 7), (6, 5, 4)], "label-maps"),
        (np.array([[0, 300], [2, 0]], np.uint16), None, "instance-maps"),
        (np.array([[[0, 0, 0], [255, 0, 0]]], np.uint8), None, "color-masks"),
        (np.repeat(np.clip(np.arange(-300, 560, 10), 0, 255), 4).reshape(4, -1).astype(np.uint8), None, "binary-masks"),
    ],
)  # fmt: skip
def test_the_format_is_recognised_by_what_masks_hold(tmp_path, mask, palette, wanted):
    dataset = Dataset.open(folder_of(tmp_path, {"a": mask, "b": mask}, palette))
    assert dataset.format == wanted, dataset.reason
    assert dataset.reason


def test_palettes_that_differ_are_colours(tmp_path):
    folder_of(tmp_path, {"a": mask_of([0, 1])}, [(0, 0, 0), (1, 2, 3)])
    folder_of(tmp_path, {"b": mask_of([0, 1])}, [(1, 2, 3), (0, 0, 0)])
    assert Dataset.open(tmp_path).format == "color-masks"


# Real data


@pytest.mark.realdata
def test_camvid(data_dir):
    dataset = Dataset.open(data_dir / "camvid", classes="camvid")
    assert dataset.format == "label-maps"
    assert {split: len(dataset.split(split)) for split in dataset.splits} == {
        "train": 367,
        "val": 51,
        "test": 18,
    }
    assert len(dataset.classes) == 11
    assert not dataset.problems
    for sample in [*dataset.split("test"), *dataset.split("train")[::40]]:
        with PillowImage.open(sample.truth_paths[0]) as picture:
            counts = np.bincount(np.asarray(picture).reshape(-1), minlength=12)
        truth = sample.truth
        found = np.zeros(12, np.int64)
        found[truth.class_ids - 1] = truth.areas_px
        found[11] = truth.void_px
        assert found.tolist() == counts.tolist()
        assert truth.shape == (360, 480)


@pytest.mark.realdata
def test_dsb2018(data_dir):
    dataset = Dataset.open(data_dir / "dsb2018", images="images")
    assert (dataset.format, len(dataset)) == ("instance-maps", 559)
    listed = {}
    for line in (data_dir / "dsb2018" / "index.csv").read_text().splitlines()[1:]:
        cells = line.split(",")
        listed[cells[0]] = (int(cells[1]), int(cells[2])), int(cells[4])
    for sample in dataset[::25]:
        with PillowImage.open(sample.truth_paths[0]) as picture:
            counts = np.bincount(np.asarray(picture).reshape(-1))
        truth = sample.truth
        assert (truth.shape, len(truth)) == listed[sample.name]
        assert truth.areas_px.tolist() == counts[1:][counts[1:] > 0].tolist()


@pytest.mark.realdata
def test_a_folder_of_two_layouts_says_what_to_do(data_dir):
    with pytest.raises(ReadError, match="images="):
        Dataset.open(data_dir / "dsb2018")


@pytest.mark.realdata
def test_oxford_pets(data_dir):
    options = {"masks": "trimaps", "classes": {"pet": 1}, "background": 2, "void": 3}
    dataset = Dataset.open(data_dir / "oxford_pets_sample", **options)
    assert (len(dataset), sum(sample.annotated for sample in dataset)) == (31, 5)
    sample = dataset["pug_188"]
    with PillowImage.open(sample.truth_paths[0]) as picture:
        counts = np.bincount(np.asarray(picture).reshape(-1), minlength=4)
    assert (sample.truth.areas_px.tolist(), sample.truth.void_px) == ([counts[1]], counts[3])
    pets = Dataset.open(data_dir / "oxford_pets_sample", masks="catdog_masks", classes=["cat", "dog"])
    assert sum(sample.annotated for sample in pets) == 26
    assert areas(pets["Bengal_185"].truth).keys() == {"cat"}
    assert pets["Bengal_185"].truth.void_px > 0


@pytest.mark.realdata
def test_trimaps_of_alphamatting(data_dir):
    options = {"masks": "trimap_training_lowres/Trimap1", "void": 128, "classes": {"foreground": 255}}
    dataset = Dataset.open(data_dir / "alphamatting_lowres", **options)
    assert (dataset.format, len(dataset)) == ("label-maps", 4)
    for sample in dataset:
        with PillowImage.open(sample.truth_paths[0]) as picture:
            trimap = np.asarray(picture)
        assert np.array_equal(sample.truth.mask(1), trimap == 255)
        assert np.array_equal(sample.truth.void, trimap == 128)


def test_a_list_decides_for_classes_in_masks_of_16_bits_too(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 2, 255], dtype=np.uint16)})
    assert Dataset.open(folder).format == "instance-maps"
    (folder / "classes.json").write_text('{"road": 1, "car": 2}')
    assert Dataset.open(folder).format == "label-maps"
    save(folder / "masks" / "a.png", mask_of([0, 1, 2, 57], dtype=np.uint16))
    assert Dataset.open(folder).format == "instance-maps"


def test_void_that_counting_gives_to_a_class_is_refused(tmp_path):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 2])})
    with pytest.raises(
        InputError, match=r"void=2 would be 'car'; number the names, as in \{\"sky\": 0, \"car\": 1"
    ):
        Dataset.open(folder, "label-maps", classes=["sky", "car", "void"], void=2)
    with pytest.raises(InputError, match="background=1 would be 'road'"):
        Dataset.open(folder, "label-maps", classes=["sky", "road", "car"], background=1)
    assert Dataset.open(folder, "label-maps", classes=["road", "car", "void"], void=3).classes.names == (
        "road",
        "car",
    )
    counted = Dataset.open(folder, "label-maps", classes=["sky", "road", "void"], background=[], void=2)
    assert areas(counted["a"].truth) == {"sky": 1, "road": 1}


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (
            {},
            [
                "no list of classes: the 2 numbers from 1 to 2 are called 'class 1' ...; "
                "0 is taken for no segment, 255 for void"
            ],
        ),
        (
            {"void": 255},
            [
                "no list of classes: the 2 numbers from 1 to 2 are called 'class 1' ...; 0 is taken for no segment"
            ],
        ),
        (
            {"classes": ["road", "car"]},
            [
                "names without numbers are counted: 1 road, 2 car, 0 background, ...; "
                "0 is taken for no segment, 255 for void"
            ],
        ),
        ({"classes": {"road": 1, "car": 2}}, []),
    ],
)
def test_what_is_taken_for_granted_of_numbers_is_noted(tmp_path, options, notes):
    folder = folder_of(tmp_path, {"a": mask_of([0, 1, 2])})
    assert list(Dataset.open(folder, "label-maps", **options).notes) == notes
