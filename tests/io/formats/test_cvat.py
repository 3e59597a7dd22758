"""CVAT: shapes of images and tracks of videos in pixels, what lies, and that what is written comes back."""

import io
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image as PillowImage
from rich_samples import CLASSES, rich_truth
from rich_samples import rich_samples as samples_with

from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io.formats import Tree
from smalti.io.formats.cvat import Cvat
from smalti.io.formats.loss import compare
from smalti.sample import Sample
from smalti.segmentation import Segmentation

LABELS = """<labels>
  <label><name>cell</name><color>#0102ff</color><attributes>
    <attribute><name>hard</name><input_type>checkbox</input_type></attribute>
    <attribute><name>age</name><input_type>number</input_type></attribute>
    <attribute><name>stain</name><input_type>select</input_type></attribute>
  </attributes></label>
  <label><name>sky</name><color>#ff0000</color></label>
</labels>"""
BOX = '<box label="cell" xtl="1" ytl="1" xbr="5" ybr="4"/>'


def write_xml(folder, body, meta="", name="annotations.xml"):
    text = f"<annotations><version>1.1</version><meta><task>{LABELS}{meta}</task></meta>{body}</annotations>"
    (folder / name).write_text('<?xml version="1.0" encoding="utf-8"?>\n' + text)
    return folder


def image(shapes, name="a", size=(8, 10), **more):
    attributes = "".join(f' {key}="{value}"' for key, value in more.items())
    return f'<image id="0" name="{name}" width="{size[1]}" height="{size[0]}"{attributes}>{shapes}</image>'


def video(tracks, frames=4, size=(8, 10)):
    return tracks, (
        f"<name>clip</name><size>{frames}</size><mode>interpolation</mode>"
        f"<original_size><width>{size[1]}</width><height>{size[0]}</height></original_size>"
    )


def put_picture(path, size=(8, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    PillowImage.fromarray(np.zeros(size, np.uint8)).save(file, "PNG")
    path.write_bytes(file.getvalue())


def opened(folder, **options):
    return Cvat(**options).open(Tree(folder))


def only(folder, **options):
    found = opened(folder, **options)
    assert not found.problems
    (sample,) = found.samples
    return sample


def drawn(mask):
    return ["".join(".#"[value] for value in row) for row in mask.astype(int)]


# Shapes


def test_polygon_box_and_ellipse(tmp_path):
    shapes = (
        '<polygon label="sky" points="1.00,1.00;5.00,1.00;5.00,4.00"/>'
        + BOX
        + '<ellipse label="cell" cx="5" cy="4" rx="4" ry="2"/>'
    )
    truth = only(write_xml(tmp_path, image(shapes))).truth
    assert [truth.classes.of(each).name for each in truth.class_ids] == ["sky", "cell", "cell"]
    assert truth.areas_px.tolist() == [6, 12, 28]
    assert drawn(truth.mask(3))[2:6] == ["..######..", ".########.", ".########.", "..######.."]
    assert [entry.color for entry in truth.classes] == [(1, 2, 255), (255, 0, 0)]


def test_turned_boxes_and_ellipses_turn_clockwise_about_their_centre(tmp_path):
    shapes = (
        '<box label="cell" xtl="2" ytl="3" xbr="8" ybr="5" rotation="90"/>'
        '<ellipse label="cell" cx="5" cy="4" rx="3" ry="1" rotation="90"/>'
        '<ellipse label="cell" cx="5" cy="4" rx="5" ry="1" rotation="45"/>'
    )
    truth = only(write_xml(tmp_path, image(shapes))).truth
    assert truth.boxes[:2].tolist() == [[1, 4, 7, 6], [1, 4, 7, 6]]
    assert truth.mask(3)[2, 3] and truth.mask(3)[5, 6] and not truth.mask(3)[2, 6]


def test_masks_are_counts_over_the_rows_of_their_box(tmp_path):
    shapes = '<mask label="cell" rle="1, 2, 2, 1" left="6" top="3" width="3" height="2"/>'
    truth = only(write_xml(tmp_path, image(shapes))).truth
    assert drawn(truth.mask(1))[2:6] == ["..........", ".......##.", "........#.", ".........."]


def test_attributes_have_the_type_their_label_gives_them(tmp_path):
    shapes = (
        '<box label="cell" xtl="1" ytl="1" xbr="5" ybr="4" occluded="1" z_order="2" group_id="3" source="auto">'
        '<attribute name="hard">true</attribute><attribute name="age">7</attribute>'
        '<attribute name="stain">12</attribute><attribute name="score">0.5</attribute></box>'
        '<box label="cell" xtl="1" ytl="1" xbr="5" ybr="4"><attribute name="age">2.5</attribute></box>'
    )
    truth = only(write_xml(tmp_path, image(shapes))).truth
    assert {name: column.tolist() for name, column in truth.attributes.items()} == {
        "occluded": [True, False],
        "z_order": [2, 0],
        "group_id": [3, 0],
        "source": ["auto", ""],
        "hard": [True, False],
        "age": [7, 2.5],
        "stain": ["12", ""],
        "score": ["0.5", ""],
    }


def test_scores_are_numbers_where_the_label_says_so(tmp_path):
    folder = write_xml(
        tmp_path,
        image(
            '<box label="cell" xtl="1" ytl="1" xbr="5" ybr="4"><attribute name="score">0.5</attribute></box>'
        ),
    )
    text = (folder / "annotations.xml").read_text()
    (folder / "annotations.xml").write_text(text.replace("<name>age</name>", "<name>score</name>"))
    assert only(folder).truth.scores.tolist() == [0.5]


def test_shapes_overlap_unless_they_are_to_be_flat(tmp_path):
    shapes = '<box label="cell" xtl="0" ytl="0" xbr="4" ybr="4" z_order="1"/>' + BOX
    folder = write_xml(tmp_path, image(shapes))
    assert only(folder).truth.areas_px.tolist() == [16, 12]
    truth = only(folder, flatten=True).truth
    assert truth.areas_px.tolist() == [16, 3]
    assert not truth.overlapping


def test_groups_are_joined_if_asked(tmp_path):
    shapes = (
        '<box label="cell" xtl="0" ytl="0" xbr="2" ybr="2" group_id="1"/>'
        '<box label="sky" xtl="4" ytl="0" xbr="6" ybr="2" group_id="1"/>'
        '<box label="cell" xtl="6" ytl="6" xbr="8" ybr="8" group_id="1"/>'
    )
    folder = write_xml(tmp_path, image(shapes))
    assert len(only(folder).truth) == 3
    assert only(folder, join_groups=True).truth.areas_px.tolist() == [8, 4]


def test_void_is_a_label_of_its_own(tmp_path):
    folder = write_xml(tmp_path, image(BOX))
    truth = only(folder, void="cell").truth
    assert (truth.void_px, len(truth), truth.classes.names) == (12, 0, ("sky",))


def test_tags_say_something_of_the_image(tmp_path):
    shapes = '<tag label="blurred"/><tag label="weather"><attribute name="rain">heavy</attribute></tag>'
    sample = only(write_xml(tmp_path, image(shapes, subset="train")))
    assert (sample.metadata, sample.split) == ({"blurred": "true", "rain": "heavy"}, "train")
    assert len(sample.truth) == 0


# Images


@pytest.mark.parametrize("place", ["images/x/a.png", "x/a.png", "images/train/x/a.png", "elsewhere/a.png"])
def test_images_are_found_where_cvat_puts_them(tmp_path, place):
    put_picture(tmp_path / place)
    sample = only(write_xml(tmp_path, image(BOX, "x/a.png", subset="train")))
    assert (sample.name, sample.image.shape) == ("x/a", (8, 10))


def test_annotations_without_any_image_are_opened(tmp_path):
    sample = only(write_xml(tmp_path, image(BOX, "x/a.png")))
    assert (sample.name, sample.load_image, sample.truth.shape) == ("x/a", None, (8, 10))


def test_images_that_are_not_listed_are_not_annotated(tmp_path):
    put_picture(tmp_path / "images" / "a.png")
    put_picture(tmp_path / "images" / "b.png")
    samples = opened(write_xml(tmp_path, image(BOX, "a.png"))).samples
    assert [(sample.name, sample.annotated) for sample in samples] == [("a", True), ("b", False)]


def test_another_size_than_the_image_has(tmp_path):
    put_picture(tmp_path / "images" / "a.png", (5, 5))
    sample = only(write_xml(tmp_path, image(BOX, "a.png")))
    with pytest.raises(ReadError, match=r"annotations\.xml, image 0: it says 8 x 10 pixels"):
        _ = sample.truths


# Files that lie


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ('<polyline label="cell" points="1,1;2,2;3,3"/>', "no pixels"),
        ('<points label="cell" points="1,1"/>', "no pixels"),
        ('<skeleton label="cell"/>', "no pixels"),
        ('<blob label="cell"/>', "not known"),
        ('<polygon label="cell" points="1,1;2,2"/>', "3 points or more"),
        ('<polygon label="cell" points="1,1;2;3,3"/>', "points are"),
        ('<polygon label="cell" points="1,1;nan,2;3,3"/>', "points are"),
        ('<polygon label="cell"/>', "points are"),
        ('<polygon label="dog" points="1,1;2,2;3,1"/>', "'dog' is not among"),
        ('<polygon points="1,1;2,2;3,1"/>', "'' is not among"),
        ('<box label="cell" xtl="5" ytl="1" xbr="1" ybr="4"/>', "before"),
        ('<box label="cell" xtl="1" ytl="1" xbr="5"/>', "ybr is a number"),
        ('<box label="cell" xtl="1" ytl="1" xbr="inf" ybr="2"/>', "xbr is a number"),
        ('<ellipse label="cell" cx="1" cy="1" rx="-1" ry="2"/>', "radii"),
        ('<mask label="cell" rle="1, 2" left="0" top="0" width="2" height="2"/>', "a sum of 3"),
        ('<mask label="cell" rle="1, -2, 5" left="0" top="0" width="2" height="2"/>', "got -2"),
        ('<mask label="cell" rle="1, x" left="0" top="0" width="2" height="2"/>', "whole numbers"),
        ('<mask label="cell" rle="" left="0" top="0" width="2" height="2"/>', "a sum of 0"),
        (
            '<mask label="cell" rle="1" left="0" top="0" width="99999999" height="99999999"/>',
            "its box is 99999999 x 99999999",
        ),
        (
            f'<mask label="cell" rle="{2**62}, {2**62}, {2**62}, {2**62}, 4" left="0" top="0" width="2" '
            'height="2"/>',
            "sum to 4",
        ),
        ('<mask label="cell" rle="4" left="0.5" top="0" width="2" height="2"/>', "left is a whole number"),
    ],
)
def test_a_shape_that_lies_is_left_out_with_a_line(tmp_path, shapes, told):
    found = opened(write_xml(tmp_path, image(BOX + shapes)))
    (problem,) = found.problems
    assert problem.file == "annotations.xml"
    assert problem.record.startswith("image 0, ")
    assert told in problem.message
    assert "\n" not in str(problem)
    assert len(found.samples[0].truth) == 1


@pytest.mark.parametrize(
    ("element", "told"),
    [
        (image("", "../../a.png"), "outside"),
        (image("", "/etc/a.png"), "outside"),
        (image("", "c.png"), "'c.png' is not there"),
        (image("", "a.png", size=(0, 10)), "height and width"),
        (image("", "a.png", size=(10**9, 10**9)), "height and width"),
        (image("", "a.png", size=("x", 10)), "height and width"),
        ("<image/>", "none"),
    ],
)
def test_an_image_that_lies_is_left_out_with_a_line(tmp_path, element, told):
    put_picture(tmp_path / "images" / "a.png")
    put_picture(tmp_path / "images" / "b.png")
    found = opened(write_xml(tmp_path, image(BOX, "b.png") + element))
    (problem,) = found.problems
    assert told in problem.message
    assert [sample.name for sample in found.samples if sample.annotated] == ["b"]


def test_two_images_of_one_name(tmp_path):
    found = opened(write_xml(tmp_path, image(BOX) + image(BOX)))
    assert "annotations.xml already" in found.problems[0].message
    assert len(found.samples) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<annotations><image>", "no XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "document type"),
        ("<rss/>", "no CVAT XML"),
        ("<annotations><version>1.1</version></annotations>", "no CVAT XML"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, text, told):
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(ReadError, match=told):
        opened(tmp_path / "annotations.xml")


# Tracks


def track(shapes, track_id=3, label="cell"):
    return f'<track id="{track_id}" label="{label}">{shapes}</track>'


def box(frame, left, outside=0, **more):
    attributes = "".join(f' {key}="{value}"' for key, value in more.items())
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" xtl="{left}" ytl="1" xbr="{left + 3}" ybr="4"'
        f"{attributes}/>"
    )


def lefts(samples):
    """Where the first segment of each frame begins; None where there is none."""
    return [int(sample.truth.boxes[0, 1]) if len(sample.truth) else None for sample in samples]


def test_boxes_move_evenly_between_keyframes_and_stay_after_the_last(tmp_path):
    samples = opened(write_xml(tmp_path, *video(track(box(1, 0) + box(4, 6)), frames=7))).samples
    assert [sample.name for sample in samples[:2]] == ["frame_000000", "frame_000001"]
    assert {sample.group for sample in samples} == {"clip"}
    assert lefts(samples) == [None, 0, 2, 4, 6, 6, 6]
    assert samples[1].truth.attributes["track_id"].tolist() == [3]


def test_what_is_outside_is_not_seen(tmp_path):
    samples = opened(
        write_xml(tmp_path, *video(track(box(0, 0) + box(2, 4, 1) + box(4, 6)), frames=6))
    ).samples
    assert lefts(samples) == [0, 2, None, None, 6, 6]


def test_boxes_turn_the_shorter_way(tmp_path):
    shapes = box(0, 2, rotation=350) + box(2, 2, rotation=10)
    sample = opened(write_xml(tmp_path, *video(track(shapes)))).samples[1]
    assert drawn(sample.truth.mask(1))[:5] == ["..........", *["..###....."] * 3, ".........."]


def outline(frame, points):
    return f'<polygon frame="{frame}" keyframe="1" outside="0" points="{points}"/>'


def test_polygons_of_as_many_points_move_point_by_point(tmp_path):
    shapes = outline(0, "0,0;2,0;2,2;0,2") + outline(2, "4,4;8,4;8,8;4,8")
    samples = opened(write_xml(tmp_path, *video(track(shapes)))).samples
    assert [sample.truth.boxes[0].tolist() for sample in samples] == [
        [0, 0, 2, 2],
        [2, 2, 5, 5],
        [4, 4, 8, 8],
        [4, 4, 8, 8],
    ]


def test_a_point_more_meets_the_nearest_along_the_outline(tmp_path):
    shapes = outline(0, "0,0;4,0;4,4;0,4") + outline(2, "4,0;6,0;8,0;8,4;4,4")
    sample = opened(write_xml(tmp_path, *video(track(shapes)))).samples[1]
    assert sample.truth.boxes[0].tolist() == [0, 2, 4, 6]
    assert sample.truth.areas_px.tolist() == [16]


def test_masks_stay_until_the_next(tmp_path):
    mask = '<mask frame="{}" outside="0" rle="0, 4" left="{}" top="0" width="2" height="2"/>'
    samples = opened(write_xml(tmp_path, *video(track(mask.format(0, 0) + mask.format(2, 5))))).samples
    assert lefts(samples) == [0, 0, 5, 5]


def test_attributes_stay_until_they_are_said_again(tmp_path):
    shapes = (
        box(0, 0).replace("/>", '><attribute name="age">7</attribute></box>')
        + box(1, 0)
        + box(2, 0).replace("/>", '><attribute name="age">8</attribute></box>')
    )
    samples = opened(write_xml(tmp_path, *video(track(shapes)))).samples
    assert [sample.truth.attributes["age"].tolist() for sample in samples] == [[7], [7], [8], [8]]


def test_frames_are_found_by_the_number_in_their_name(tmp_path):
    for number in (0, 1, 2):
        put_picture(tmp_path / "images" / f"frame_{number:06d}.png")
    samples = opened(write_xml(tmp_path, *video(track(box(1, 0)), frames=3))).samples
    assert [sample.name for sample in samples] == ["frame_000000", "frame_000001", "frame_000002"]
    assert samples[2].image.shape == samples[2].truth.shape


def test_steps_between_frames(tmp_path):
    meta = "<start_frame>10</start_frame><stop_frame>20</stop_frame><frame_filter>step=5</frame_filter>"
    body, more = video(track(box(10, 0) + box(20, 4)))
    samples = opened(write_xml(tmp_path, body, more + meta)).samples
    assert [sample.name for sample in samples] == ["frame_000010", "frame_000015", "frame_000020"]
    assert lefts(samples) == [0, 2, 4]


@pytest.mark.parametrize(
    ("tracks", "told"),
    [
        (track(box("x", 0)), "frame"),
        (track(box(-1, 0)), "0 or more"),
        (track(box(1, 0) + box(1, 2)), "each once"),
        (track(box(1, 0), track_id="x"), "id is a whole number"),
        (track(box(1, 0), label="dog"), "'dog' is not among"),
    ],
)
def test_a_track_that_lies_is_left_out_with_a_line(tmp_path, tracks, told):
    found = opened(write_xml(tmp_path, *video(tracks)))
    (problem,) = found.problems
    assert problem.record.startswith("track ")
    assert told in problem.message
    assert len(found.samples) == 4


def test_a_video_of_too_many_frames(tmp_path):
    found = opened(write_xml(tmp_path, *video(track(box(1, 0)), frames=10**15)))
    assert not found.samples
    assert "split it" in found.problems[0].message


def test_a_number_of_frames_that_is_none(tmp_path):
    found = opened(write_xml(tmp_path, *video(track(box(1, 0)), frames="9" * 5000)))
    assert [sample.name for sample in found.samples] == ["frame_000000", "frame_000001"]


def test_a_video_without_a_size(tmp_path):
    found = opened(write_xml(tmp_path, *video(track(box(1, 0)), size=(0, 0))))
    assert not found.samples
    assert "original_size" in found.problems[0].message


# Both ways


def rich_samples():
    return samples_with(
        source_id=["a", "", "c < d\n&", "d"], track_id=[3, 1, 7, 9], occluded=[True, False, False, False]
    )


def frames():
    """Frames 3, 4 and 9 of a video; a segment is gone in the second, void in the third."""
    image = Image.from_array(np.zeros((20, 30), np.uint8))
    whole = [rich_truth(shift=shift, track_id=[3, 1, 7, 9]) for shift in range(3)]
    truths = [whole[0], whole[1][[0, 2, 3]], whole[2].replace(void=None)]
    return [
        Sample.of(
            f"clip/{number:05}", image, truth, group="clip", split="train", metadata={"second": number / 2}
        )
        for number, truth in zip((3, 4, 9), truths, strict=True)
    ]


def check_both_ways(tmp_path, samples, **options):
    format = Cvat(**options)
    names = format.write(tmp_path / "one", samples, CLASSES)
    assert names == [sample.name for sample in samples]
    assert format.recognise(Tree(tmp_path / "one")).certainty > 0.5
    found = format.open(Tree(tmp_path / "one"))
    assert not found.problems
    assert found.classes == CLASSES
    by_name = {sample.name: sample for sample in found.samples}
    for wanted in samples:
        assert not compare(wanted, by_name[wanted.name]), wanted.name
    format.write(tmp_path / "two", [by_name[name] for name in names], found.classes)
    written = (tmp_path / "one" / "annotations.xml").read_text()
    assert (tmp_path / "two" / "annotations.xml").read_text() == written
    return written


def test_all_that_is_written_comes_back(tmp_path):
    written = check_both_ways(tmp_path, rich_samples())
    assert written.count("<mask ") == 2 * 3 + 2  # ring, pieces, nothing; and void
    assert written.count("<polygon ") == 2
    assert "<track" not in written


def test_frames_of_one_group_are_written_as_tracks(tmp_path):
    written = check_both_ways(tmp_path, frames())
    assert written.count("<track ") == 4 + 1  # and void
    assert 'label="cell" source="manual" group_id="4"' in written
    assert "<image " not in written
    assert written.count('outside="1"') == 2  # a segment after its first frame, and void


def test_frames_can_be_written_as_images(tmp_path):
    assert "<track" not in check_both_ways(tmp_path, frames(), mode="images")


@pytest.mark.parametrize(
    "change",
    [
        lambda samples: samples[:2] + [Sample("clip/9", samples[2].load_image, group="clip", split="train")],
        lambda samples: [*samples, Sample.of("z/1", samples[0].image, samples[0].truth)],
        lambda samples: [*samples, twice(samples[0])],
    ],
    ids=["not annotated", "another group", "a track id twice"],
)
def test_what_is_no_video_is_written_as_images(tmp_path, change):
    samples = change(frames())
    assert "<track" not in check_both_ways(tmp_path, samples)
    with pytest.raises(InputError, match="for video"):
        Cvat(mode="video").write(tmp_path / "three", samples, CLASSES)


def twice(sample):
    truth = rich_truth(track_id=[3, 3, 4, 5])
    return Sample.of("clip/00011", sample.image, truth, group="clip", split="train")


def test_a_conversion_reports_no_loss(tmp_path):
    for name, samples in (("images", rich_samples()), ("video", frames())):
        report = Dataset(samples, CLASSES).write(tmp_path / name, "cvat")
        assert not report, list(report.lines())


def test_volumes_are_refused(tmp_path):
    truth = Segmentation.from_labels(np.ones((2, 3, 4), int), classes=CLASSES)
    with pytest.raises(InputError, match="stack is a volume"):
        Cvat().write(tmp_path, [Sample("stack", None, lambda: (truth,))], CLASSES)


@given(masks=arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=9)))
def test_any_masks_come_back(masks):
    truth = Segmentation.from_masks(masks, classes=CLASSES)
    with TemporaryDirectory() as folder:
        Cvat().write(Tree(folder).root, [Sample("a", None, lambda: (truth,))], CLASSES)
        found = only(folder).truth
    assert (np.array([*found.masks()]) == masks).all()


@given(stack=arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=7)))
def test_any_masks_come_back_as_a_track(stack):
    samples = [
        Sample(
            f"f{number}",
            None,
            lambda mask=mask: (
                Segmentation.from_masks([mask], classes=CLASSES, attributes={"track_id": np.array([1])}),
            ),
            group="clip",
        )
        for number, mask in enumerate(stack)
    ]
    with TemporaryDirectory() as folder:
        Cvat(mode="video").write(Tree(folder).root, samples, CLASSES)
        found = opened(folder).samples
        assert (np.array([sample.truth.mask(1) for sample in found]) == stack).all()
