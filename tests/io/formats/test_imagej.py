"""ImageJ regions: the pixels that ImageJ gives them, whose image they belong to, and that what is written comes back.

The pictures in ``IMAGEJ`` are what ImageJ 1.53t makes of these files: ``new RoiDecoder(path).getRoi()`` filled into a
``ByteProcessor`` of 14 x 9 pixels with ``fill(roi)``.
"""

import io
import struct
import zipfile
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image as PillowImage
from rich_samples import CLASSES, EMPTY, FIELDS, IMAGE, rich_truth

from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io.formats import Tree
from smalti.io.formats.imagej import ImageJRoi
from smalti.io.formats.imagej_roi import decode_roi, encode_roi
from smalti.io.formats.loss import compare
from smalti.masks import trace_polygons
from smalti.sample import Sample
from smalti.segmentation import Segmentation

POLYGON, RECTANGLE, OVAL, LINE, FREEHAND, TRACED, POINT = 0, 1, 2, 3, 7, 8, 10
SUBPIXEL, SPLINE = 128, 1
ELLIPSE, TURNED = 3, 5


def roi_file(
    kind,
    bounds=(0, 0, 0, 0),
    points=(),
    *,
    count=None,
    floats=(0, 0, 0, 0),
    options=0,
    subtype=0,
    ratio=0.0,
    arc=0,
    path=(),
    path_size=None,
    position=0,
    tail=b"",
):
    """A ``.roi`` file put together by hand; ``bounds`` are left, top, right, bottom."""
    left, top, right, bottom = bounds
    xy = np.reshape(points, (-1, 2)).astype(float)
    body = np.array(path, ">f4").tobytes()
    if not len(path):
        body = (np.floor(xy) - [left, top]).T.astype(">i2").tobytes()
        body += xy.T.astype(">f4").tobytes() if options & SUBPIXEL else b""
    content = struct.pack(">4shBxhhhh", b"Iout", 228, kind, top, left, bottom, right)
    content += struct.pack(">H4f", len(xy) if count is None else count, *floats)
    content += struct.pack(">hi8xhh", 0, len(path) if path_size is None else path_size, subtype, options)
    content += struct.pack(">f", ratio) if ratio else struct.pack(">hh", 0, arc)
    return content + struct.pack(">ii", position, 64 + len(body) if tail else 0) + body + tail


BOX = roi_file(RECTANGLE, (2, 1, 6, 4))

IMAGEJ = {
    "diamond": (
        roi_file(POLYGON, (1, 1, 7, 7), [(4, 1), (7, 4), (4, 7), (1, 4)]),
        """
        ..............
        ....#.........
        ...###........
        ..#####.......
        ..#####.......
        ...###........
        ....#.........
        ..............
        ..............
        """,
    ),
    "star": (
        roi_file(FREEHAND, (0, 0, 14, 9), [(7, 0), (3, 9), (14, 3), (0, 3), (11, 9)]),
        """
        ..............
        ......##......
        ......##......
        .####....####.
        ...##....##...
        ..............
        ....##..##....
        ....##..##....
        ...#......#...
        """,
    ),
    "subpixel": (
        roi_file(POLYGON, (1, 0, 13, 9), [(1.5, 0.5), (12.25, 3.0), (6.5, 8.5)], options=SUBPIXEL),
        """
        ..............
        ..####........
        ...#######....
        ...#########..
        ....#######...
        .....#####....
        .....####.....
        ......##......
        ..............
        """,
    ),
    "oval": (
        roi_file(OVAL, (2, 1, 9, 6)),
        """
        ..............
        ...#####......
        ..#######.....
        ..#######.....
        ..#######.....
        ...#####......
        ..............
        ..............
        ..............
        """,
    ),
    "subpixel oval": (
        roi_file(OVAL, (2, 1, 13, 8), floats=(2.6, 1.4, 9.5, 6.2), options=SUBPIXEL),
        """
        ..............
        ....######....
        ...########...
        ..##########..
        ..##########..
        ..##########..
        ...########...
        ....######....
        ..............
        """,
    ),
    "round corners": (
        roi_file(RECTANGLE, (1, 1, 13, 8), arc=7),
        """
        ..............
        ...########...
        ..##########..
        .############.
        .############.
        .############.
        ..##########..
        ...########...
        ..............
        """,
    ),
    "ellipse": (
        roi_file(FREEHAND, (0, 0, 1, 1), [(0, 0)] * 3, floats=(1, 2, 12, 7), subtype=ELLIPSE, ratio=0.5),
        """
        ..............
        .######.......
        .########.....
        .#########....
        ..#########...
        ...#########..
        ....########..
        ......######..
        ..............
        """,
    ),
    "turned rectangle": (
        roi_file(FREEHAND, (0, 0, 1, 1), [(0, 0)] * 3, floats=(2, 2, 11, 7), subtype=TURNED, ratio=3.0),
        """
        ..............
        ..##..........
        ..####........
        ..######......
        ...#######....
        .....######...
        .......####...
        .........##...
        ..............
        """,
    ),
    "hole": (
        roi_file(
            RECTANGLE,
            (0, 0, 14, 9),
            path=[0, 1, 1, 1, 13, 1, 1, 13, 8, 1, 1, 8, 4, 0, 4, 3, 1, 4, 6, 1, 10, 6, 1, 10, 3, 4],
        ),
        """
        ..............
        .############.
        .############.
        .###......###.
        .###......###.
        .###......###.
        .############.
        .############.
        ..............
        """,
    ),
    "curves": (
        roi_file(
            RECTANGLE,
            (0, 0, 14, 9),
            path=[0, 1, 4, 3, 1, -1, 13, -1, 13, 4, 2, 13, 9, 7, 8, 4, 0, 6, 3, 1, 9, 3, 1, 9, 5, 1, 6, 5, 4],
        ),
        """
        .....####.....
        ..##########..
        .############.
        .#####...####.
        ..####...####.
        ...##########.
        .....#######..
        ......######..
        ..............
        """,
    ),
}


def put_picture(path, size=(9, 14)):
    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    PillowImage.fromarray(np.zeros(size, np.uint8)).save(file, "PNG")
    path.write_bytes(file.getvalue())


def put_set(path, *members, **named):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number, content in enumerate(members):
            archive.writestr(f"{number:04}.roi", content)
        for name, content in named.items():
            archive.writestr(f"{name}.roi", content)


def opened(folder, **options):
    return ImageJRoi(**options).open(Tree(folder))


def only(folder, **options):
    found = opened(folder, **options)
    assert not found.problems
    (sample,) = found.samples
    return sample


def pixels(roi, shape=(9, 14)):
    return roi.runs(shape).paint(shape)[0] > 0


# Pixels


@pytest.mark.parametrize("name", IMAGEJ)
def test_regions_have_the_pixels_that_imagej_gives_them(name):
    content, picture = IMAGEJ[name]
    mask = pixels(decode_roi(content))
    assert ["".join(".#"[value] for value in row) for row in mask.astype(int)] == picture.split()


def test_what_lies_outside_the_image_is_cut_off():
    assert pixels(decode_roi(roi_file(RECTANGLE, (-3, -2, 4, 3)))).sum() == 12
    assert pixels(decode_roi(roi_file(OVAL, (100, 100, 110, 110)))).sum() == 0


def test_boxes_are_never_empty_as_in_imagej():
    assert pixels(decode_roi(roi_file(RECTANGLE, (3, 3, 3, 8)))).sum() == 5
    assert pixels(decode_roi(roi_file(OVAL, (3, 3, 3, 3)))).sum() == 1


def test_more_points_than_a_short_can_count():
    """Along the top of 35,000 pixels in steps of one, and back."""
    x = np.concatenate([np.arange(35_001), np.arange(35_000, -1, -1)])
    y = np.repeat([1, 3], 35_001)
    content = roi_file(TRACED, (0, 0, 0, 0), np.stack([x, y], 1), count=0, options=SUBPIXEL)
    content = content[:18] + struct.pack(">i", len(x)) + content[22:]
    assert pixels(decode_roi(content), (4, 35_000)).sum() == 70_000


@pytest.mark.parametrize("kind", [LINE, 4, 5, 6, 9, POINT])
def test_lines_and_points_cover_no_pixels(tmp_path, kind):
    put_picture(tmp_path / "a.png")
    put_set(tmp_path / "a.zip", BOX, roi_file(kind, (1, 1, 5, 5), [(1, 1), (5, 5)], floats=(1, 1, 5, 5)))
    found = opened(tmp_path)
    assert "covers no pixels" in found.problems[0].message
    assert found.problems[0].record == "member 0001.roi"
    assert len(found.samples[0].truth) == 1


# What is written


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_any_mask_comes_back_from_a_region(mask):
    roi = decode_roi(encode_roi(trace_polygons(mask)))
    assert (pixels(roi, mask.shape) == mask).all()


def test_one_ring_is_traced_and_the_rest_composite():
    block = np.ones((3, 4), bool)
    ring = block.copy()
    ring[1, 1] = False
    assert decode_roi(encode_roi(trace_polygons(block))).kind == "traced"
    assert decode_roi(encode_roi(trace_polygons(ring))).kind == "composite"
    assert decode_roi(encode_roi([])).kind == "composite"


def test_corners_beyond_what_a_short_holds():
    mask = np.zeros((2, 40_000), bool)
    mask[:, 39_000:39_990] = True
    assert (pixels(decode_roi(encode_roi(trace_polygons(mask))), mask.shape) == mask).all()


@given(
    name=st.text(max_size=8),
    properties=st.dictionaries(st.text(min_size=1, max_size=6), st.text(max_size=8), max_size=3),
)
def test_names_and_properties_come_back(name, properties):
    plain = {key: value for key, value in properties.items() if key.strip() == key and value.strip() == value}
    roi = decode_roi(encode_roi([], name=name, position=4, group=200, color=(1, 200, 3), properties=plain))
    assert (roi.name, roi.group, roi.color, roi.position) == (name, 200, (1, 200, 3), (0, 0, 0, 4))
    assert roi.properties == plain


def test_properties_as_imagej_writes_them():
    text = "class: big cell\nkey\\ one=1\n# a comment\nname:ä\\u00e9\n".encode("utf-16-be")
    tail = struct.pack(">40x2i16x", 64 + 64, len(text) // 2) + text
    roi = decode_roi(roi_file(RECTANGLE, (0, 0, 1, 1), tail=tail))
    assert roi.properties == {"class": "big cell", "key one": "1", "name": "äé"}


# Whose regions


@pytest.mark.parametrize(
    ("image", "regions"),
    [
        ("a.png", "a.zip"),
        ("a.png", "a_rois.zip"),
        ("a.png", "RoiSet_a.zip"),
        ("a.png", "a RoiSet.zip"),
        ("a.png", "RoiSet.zip"),
        ("a.ome.tif", "a.zip"),
        ("images/a.png", "rois/a.zip"),
        ("images/a.png", "images/rois/a.zip"),
    ],
)
def test_sets_belong_to_the_image_they_are_called_by(tmp_path, image, regions):
    put_picture(tmp_path / image)
    put_set(tmp_path / regions, BOX)
    sample = only(tmp_path)
    assert sample.image_path == tmp_path / image
    assert sample.truth.boxes.tolist() == [[1, 2, 4, 6]]
    assert sample.truth.classes.names == ("object",)


@pytest.mark.parametrize("names", [["a.roi"], ["a/1.roi", "a/2.roi"], ["a_rois/1.roi", "a_rois/2.roi"]])
def test_single_files_belong_to_the_image_or_folder_they_are_called_by(tmp_path, names):
    put_picture(tmp_path / "a.png")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(BOX)
    assert len(only(tmp_path).truth) == len(names)


def test_a_set_of_no_image(tmp_path):
    put_picture(tmp_path / "a.png")
    put_picture(tmp_path / "b.png")
    put_set(tmp_path / "RoiSet.zip", BOX)
    put_set(tmp_path / "b.zip", BOX)
    found = opened(tmp_path)
    assert "no image called as it is" in found.problems[0].message
    assert [(sample.name, sample.annotated) for sample in found.samples] == [("b", True), ("a", False)]


@pytest.mark.parametrize(
    ("class_from", "names"),
    [
        ("auto", ("big", "group 3", "object")),
        ("name", ("nucleus", "object")),
        ("group", ("group 3", "object")),
        ("nothing", ("object",)),
    ],
)
def test_classes_are_told_by_property_group_or_name(tmp_path, class_from, names):
    put_picture(tmp_path / "a.png")
    box = trace_polygons(np.ones((2, 2), bool))
    put_set(
        tmp_path / "a.zip",
        encode_roi(box, name="nucleus-12", properties={"class": "big"}),
        encode_roi(box, name="nucleus 3", group=3),
        encode_roi(box, name="0012-0345"),
    )
    assert only(tmp_path, class_from=class_from).truth.classes.names == names


def test_names_groups_and_properties_are_attributes(tmp_path):
    put_picture(tmp_path / "a.png")
    box = trace_polygons(np.ones((2, 2), bool))
    told = {"score": "0.5", "track_id": "4", "hard": "true", "stain": "HE"}
    put_set(
        tmp_path / "a.zip", encode_roi(box, name="one", group=3, properties=told), encode_roi(box, name="two")
    )
    truth = only(tmp_path).truth
    assert truth.scores.tolist() == [0.5, 1]
    assert {name: column.tolist() for name, column in truth.attributes.items()} == {
        "source_id": ["one", "two"],
        "group": [3, 0],
        "track_id": [4, 0],
        "hard": [True, False],
        "stain": ["HE", ""],
    }


# Stacks


def put_stack(path, depth=3):
    frames = [PillowImage.fromarray(np.zeros((9, 14), np.uint8)) for _ in range(depth)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def header2(channel=0, z=0, t=0):
    return struct.pack(">4x3i48x", channel, z, t)


@pytest.mark.parametrize(
    ("content", "planes"),
    [
        (roi_file(RECTANGLE, (2, 1, 6, 4), position=2), [0, 12, 0]),
        (roi_file(RECTANGLE, (2, 1, 6, 4), tail=header2(z=3)), [0, 0, 12]),
        (roi_file(RECTANGLE, (2, 1, 6, 4), tail=header2(channel=2, z=1, t=2)), [0, 12, 0]),
        (BOX, [12, 12, 12]),
    ],
    ids=["position", "slice", "frame", "any"],
)
def test_regions_lie_in_their_slice_or_in_every_one(tmp_path, content, planes):
    put_stack(tmp_path / "a.tif")
    put_set(tmp_path / "a.zip", content)
    assert only(tmp_path).truth.mask(1).sum(axis=(1, 2)).tolist() == planes


def test_a_slice_that_is_not_there(tmp_path):
    put_stack(tmp_path / "a.tif")
    put_set(tmp_path / "a.zip", roi_file(RECTANGLE, (2, 1, 6, 4), position=4))
    with pytest.raises(ReadError, match=r"a\.zip, member 0000\.roi: it lies in slice 4, the image has 3"):
        _ = only(tmp_path).truths


def test_slices_of_frames(tmp_path):
    put_stack(tmp_path / "a.tif")
    put_set(tmp_path / "a.zip", roi_file(RECTANGLE, (2, 1, 6, 4), tail=header2(z=2, t=3)))
    assert "hyperstack" in opened(tmp_path).problems[0].message


# Files that lie


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "begins with b''"),
        (b"Iout" + bytes(20), "too short"),
        (b"PK" + bytes(80), "no ImageJ region"),
        (roi_file(POLYGON, (0, 0, 9, 9), [(1, 1), (5, 1), (5, 5)])[:-3], "cut short"),
        (roi_file(POLYGON, (0, 0, 9, 9), [(1, 1), (5, 1), (5, 5)], count=65_535), "cut short"),
        (roi_file(POLYGON, (0, 0, 9, 9), [], count=0, floats=(-1.0, 0, 0, 0)), "3 points or more"),
        (roi_file(POLYGON, (0, 0, 9, 9), [(1, 1), (5, 1)]), "3 points or more, got 2"),
        (
            roi_file(POLYGON, (0, 0, 9, 9), [(1, 1), (5, 1), (5, 5)], options=SUBPIXEL)[:-4]
            + struct.pack(">f", np.nan),
            "no numbers",
        ),
        (roi_file(POLYGON, (0, 0, 9, 9), [(1, 1), (5, 1), (5, 5)], options=SPLINE), "spline"),
        (roi_file(RECTANGLE, (9, 9, 2, 2)), "before"),
        (roi_file(OVAL, (0, 0, 9, 9), floats=(0, 0, -3, 1), options=SUBPIXEL), "before"),
        (roi_file(RECTANGLE, path_size=2**31 - 1), "cut short"),
        (roi_file(RECTANGLE, path=[0, 1, 1, 9, 2, 2]), "kind of part"),
        (roi_file(RECTANGLE, path=[0, 1, 1, 3, 2, 2]), "middle of a part"),
        (roi_file(RECTANGLE, path=[1, 1, 1, 4]), "place to start"),
        (roi_file(RECTANGLE, path=[0, 1, np.inf, 4]), "no numbers"),
        (roi_file(77), "type 77"),
        (roi_file(RECTANGLE, tail=struct.pack(">16x2i40x", 10**6, 9)), "its name would lie"),
        (roi_file(RECTANGLE, tail=struct.pack(">16x2i40x", 64, -9)), "its name would lie"),
        (roi_file(RECTANGLE, tail=struct.pack(">40x2i16x", 64, 10**6)), "its properties would lie"),
        (encode_roi([], properties={"score": "7"}), "score"),
    ],
)
def test_a_region_that_lies_is_left_out_with_a_line(tmp_path, content, told):
    put_picture(tmp_path / "a.png")
    put_set(tmp_path / "a.zip", BOX, content)
    found = opened(tmp_path)
    (problem,) = found.problems
    assert (problem.file, problem.record, problem.image) == ("a.zip", "member 0001.roi", "a")
    assert told in problem.message
    assert "\n" not in str(problem)
    assert len(found.samples[0].truth) == 1


@given(content=st.binary(max_size=40), where=st.integers(0, 150))
def test_any_bytes_are_a_region_or_one_line(content, where):
    whole = bytearray(encode_roi(trace_polygons(np.eye(3, dtype=bool)), name="n", properties={"a": "b"}))
    whole[where : where + len(content)] = content
    try:
        decode_roi(bytes(whole)).runs((9, 14)).check((9, 14))
    except InputError as error:
        assert "\n" not in str(error)


def test_names_in_an_archive_that_lead_outside_are_refused(tmp_path):
    folder = tmp_path / "set"
    put_picture(folder / "a.png")
    put_set(folder / "a.zip", BOX)
    with zipfile.ZipFile(folder / "a.zip", "a") as archive:
        archive.writestr("../evil.roi", BOX)
    found = opened(folder)
    assert (found.problems[0].record, "outside" in found.problems[0].message) == ("member ../evil.roi", True)
    assert len(found.samples[0].truth) == 1
    assert not (tmp_path / "evil.roi").exists()


def test_a_bomb_is_refused(tmp_path):
    put_picture(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.roi", bytes(30_000_000))
    (problem,) = opened(tmp_path).problems
    assert (problem.file, "inflate to 30000000" in problem.message) == ("a.zip", True)


def test_an_archive_that_is_cut_short(tmp_path):
    put_picture(tmp_path / "a.png")
    put_set(tmp_path / "a.zip", BOX)
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    assert "cut short" in opened(tmp_path).problems[0].message


def test_another_size_than_the_image_has(tmp_path):
    ImageJRoi().write(tmp_path, rich_samples()[:1], CLASSES)
    put_picture(tmp_path / "a" / "one.png")
    with pytest.raises(ReadError, match="another image"):
        _ = opened(tmp_path).samples[0].truths


# Both ways


def awkward_truth(depth=None):
    """With names and numbers that ImageJ has other uses for."""
    return rich_truth(
        depth=depth,
        group=[255, 0, 7, 300],
        source_id=["a", "", "c/d: \\x\n", "a"],
        segment=["1", "", "true", "1e5"],
    )


def rich_samples():
    stack = Image.from_array(np.arange(2400, dtype=np.uint16).reshape(4, 20, 30), ndim=3)
    return [
        Sample.of("a/one", IMAGE, awkward_truth(), **FIELDS),
        Sample.of("a/empty", IMAGE, EMPTY),
        Sample.of("a/stack", stack, awkward_truth(4)),
        Sample("b/no image", None, lambda: (awkward_truth(),)),
        Sample("b/no image of a stack", None, lambda: (awkward_truth(2),)),
        Sample("a/not annotated", lambda: IMAGE),
    ]


def test_all_that_is_written_comes_back(tmp_path):
    names = ImageJRoi().write(tmp_path / "one", rich_samples(), CLASSES)
    assert names == [sample.name for sample in rich_samples()]
    assert ImageJRoi().recognise(Tree(tmp_path / "one")).certainty > 0.5
    found = opened(tmp_path / "one")
    assert not found.problems
    assert found.classes == CLASSES
    by_name = {sample.name: sample for sample in found.samples}
    for wanted in rich_samples():
        assert not compare(wanted, by_name[wanted.name]), wanted.name
    ImageJRoi().write(tmp_path / "two", [by_name[name] for name in names], found.classes)
    for path in (tmp_path / "one").rglob("*.zip"):
        again = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert again.read_bytes() == path.read_bytes()


def test_a_conversion_reports_no_loss(tmp_path):
    report = Dataset(rich_samples(), CLASSES).write(tmp_path / "set", "imagej-roi")
    assert not report, list(report.lines())


def test_an_empty_set_is_recognised(tmp_path):
    ImageJRoi().write(tmp_path, rich_samples()[1:2], CLASSES)
    assert ImageJRoi().recognise(Tree(tmp_path)) is not None


@given(masks=arrays(bool, array_shapes(min_dims=3, max_dims=4, max_side=7)))
def test_any_masks_come_back(masks):
    truth = Segmentation.from_masks(masks, classes=CLASSES)
    with TemporaryDirectory() as folder:
        ImageJRoi().write(Tree(folder).root, [Sample("a", None, lambda: (truth,))], CLASSES)
        found = only(folder).truth
    assert (np.array([*found.masks()]) == masks).all()


def test_a_volume_of_one_slice_comes_back(tmp_path):
    labels = np.zeros((1, 5, 6), np.int32)
    labels[0, 1:3, 1:4] = 1
    truth = Segmentation.from_labels(labels, class_ids=CLASSES.ids[:1], classes=CLASSES)
    sample = Sample.of("a", Image(np.arange(30, dtype=np.uint8).reshape(1, 5, 6, 1)), truth)
    report = Dataset([sample], CLASSES).write(tmp_path / "out", "imagej-roi")
    assert not report, list(report.lines())
    (found,) = Dataset.open(tmp_path / "out")
    assert found.image.shape == found.truth.shape == (1, 5, 6)
