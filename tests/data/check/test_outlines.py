"""Where outlines lie on edges, found with known answers: discs, moved and grown by known amounts."""

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.check.edges import arcs_of, by_segment, profiles
from smalti.data.check.outlines import outlines
from smalti.data.check.suspicious import one_object
from smalti.image import Image
from smalti.segmentation import Segmentation

CELLS = ClassSet.from_names(["cell"])
SHAPE = (90, 110)


def disc(y, x, radius):
    rows, columns = np.indices(SHAPE)
    return np.hypot(rows - y, columns - x) < radius


def picture(*masks, seed=0):
    """Bright masks on a dark ground, blurred and noisy."""
    import cv2

    grey = 40 + 90 * np.any(masks, axis=0)
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    grey = grey + np.random.default_rng(seed).normal(0, 4, SHAPE)
    return Image.from_array(grey.clip(0, 255).astype(np.uint8))


def told(image, *masks):
    truth = Segmentation.from_masks(list(masks), class_ids=[1] * len(masks), classes=CELLS)
    found = outlines(image, truth, truth.runs.paint(SHAPE)[0])
    assert found is not None
    return found


def test_normals_point_out_of_the_segment_also_in_holes():
    ring = disc(45, 55, 25) & ~disc(45, 55, 12)
    truth = Segmentation.from_masks([ring])
    arcs = arcs_of(truth, truth.labels, np.random.default_rng(0))
    from_middle = arcs.points_xy - [55.5, 45.5]
    distance = np.hypot(*from_middle.T)
    outward = (arcs.normals_xy * from_middle).sum(axis=1) / distance
    assert (outward[distance > 20] > 0.9).all()
    assert (outward[distance < 16] < -0.8).all()
    assert {*np.round(distance[[0, -1]])} <= {24, 25, 12, 13}


def test_outlines_at_the_border_and_at_void_are_left_out():
    labels = np.zeros(SHAPE, int)
    labels[:40, :40] = 1
    truth = Segmentation.from_labels(labels)
    arcs = arcs_of(truth, truth.labels, np.random.default_rng(0))
    assert arcs.points_xy.min() > 2
    void = np.where(labels == 0, -1, labels)
    assert len(arcs_of(truth, void, np.random.default_rng(0))) == 0


def test_arcs_know_what_lies_beside_them():
    labels = np.zeros(SHAPE, int)
    labels[20:60, 20:50], labels[20:60, 50:80] = 1, 2
    truth = Segmentation.from_labels(labels)
    arcs = arcs_of(truth, truth.labels, np.random.default_rng(0))
    on_seam = np.abs(arcs.mean(arcs.points_xy)[:, 0] - 50) < 1
    assert set(arcs.beside[on_seam & (arcs.segment == 1)].tolist()) == {2}
    assert set(arcs.beside[~on_seam].tolist()) == {0}


def test_the_slope_is_steepest_where_the_edge_is():
    image = picture(disc(45, 55, 20))
    truth = Segmentation.from_masks([disc(45, 55, 17)])
    arcs = arcs_of(truth, truth.labels, np.random.default_rng(0))
    slopes = profiles(arcs, np.asarray(image.pixels, np.float32))
    _, counts, means = by_segment(arcs, slopes)
    assert counts.tolist() == [len(arcs)]
    assert means[0].argmax() - means.shape[1] // 2 == 3


@pytest.mark.parametrize("grown", [-4, -2, 0, 2, 4])
def test_how_much_too_large(grown):
    whole, one = told(picture(disc(45, 55, 22)), disc(45, 55, 22 + grown)).fits
    for fit in (whole, one):
        assert fit.offset_px == pytest.approx(-grown, abs=0.7)
        assert fit.agree > 0.9


@pytest.mark.parametrize("moved", [(0, 0), (5, -3), (-8, 0), (4, 6)])
def test_how_far_aside(moved):
    y, x = moved
    image = picture(disc(30, 30, 14), disc(55, 75, 18))
    whole = told(image, disc(30 + y, 30 + x, 14), disc(55 + y, 75 + x, 18)).fits[0]
    assert np.abs(np.array(whole.shift_yx) + moved).max() <= 1
    if any(moved):
        assert whole.shift_gain > 1.3 and whole.everywhere > 1.1
        assert whole.shift_fit > 1.3 * whole.back_fit


def test_what_fits_better_aside_on_one_side_alone_does_not_everywhere():
    """The edges of one disc lie aside of its outline, those of the other do not."""
    image = picture(disc(30, 30, 18), disc(60, 85, 10))
    whole = told(image, disc(38, 30, 18), disc(60, 85, 10)).fits[0]
    assert whole.shift_yx[0] <= -6 and whole.shift_gain > 1.3
    assert whole.everywhere < 0.6


def test_a_flat_image_says_nothing():
    image = Image.from_array(np.full(SHAPE, 7, np.uint8))
    whole = told(image, disc(45, 55, 20)).fits[0]
    assert (whole.fit, whole.shift_fit, whole.offset_fit) == (0, 0, 0)


def test_a_neck_with_a_seam():
    two = disc(45, 42, 15) | disc(45, 68, 15)
    seam = np.zeros(SHAPE, bool)
    seam[:, 55] = True
    (neck,) = told(picture(two & ~seam), two).necks
    assert neck.segment == 1
    assert neck.narrow < 0.7
    assert neck.area_px == pytest.approx(disc(45, 68, 15).sum(), rel=0.15)
    assert neck.seam > 0.3


def test_halves_of_an_object_and_two_objects_that_touch():
    whole = disc(45, 55, 20)
    left = np.indices(SHAPE)[1] < 55
    (halves,) = told(picture(whole), whole & left, whole & ~left).touching
    one, other = disc(45, 40, 15), disc(45, 69, 15) & ~disc(45, 40, 15)
    gap = np.zeros(SHAPE, bool)
    gap[:, 54:56] = True
    touching = told(picture((one | other) & ~gap), one, other).touching
    assert halves.seam < 0.3
    assert halves.together > 0.95
    assert one_object(halves.contact, halves.seam / 0.6, 0) > 0.9
    for pair in touching:
        assert one_object(pair.contact, pair.seam / 0.6, pair.together - 0.97) < 0.5
