"""Prompts as markers, and the errors for prompts a method cannot use."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.image import Image
from smalti.prompts import prompt_markers
from smalti.segmenter import Prompts, make_segmenter

IMAGE = Image.from_array(np.zeros((3, 4), np.uint8))


def test_points_and_scribbles_are_one_map_with_a_number_for_background():
    scribbles = np.zeros((3, 4), int)
    scribbles[0] = -1
    scribbles[2, :2] = 2
    markers, background = prompt_markers(
        Prompts(points_yx=[[1, 3], [2, 3]], point_labels=[1, 0], scribbles=scribbles), (3, 4)
    )
    assert background == 3
    assert markers.tolist() == [[3, 3, 3, 3], [0, 0, 0, 1], [2, 2, 0, 3]]
    assert scribbles[0, 0] == -1


def test_a_pixel_that_is_two_things_is_refused():
    with pytest.raises(InputError, match="two things"):
        prompt_markers(Prompts(points_yx=[[1, 1], [1, 1]], point_labels=[0, 1]), (3, 4))


def test_scribbles_below_minus_one_are_refused():
    with pytest.raises(InputError, match="-1 background"):
        prompt_markers(Prompts(scribbles=np.full((3, 4), -2)), (3, 4))


@pytest.mark.parametrize("name", ["region-growing", "flood-fill", "grabcut", "random-walker"])
@pytest.mark.parametrize("prompts", [None, Prompts()])
def test_missing_prompts_are_asked_for_by_kind(name, prompts):
    with pytest.raises(InputError, match=f"{name} needs prompts .*scribbles"):
        make_segmenter(name).predict(IMAGE, prompts)


@pytest.mark.parametrize("name", ["region-growing", "flood-fill", "random-walker", "gradient-watershed"])
def test_prompts_of_a_kind_not_taken_are_refused_not_ignored(name):
    with pytest.raises(InputError, match=f"{name} takes no boxes; it takes points and scribbles"):
        make_segmenter(name).predict(IMAGE, Prompts(boxes=[[0, 0, 2, 2]]))


def test_points_outside_the_image_are_refused():
    with pytest.raises(InputError, match="inside the image"):
        make_segmenter("flood-fill").predict(IMAGE, Prompts(points_yx=[[3, 0]]))
