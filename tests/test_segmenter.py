"""Methods by name, their parameters, prompts and pipelines."""

import numpy as np
import pytest

from smalti.errors import InputError, SmaltiError, UnknownName
from smalti.image import Image
from smalti.segmenter import Prompts, load_class, make_segmenter, make_step, parse_settings

SPOTS = Image.from_array(np.array([[0, 9, 0, 0, 9], [0, 9, 0, 0, 0]], np.uint8))


def test_unknown_names_are_met_with_the_nearest():
    with pytest.raises(UnknownName, match="nearest: otsu"):
        make_segmenter("ostu")
    with pytest.raises(UnknownName, match="parameter of otsu called 'bin'; nearest: bins"):
        make_segmenter("otsu", bin=3)
    with pytest.raises(UnknownName, match="step"):
        make_step("drop-smal")


def test_a_bad_value_names_method_parameter_bound_and_value():
    with pytest.raises(InputError, match="otsu: bins: .*greater than or equal to 2, got 1"):
        make_segmenter("otsu", bins=1)
    with pytest.raises(InputError, match="polarity.*'bright' or 'dark'"):
        make_segmenter("otsu", polarity="light")


def test_a_table_entry_that_cannot_be_loaded_says_so():
    with pytest.raises(SmaltiError, match="could not be loaded"):
        load_class("method", "broken", {"broken": "smalti.no_such_module:Nothing"})


def test_settings_are_json_where_they_can_be():
    assert parse_settings(["a=1", "b=2.5", "c=true", "d=dark", "e=[1, 2]", "min-area-px=3"]) == {
        "a": 1, "b": 2.5, "c": True, "d": "dark", "e": [1, 2], "min_area_px": 3,
    }  # fmt: skip
    for bad, words in ((["a"], "name=value"), (["=1"], "name=value"), (["a=1", "a=2"], "twice")):
        with pytest.raises(InputError, match=words):
            parse_settings(bad)


def test_a_pipeline_is_its_parts_in_order():
    pipeline = make_segmenter("pipeline", method="otsu", after=["drop-small:min_area_px=2"])
    assert len(make_segmenter("otsu").predict(SPOTS)) == 2
    assert len(pipeline.predict(SPOTS)) == 1
    described = pipeline.describe()
    assert described["after"][0]["name"] == "drop-small"
    assert make_segmenter(**described) == pipeline
    with pytest.raises(InputError, match="otsu: bins"):
        make_segmenter("pipeline", method="otsu:bins=0")


def test_prompts_are_checked():
    Prompts(points_yx=[[1, 4]], boxes=[[0, 0, 2, 5]], scribbles=np.zeros((2, 5), int)).check((2, 5))
    assert not Prompts()
    bad = [
        (lambda: Prompts(points_yx=[[2, 0]]).check((2, 5)), "inside the image"),
        (lambda: Prompts(boxes=[[0, 0, 3, 5]]).check((2, 5)), "inside the image"),
        (lambda: Prompts(boxes=[[1, 0, 1, 5]]), "min < max"),
        (lambda: Prompts(scribbles=np.zeros((2, 4), int)).check((2, 5)), "cover"),
        (lambda: Prompts(scribbles=np.zeros((2, 4))), "integers"),
        (lambda: Prompts(point_labels=[1]), "give both"),
        (lambda: Prompts(points_yx=[[1, 1]], point_labels=[1, 2]), "1 numbers"),
        (lambda: Prompts(points_yx=[[np.nan, 1]]), "points_yx must be finite"),
        (lambda: Prompts(points_yx=[[1, 1], [1]]), "as many numbers each"),
        (lambda: Prompts(points_yx=[["1", "one"]]), "points_yx must be numbers"),
        (lambda: Prompts(points_yx=[[True, True]]), "points_yx must be numbers"),
        (lambda: Prompts(points_yx=[[1, 2, 3, 4]]), "y, x"),
        (lambda: Prompts(points_yx=[[1, 1]], point_labels=[2**31 - 1]), "from 0 to 2147483646"),
        (lambda: Prompts(points_yx=[[1, 1]], point_labels=[2**64]), "must be numbers"),
        (lambda: Prompts(points_yx=[[1, 1]], point_labels=[-1]), "from 0"),
        (lambda: Prompts(points_yx=[[1, 1]], point_labels=[1.5]), "whole"),
        (lambda: Prompts(boxes=[[0, 0, 1, 1, 5]]), "ymin, xmin, ymax, xmax"),
        (lambda: Prompts(boxes=[[20.1, 300.9, 20.9, 370]]), "boxes must be whole numbers"),
        (lambda: Prompts(boxes=[[0, 0, np.inf, 1]]), "boxes must be finite"),
        (lambda: Prompts(scribbles=np.full((2, 5), 2**32 - 1, np.uint32)), "got 4294967295"),
        (lambda: Prompts(scribbles=np.full((2, 5), -2)), "-1 background"),
    ]
    for make, words in bad:
        with pytest.raises(InputError, match=words):
            make()


def test_whole_floats_are_as_good_as_integers_in_prompts_and_empty_ones_are_none():
    prompts = Prompts(points_yx=[1.0, 4.0], point_labels=[2.0], boxes=[[0.0, 0.0, 2.0, 5.0]])
    assert prompts.point_labels.tolist() == [2]
    assert prompts.boxes.dtype == np.int64
    assert not Prompts(points_yx=[], point_labels=[], boxes=np.empty((0, 4)))


@pytest.mark.parametrize("name", ["region-growing", "flood-fill", "random-walker", "gradient-watershed"])
def test_marked_numbers_come_back_renumbered_however_high(name):
    scribbles = np.zeros(SPOTS.shape, np.int64)
    scribbles[0, 1], scribbles[0, 4] = 7, 2**31 - 2
    few = np.where(scribbles > 7, 2, np.minimum(scribbles, 1))
    found, like = (
        make_segmenter(name).predict(SPOTS, Prompts(scribbles=marks)) for marks in (scribbles, few)
    )
    assert found == like
    assert len(found) == 2


@pytest.mark.parametrize("described", [{"name": 5}, {"name": None}, {}, {"name": "gaussian", 5: 1}, 5])
def test_a_step_described_wrongly_is_refused_in_words(described):
    for steps in (described, [described]):
        with pytest.raises(InputError, match="pipeline: before"):
            make_segmenter("pipeline", before=steps)


def test_one_step_alone_is_taken_as_the_only_one():
    one = make_segmenter("pipeline", before="gaussian", after="drop-small:min_area_px=2")
    assert one == make_segmenter("pipeline", before=["gaussian"], after=["drop-small:min_area_px=2"])
    assert one == make_segmenter("pipeline", before={"name": "gaussian"}, after=one.after[0])


def test_a_pipeline_takes_the_prompts_of_its_method():
    plain, led = make_segmenter("pipeline"), make_segmenter("pipeline", method="flood-fill")
    assert plain.takes == ()
    assert led.takes == make_segmenter("pipeline", method=led).takes == ("points", "scribbles")
    point = Prompts(points_yx=[[0, 1]])
    assert len(led.predict(SPOTS, point)) == 1
    assert plain.predict(SPOTS, None) == plain.predict(SPOTS, Prompts()) == plain.predict(SPOTS)
    with pytest.raises(InputError, match="pipeline takes no points; it takes no prompts"):
        plain.predict(SPOTS, point)
