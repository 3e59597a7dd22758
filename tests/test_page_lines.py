"""Lines over a count that goes on."""

import re

import numpy as np
import pytest

from smalti.page.lines import Line, lines, smoothed

X = np.arange(1.0, 11)


def ticks(svg, anchor):
    return re.findall(rf'text-anchor="{anchor}">([^<]+)<', svg)


def points(svg):
    return [
        [tuple(map(float, pair.split(","))) for pair in found.split()]
        for found in re.findall(r'points="([^"]*)"', svg)
    ]


def test_the_axis_reaches_as_far_as_the_values():
    svg = lines([Line("a", X, X / 10)], "step", "score")
    assert ticks(svg, "end") == ["0", "0.25", "0.5", "0.75", "1"]
    ((first, *_, last),) = points(svg)
    assert first[0] < last[0]
    assert first[1] > last[1]  # up is less in a picture


def test_far_apart_values_are_logarithmic_only_where_that_is_allowed():
    loss = 10.0 ** -np.linspace(0, 3, 10)
    assert ticks(lines([Line("loss", X, loss)], "step", "loss", may_be_logarithmic=True), "end")[0] == "0.001"
    assert ticks(lines([Line("loss", X, loss)], "step", "loss"), "end")[0] == "0"
    negative = lines([Line("loss", X, loss - 0.5)], "step", "loss", may_be_logarithmic=True)
    assert ticks(negative, "end")[0] == "-0.5"


def test_what_is_unknown_is_left_out_and_nothing_known_is_nothing():
    y = np.where(X == 3, np.nan, 0.5)
    ((*kept,),) = points(lines([Line("a", X, y, mark=4)], "step", "score"))
    assert len(kept) == 9
    assert lines([Line("a", X, np.full(10, np.nan))], "step", "score") == ""
    assert lines([], "step", "score") == ""


def test_one_value_is_a_dot_and_the_best_is_marked():
    assert lines([Line("a", X[:1], X[:1])], "step", "score").count("<circle") == 1
    assert lines([Line("a", X, X, mark=5)], "step", "score").count("<circle") == 1


def test_names_stand_clear_of_each_other_and_are_escaped():
    svg = lines([Line(f"<{k}>", X, X * 0 + 0.5) for k in range(5)], "step", "score")
    places = sorted(float(y) for y in re.findall(r'y="([0-9.]+)" style="fill', svg))
    assert np.diff(places).min() >= 14
    assert "&lt;3&gt;" in svg
    assert "<3>" not in svg


@pytest.mark.parametrize("reach", [1, 3, 100])
def test_smoothing_keeps_a_constant_and_passes_over_what_is_unknown(reach):
    values = np.array([2.0, np.nan, 2.0, 2.0, np.nan, 2.0])
    assert smoothed(values, reach) == pytest.approx(2.0)
