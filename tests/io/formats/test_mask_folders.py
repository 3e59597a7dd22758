"""What all folders of images and masks share: names, splits and groups come back, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

FORMATS = [
    "label-maps",
    "instance-maps",
    "color-masks",
    "binary-masks",
    "cityscapes",
    "object-masks",
    "stacks",
]
WORDS = ["images", "masks", "labels", "train", "val", "imagesTr", "a", "A", "1", "10", "b.c", "mask", "image"] + [
    "a_mask", "x_image", "a_labelIds", "c_gtFine_instanceIds", "d_leftImg8bit", "instances", "void", "samples", "ü {x}"
]  # fmt: skip
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("/".join)
FIELDS = st.fixed_dictionaries(
    {"split": st.sampled_from([None, "train", "val", "odd"]), "group": st.sampled_from([None, "g", "a"])}
)


def truth_for(name, **changes):
    labels = np.array([[1, 0, 2]])
    return Segmentation.from_labels(labels[None] if name == "stacks" else labels, **changes)


def sample_of(name, truth, parts, **fields):
    """A sample with an image, a truth, or both."""
    image = Image(np.zeros((*truth.shape, 1), np.uint8))
    return Sample(
        name,
        (lambda: image) if "image" in parts else None,
        (lambda: (truth,)) if "truth" in parts else None,
        **fields,
    )


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=12)
@given(
    st.dictionaries(
        NAMES,
        st.tuples(FIELDS, st.sampled_from([("image", "truth"), ("image",), ("truth",)])),
        min_size=1,
        max_size=6,
    )
)
def test_names_splits_and_groups_come_back(tmp_path_factory, format, wanted):
    folder = tmp_path_factory.mktemp("names")
    truth = truth_for(format)
    samples = [sample_of(name, truth, parts, **fields) for name, (fields, parts) in wanted.items()]
    report = Dataset(samples, truth.classes).write(folder / "out", format)
    assert not report.total.fields_lost, list(report.lines())
    assert not report.notes
    assert report.total.exact
    back = Dataset.open(folder / "out", format)
    assert set(back.names) == set(wanted)
    assert {(sample.name, sample.split, sample.group) for sample in back} == {
        (name, fields["split"], fields["group"]) for name, (fields, _) in wanted.items()
    }


@pytest.mark.parametrize("format", FORMATS)
def test_a_dataset_without_classes_comes_back(tmp_path, format):
    truth = truth_for(format)[:0].replace(classes=ClassSet([]))
    report = Dataset([sample_of("a", truth, ("image", "truth"))], truth.classes).write(
        tmp_path / "out", format
    )
    assert not report, list(report.lines())


@pytest.mark.parametrize("format", FORMATS)
def test_one_file_is_no_folder(tmp_path, format):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ReadError, match="one file"):
        Dataset.open(tmp_path / "a.png", format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_without_images_says_which_options_name_them(tmp_path, format):
    (tmp_path / "read me.txt").write_text("nothing")
    with pytest.raises(ReadError, match="images= and masks="):
        Dataset.open(tmp_path, format)


@pytest.mark.parametrize("format", FORMATS)
def test_names_that_lead_outside_are_refused(tmp_path, format):
    truth = truth_for(format)
    for name, split in (("../../evil", None), ("/evil", None), ("a", "../evil")):
        dataset = Dataset([sample_of(name, truth, ("image", "truth"), split=split)], truth.classes)
        with pytest.raises((ReadError, InputError)):
            dataset.write(tmp_path / "deep" / "out", format)
    assert not list(tmp_path.rglob("*evil*"))


def test_options_say_which_format_is_meant(tmp_path):
    truth = truth_for("label-maps", classes=ClassSet.from_names(["x", "y"]), class_ids=[1, 2])
    samples = [sample_of("a", truth, ("image", "truth"))]
    Dataset(samples, truth.classes).write(tmp_path / "one", "label-maps")
    Dataset(samples, truth.classes).write(tmp_path / "two", "color-masks")
    (tmp_path / "two" / "masks").rename(tmp_path / "one" / "annotations")
    with pytest.raises(InputError, match="could be more than one format") as raised:
        Dataset.open(tmp_path / "one")
    typed = "choose with masks=masks or masks=annotations (--set masks=masks on the command line)"
    assert str(raised.value).endswith(typed)
    with pytest.raises(InputError, match="several kinds; choose with masks=.* or masks=.* \\(--set masks="):
        Dataset.open(tmp_path / "one", "label-maps")
    for option in ("masks", "images"):
        with pytest.raises(
            InputError, match=f"{option}=nosuch names no picture; .*: annotations, images, masks"
        ):
            Dataset.open(tmp_path / "one", **{option: "nosuch"})
        with pytest.raises(InputError, match="names no picture"):
            Dataset.open(tmp_path / "one", "label-maps", **{option: "**/*_x.png"})
    assert Dataset.open(tmp_path / "one", masks="annotations").format == "color-masks"
    assert Dataset.open(tmp_path / "one", masks="masks").format == "label-maps"
    assert Dataset.open(tmp_path / "one", masks="masks", background=0).format == "label-maps"
    with pytest.raises(InputError, match="no annotation format has the options colour"):
        Dataset.open(tmp_path / "one", colour=3)


def test_the_image_is_copied_byte_for_byte(tmp_path):
    PillowImage.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(tmp_path / "a.jpg")
    sample = Sample("a", lambda: None, None, tmp_path / "a.jpg")
    Dataset([sample], ClassSet([])).write(tmp_path / "out", "label-maps")
    assert (tmp_path / "out" / "images" / "a.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3)])
@pytest.mark.parametrize("name", ["a", "instance_1", "gtFine/instances/a_instanceIds"])
def test_what_is_written_is_recognised_whatever_its_names_and_sizes(tmp_path, format, shape, name):
    """A volume of one slice, and masks with an instance in their names, look like other formats."""
    truth = Segmentation.from_labels(
        np.array([1, 0, 2] * 2).reshape(shape), class_ids=[1, 1], classes=ClassSet.from_names(["x", "y"])
    )
    pixels = np.zeros((*shape, 1), np.uint8)
    dataset = Dataset([Sample.of(name, Image(pixels), truth)], truth.classes)
    if (len(shape) == 3) != (format == "stacks"):
        with pytest.raises(InputError):
            dataset.write(tmp_path / "out", format)
        return
    dataset.write(tmp_path / "out", format)
    found = Dataset.open(tmp_path / "out")
    assert found.format == format, found.reason
    assert found[0].truth == Dataset.open(tmp_path / "out", format)[0].truth
    assert found[0].truth.shape == shape
