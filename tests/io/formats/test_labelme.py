"""LabelMe: what its JSON says in pixels, what lies, and that what is written comes back."""

import base64
import io
import json
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image as PillowImage
from rich_samples import CLASSES, rich_samples

from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.io.formats import Tree
from smalti.io.formats.labelme import LabelMe
from smalti.io.formats.loss import compare
from smalti.sample import Sample
from smalti.segmentation import Segmentation


def shape(label="cell", points=((1, 1), (5, 1), (5, 4), (1, 4)), kind="polygon", **more):
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind, **more}


def png(pixels):
    file = io.BytesIO()
    PillowImage.fromarray(np.asarray(pixels)).save(file, "PNG")
    return file.getvalue()


def base64_png(pixels):
    return base64.b64encode(png(pixels)).decode()


def dataset(folder, shapes, name="a", size=(8, 10), image=True, **content):
    """A folder with one JSON, its content with ``content`` in place of the usual, and its image."""
    content = {
        "version": "5.8.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{name}.png",
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    } | content
    (folder / f"{name}.json").write_text(json.dumps(content))
    if image:
        (folder / f"{name}.png").write_bytes(png(np.zeros(size, np.uint8)))
    return folder


def opened(folder, **options):
    return LabelMe(**options).open(Tree(folder))


def only(folder, **options):
    found = opened(folder, **options)
    assert not found.problems
    (sample,) = found.samples
    return sample


def drawn(mask):
    return ["".join(".#"[value] for value in row) for row in mask.astype(int)]


# Shapes


def test_a_polygon_has_the_pixels_whose_centre_is_inside(tmp_path):
    truth = only(dataset(tmp_path, [shape(points=[(1, 1), (5, 1), (5, 4)])])).truth
    assert drawn(truth.mask(1)) == [
        "..........",
        "..###.....",
        "...##.....",
        "....#.....",
        *["." * 10] * 4,
    ]


def test_a_rectangle_may_begin_at_any_corner(tmp_path):
    truth = only(dataset(tmp_path, [shape(points=[(5, 4), (1, 1)], kind="rectangle")])).truth
    assert truth.boxes.tolist() == [[1, 1, 4, 5]]
    assert truth.areas_px.tolist() == [12]


def test_a_circle_goes_through_its_second_point(tmp_path):
    truth = only(dataset(tmp_path, [shape(points=[(4, 4), (6, 4)], kind="circle")])).truth
    assert drawn(truth.mask(1)) == [
        *["." * 10] * 2,
        "...##.....",
        "..####....",
        "..####....",
        "...##.....",
        *["." * 10] * 2,
    ]


def test_lines_and_points_cover_pixels_only_with_a_width(tmp_path):
    shapes = [
        shape(points=[(2, 2), (6, 2)], kind="line"),
        shape(points=[(1, 6), (4, 6), (4, 8)], kind="linestrip"),
        shape(points=[(8, 6)], kind="point"),
    ]
    folder = dataset(tmp_path, shapes)
    problems = opened(folder).problems
    assert [problem.record for problem in problems] == ["shape 0 (cell)", "shape 1 (cell)", "shape 2 (cell)"]
    assert all("line_width_px" in problem.message for problem in problems)
    truth = only(folder, line_width_px=2).truth
    assert truth.areas_px.tolist() == [12, 12, 4]
    assert truth.boxes[0].tolist() == [1, 1, 3, 7]  # with round ends


def test_a_mask_lies_at_its_first_point(tmp_path):
    mask = np.array([[1, 0, 1], [1, 1, 1]], bool)
    record = shape(points=[(2, 3), (4, 4)], kind="mask", mask=base64_png(mask))
    truth = only(dataset(tmp_path, [record])).truth
    wanted = np.zeros((8, 10), bool)
    wanted[3:5, 2:5] = mask
    assert (truth.mask(1) == wanted).all()


def test_shapes_outside_the_image_are_cut_off(tmp_path):
    shapes = [
        shape(points=[(-3, -3), (2, -3), (2, 2), (-3, 2)]),
        shape(points=[(100, 1), (120, 1), (120, 9)]),
        shape(points=[(8, 6), (12, 9)], kind="mask", mask=base64_png(np.ones((4, 5), bool))),
    ]
    assert only(dataset(tmp_path, shapes)).truth.areas_px.tolist() == [4, 0, 4]


def test_shapes_of_one_label_and_group_are_one_segment(tmp_path):
    shapes = [
        shape(points=[(0, 0), (2, 0), (2, 2), (0, 2)], group_id=7),
        shape("sky", group_id=7),
        shape(points=[(6, 5), (8, 5), (8, 8)], group_id=7),
        shape(points=[(1, 1), (3, 1), (3, 3), (1, 3)]),
    ]
    truth = only(dataset(tmp_path, shapes)).truth
    assert [truth.classes.of(each).name for each in truth.class_ids] == ["cell", "sky", "cell"]
    assert truth.areas_px.tolist() == [4 + 3, 12, 4]
    assert truth.attributes["group_id"].tolist() == [7, 7, 0]
    assert truth.overlapping


def test_ignored_regions_are_void_and_no_class(tmp_path):
    shapes = [shape("__ignore__"), shape("cell", points=[(0, 0), (1, 0), (1, 1), (0, 1)])]
    truth = only(dataset(tmp_path, shapes)).truth
    assert (truth.void_px, len(truth), truth.classes.names) == (12, 1, ("cell",))


def test_flags_description_and_attributes_of_shapes_are_kept(tmp_path):
    shapes = [
        shape(flags={"hard": True}, description="a note", score=0.25),
        shape(attributes={"track_id": 4, "stain": "HE"}, difficult=True),
    ]
    truth = only(dataset(tmp_path, shapes, flags={"day": True})).truth
    assert {name: column.tolist() for name, column in truth.attributes.items()} == {
        "description": ["a note", ""],
        "hard": [True, False],
        "difficult": [False, True],
        "track_id": [0, 4],
        "stain": ["", "HE"],
    }
    assert truth.scores.tolist() == [0.25, 1]
    assert only(tmp_path).metadata == {"day": "true"}


def test_classes_come_in_the_order_of_labels_txt(tmp_path):
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nsky\nwater\n")
    assert only(dataset(tmp_path, [shape("cell"), shape("sky")])).truth.classes.names == (
        "sky",
        "water",
        "cell",
    )


# Images


def test_images_may_lie_in_another_folder_and_be_named_as_windows_does(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png(np.zeros((8, 10), np.uint8)))
    dataset(tmp_path / "labels", [shape()], imagePath="..\\images\\a.png", image=False)
    sample = only(tmp_path)
    assert sample.name == "images/a"
    assert sample.image.shape == sample.truth.shape


def test_an_image_that_was_moved_beside_its_json_is_found(tmp_path):
    assert only(dataset(tmp_path, [shape()], imagePath="C:\\Users\\me\\a.png")).name == "a"


@pytest.mark.parametrize("name", ["../../a.png", "/etc/a.png", "..\\a.png", "sub/../../a.png"])
def test_an_image_outside_is_refused_even_if_one_of_its_name_is_beside(tmp_path, name):
    with pytest.raises(ReadError, match=r"a\.json, imagePath: the image .* is outside of the dataset"):
        Dataset.open(dataset(tmp_path, [shape()], imagePath=name), "labelme")


def test_embedded_images_are_read_where_there_is_no_file(tmp_path):
    pixels = np.arange(80, dtype=np.uint8).reshape(8, 10)
    sample = only(dataset(tmp_path, [shape()], image=False, imageData=base64_png(pixels)))
    assert sample.image_path is None
    assert (sample.image.pixels[..., 0] == pixels).all()
    assert sample.truth.areas_px.tolist() == [12]


def test_images_without_json_are_not_annotated(tmp_path):
    dataset(tmp_path, [])
    (tmp_path / "b.png").write_bytes(png(np.zeros((3, 3), np.uint8)))
    samples = opened(tmp_path).samples
    assert [(sample.name, sample.annotated) for sample in samples] == [("a", True), ("b", False)]
    assert len(samples[0].truth) == 0


def test_one_json_can_be_asked_for(tmp_path):
    dataset(tmp_path, [shape()], "a")
    dataset(tmp_path, [shape()], "b")
    assert [sample.name for sample in opened(tmp_path / "b.json").samples] == ["b"]


# Files that lie


@pytest.mark.parametrize("path", ["../../secret.png", "/etc/secret.png", "..\\..\\secret.png"])
def test_image_paths_that_lead_outside_are_refused(tmp_path, path):
    (tmp_path / "secret.png").write_bytes(png(np.zeros((8, 10), np.uint8)))
    folder = tmp_path / "deep" / "set"
    folder.mkdir(parents=True)
    dataset(folder, [shape()], imagePath=path, image=False)
    found = opened(folder)
    assert not found.samples
    (problem,) = found.problems
    assert (problem.file, problem.record) == ("a.json", "imagePath")
    assert "outside" in problem.message


def test_an_image_that_is_not_there(tmp_path):
    found = opened(dataset(tmp_path, [shape()], image=False))
    assert not found.samples
    assert "'a.png' is not there" in found.problems[0].message


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (shape(points=[(1, 1), (2, 2)]), "3 or more points, got 2"),
        (shape(points=[(1, 1), (2, float("nan")), (3, 3)]), "finite"),
        (shape(points=[(1, 1), (2, float("inf")), (3, 3)]), "finite"),
        (shape(points=[("1", "2")] * 3), "[x, y]"),
        (shape() | {"points": [[1, 2], [3]]}, "[x, y]"),
        (shape() | {"points": 7}, "[x, y]"),
        (shape() | {"points": None}, "got 0"),
        (shape(kind="blob"), "'blob' is not known"),
        (shape(kind="circle"), "2 points, got 4"),
        (shape(label=""), "label"),
        (shape(label=7), "label"),
        (shape(group_id=1.5), "group_id"),
        (shape(score=2), "score"),
        (shape(points=[(1, 1), (2, 2)], kind="mask"), "base64"),
        ("a polygon", "object"),
    ],
)
def test_a_shape_that_lies_is_left_out_with_a_line(tmp_path, record, told):
    found = opened(dataset(tmp_path, [shape(), record]))
    (problem,) = found.problems
    assert problem.file == "a.json"
    assert problem.record.startswith("shape 1")
    assert told in problem.message
    assert "\n" not in str(problem)
    assert len(found.samples[0].truth) == 1


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        ("&&&", "base64"),
        (base64.b64encode(b"no picture").decode(), "not an image"),
        (base64_png(np.ones((2, 3), bool))[:60], "mask"),
        (base64_png(np.ones((5, 5), bool)), "5 x 5"),
        (base64_png(np.ones((400, 400), bool)), "160000"),
    ],
)
def test_a_mask_that_lies_is_told_when_it_is_read(tmp_path, mask, told):
    record = shape(points=[(1, 1), (3, 2)], kind="mask", mask=mask)
    sample = only(dataset(tmp_path, [record]))
    with pytest.raises(ReadError, match=r"a\.json, shape 0 \(cell\)") as error:
        _ = sample.truths
    assert told in str(error.value)


def test_another_size_than_the_image_has(tmp_path):
    sample = only(dataset(tmp_path, [shape()], imageHeight=9))
    with pytest.raises(ReadError, match="9 x 10, the image 8 x 10"):
        _ = sample.truths


@pytest.mark.parametrize("size", [(-1, 10), (0, 10), (8.5, 10), ("8", 10), (10**9, 10**9), (8, None)])
def test_sizes_that_cannot_be(tmp_path, size):
    found = opened(dataset(tmp_path, [shape()], imageHeight=size[0], imageWidth=size[1]))
    assert found.problems[0].record == "imageHeight"


def test_a_file_that_is_cut_short_is_left_out_with_a_line(tmp_path):
    dataset(tmp_path, [shape()], "a")
    dataset(tmp_path, [shape()], "b")
    (tmp_path / "b.json").write_text((tmp_path / "b.json").read_text()[:90])
    found = opened(tmp_path)
    assert [sample.name for sample in found.samples] == ["a", "b"]
    assert not found.samples[1].annotated
    assert str(found.problems[0]).startswith("b.json: is no JSON")


def test_two_files_of_one_image(tmp_path):
    dataset(tmp_path, [shape()], "a")
    dataset(tmp_path, [shape()], "b", imagePath="a.png")
    found = opened(tmp_path)
    assert "a.json already" in found.problems[0].message


def test_json_of_something_else_is_passed_over(tmp_path):
    dataset(tmp_path, [shape()])
    (tmp_path / "notes.json").write_text('{"who": "me"}')
    assert only(tmp_path).name == "a"
    with pytest.raises(ReadError, match="no LabelMe JSON"):
        opened(tmp_path / "notes.json")


# Both ways


@pytest.mark.parametrize("shapes", ["auto", "polygon", "mask"])
def test_all_that_is_written_comes_back(tmp_path, shapes):
    format = LabelMe(shapes=shapes)
    names = format.write(tmp_path / "one", rich_samples(), CLASSES)
    assert names == [sample.name for sample in rich_samples()]
    assert format.recognise(Tree(tmp_path / "one")).certainty > 0.5
    found = format.open(Tree(tmp_path / "one"))
    assert not found.problems
    assert found.classes == CLASSES
    by_name = {sample.name: sample for sample in found.samples}
    for wanted in rich_samples():
        assert not compare(wanted, by_name[wanted.name]), wanted.name
    format.write(tmp_path / "two", [by_name[name] for name in names], found.classes)
    for path in (tmp_path / "one").rglob("*.json"):
        again = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert again.read_bytes() == path.read_bytes()


def test_holes_are_masks_and_pieces_share_a_group(tmp_path):
    LabelMe().write(tmp_path, rich_samples()[:1], CLASSES)
    shapes = json.loads((tmp_path / "a" / "one.json").read_text())["shapes"]
    kinds = [(each["shape_type"], each["label"]) for each in shapes]
    assert kinds == [
        ("mask", "cell"),
        ("polygon", "cell"),
        ("polygon", "cell"),
        ("polygon", "sky"),
        ("mask", "cell"),
        ("mask", "__ignore__"),
    ]
    assert shapes[1]["group_id"] == shapes[2]["group_id"] is not None


def test_a_conversion_reports_no_loss(tmp_path):
    report = Dataset(rich_samples(), CLASSES).write(tmp_path / "set", "labelme")
    assert not report, list(report.lines())


def test_volumes_are_refused(tmp_path):
    truth = Segmentation.from_labels(np.ones((2, 3, 4), int), classes=CLASSES)
    with pytest.raises(InputError, match="stack is a volume"):
        LabelMe().write(tmp_path, [Sample("stack", None, lambda: (truth,))], CLASSES)


def test_a_class_called_as_void_is_refused(tmp_path):
    with pytest.raises(InputError, match="void"):
        LabelMe(void="cell").write(tmp_path, [], CLASSES)


@given(
    masks=arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=9)),
    shapes=st.sampled_from(["auto", "polygon", "mask"]),
)
def test_any_masks_come_back(masks, shapes):
    truth = Segmentation.from_masks(masks, classes=CLASSES)
    with TemporaryDirectory() as folder:
        LabelMe(shapes=shapes).write(Tree(folder).root, [Sample("a", None, lambda: (truth,))], CLASSES)
        found = only(folder).truth
    assert (np.array([*found.masks()]) == masks).all()
