"""The search for a decoding, where the best one is known."""

from __future__ import annotations

import numpy as np
import pytest
from perfect_planes import perfect_planes

from smalti.classes import OBJECT
from smalti.errors import InputError
from smalti.postprocess.centers import CenterDecoding, Votes
from smalti.postprocess.decode import BorderDecoding, Landscape, instances
from smalti.postprocess.planes import Planes
from smalti.postprocess.targets import Targets
from smalti.postprocess.tuning import tune_instances
from smalti.segmentation import Segmentation


def share_found(truth, predicted):
    """All for the right number of pixels in the objects, less the farther from it, of the pixels there are."""
    wrong = abs(int(predicted.areas_px.sum()) - int(truth.areas_px.sum()))
    size = truth.shape[0] ** 2 if len(truth) else 0
    return np.array([[size - wrong, size]])


def ramp(share):
    """A square whose likelihood falls towards its sides, and the truth: what is at least ``share`` of its middle."""
    steps = np.abs(np.arange(101) - 50)
    foreground = np.clip(1.02 - np.maximum.outer(steps, steps) / 50, 0, 1).astype(np.float32)
    truth = Segmentation.from_labels((foreground > share).astype(int))
    return truth, (foreground[None], np.zeros_like(foreground), 1 - foreground)


@pytest.mark.parametrize("share", [0.3, 0.45, 0.6])
def test_tuning_finds_the_extent_the_truth_was_drawn_with(share):
    truths, planes = zip(*[ramp(share)] * 3, strict=True)
    start = BorderDecoding(smoothing=0)
    images = [Landscape(*each) for each in planes]
    tuned = tune_instances(truths, images, [1], OBJECT, share_found, start)
    assert tuned.extent == share
    ((right, everything),) = share_found(truths[0], instances(*planes[0], [1], OBJECT, tuned))
    assert right > 0.95 * everything
    assert tuned == tune_instances(truths, images, [1], OBJECT, share_found, start)


def test_tuning_leaves_alone_what_makes_no_clear_difference():
    better, worse = ramp(0.6), ramp(0.4)
    truths, planes = zip(better, worse, strict=True)
    start = BorderDecoding(smoothing=0)
    images = [Landscape(*each) for each in planes]
    assert (
        tune_instances(truths, images, [1], OBJECT, lambda truth, predicted: np.array([[1, 2]]), start)
        == start
    )
    # better in one image and as much worse in the other
    assert tune_instances(truths, images, [1], OBJECT, share_found, start).extent == start.extent
    nothing = Segmentation.from_labels(np.zeros((101, 101), int))
    black = np.zeros((101, 101), np.float32)
    empty = Landscape(black[None], black, 1 - black)
    assert tune_instances([nothing], [empty], [1], OBJECT, share_found, start) == start


def test_an_image_counts_by_what_is_in_it():
    few, many = ramp(0.4), ramp(0.6)
    truths, planes = zip(few, *[many] * 4, strict=True)
    images = [Landscape(*each) for each in planes]

    def weighed(truth, predicted):
        return share_found(truth, predicted) * (1000 if truth is few[0] else 1)

    start = BorderDecoding(smoothing=0)
    assert tune_instances(truths[:1], images[:1], [1], OBJECT, weighed, start).extent == 0.4
    assert tune_instances(truths, images, [1], OBJECT, share_found, start).extent == 0.6
    # one image says most: what is better in it is better in the mean, but without it it is not
    assert tune_instances(truths, images, [1], OBJECT, weighed, start).extent == start.extent


def test_tuning_wants_as_many_truths_as_images():
    truth, planes = ramp(0.5)
    image = Landscape(*planes)
    for truths, many in (([], []), ([truth], [image, image])):
        with pytest.raises(InputError):
            tune_instances(truths, many, [1], OBJECT, share_found, BorderDecoding())


def test_centres_are_tuned_by_the_same_search():
    labels = np.zeros((40, 90), int)
    labels[5:35, 5:43], labels[5:35, 43:85] = 1, 2
    truth = Segmentation.from_labels(labels)
    kinds = Planes(Targets(("background", "object"), (0, 1)), 2, centers=True)
    planes = perfect_planes(labels, kinds)
    heat = planes[kinds.heat]
    heat[::7, ::7] = np.maximum(
        heat[::7, ::7], 0.25 * planes[1, ::7, ::7]
    )  # false centres all over the objects
    votes = Votes(
        planes[1:2], planes[0], heat, 0.4 * planes[kinds.offsets]
    )  # and half way is enough to go astray

    def right_number(truth, predicted):
        return np.array([[1, 1 + abs(len(truth) - len(predicted))]])

    start = CenterDecoding(min_distance=0.2)
    assert right_number(truth, votes.objects([1], OBJECT, start))[0, 1] > 2
    tuned = tune_instances([truth] * 3, [votes] * 3, [1], OBJECT, right_number, start)
    assert isinstance(tuned, CenterDecoding)
    assert right_number(truth, votes.objects([1], OBJECT, tuned))[0, 1] == 1
