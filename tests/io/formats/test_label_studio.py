"""Label Studio: regions in pixels, the packing of brushes bit by bit, what lies, and that what is written comes
back."""

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
from rich_samples import CLASSES, EMPTY, FIELDS, IMAGE, rich_truth
from rich_samples import rich_samples as common_samples

from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.io.formats import Tree
from smalti.io.formats.label_studio import LabelStudio
from smalti.io.formats.label_studio_brush import decode_brush, encode_brush
from smalti.io.formats.loss import compare
from smalti.runs import Runs
from smalti.sample import Sample
from smalti.segmentation import Segmentation


def png(pixels):
    file = io.BytesIO()
    PillowImage.fromarray(np.asarray(pixels)).save(file, "PNG")
    return file.getvalue()


def put_picture(path, size=(10, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(np.zeros(size, np.uint8)))


def region(kind, value, label="cell", size=(10, 20), **more):
    record = {
        "id": "r1",
        "type": f"{kind}labels",
        "from_name": "tag",
        "to_name": "image",
        "image_rotation": 0,
    }
    record |= {"original_height": size[0], "original_width": size[1]}
    return record | {"value": value | {f"{kind}labels": [label]}} | more


def rectangle(label="cell", x=10, y=20, width=40, height=50, **more):
    return region(
        "rectangle", {"x": x, "y": y, "width": width, "height": height, "rotation": 0}, label, **more
    )


def task(*results, image="a.png", number=1, **more):
    content = {"id": number, "data": {"image": image}, "annotations": [{"id": 7, "result": list(results)}]}
    return content | more


def write_tasks(folder, *tasks, name="tasks.json"):
    (folder / name).write_text(json.dumps(tasks))
    return folder


def opened(folder, **options):
    return LabelStudio(**options).open(Tree(folder))


def only(folder, **options):
    found = opened(folder, **options)
    assert not found.problems
    (sample,) = found.samples
    return sample


def truth_of(folder, *results, **options):
    return only(write_tasks(folder, task(*results)), **options).truth


# Regions


def test_polygons_are_percent_of_the_image(tmp_path):
    truth = truth_of(tmp_path, region("polygon", {"points": [[10, 20], [50, 20], [50, 70], [10, 70]]}))
    assert truth.shape == (10, 20)
    assert truth.boxes.tolist() == [[2, 2, 7, 10]]
    assert truth.areas_px.tolist() == [40]


def test_rectangles_turn_about_their_top_left_corner(tmp_path):
    turned = region("rectangle", {"x": 50, "y": 20, "width": 20, "height": 20, "rotation": 90})
    truth = truth_of(tmp_path, rectangle(), turned | {"id": "r2"})
    assert truth.boxes.tolist() == [[2, 2, 7, 10], [2, 8, 6, 10]]


def test_ellipses_have_radii_of_either_length(tmp_path):
    value = {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "rotation": 0}
    truth = truth_of(tmp_path, region("ellipse", value), region("ellipse", value | {"rotation": 90}, id="r2"))
    assert truth.boxes.tolist() == [[3, 6, 7, 14], [1, 8, 9, 12]]


def test_brushes_are_what_has_alpha(tmp_path):
    mask = np.zeros((10, 20), bool)
    mask[3:6, 4:9] = True
    rle = encode_brush(Runs.of_masks(mask[None]), 1, (10, 20))
    truth = truth_of(tmp_path, region("brush", {"format": "rle", "rle": rle}))
    assert (truth.mask(1) == mask).all()


def test_bitmasks_are_what_has_alpha(tmp_path):
    pixels = np.zeros((10, 20, 4), np.uint8)
    pixels[3:6, 4:9, 3] = 255
    url = "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
    truth = truth_of(tmp_path, region("bitmask", {"imageDataURL": url}))
    assert truth.boxes.tolist() == [[3, 4, 6, 9]]


def test_a_label_may_come_as_a_result_of_its_own(tmp_path):
    drawn = region("polygon", {"points": [[10, 20], [50, 20], [50, 70]]}) | {"type": "polygon"}
    del drawn["value"]["polygonlabels"]
    truth = truth_of(tmp_path, drawn, drawn | {"type": "labels", "value": {"labels": ["sky"]}})
    assert (truth.classes.names, len(truth)) == (("sky",), 1)


def test_a_region_of_two_labels_is_two_segments(tmp_path):
    record = rectangle()
    record["value"]["rectanglelabels"] = ["cell", "sky"]
    truth = truth_of(tmp_path, record)
    assert [truth.classes.of(each).name for each in truth.class_ids] == ["cell", "sky"]
    assert truth.areas_px.tolist() == [40, 40]


def test_answers_about_a_region_are_attributes_and_those_about_the_image_metadata(tmp_path):
    results = [
        rectangle(meta={"text": ["seen", "twice"], "track_id": 4}, score=0.5),
        {"id": "r1", "type": "choices", "from_name": "hard", "value": {"choices": ["yes", "very"]}},
        {"id": "r9", "type": "choices", "from_name": "weather", "value": {"choices": ["rain"]}},
        {"type": "relation", "from_id": "r1", "to_id": "r9"},
    ]
    sample = only(write_tasks(tmp_path, task(*results)))
    assert {name: column.tolist() for name, column in sample.truth.attributes.items()} == {
        "source_id": ["r1"],
        "hard": ["yes, very"],
        "text": ["seen, twice"],
        "track_id": [4],
    }
    assert sample.truth.scores.tolist() == [0.5]
    assert sample.metadata == {"weather": "rain"}


def test_classes_and_colours_come_from_the_labeling_configuration(tmp_path):
    (tmp_path / "config.xml").write_text(
        '<View><Image name="image" value="$image"/><RectangleLabels name="tag" toName="image">'
        '<Label value="sky" background="#0000ff"/><Label value="cell" background="red"/></RectangleLabels></View>'
    )
    classes = truth_of(tmp_path, rectangle()).classes
    assert classes.names == ("sky", "cell")
    assert classes.named("sky").color == (0, 0, 255)


# Annotators


def test_annotations_are_truths_and_cancelled_ones_are_not(tmp_path):
    annotations = [
        {"id": 1, "result": [rectangle()]},
        {"id": 2, "result": [rectangle()], "was_cancelled": True},
        {"id": 3, "result": []},
    ]
    sample = only(write_tasks(tmp_path, task(annotations=annotations)))
    assert [len(truth) for truth in sample.truths] == [1, 0]
    assert {truth.shape for truth in sample.truths} == {(10, 20)}


def test_a_task_nobody_has_handed_in_is_not_annotated(tmp_path):
    cancelled = [{"id": 2, "result": [rectangle()], "was_cancelled": True}]
    tasks = [task(annotations=[], number=1), task(annotations=cancelled, image="b.png", number=2)]
    assert [sample.annotated for sample in opened(write_tasks(tmp_path, *tasks)).samples] == [False, False]


def test_predictions_are_read_if_asked(tmp_path):
    results = [rectangle(), rectangle("sky", id="r2", score=0.75)]
    write_tasks(tmp_path, task(rectangle(), predictions=[{"result": results, "score": 0.25}]))
    assert len(only(tmp_path).truths) == 1
    predicted = only(tmp_path, predictions=True).truths[1]
    assert predicted.scores.tolist() == [0.25, 0.75]


# Images


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("a.png", "a.png"),
        ("images/a.png", "images/a.png"),
        ("/data/local-files/?d=project%2Fimages/a%20b.png", "images/a b.png"),
        ("/data/upload/3/0a1b2c3d-a.png", "a.png"),
        ("/data/upload/3/0a1b2c3d-a.png", "upload/0a1b2c3d-a.png"),
        ("upload/3/0a1b2c3d-a.png", "pictures/a.png"),
        ("C:\\Users\\me\\a.png", "a.png"),
    ],
)
def test_images_are_found_however_they_are_named(tmp_path, reference, place):
    put_picture(tmp_path / place)
    sample = only(write_tasks(tmp_path, task(rectangle(), image=reference)))
    assert sample.image_path == tmp_path / place
    assert sample.name == place.removesuffix(".png")
    assert sample.provenance.source == ""


@pytest.mark.parametrize("reference", ["https://example.org/x/a.png?size=1", "s3://bucket/x/a.png"])
def test_addresses_are_kept_as_the_source(tmp_path, reference):
    write_tasks(tmp_path, task(rectangle(), image=reference))
    sample = only(tmp_path)
    assert (sample.name, sample.provenance.source, sample.load_image) == ("a", reference, None)
    put_picture(tmp_path / "a.png")
    sample = only(tmp_path)
    assert (sample.image.shape, sample.provenance.source) == ((10, 20), reference)


def test_the_image_may_have_another_key(tmp_path):
    put_picture(tmp_path / "a.png")
    write_tasks(tmp_path, task(rectangle(), data={"photo": "a.png", "site": "B", "depth": 3}))
    assert only(tmp_path).metadata == {"photo": "a.png", "site": "B", "depth": 3}
    assert only(tmp_path, image_key="photo").name == "a"
    write_tasks(tmp_path, task(rectangle(), data={"left": "a.png", "right": "b.png"}))
    assert "set image_key" in opened(tmp_path).problems[0].message
    assert only(tmp_path, image_key="left").name == "a"


def test_the_size_of_an_empty_truth_is_that_of_the_image(tmp_path):
    put_picture(tmp_path / "a.png", (3, 4))
    assert truth_of(tmp_path).shape == (3, 4)


def test_another_size_than_the_image_has(tmp_path):
    put_picture(tmp_path / "a.png", (3, 4))
    sample = only(write_tasks(tmp_path, task(rectangle())))
    with pytest.raises(ReadError, match=r"tasks\.json, task 1: .*another image"):
        _ = sample.truths


# Files that lie


def bytes_of(bits):
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (region("keypoint", {"x": 1, "y": 1, "width": 1}), "no pixels"),
        (region("video", {"sequence": []}), "not known"),
        (region("polygon", {"points": [[1, 2], [3, 4]]}), "3 or more"),
        (region("polygon", {"points": [[1, 2], [3, 4], [5]]}), "points are"),
        (region("polygon", {"points": [[1, 2], [3, 4], [5, float("nan")]]}), "finite"),
        (rectangle(width=-3), "0 or more"),
        (rectangle(x="1"), "x is a number"),
        (rectangle(label=7), "no label"),
        (rectangle(image_rotation=90), "turned by 90"),
        (rectangle(original_width=-20), "original_height and original_width"),
        (rectangle(original_width=10**9, original_height=10**9), "original_height and original_width"),
        (rectangle(size=(11, 20)), "others on 10 x 20"),
        (region("brush", {"rle": [1, 300]}), "0 to 255"),
        (region("brush", {"rle": "abc"}), "0 to 255"),
        (region("brush", {"rle": 10**12}), "0 to 255"),
        (region("bitmask", {"imageDataURL": "https://example.org/a.png"}), "base64"),
        (region("ellipse", {"x": 1, "y": 1, "radiusX": 1}), "radiusY"),
        ("a box", "an object"),
        ({"value": [1]}, "an object"),
    ],
)
def test_a_region_that_lies_is_left_out_with_a_line(tmp_path, result, told):
    good = rectangle(id="good")
    if isinstance(result, dict):
        result["id"] = "bad"
    found = opened(write_tasks(tmp_path, task(good, result)))
    (problem,) = found.problems
    assert problem.file == "tasks.json"
    assert problem.record.startswith("task 1, annotation 7, re")
    assert told in problem.message
    assert "\n" not in str(problem)
    assert len(found.samples[0].truth) == 1


HEAD = f"{10 * 20 * 4:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"


@pytest.mark.parametrize(
    ("rle", "told"),
    [
        (bytes_of(HEAD), "no more"),
        (bytes_of(HEAD + "110" + f"{399:08b}"[-8:] + "00000000"), "no more"),
        (bytes_of(HEAD + "111" + f"{800:016b}" + "00000000"), "no more"),
        (bytes_of(HEAD + "011" + f"{799:016b}" + "11111111"), "no more"),
    ],
)
def test_a_brush_that_lies_is_told_when_it_is_read(tmp_path, rle, told):
    sample = only(write_tasks(tmp_path, task(region("brush", {"format": "rle", "rle": rle}))))
    with pytest.raises(ReadError, match=r"task 1, region r1 \(cell\)") as error:
        _ = sample.truths
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("rle", "told"),
    [
        ([], "7 bytes"),
        (bytes_of(f"{2**32 - 1:032b}" + HEAD[32:] + "111" + "1" * 24), "it says 4294967295"),
    ],
)
def test_a_brush_of_another_size_is_a_problem(tmp_path, rle, told):
    drawn = region("brush", {"format": "rle", "rle": rle}, id="r2")
    (problem,) = Dataset.open(write_tasks(tmp_path, task(rectangle(), drawn)), faulty="skip").problems
    assert told in problem.message and "task 1" in problem.record and problem.file == "tasks.json"


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (task(rectangle(), image="../../secret.png"), "outside"),
        (task(rectangle(), image="/data/local-files/?d=../../secret.png"), "outside"),
        (task(rectangle(), image="/data/local-files/?d=%2e%2e/secret.png"), "outside"),
        (task(rectangle(), image="data:image/png;base64,AAAA"), "inside the task"),
        (task(rectangle(), image="/"), "no name"),
        (task(rectangle(), image="http://[1/a.png"), "no address"),
        (task(rectangle(), image="c.png"), "'c.png' is not there"),
        (task(rectangle(), data={"text": "a"}), "no image under 'image' but text"),
        ({"id": 1, "image": "a.png", "tag": []}, "JSON-MIN"),
        (task(annotations=7), "a list of objects under 'annotations'"),
        (task(annotations=[{"id": 4, "result": None}]), "wanted a list under 'result'"),
        (task(rectangle(), data={"image": "a.png", "width": -1, "height": 2}), "height and width"),
        (task(rectangle(), data={"image": "a.png", "provenance": {"colour": "red"}}), "provenance"),
        ("a task", "a task is an object"),
    ],
)
def test_a_task_that_lies_is_left_out_with_a_line(tmp_path, record, told):
    folder = tmp_path / "deep" / "set"
    put_picture(tmp_path / "secret.png")
    put_picture(folder / "b.png")
    put_picture(folder / "a.png")
    found = opened(write_tasks(folder, task(rectangle(), image="b.png", number=2), record))
    (problem,) = found.problems
    assert told in problem.message
    assert problem.record.startswith("task 1")
    assert [sample.name for sample in found.samples] == ["b"]


def test_a_task_without_any_size(tmp_path):
    found = opened(write_tasks(tmp_path, task()))
    assert "neither its image nor a size" in found.problems[0].message


def test_two_tasks_of_one_image(tmp_path):
    found = opened(write_tasks(tmp_path, task(rectangle()), task(rectangle(), number=2)))
    assert "task 1 has the image a already" in found.problems[0].message
    assert found.problems[0].record == "task 2"


def test_files_that_cannot_be_read(tmp_path):
    write_tasks(tmp_path, task(rectangle()))
    text = (tmp_path / "tasks.json").read_text()
    (tmp_path / "tasks.json").write_text(text[:-20])
    with pytest.raises(ReadError, match=r"tasks\.json is no JSON"):
        opened(tmp_path)
    (tmp_path / "tasks.json").write_text("{}")
    with pytest.raises(ReadError, match="no JSON of Label Studio"):
        opened(tmp_path)


# Brushes, bit by bit


def test_the_packing_of_a_mask_bit_by_bit():
    """Three pixels of which the middle one is painted: 4 words of 0, 4 of 255, 4 of 0."""
    mask = np.array([[False, True, False]])
    wanted = (
        f"{12:032b}"  # words
        "00111"  # of 8 bits
        "0010" "0011" "0111" "1111"  # lengths of 3, 4, 8 or 16 bits
        "1" "00" "011" "00000000"  # a repeated word, its length in 3 bits: 4 times 0
        "1" "00" "011" "11111111"
        "1" "00" "011" "00000000"
    )  # fmt: skip
    content = encode_brush(Runs.of_masks(mask[None]), 1, (1, 3))
    assert content == bytes_of(wanted + "0" * (8 - len(wanted) % 8))
    assert (decode_brush(bytes(content), (1, 3), 1) == mask).all()


@pytest.mark.parametrize(
    ("pixels", "blocks"),
    [
        (2, ["1" "00" "111"]),
        (3, ["1" "01" "1011"]),
        (4, ["1" "01" "1111"]),
        (5, ["1" "10" "00010011"]),
        (64, ["1" "10" "11111111"]),
        (65, ["1" "11" "0000000100000011"]),
        (2**14, ["1" "11" "1111111111111111"]),
        (2**14 + 1, ["1" "11" "1111111111111111", "1" "00" "011"]),
    ],
)  # fmt: skip
def test_lengths_take_as_few_bits_as_they_can(pixels, blocks):
    content = bytes(encode_brush(Runs.of_masks(np.ones((1, 1, pixels), bool)), 1, (1, pixels)))
    bits = "".join(f"{byte:08b}" for byte in content)
    assert bits[53:].rstrip("0") == "".join(block + "1" * 8 for block in blocks)
    assert decode_brush(content, (1, pixels), 1).all()


def test_rows_that_meet_are_one_run():
    content = encode_brush(Runs.of_masks(np.ones((1, 2, 2), bool)), 1, (2, 2))
    assert len(content) == (53 + 1 + 2 + 4 + 8) // 8 + 1


def test_words_may_come_one_by_one_and_of_any_size():
    """Two pixels with words of 2 bits and lengths of 4: seven different words and one that is repeated once."""
    head = f"{8:032b}" + "00001" + "0011" * 4
    words = ["01", "10", "11", "00", "01", "01", "01"]
    content = bytes(bytes_of(head + "0" "00" "0110" + "".join(words) + "1" "00" "0000" "11"))  # fmt: skip
    assert decode_brush(content, (1, 2), 1).tolist() == [[False, True]]
    assert decode_brush(content, (2, 1), 3).tolist() == [[False], [True]]


def test_fainter_pixels_can_be_left_out(tmp_path):
    head = f"{8:032b}" + "00111" + "0010" "0011" "0111" "1111"  # fmt: skip
    words = [0, 0, 0, 90, 0, 0, 0, 200]
    rle = bytes_of(head + "0" "00" "111" + "".join(f"{word:08b}" for word in words))  # fmt: skip
    write_tasks(tmp_path, task(region("brush", {"rle": rle}, size=(1, 2))))
    assert only(tmp_path).truth.areas_px.tolist() == [2]
    assert only(tmp_path, least_alpha=128).truth.areas_px.tolist() == [1]


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_any_mask_is_unpacked_as_it_was(mask):
    content = bytes(encode_brush(Runs.of_masks(mask[None]), 1, mask.shape))
    assert (decode_brush(content, mask.shape, 255) == mask).all()


@given(content=st.binary(min_size=7, max_size=40))
def test_any_bytes_are_a_mask_or_one_line(content):
    try:
        assert decode_brush((80).to_bytes(4, "big") + content, (4, 5), 1).shape == (4, 5)
    except InputError as error:
        assert "\n" not in str(error)


# Both ways


def rich_samples():
    truths = rich_truth(), EMPTY, rich_truth()[[2, 0]]
    return [
        *common_samples(),
        Sample("a/three people", lambda: IMAGE, lambda: truths),
        Sample("b/no image and no segment", None, lambda: (EMPTY,)),
        Sample("b/not annotated but described", lambda: IMAGE, **FIELDS),
    ]


@pytest.mark.parametrize("shapes", ["auto", "brush"])
def test_all_that_is_written_comes_back(tmp_path, shapes):
    format = LabelStudio(shapes=shapes)
    names = format.write(tmp_path / "one", rich_samples(), CLASSES)
    assert names == [sample.name for sample in rich_samples()]
    assert format.recognise(Tree(tmp_path / "one")).certainty > 0.5
    found = format.open(Tree(tmp_path / "one"))
    assert not found.problems
    assert found.classes == CLASSES
    by_name = {sample.name: sample for sample in found.samples}
    for wanted in rich_samples():
        assert not compare(wanted, by_name[wanted.name]), wanted.name
    format.write(tmp_path / "two", found.samples, found.classes)
    for name in ("tasks.json", "config.xml"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_polygons_say_what_is_simple_and_brushes_the_rest(tmp_path):
    LabelStudio().write(tmp_path, rich_samples()[:1], CLASSES)
    (content,) = json.loads((tmp_path / "tasks.json").read_text())
    kinds = [each["type"] for each in content["annotations"][0]["result"]]
    assert kinds == ["brushlabels", "brushlabels", "polygonlabels", "brushlabels", "brushlabels"]
    assert len({each["id"] for each in content["annotations"][0]["result"]}) == 5


def test_a_conversion_reports_no_loss(tmp_path):
    report = Dataset(rich_samples(), CLASSES).write(tmp_path / "set", "label-studio")
    assert not report, list(report.lines())


def test_volumes_are_refused(tmp_path):
    truth = Segmentation.from_labels(np.ones((2, 3, 4), int), classes=CLASSES)
    with pytest.raises(InputError, match="stack is a volume"):
        LabelStudio().write(tmp_path, [Sample("stack", None, lambda: (truth,))], CLASSES)


@given(masks=arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=9)))
def test_any_masks_come_back(masks):
    truth = Segmentation.from_masks(masks, classes=CLASSES)
    with TemporaryDirectory() as folder:
        LabelStudio().write(Tree(folder).root, [Sample("a", None, lambda: (truth,))], CLASSES)
        found = only(folder).truth
    assert (np.array([*found.masks()]) == masks).all()
