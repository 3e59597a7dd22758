"""GrabCut and the random walker: led by marks, the same every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data, segmentation

from smalti.classical.graphs import GrabCut, RandomWalker, random_walk
from smalti.errors import InputError
from smalti.image import Image
from smalti.segmenter import Prompts


def red_square_on_blue() -> tuple[Image, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 50), bool)
    truth[10:25, 15:35] = True
    colors = np.where(truth[..., None], (200, 40, 40), (40, 40, 200)) + rng.integers(-20, 20, (40, 50, 3))
    return Image.from_array(colors.astype(np.uint8)), truth


def two_squares() -> tuple[Image, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 60), int)
    truth[8:20, 8:20] = 1
    truth[15:32, 35:52] = 2
    return Image.from_array(((truth > 0) * 150 + rng.integers(0, 30, truth.shape)).astype(np.uint8)), truth


def test_a_box_is_cut_to_its_object():
    image, truth = red_square_on_blue()
    found = GrabCut().predict(image, Prompts(boxes=[[5, 8, 32, 44]]))
    assert len(found) == 1
    assert (found.mask(1) == truth).mean() > 0.99


def test_marks_alone_and_marks_that_correct_a_box():
    image, truth = red_square_on_blue()
    scribbles = np.zeros(truth.shape, int)
    scribbles[15, 18:30] = 1
    scribbles[2] = -1
    found = GrabCut().predict(image, Prompts(scribbles=scribbles))
    assert (found.mask(1) == truth).mean() > 0.99
    scribbles[20:25, 15:35] = -1
    corrected = GrabCut().predict(image, Prompts(boxes=[[5, 8, 32, 44]], scribbles=scribbles))
    assert not corrected.mask(1)[20:25, 15:35].any()


def test_each_box_is_a_segment():
    image, truth = two_squares()
    found = GrabCut().predict(image, Prompts(boxes=[[4, 4, 24, 24], [11, 31, 36, 56]]))
    assert [(found.mask(k) == (truth == k)).mean() > 0.99 for k in (1, 2)] == [True, True]


def test_cut_is_opencvs_and_does_not_depend_on_earlier_draws():
    photo = data.coffee()[::2, ::2]
    box = [10, 30, 190, 250]
    method, prompts = GrabCut(seed=3, rounds=3), Prompts(boxes=[box])
    first = method.predict(Image.from_array(photo), prompts)
    cv2.setRNGSeed(99)
    cv2.randu(np.zeros(7, np.uint8), 0, 9)
    assert method.predict(Image.from_array(photo), prompts) == first

    marks = np.zeros(photo.shape[:2], np.uint8)
    cv2.setRNGSeed(3)
    rectangle = (box[1], box[0], box[3] - box[1], box[2] - box[0])
    cv2.grabCut(np.ascontiguousarray(photo), marks, rectangle, None, None, 3, cv2.GC_INIT_WITH_RECT)
    assert np.array_equal(first.mask(1), marks % 2 == 1)


def test_a_box_without_ground_around_it_is_refused():
    image, _ = red_square_on_blue()
    with pytest.raises(InputError, match="no pixel to the ground .* smaller box"):
        GrabCut().predict(image, Prompts(boxes=[[0, 0, 40, 50]]))


def test_background_alone_is_refused():
    image, _ = red_square_on_blue()
    with pytest.raises(InputError, match="background only"):
        GrabCut().predict(image, Prompts(points_yx=[[0, 0]], point_labels=[0]))


def test_walkers_stop_at_the_edge():
    image, truth = two_squares()
    prompts = Prompts(points_yx=[[14, 14], [24, 44], [2, 2], [38, 2], [2, 58]], point_labels=[1, 2, 0, 0, 0])
    found = RandomWalker(beta=500).predict(image, prompts)
    assert (found.labels == truth).mean() > 0.97


def test_without_edges_the_nearer_mark_is_reached_first():
    markers = np.zeros((1, 9), np.int32)
    markers[0, 0], markers[0, 8] = 4, 7
    flat = np.zeros((1, 9, 1))
    labels = random_walk(flat, markers, 130)
    assert set(labels[0, :4]) == {4}
    assert set(labels[0, 5:]) == {7}


def test_one_mark_is_reached_from_everywhere():
    markers = np.zeros((3, 3), np.int32)
    markers[1, 1] = 5
    assert (random_walk(np.zeros((3, 3, 1)), markers, 130) == 5).all()
    assert (random_walk(np.zeros((1, 1, 1)), np.full((1, 1), 2, np.int32), 130) == 2).all()


def test_walk_is_scikit_images():
    photo = data.coins()[:100, :120] / 255
    markers = np.zeros(photo.shape, np.int32)
    markers[50, 44], markers[54, 100], markers[5, 5] = 1, 2, 3
    theirs = segmentation.random_walker(photo, markers, beta=130, mode="bf")
    assert np.array_equal(random_walk(photo[..., None], markers, 130), theirs)


def test_large_images_are_solved_nearly_the_same(monkeypatch):
    photo = data.coins()[20:70, 20:80, None] / 255
    markers = np.zeros(photo.shape[:2], np.int32)
    markers[30:34, 20:28], markers[2] = 1, 2
    exact = random_walk(photo, markers, 130)
    monkeypatch.setattr("smalti.classical.graphs.DIRECT_PX", 0)
    assert (random_walk(photo, markers, 130) != exact).mean() < 0.02


def test_walkers_in_a_volume():
    volume = np.zeros((6, 8, 8), np.uint8)
    volume[3:] = 200
    prompts = Prompts(points_yx=[[5, 4, 4], [0, 4, 4]], point_labels=[1, 0])
    found = RandomWalker(beta=1000).predict(Image.from_array(volume, ndim=3), prompts)
    assert np.array_equal(found.labels, volume // 200)
