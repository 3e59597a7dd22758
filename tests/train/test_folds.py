"""Images held out: groups together, at least one, the same every time."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation
from smalti.train.folds import folds, hold_out

CLASSES = ClassSet([Class(1, "often", (0, 0, 0)), Class(2, "rare", (1, 1, 1))])


def samples(count, group=lambda index: None, rare=lambda index: False):
    """Images of 4 by 4 pixels, some of which have the rare class."""

    def made(index):
        labels = np.zeros((4, 4), np.uint8)
        labels[0] = 1
        labels[1] = 2 * rare(index)
        truth = Segmentation.from_semantic_map(labels, CLASSES)
        image = Image.from_array(np.zeros((4, 4), np.uint8))
        return Sample.of(f"{index:02d}", image, truth, group=group(index))

    return [made(index) for index in range(count)]


def names(part):
    return {sample.name for sample in part}


@pytest.mark.parametrize(("count", "share", "held"), [(10, 0.2, 2), (10, 0.001, 1), (2, 0.2, 1), (2, 0.9, 1)])
def test_about_the_share_is_held_out_and_at_least_one(count, share, held):
    train, val = hold_out(samples(count), share)
    assert len(val) == held
    assert len(train) == count - held
    assert names(train) | names(val) == names(samples(count))


def test_groups_stay_together():
    train, val = hold_out(samples(12, group=lambda index: f"patient {index % 4}"), 0.25)
    assert len(val) == 3
    assert not {sample.group for sample in train} & {sample.group for sample in val}


def test_a_rare_class_is_in_both_parts():
    for seed in range(5):
        train, val = hold_out(samples(20, rare=lambda index: index < 4), 0.25, seed)
        rare = {f"{index:02d}" for index in range(4)}
        assert names(train) & rare
        assert names(val) & rare


def test_the_seed_decides():
    parts = [names(hold_out(samples(20), 0.2, seed)[1]) for seed in (1, 1, 2, 3)]
    assert parts[0] == parts[1]
    assert len({frozenset(part) for part in parts}) > 1


@pytest.mark.parametrize(("count", "told"), [(0, "no image"), (1, "1 image"), (3, "3 images of one group")])
def test_what_cannot_be_parted_is_an_error_or_has_no_second_part(count, told):
    given = samples(count, group=lambda index: "one")
    with pytest.raises(InputError, match=told):
        hold_out(given)
    assert hold_out(given, needed=False) == (given, [])


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_of_nothing_or_all_is_refused(share):
    with pytest.raises(InputError, match="between 0 and 1"):
        hold_out(samples(4), share)


def test_each_is_validated_on_once():
    given = samples(10, group=lambda index: f"slide {index // 2}")
    made = folds(given, 5)
    assert sorted(name for _, val in made for name in names(val)) == sorted(names(given))
    for train, val in made:
        assert len(train) == 8
        assert not {sample.group for sample in train} & {sample.group for sample in val}


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(InputError, match="cannot fill"):
        folds(samples(6, group=lambda index: index % 2), 3)
