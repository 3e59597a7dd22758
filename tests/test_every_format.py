"""The contract of every annotation format in the table: what comes back is what was written, or the report says what
is gone."""

from __future__ import annotations

import json
import pickle
from collections import Counter

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError, SmaltiError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io.formats import ANNOTATION_FORMATS, make_format
from smalti.io.formats.format import AnnotationFormat
from smalti.io.formats.tree import Tree
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet(
    [
        Class(1, "cell", (230, 159, 0)),
        Class(2, "dirt", (86, 180, 233)),
        Class(3, "ground", (0, 158, 115), thing=False),
    ]
)
SIZE = (48, 64)


def discs(count=5, size=SIZE, seed=0):
    """Discs as masks (count, *size), which may overlap."""
    rng = np.random.default_rng(seed)
    axes = np.ogrid[tuple(slice(length) for length in size)]
    masks = []
    for _ in range(count):
        center = [rng.uniform(2, length - 2) for length in size]
        radius = rng.uniform(3, max(4, min(size) / 4))
        distance = sum((axis - at) ** 2 for axis, at in zip(axes, center, strict=True))
        masks.append(distance <= radius**2)
    return np.array(masks)


def flat(masks):
    """Label map in which earlier masks win."""
    labels = np.zeros(masks.shape[1:], np.int32)
    for k in range(len(masks), 0, -1):
        labels[masks[k - 1]] = k
    return labels


def panoptic():
    labels = flat(discs())
    count = int(labels.max())
    labels[labels == 0] = count + 1
    return Segmentation.from_labels(labels, class_ids=[1, 2, 1, 2, 1][:count] + [3], classes=CLASSES)


def overlapping():
    return Segmentation.from_masks(discs(4, seed=3), class_ids=[1, 1, 2, 1], classes=CLASSES)


def holed():
    labels = np.zeros(SIZE, np.int32)
    labels[4:30, 5:40] = 1
    labels[10:20, 10:20] = 0
    labels[12:15, 12:15] = 2  # an island in the hole
    labels[22:27, 30:36] = 0
    labels[35:45, 3:60] = 3
    labels[40, 10:50] = 0
    return Segmentation.from_labels(labels, class_ids=[1, 1, 2], classes=CLASSES)


def pieces():
    labels = np.zeros(SIZE, np.int32)
    labels[0, 0] = labels[47, 63] = labels[0, 63] = labels[20:23, 20:25] = 1  # corners, and a piece inside
    labels[10, 10] = labels[11, 11] = labels[12, 10] = 2  # joined by corners only
    labels[30, 5:60] = 3  # a line, one pixel thick
    return Segmentation.from_labels(labels, class_ids=[1, 2, 2], classes=CLASSES)


def noisy():
    labels = (np.random.default_rng(1).random(SIZE) < 0.3).astype(np.int32)
    labels[:, 32:] *= 2
    return Segmentation.from_labels(labels, class_ids=[1, 2], classes=CLASSES)


def empty():
    return Segmentation.from_labels(np.zeros(SIZE, np.int32), class_ids=[], classes=CLASSES)


def volume():
    labels = flat(discs(4, (6, 20, 24), seed=5))
    geometry = Geometry.parse("2x0.5x0.5mm", 3)
    return Segmentation.from_labels(
        labels, class_ids=[1, 2, 1, 2][: labels.max()], classes=CLASSES, geometry=geometry
    )


def with_void():
    labels = flat(discs(seed=7))
    void = np.zeros(SIZE, bool)
    void[40:, :] = True
    labels[void] = 0
    return Segmentation.from_labels(
        labels, class_ids=[1, 2, 1, 2, 1][: labels.max()], classes=CLASSES, void=void
    )


CASES = {
    function.__name__: function
    for function in (panoptic, overlapping, holed, pieces, noisy, empty, volume, with_void)
}


def sample_of(name, truth, **fields):
    shape = truth.shape
    pixels = np.random.default_rng(len(name)).integers(0, 255, (*shape, 1), dtype=np.uint8)
    return Sample.of(name, Image(pixels, geometry=truth.geometry), truth, **fields)


def dataset_of(*cases):
    return Dataset([sample_of(f"image_{case}", CASES[case]()) for case in cases], CLASSES)


def writes(name):
    return type(make_format(name)).write is not AnnotationFormat.write


READ_ONLY = {"bsds"}
WRITTEN = sorted(name for name in ANNOTATION_FORMATS if name not in READ_ONLY)


@pytest.fixture(params=WRITTEN)
def format_name(request):
    return request.param


def write_or_skip(dataset, folder, name):
    """The loss report; formats may refuse what they cannot hold at all, but say so and leave nothing behind."""
    try:
        return dataset.write(folder, name)
    except InputError as error:
        assert "\n" not in str(error)
        assert not folder.exists()
        assert not list(folder.parent.glob(".*"))
        pytest.skip(f"refused: {error}")


def unions(truth):
    """Class name to the pixels of that class."""
    found = {}
    for k, class_id in enumerate(truth.class_ids, 1):
        if truth.areas_px[k - 1]:
            name = truth.classes.of(class_id).name
            found[name] = found.get(name, np.zeros(truth.shape, bool)) | truth.mask(k)
    return {name: mask.tobytes() for name, mask in found.items()}


def pieces_of(truth):
    """Class name and pixels of each segment, as often as they come."""
    return Counter(
        (truth.classes.of(class_id).name, truth.mask(k).tobytes())
        for k, class_id in enumerate(truth.class_ids, 1)
    )


@pytest.mark.parametrize("name", sorted(ANNOTATION_FORMATS))
def test_declared(name):
    kind = type(make_format(name))
    assert kind.name == name
    assert kind.title and kind.source and (kind.__doc__ or "").strip()
    assert writes(name) == (name not in READ_ONLY)
    for option, field in kind.model_fields.items():
        assert field.description and field.description.endswith("."), f"{option} needs its sentence"


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_lost_that_the_report_does_not_state(format_name, case, tmp_path):
    dataset = dataset_of(case)
    report = write_or_skip(dataset, tmp_path / "out", format_name)
    back = Dataset.open(tmp_path / "out", format_name)
    assert not back.problems
    (wanted,), (found,) = dataset, back
    (loss,) = report.losses.values()
    if not found.annotated:
        assert loss.segments_lost == len(wanted.truth)
        return
    assert found.image.shape == wanted.image.shape
    same_unions = unions(wanted.truth) == unions(found.truth)
    same_segments = pieces_of(wanted.truth) == pieces_of(found.truth)
    assert same_unions or not loss.exact or loss.overlap_flattened or loss.classes_changed
    moved = loss.segments_merged + loss.segments_split + loss.segments_lost + loss.segments_added
    assert same_segments == (not loss.pixels_changed and not moved and not loss.classes_changed)
    assert np.array_equal(wanted.truth.void, found.truth.void) == (loss.void_changed == 0)


@pytest.mark.parametrize("case", CASES)
def test_what_came_back_once_comes_back_again(format_name, case, tmp_path):
    write_or_skip(dataset_of(case), tmp_path / "one", format_name)
    first = Dataset.open(tmp_path / "one", format_name)
    report = first.write(tmp_path / "two", format_name)
    assert report.total.exact, list(report.lines())
    second = Dataset.open(tmp_path / "two", format_name)
    for one, two in zip(first, second, strict=True):
        if one.annotated:
            assert pieces_of(one.truth) == pieces_of(two.truth)


def recognised_cases():
    """Datasets whose files look different though their format is one: with spacing masks are TIFF, for example."""
    for name, cases in {
        "filled": ("panoptic", "holed"),
        "void": ("with_void", "panoptic"),
        "volume": ("volume",),
        "empty": ("empty",),
        "some empty": ("empty", "panoptic"),
    }.items():
        for spaced in (False, True):
            for single in (False, True):
                yield pytest.param(
                    cases, spaced, single, id=f"{name}{' spaced' * spaced}{' of one class' * single}"
                )


@pytest.mark.parametrize(("cases", "spaced", "single"), list(recognised_cases()))
def test_written_folder_is_recognised(format_name, cases, spaced, single, tmp_path):
    classes = CLASSES if not single else ClassSet([Class(1, "cell", (230, 159, 0))])
    samples = []
    for case in cases:
        truth = CASES[case]()
        geometry = Geometry.parse("0.5um", truth.ndim) if spaced else Geometry()
        class_ids = np.ones(len(truth), int) if single else truth.class_ids
        truth = truth.replace(geometry=geometry, classes=classes, class_ids=class_ids)
        samples.append(sample_of(f"image_{case}", truth, split="train"))
    report = write_or_skip(Dataset(samples, classes), tmp_path / "out", format_name)
    found = Dataset.open(tmp_path / "out")
    assert found.format == format_name, found.reason
    assert found.reason
    assert not found.problems
    assert len(found) == len(samples)
    assert single or not report.total.pixels_changed or format_name in ("binary-masks", "dicom-seg", "yolo")


def test_names_and_order_come_back(format_name, tmp_path):
    case = volume if format_name in ("nifti", "dicom-seg", "stacks") else panoptic
    names = ["b10", "b2", "a"]
    dataset = Dataset([sample_of(name, case()) for name in names], CLASSES)
    write_or_skip(dataset, tmp_path / "out", format_name)
    back = Dataset.open(tmp_path / "out", format_name)
    assert sorted(sample.name.rpartition("/")[2] for sample in back) == sorted(names)


def test_samples_travel_to_other_processes(format_name, tmp_path):
    case = volume if format_name in ("nifti", "dicom-seg", "stacks") else panoptic
    write_or_skip(Dataset([sample_of("a", case())], CLASSES), tmp_path / "out", format_name)
    (sample,) = Dataset.open(tmp_path / "out", format_name)
    assert pickle.loads(pickle.dumps(sample)).truth == sample.truth


def test_splits_and_groups_are_kept_or_reported(format_name, tmp_path):
    case = volume if format_name in ("nifti", "dicom-seg", "stacks") else panoptic
    dataset = Dataset(
        [
            sample_of("train/one", case(), split="train", group="p1"),
            sample_of("val/two", case(), split="val", group="p2"),
        ],
        CLASSES,
    )
    report = write_or_skip(dataset, tmp_path / "out", format_name)
    back = Dataset.open(tmp_path / "out", format_name)
    lost = {name for loss in report.losses.values() for name in loss.fields_lost}
    assert ({sample.split for sample in back} != {"train", "val"}) == ("split" in lost)
    assert ({sample.group for sample in back} != {"p1", "p2"}) == ("group" in lost)


def test_source_is_left_as_it_was(format_name, tmp_path):
    case = volume if format_name in ("nifti", "dicom-seg", "stacks") else panoptic
    Dataset([sample_of("a", case())], CLASSES).write(tmp_path / "source")
    before = {path: path.read_bytes() for path in (tmp_path / "source").rglob("*") if path.is_file()}
    source = Dataset.open(tmp_path / "source")
    write_or_skip(source, tmp_path / "out", format_name)
    after = {path: path.read_bytes() for path in (tmp_path / "source").rglob("*") if path.is_file()}
    assert after == before
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}


def test_an_empty_folder_is_refused_by_one_line(format_name, tmp_path):
    with pytest.raises(SmaltiError) as raised:
        found = Dataset.open(tmp_path, format_name)
        assert not len(found)
        raise InputError("no samples, and that is an answer too")
    assert "\n" not in str(raised.value)


def test_what_is_no_dataset_is_said_in_words_that_fit(tmp_path):
    with pytest.raises(InputError, match="is empty; give the folder that has the dataset"):
        Dataset.open(tmp_path)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(
        InputError, match=r"\(2 files\) looks like none .* with format=... \(--format on the command"
    ):
        Dataset.open(tmp_path)
    with pytest.raises(InputError, match=r"a.txt looks like none"):
        Dataset.open(tmp_path / "a.txt")


def test_damaged_text_files_are_refused_by_one_line(format_name, tmp_path):
    """Every text file of a dataset, cut in the middle, gives a named error or is reported, never a traceback."""
    case = volume if format_name in ("nifti", "dicom-seg", "stacks") else panoptic
    write_or_skip(Dataset([sample_of("a", case())], CLASSES), tmp_path / "out", format_name)
    texts = [
        path
        for path in (tmp_path / "out").rglob("*")
        if path.suffix in (".json", ".xml", ".txt", ".yaml", ".geojson") and path.name != "smalti-loss.json"
    ]
    for path in texts:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        try:
            for sample in Dataset.open(tmp_path / "out", format_name, faulty="skip"):
                if sample.annotated:
                    sample.truths  # noqa: B018
        except SmaltiError as error:
            assert "\n" not in str(error)
        path.write_bytes(content)


def test_recognising_never_fails_on_anything(format_name, tmp_path):
    for name, content in {
        "a.json": b"[1, 2",
        "b.json": b'{"images": 3}',
        "c.xml": b"<a",
        "d.txt": b"\xff\xfe",
        "e.png": b"\x89PNG",
        "f.zip": b"PK",
        "g.yaml": b"a: [",
        "images/h.png": b"",
        "labels/h.txt": b"0 1",
        "dataset.json": json.dumps({"labels": 3}).encode(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    make_format(format_name).recognise(Tree(tmp_path))
    for path in tmp_path.glob("*.*"):
        make_format(format_name).recognise(Tree(path))
        try:
            Dataset.open(path, format_name, faulty="skip")
        except SmaltiError as error:
            assert "\n" not in str(error)


def test_names_that_lead_outside_are_refused(format_name, tmp_path):
    dataset = Dataset([sample_of("../../evil", panoptic())], CLASSES)
    with pytest.raises((ReadError, InputError)):
        dataset.write(tmp_path / "deep" / "er" / "out", format_name)
    assert not list(tmp_path.rglob("*evil*"))
