"""Panoptic quality against the paper's rules written out segment by segment."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.metrics.panoptic import joined_stuff, panoptic_quality
from smalti.segmentation import Segmentation

CLASSES = ClassSet(
    [Class(1, "sky", (0, 0, 255), False), Class(2, "car", (255, 0, 0)), Class(5, "dog", (0, 255, 0))]
)


def of(labels, class_ids, **fields):
    return Segmentation.from_labels(np.array(labels), class_ids=class_ids, classes=CLASSES, **fields)


def by_the_rules(truth, predicted, crowd):
    """(sum of IoU, TP, FP, FN) of each class as in Kirillov et al. 2019, section 4, void and crowd in truth alone.

    Matched: same class, IoU > 0.5 with void taken from the union. A predicted segment without a partner is no false
    positive if more than half of it is void or crowd of its class.
    """
    counts = {int(class_id): [0.0, 0, 0, 0] for class_id in CLASSES.ids}
    taken = set()
    for i, mask in enumerate(truth.masks()):
        for j, other in enumerate(predicted.masks()):
            shared = (mask & other).sum()
            union = mask.sum() + other.sum() - shared - (other & truth.void).sum()
            same = truth.class_ids[i] == predicted.class_ids[j]
            if same and not crowd[i] and shared > 0.5 * union:
                counts[truth.class_ids[i]][0] += shared / union
                counts[truth.class_ids[i]][1] += 1
                taken |= {("truth", i), ("predicted", j)}
    for i in range(len(truth)):
        if ("truth", i) not in taken and not crowd[i]:
            counts[truth.class_ids[i]][3] += 1
    for j, other in enumerate(predicted.masks()):
        ignored = (other & truth.void).sum()
        for i, mask in enumerate(truth.masks()):
            if crowd[i] and truth.class_ids[i] == predicted.class_ids[j]:
                ignored += (other & mask).sum()
        if ("predicted", j) not in taken and ignored <= 0.5 * other.sum():
            counts[predicted.class_ids[j]][2] += 1
    return np.array(list(counts.values()))


@pytest.mark.parametrize("seed", range(30))
def test_as_the_paper_says(seed):
    rng = np.random.default_rng(seed)

    def blocks():
        """Blocks of a coarse grid, jittered, so that some pairs match and some do not."""
        labels = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((8, 8), int))
        labels = np.roll(labels, rng.integers(-2, 3, 2), (0, 1))
        labels[rng.random(labels.shape) < rng.choice([0, 0.2, 0.45])] = 0
        return labels

    things = [2, 5, 2, 2, 5, 5, 2, 2]
    void = rng.random((24, 24)) < rng.choice([0, 0.3])
    void[:8, :8] |= rng.random() < 0.5
    truth_labels = blocks() * ~void
    crowd = [False, rng.random() < 0.5, *[False] * 7]
    kept = np.bincount(truth_labels.ravel(), minlength=10)[1:] > 0
    truth = of(truth_labels, [1, *things], void=void, attributes={"crowd": crowd})[kept]
    predicted = of(blocks(), [1, *rng.permutation(things)])
    predicted = predicted[predicted.areas_px > 0]
    wanted = by_the_rules(truth, predicted, truth.attributes["crowd"])
    found = panoptic_quality(truth, predicted)
    got = np.stack([found.matched_iou, found.found, found.extra, found.missed], axis=1)
    assert np.allclose(got, wanted)


def test_scores_by_hand():
    truth = of([[2, 2, 2, 2, 0, 3, 3, 1]], [1, 2, 2])
    predicted = of([[2, 2, 2, 0, 0, 0, 0, 1]], [1, 2])
    found = panoptic_quality(truth, predicted)
    assert found.pq_of_class[:2].tolist() == [1, 0.75 / 1.5]
    assert np.isnan(found.pq_of_class[2])
    assert (found.pq, found.sq, found.rq) == (0.75, 0.875, (1 + 1 / 1.5) / 2)
    both = found + found
    assert (both.pq, both.found.tolist()) == (found.pq, [2, 2, 0])


def test_nothing_against_nothing_is_perfect_and_against_something_nought():
    nothing, something = of([[0, 0]], []), of([[1, 0]], [2])
    assert panoptic_quality(nothing, nothing).pq == panoptic_quality(nothing, nothing).sq == 1
    assert panoptic_quality(nothing, something).pq == panoptic_quality(something, nothing).pq == 0


def test_stuff_in_pieces_is_one_segment():
    pieces, whole = of([[1, 1, 2, 2]], [1, 1]), of([[1, 1, 1, 1]], [1])
    assert panoptic_quality(pieces, whole).pq == 1
    assert joined_stuff(of([[2, 1, 3]], [1, 2, 1])).class_ids.tolist() == [1, 2]
    things = of([[1, 1, 2, 2]], [2, 2])
    assert panoptic_quality(things, of([[1, 1, 1, 1]], [2])).pq == 0


def test_void_and_crowds_excuse_both_sides_alike():
    void = np.array([[True, True, True, False, False]])
    blind = of([[0, 0, 0, 0, 0]], [], void=void)
    finds = of([[1, 1, 1, 1, 0]], [2])
    assert panoptic_quality(blind, finds).pq == panoptic_quality(finds, blind).pq == 1
    crowd = of([[1, 1, 1, 1, 1]], [2], attributes={"crowd": [True]})
    assert panoptic_quality(crowd, finds).pq == panoptic_quality(finds, crowd).pq == 1
    dog = of([[1, 1, 1, 1, 0]], [5])
    assert panoptic_quality(crowd, dog).extra.tolist() == [0, 0, 1]


def test_overlapping_segments_find_their_best_partners():
    masks = np.zeros((2, 1, 10), bool)
    masks[0, 0, :8], masks[1, 0, 2:] = True, True
    segments = Segmentation.from_masks(masks)
    found = panoptic_quality(segments, segments)
    assert (found.found[0], found.pq) == (2, 1)
