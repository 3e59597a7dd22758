"""What is settled on images not learned from: a decoding that suits, and a score, in the time that is given."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_trainings import CELLS, TINY, fit, samples

from smalti.deep.nets import make_network
from smalti.evaluation.measures import make_metric
from smalti.train import tuning
from smalti.train.tuning import Unseen, scored, tuned
from smalti.train.validation import Validation, evenly


class Told:
    """A model that says of each image what it was told to; it counts how often it was asked."""

    def __init__(self, model, planes):
        self.model, self.planes, self.asked = model, planes, 0
        self.classes = model.classes

    def predict_planes(self, image):
        self.asked += 1
        return self.planes(image)

    def predict_scores(self, image):
        return self.predict_planes(image)[self.model.planes.classes]


@pytest.fixture(scope="module")
def objects():
    return fit(samples("instance"), steps=1, objects="border", distance=False)


@pytest.fixture(scope="module")
def grounds():
    return fit(samples(), steps=1)


def test_factors_make_up_for_a_class_that_is_told_too_seldom(grounds):
    def shy(image):
        sand = np.where(image.pixels[..., 0] > 110, 0.3, 0.05).astype(np.float32)
        return np.stack([1 - sand, sand])

    judge = Told(grounds, shy)
    found = tuned(
        grounds, [Unseen(each, judge) for each in samples(first=20)], make_metric("classes", grounds.classes)
    )
    assert found.factors[1] > 2 * found.factors[0]
    assert found.decoding is None


def test_a_border_that_is_told_parts_objects(objects):
    def told(image):
        return {each.image.pixels.tobytes(): planes_of(each) for each in data}[image.pixels.tobytes()]

    def planes_of(sample):
        target = objects.targets.map(sample.truth)
        planes = np.full((len(objects.planes), *target.shape), 0.05, np.float32)
        for number in range(len(objects.targets)):
            planes[number][target == number] = 0.9
        return planes

    data = samples("instance", first=20)
    metric = make_metric("instances", objects.classes)
    found = tuned(objects, [Unseen(each, Told(objects, told)) for each in data], metric)
    assert found.decoding is not None
    segments = [found.decode(planes_of(each), each.truth.geometry) for each in data]
    assert np.mean([len(each) for each in segments]) == pytest.approx(
        np.mean([len(each.truth) for each in data]), abs=1
    )


def test_fewer_images_are_looked_at_where_there_is_no_time(objects):
    judge = Told(objects, objects.predict_planes)
    many = [Unseen(each, judge) for each in samples("instance", 20, first=20)]
    metric = make_metric("instances", objects.classes)
    tuned(objects, many, metric, seconds=0.0)
    assert judge.asked == tuning.LEAST_TUNED


def test_each_image_is_scored_by_its_own_judge():
    data = samples("instance", 4)

    class Right:
        classes = CELLS

        def __init__(self, sample):
            self.sample = sample

        def predict(self, image):
            assert image is self.sample.image
            return self.sample.truth

    unseen = [Unseen(each, Right(each)) for each in data]
    found = scored(unseen, make_metric("instances", CELLS))
    assert (found["value"], found["images"]) == (1.0, 4)
    assert scored(unseen, make_metric("instances", CELLS), most=2)["images"] == 2


def test_the_ends_of_one_image_are_not_known(grounds):
    found = scored([Unseen(samples(count=1)[0], grounds)], make_metric("classes", grounds.classes))
    assert found["low"] is None and 0 <= found["value"] <= 1
    made = replace(grounds, about={**grounds.about, "report": {**grounds.report, "validation": found}})
    assert "unknown to unknown" in made.to_bundle().card


def test_a_validation_looks_at_as_many_images_as_it_is_told():
    model = fit(samples(), steps=1)
    validation = Validation(samples(count=9), model, make_metric("classes", model.classes))
    assert validation.most == 9
    validation.most = 3
    network = make_network("unet", 1, 2, 2, TINY)
    scores = validation(network)
    assert set(scores) >= {"mean_iou"} and all(np.isfinite(list(scores.values())))
    assert [shown.name for shown in validation.shown] == ["image-0", "image-4", "image-8"][
        : len(validation.shown)
    ]
    assert validation.seconds(network, 1e-9) > 0 and validation.most == 3


def test_numbers_are_chosen_evenly():
    assert evenly(5, 9) == [0, 1, 2, 3, 4]
    assert evenly(9, 3) == [0, 4, 8]
    assert evenly(1, 1) == [0]
