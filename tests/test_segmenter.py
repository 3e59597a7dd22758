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
    ]
    for make, words in bad:
        with pytest.raises(InputError, match=words):
            make()
