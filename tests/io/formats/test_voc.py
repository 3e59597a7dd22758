"""Pascal VOC: masks of classes and objects with a void border, lists of splits, boxes in XML."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io.formats.known_classes import voc_color
from smalti.sample import Sample
from smalti.segmentation import Segmentation

OBJECTS = np.array(
    [
        [1, 1, 255, 2, 2, 0],
        [1, 1, 255, 2, 2, 0],
        [255, 255, 255, 255, 255, 0],
        [0, 0, 0, 3, 3, 3],
    ],
    np.uint8,
)
CLASS_OF = {0: 0, 1: 15, 2: 15, 3: 7, 255: 255}
SEMANTIC = np.vectorize(CLASS_OF.get)(OBJECTS).astype(np.uint8)
BOXES = """<annotation><object><name>person</name><difficult>1</difficult><truncated>0</truncated>
<bndbox><xmin>4</xmin><ymin>1</ymin><xmax>5</xmax><ymax>2</ymax></bndbox></object></annotation>"""


def palette_png(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(values, "P")
    picture.putpalette([channel for value in range(256) for channel in voc_color(value)])
    picture.save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set" / "VOCdevkit" / "VOC2012"
    for name in ("2007_000032", "2007_000033", "2007_000039"):
        (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(np.zeros((4, 6, 3), np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
        palette_png(root / "SegmentationClass" / f"{name}.png", SEMANTIC)
        palette_png(root / "SegmentationObject" / f"{name}.png", OBJECTS)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n2007_000039\n")
    (lists / "val.txt").write_text("2007_000033\n")
    (lists / "trainval.txt").write_text("2007_000032\n2007_000033\n2007_000039\n")
    (root / "Annotations").mkdir()
    (root / "Annotations" / "2007_000032.xml").write_text(BOXES)
    return tmp_path / "set"


def test_objects_with_their_classes_and_void(folder):
    found = Dataset.open(folder)
    assert found.format == "voc"
    assert found.splits == ("train", "val")
    truth = found["2007_000032"].truth
    assert [truth.classes.of(i).name for i in truth.class_ids] == ["person", "person", "car"]
    assert np.array_equal(truth.labels, np.where(OBJECTS == 255, 0, OBJECTS))
    assert np.array_equal(truth.void, OBJECTS == 255)
    assert len(found.classes) == 20


def test_boxes_say_which_objects_are_difficult(folder):
    found = Dataset.open(folder)
    assert found["2007_000032"].truth.attributes["difficult"].tolist() == [False, True, False]
    assert not found["2007_000033"].truth.attributes


def test_masks_of_classes_alone_give_a_segment_for_each_class(folder):
    for path in folder.rglob("SegmentationObject/*.png"):
        path.unlink()
    truth = Dataset.open(folder)["2007_000032"].truth
    assert len(truth) == 2
    assert np.array_equal(truth.semantic_map(void=255), SEMANTIC)


def test_coloured_masks_are_looked_up_in_the_palette(folder):
    (path,) = folder.rglob("SegmentationClass/2007_000032.png")
    colors = np.array([voc_color(value) for value in range(256)], np.uint8)[SEMANTIC]
    PillowImage.fromarray(colors).save(path)
    truth = Dataset.open(folder)["2007_000032"].truth
    assert np.array_equal(truth.semantic_map(void=255), SEMANTIC)
    colors[0, 0] = (1, 2, 3)
    PillowImage.fromarray(colors).save(path)
    with pytest.raises(ReadError, match=r"colour \[1, 2, 3\] on 1 pixels"):
        Dataset.open(folder)["2007_000032"].truth  # noqa: B018


def test_many_objects_need_more_than_a_palette(tmp_path):
    labels = np.arange(1, 401).reshape(20, 20)
    classes = ClassSet.from_names(["dot"])
    void = np.zeros((20, 20), bool)
    void[0, 0] = True
    truth = Segmentation.from_labels(np.where(void, 0, labels), classes=classes, void=void)
    image = Image(np.zeros((20, 20, 3), np.uint8))
    Dataset([Sample.of("a", image, truth)], classes).write(tmp_path / "out", "voc", strict=True)
    back = Dataset.open(tmp_path / "out")[0].truth
    assert len(back) == 399
    assert np.array_equal(back.void, void)


def test_flags_and_splits_come_back(folder, tmp_path):
    found = Dataset.open(folder)
    report = found.write(tmp_path / "out", "voc")
    assert not report, list(report.lines())
    assert (tmp_path / "out" / "ImageSets" / "Segmentation" / "val.txt").read_text() == "2007_000033\n"


def test_what_is_missing_is_named(folder):
    (image,) = folder.rglob("2007_000033.jpg")
    image.unlink()
    with pytest.raises(ReadError, match=r"2007_000033.*no image"):
        Dataset.open(folder)
    assert len(Dataset.open(folder, faulty="skip")) == 2


def test_lists_that_lead_outside_are_refused(folder):
    (path,) = folder.rglob("train.txt")
    path.write_text("../../secret\n")
    found = Dataset.open(folder, faulty="skip")
    assert "leads outside" in str(found.problems[0])


def test_objects_without_a_class_are_refused(folder):
    (path,) = folder.rglob("SegmentationClass/2007_000032.png")
    palette_png(path, np.where(SEMANTIC == 7, 0, SEMANTIC).astype(np.uint8))
    with pytest.raises(ReadError, match=r"objects \[3\] where no class is"):
        Dataset.open(folder)["2007_000032"].truth  # noqa: B018


def test_sizes_that_differ_are_refused(folder):
    (path,) = folder.rglob("SegmentationObject/2007_000032.png")
    palette_png(path, np.zeros((3, 3), np.uint8))
    with pytest.raises(ReadError, match="2007_000032.png is"):
        Dataset.open(folder)["2007_000032"].truth  # noqa: B018


def test_more_classes_than_a_palette_has_are_refused(tmp_path):
    classes = ClassSet.from_names([f"c{index}" for index in range(255)])
    truth = Segmentation.from_labels(np.ones((2, 2), int), classes=classes)
    image = Image(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(InputError, match="up to 254 classes"):
        Dataset([Sample.of("a", image, truth)], classes).write(tmp_path / "out", "voc")


def test_a_listed_image_without_masks_is_not_annotated(folder, tmp_path):
    dataset = Dataset.open(folder, "voc")
    image = dataset[0]
    both = Dataset([image, Sample("b", image.load_image, split="train")], dataset.classes)
    assert not both.write(tmp_path / "out", "voc").losses["b"]
    found = Dataset.open(tmp_path / "out")
    assert [sample.annotated for sample in found] == [True, False]


def test_a_report_says_which_numbers_of_classes_change(tmp_path):
    classes = ClassSet([Class(3, "car", (1, 2, 3)), Class(7, "tree", (4, 5, 6), thing=False)])
    truth = Segmentation.from_labels(np.eye(4, dtype=int), class_ids=[7], classes=classes)
    image = Image(np.zeros((4, 4, 3), np.uint8))
    report = Dataset([Sample.of("a", image, truth)], classes).write(tmp_path / "out", "voc")
    assert report.changes == ("numbers of classes changed: car 3 is 1, tree 7 is 2",)
    assert not report
    assert any("car 3 is 1" in line for line in report.lines())
