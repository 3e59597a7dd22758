"""Crops: the same by the same number, where they lie, and what is learned of what they cut off."""

import numpy as np
import pytest
from tiny_trainings import GROUNDS, samples

from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation
from smalti.train.crops import crops_of, rarity
from smalti.train.machine import Machine
from smalti.train.material import Material
from smalti.train.model import planes_of, preparation_of
from smalti.train.planning import make_plan
from smalti.train.survey import survey

PLAIN = {"augment": [], "crop_px": (16, 16), "batch_size": 4}


def crops(data, rank=0, ranks=1, **settings):
    classes = data[0].truth.classes
    found = survey(data, classes)
    plan = make_plan(found, {**PLAIN, "network": "unet", **settings}, Machine())
    material = Material(data, found.kind, preparation_of(plan))
    return crops_of(plan, found, material, planes_of(plan, found, classes), classes, 0, rank, ranks)


def mapped(semantic_map, name="a"):
    semantic_map = np.asarray(semantic_map, np.int32)
    truth = Segmentation.from_semantic_map(semantic_map, GROUNDS)
    return Sample.of(name, Image.from_array((semantic_map * 60).astype(np.uint8)), truth)


def same(one, other):
    return np.array_equal(one.image, other.image) and all(
        np.array_equal(one.targets[name], other.targets[name]) for name in one.targets
    )


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    made, again = crops(samples(), augment="microscopy"), crops(samples(), augment="microscopy")
    later = made(3)
    made(0)
    assert same(again(3), later) and same(made(3), later)
    assert not same(made(0), later)


def test_an_epoch_takes_every_image_once():
    made = crops(samples(count=8))
    for epoch in range(3):
        assert sorted(made(2 * epoch).numbers + made(2 * epoch + 1).numbers) == list(range(8))
    assert made(0).numbers + made(1).numbers != made(2).numbers + made(3).numbers


def test_ranks_together_take_what_one_would():
    whole = crops(samples(count=8), batch_size=4)
    parts = [crops(samples(count=8), rank, 2, batch_size=2) for rank in (0, 1)]
    for number in range(5):
        one, other = (part(number) for part in parts)
        wanted = whole(number)
        assert np.array_equal(wanted.image[0::2], one.image)
        assert np.array_equal(wanted.image[1::2], other.image)
        assert wanted.numbers[0::2] == one.numbers


def test_crops_around_a_class_show_it():
    rare = np.ones((200, 200), np.int32)
    rare[150:153, 40:43] = 2
    made = crops([mapped(rare)], focus_share=1.0)
    shown = [(batch.targets["classes"] == 1).flatten(1).any(1) for batch in map(made, range(20))]
    share = np.concatenate(shown).mean()
    assert 0.35 < share < 0.7  # half of them around it, the others around the other class
    anywhere = crops([mapped(rare)], focus_share=0.0)
    assert np.mean([(anywhere(n).targets["classes"] == 1).any() for n in range(10)]) < 0.3


def test_a_little_of_a_large_segment_is_that_class_and_not_void():
    ground = np.ones((120, 120), np.int32)
    ground[:60] = 2
    made = crops([mapped(ground)], crop_px=(10, 10))
    for number in range(4):
        batch = made(number)
        assert (batch.targets["classes"] >= 0).all()


def test_what_lies_beyond_a_small_image_is_void():
    batch = crops([mapped(np.ones((8, 16)) + (np.arange(16) > 7))], batch_size=1)(0)
    known = batch.targets["classes"][0] >= 0
    assert known.sum() == 8 * 16 and not known[:4].any() and not known[12:].any()


def test_pixels_and_targets_move_together():
    moves = [
        {"name": "flip"},
        {"name": "rotate", "degrees": [-45, 45]},
        {"name": "scale", "factor": [0.7, 1.4]},
    ]
    made = crops(
        [mapped(1 + (np.add.outer(np.arange(90), np.arange(90)) // 30 % 2))], augment=moves, crop_px=(48, 48)
    )
    for number in range(4):
        batch = made(number)
        bright = batch.image[:, 0] > 0  # the mean of both
        target, known = batch.targets["classes"] == 1, batch.targets["classes"] >= 0
        assert (bright == target)[known].float().mean() > 0.9


def test_images_with_rare_classes_are_drawn_more_often():
    common = [mapped(np.ones((16, 16)), f"c{k}") for k in range(15)]
    both = mapped(1 + (np.arange(256).reshape(16, 16) % 2), "both")
    data = [*common, both]
    weights = rarity(survey(data, GROUNDS), data)
    assert weights[-1] == pytest.approx(4 * weights[0])
    made = crops(data, draw="rare")
    drawn = [number for batch in map(made, range(40)) for number in batch.numbers]
    assert drawn.count(15) / len(drawn) == pytest.approx(4 / 19, abs=0.05)


def test_large_images_are_drawn_more_often_if_that_is_asked():
    data = [
        mapped(1 + np.indices((side, side))[0] % 2, name)
        for name, side in zip("abc", (16, 16, 64), strict=True)
    ]
    drawn = [number for batch in map(crops(data, draw="size"), range(60)) for number in batch.numbers]
    assert drawn.count(2) / len(drawn) == pytest.approx(4 / 6, abs=0.05)


def test_a_volume_has_crops():
    batch = crops(samples("instance", 2, (10, 20, 20)), crop_px=(6, 12, 16), augment="medical")(0)
    assert batch.image.shape == (4, 1, 6, 12, 16)
    assert batch.targets["classes"].shape == (4, 6, 12, 16)
