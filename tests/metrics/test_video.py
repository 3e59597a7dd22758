"""Masks through a clip: TrackEval's J and F kept, brute force for tubes, DAVIS sequences against themselves."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.metrics.clip import Clip
from smalti.metrics.pair import Pair
from smalti.metrics.panoptic import panoptic_quality
from smalti.metrics.tubes import SegmentationTracking, VideoPanoptic, tube_quality
from smalti.metrics.video import (
    Davis,
    TemporalConsistency,
    contour_accuracy,
    decay,
    object_scores,
    recall,
    steadiness,
    video_consistency,
)
from smalti.segmentation import Segmentation

GOLDEN = Path(__file__).parents[1] / "golden"
METRICS = (Davis(), TemporalConsistency(length=3), VideoPanoptic(), SegmentationTracking())
CLASSES = ClassSet(
    [Class(4, "car", (255, 0, 0)), Class(2, "road", (0, 0, 255), thing=False), Class(7, "dog", (0, 255, 0))]
)


def maker():
    spec = importlib.util.spec_from_file_location("make_tracking", GOLDEN / "make_tracking.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = maker()
KEPT = json.loads((GOLDEN / "tracking.json").read_text(encoding="utf-8"))["cases"]


def scores(metric, *clips):
    kept = [metric.keep_clip(frames) for frames in clips]
    return {name: values[0] for name, values in metric.score(kept, np.ones((1, len(kept)))).items()}


def masks(truths, predicted):
    """A clip of one object from bool masks of truth and predicted."""

    def side(mask):
        return Segmentation.from_labels(np.asarray(mask).astype(int), class_ids=[1])

    return [Pair(side(one), side(other)) for one, other in zip(truths, predicted, strict=True)]


def panoptic_clip(seed, frames=5, shape=(10, 12), void=True):
    """Blocks of road, cars and dogs with tracks, jittered on the predicted side; void and a crowd in truth."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(frames):
        sides = []
        for side in range(2):
            labels = np.kron(np.arange(1, 7).reshape(2, 3), np.ones((5, 4), int))
            labels = np.roll(labels, random.integers(-1, 2, 2) * side, (0, 1))
            labels[random.random(shape) < (0.1, 0.3)[side]] = 0
            class_ids = np.array([2, 4, 4, 7, 2, 7])
            tracks = np.array([0, 1, 2, 1, 0, 2])
            crowd = np.zeros(6, bool)
            if side == 0:
                crowd[2] = random.random() < 0.3
            elif random.random() < 0.3:
                tracks = np.array([0, 2, 1, 3, 0, 2])
            elif random.random() < 0.3:
                class_ids = np.array([2, 7, 4, 4, 2, 7])
            ignored = (random.random(shape) < 0.15) & void & (side == 0)
            sides.append(
                Segmentation.from_labels(
                    labels * ~ignored,
                    class_ids=class_ids,
                    classes=CLASSES,
                    void=ignored,
                    attributes={"track_id": tracks, "crowd": crowd},
                )
            )
        made.append(Pair(*sides))
    return made


def pixel_keys(segmentation, thing_only=False):
    """What each pixel is of: (class, track) or None, the crowd's class or None, as lists over the pixels."""
    keys, crowds = [], []
    for label in segmentation.labels.ravel():
        if label == 0:
            keys.append(None)
            crowds.append(None)
            continue
        class_id = int(segmentation.class_ids[label - 1])
        track = int(segmentation.attributes["track_id"][label - 1])
        crowd = bool(segmentation.attributes["crowd"][label - 1])
        keys.append(None if crowd else (class_id, track if CLASSES.of(class_id).thing else 0))
        crowds.append(class_id if crowd else None)
    return keys, crowds


def vpq_by_pixels(frames, size):
    """(sum of IoU, TP, FN, FP) of each class, every window a volume whose pixels are counted one by one."""
    counts = {int(class_id): np.zeros(4) for class_id in CLASSES.ids}
    for start in range(len(frames) - size + 1):
        of, other, crowd, void = [], [], [], []
        for pair in frames[start : start + size]:
            keys, crowds = pixel_keys(pair.truth)
            of += keys
            crowd += crowds
            other += pixel_keys(pair.predicted)[0]
            void += pair.truth.void.ravel().tolist()
        pixels = list(zip(of, other, crowd, void, strict=True))
        truths, predictions = ({key for key in keys if key} for keys in (of, other))
        matched = set()
        for key in truths:
            for partner in predictions:
                both = sum(a == key and b == partner for a, b, _, _ in pixels)
                either = sum((a == key or b == partner) and not ignored for a, b, _, ignored in pixels)
                if key[0] == partner[0] and both > 0.5 * either:
                    counts[key[0]] += [both / either, 1, 0, 0]
                    matched |= {("truth", key), ("predicted", partner)}
        for key in truths:
            counts[key[0]][2] += ("truth", key) not in matched
        for key in predictions:
            area = sum(b == key for _, b, _, _ in pixels)
            free = sum(b == key and (ignored or of_crowd == key[0]) for _, b, of_crowd, ignored in pixels)
            counts[key[0]][3] += ("predicted", key) not in matched and 2 * free <= area
    return np.array([counts[int(class_id)] for class_id in CLASSES.ids])


def stq_by_pixels(frames):
    """STQ, AQ and SQ from sets of pixels."""
    of_class, tubes = [{} for _ in range(2)], [{} for _ in range(2)]
    for number, pair in enumerate(frames):
        crowd = pixel_keys(pair.truth)[1]
        for side, segmentation in enumerate((pair.truth, pair.predicted)):
            keys = pixel_keys(segmentation)[0]
            for at, label in enumerate(segmentation.labels.ravel()):
                if label == 0 or pair.truth.void.ravel()[at]:
                    continue
                class_id = int(segmentation.class_ids[label - 1])
                of_class[side].setdefault(class_id, set()).add((number, at))
                if keys[at] and CLASSES.of(class_id).thing and crowd[at] is None:
                    tubes[side].setdefault(keys[at], set()).add((number, at))
    found = []
    for class_id in set(of_class[0]) | set(of_class[1]):
        one, two = (side.get(class_id, set()) for side in of_class)
        found.append(len(one & two) / len(one | two))
    quality = [
        sum(len(g & p) * len(g & p) / len(g | p) for p in tubes[1].values()) / len(g)
        for g in tubes[0].values()
    ]
    aq, sq = np.mean(quality), np.mean(found)
    return np.sqrt(aq * sq), aq, sq


# J and F


@pytest.mark.parametrize("name", [name for name, case in KEPT.items() if "j_and_f" in case])
def test_j_and_f_are_those_of_trackeval(name):
    found = scores(Davis(partners="best"), MAKER.clip(**MAKER.CASES[name]))
    names = {
        "j": "J-Mean", "j_recall": "J-Recall", "j_decay": "J-Decay",
        "f": "F-Mean", "f_recall": "F-Recall", "f_decay": "F-Decay", "j_and_f": "J&F",
    }  # fmt: skip
    for ours, theirs in names.items():
        assert found[ours] == pytest.approx(KEPT[name]["j_and_f"][theirs], abs=1e-9), ours


def test_j_by_hand():
    truth = np.zeros((3, 4, 6), bool)
    truth[:2, 1:3, 1:3] = True
    predicted = np.zeros_like(truth)
    predicted[0, 1:3, 1:4] = True
    found = object_scores(masks(truth, predicted))
    assert found.j.tolist() == [[4 / 6, 0, 1]]  # nothing there and nothing predicted is right
    assert found.f[0, 1:].tolist() == [0, 1]
    assert recall(found.j).tolist() == [2 / 3]
    dropped = object_scores(masks(truth, predicted), drop_ends=True)
    assert dropped.j.tolist() == [[0]]


def test_quarters_of_decay_share_their_ends():
    values = np.arange(9.0)[::-1]
    assert decay(values) == 7 - 1
    assert decay(np.array([1.0])) == 0
    long = np.repeat([1.0, 0.0], 300)
    assert decay(long) == 1


def test_partners_by_id_are_held_to_their_name():
    labels = np.array([[1, 1, 0, 2, 2]])
    truth = Segmentation.from_labels(labels)
    swapped = truth.replace(attributes={"track_id": np.array([2, 1])})
    frames = [Pair(truth, swapped)] * 3
    assert scores(Davis("id"), frames)["j"] == 0
    assert scores(Davis("best"), frames)["j_and_f"] == 1


@pytest.mark.parametrize("partners", ["id", "best"])
def test_an_object_of_another_class_is_no_partner(partners):
    classes = ClassSet.from_names(["one", "two"])
    truth = Segmentation.from_labels(np.array([[1, 1, 0]]), class_ids=[1], classes=classes)
    assert scores(Davis(partners), [Pair(truth, truth.replace(class_ids=[2]))])["j"] == 0


def test_predicted_tracks_without_a_partner_count_for_nothing():
    truth = Segmentation.from_labels(np.array([[1, 1, 0, 0, 0]]))
    predicted = Segmentation.from_labels(np.array([[1, 1, 0, 2, 2]]))
    assert scores(Davis(), [Pair(truth, predicted)] * 2)["j_and_f"] == 1


@given(st.integers(0, 10_000))
def test_contours_are_found_one_pixel_at_a_time(seed):
    random = np.random.default_rng(seed)
    one, two = (random.random((7, 9)) < random.choice([0.1, 0.5, 1]) for _ in range(2))

    def contour(mask):
        height, width = mask.shape
        found = []
        for y in range(height):
            for x in range(width):
                below, right = min(y + 1, height - 1), min(x + 1, width - 1)
                if {mask[y, x], mask[below, x], mask[y, right], mask[below, right]} == {False, True}:
                    found.append((y, x))
        return np.array(found).reshape(-1, 2)

    first, second = contour(one), contour(two)
    if not len(first) or not len(second):
        wanted = float(len(first) == len(second))
    else:
        near = ((first[:, None] - second) ** 2).sum(axis=2) <= 2**2
        precision, found = near.any(axis=0).mean(), near.any(axis=1).mean()
        wanted = 2 * precision * found / (precision + found) if precision + found else 0
    assert contour_accuracy(one, two, 2) == pytest.approx(wanted)
    assert contour_accuracy(two, one, 2) == pytest.approx(wanted)


def test_a_cut_object_has_the_contour_of_the_whole_image():
    random = np.random.default_rng(3)
    truth, predicted = np.zeros((2, 8, 60, 80), bool)
    for number in range(8):
        (y, x), size = random.integers(0, (45, 60)), random.integers(3, 20)
        truth[number, y : y + size, x : x + size] = random.random((60 - y, 80 - x))[:size, :size] < 0.9
        predicted[number, y + 1 : y + size, x : x + size] = True
    truth[0, -1, -1] = predicted[0, 0, 0] = True
    found = object_scores(masks(truth, predicted))
    wanted = [contour_accuracy(one, two) for one, two in zip(truth, predicted, strict=True)]
    assert found.f[0].tolist() == pytest.approx(wanted)


def test_volumes_have_contours_too():
    mask = np.zeros((6, 8, 8), bool)
    mask[2:4, 2:6, 2:6] = True
    assert contour_accuracy(mask, mask) == 1
    assert contour_accuracy(mask, np.roll(mask, 1, 0), 1) == 1
    assert contour_accuracy(mask, np.roll(mask, 2, 0), 1) < 1


# Steadiness


def test_video_consistency_by_hand():
    classes = ClassSet.from_names(["a", "b"])

    def side(rows, void=None):
        return [Segmentation.from_semantic_map(np.array([row]), classes, void=void) for row in rows]

    truth = side([[1, 1, 2, 1, 9], [1, 1, 2, 2, 1], [1, 1, 2, 2, 1]], void=9)
    predicted = side([[1, 2, 2, 1, 1], [1, 1, 2, 2, 1], [1, 1, 1, 2, 1]])
    frames = [Pair(*sides) for sides in zip(truth, predicted, strict=True)]
    assert video_consistency(frames, 2).tolist() == [2 / 3, 4 / 5]
    assert video_consistency(frames, 3).tolist() == [1 / 3]
    assert len(video_consistency(frames, 4)) == 0
    assert np.isnan(scores(TemporalConsistency(4), frames)["vc"])


@given(st.integers(0, 10_000))
def test_video_consistency_is_what_the_paper_writes(seed):
    random = np.random.default_rng(seed)
    classes = ClassSet.from_names(["a", "b"])
    truth, predicted = random.choice(3, (2, 6, 4, 5), p=[0.1, 0.8, 0.1])
    frames = [
        Pair(*(Segmentation.from_semantic_map(one, classes) for one in sides))
        for sides in zip(truth, predicted, strict=True)
    ]
    for length in (1, 3):
        for start, got in enumerate(video_consistency(frames, length)):
            true, found = truth[start : start + length], predicted[start : start + length]
            still = (true == true[0]).all(axis=0) & (true[0] > 0)
            right = still & (found == true[0]).all(axis=0)
            wanted = right.sum() / still.sum() if still.any() else np.nan
            assert got == pytest.approx(wanted, nan_ok=True)


def test_flicker_shows_beside_a_truth_that_stands_still():
    still = np.zeros((4, 5, 5), bool)
    still[:, 1:4, 1:4] = True
    blinking = still.copy()
    blinking[::2] = False
    of_truth, of_predicted = steadiness(masks(still, blinking))
    assert of_truth.tolist() == [1, 1, 1]
    assert of_predicted.tolist() == [0, 0, 0]
    assert scores(TemporalConsistency(), masks(still, blinking))["flicker"] == 1
    assert scores(TemporalConsistency(), masks(blinking, still))["flicker"] == -1


# Tubes


@pytest.mark.parametrize("seed", range(12))
def test_tubes_are_matched_as_in_volumes_of_pixels(seed):
    frames = panoptic_clip(seed)
    clip = Clip.of(frames)
    for size in (1, 2, 4):
        found = tube_quality(clip, size)
        got = np.stack([found.matched_iou, found.found, found.missed, found.extra], axis=1)
        assert np.allclose(got, vpq_by_pixels(frames, size)), size


def test_the_tube_clips_match_and_miss():
    totals = sum(vpq_by_pixels(panoptic_clip(seed), 2) for seed in range(12)).sum(axis=0)
    assert (totals > 5).all()


def test_vpq_is_the_mean_over_windows():
    frames = panoptic_clip(3)
    found = scores(VideoPanoptic(windows=(1, 2)), frames)
    of_window = []
    for size in (1, 2):
        iou, matched, missed, extra = vpq_by_pixels(frames, size).T
        of_window.append(np.mean(iou / (matched + missed / 2 + extra / 2)))
    assert [found["vpq_1"], found["vpq_2"]] == pytest.approx(of_window)
    assert found["vpq"] == pytest.approx(np.mean(of_window))
    assert found["vpq_of_class"].shape == (3,)


@pytest.mark.parametrize("seed", range(6))
def test_windows_of_one_frame_are_panoptic_quality(seed):
    (pair,) = panoptic_clip(seed, frames=1)
    found, wanted = tube_quality(Clip.of([pair]), 1), panoptic_quality(pair.truth, pair.predicted)
    for name in ("matched_iou", "found", "missed", "extra"):
        assert np.allclose(getattr(found, name), getattr(wanted, name)), name


def test_a_switch_costs_long_windows_only():
    labels = np.array([[1, 1, 0, 2, 2]])
    truth = Segmentation.from_labels(labels, attributes={"track_id": np.array([1, 2])})
    swapped = truth.replace(attributes={"track_id": np.array([2, 1])})
    found = scores(VideoPanoptic(), [Pair(truth, truth)] * 2 + [Pair(truth, swapped)] * 2)
    assert found["vpq_1"] == 1
    assert found["vpq_2"] == pytest.approx(2 / 3)  # the middle one of three windows fails
    assert found["vpq_4"] == 0


def test_stuff_is_one_tube_whatever_its_ids():
    road = Segmentation.from_labels(np.array([[1, 1, 0, 2]]), class_ids=[2, 2], classes=CLASSES)
    truth = road.replace(attributes={"track_id": np.array([1, 2])})
    predicted = [road.replace(attributes={"track_id": np.array(ids)}) for ids in ([5, 5], [6, 9])]
    assert scores(VideoPanoptic(windows=(1, 2)), [Pair(truth, one) for one in predicted])["vpq"] == 1


def test_windows_longer_than_every_clip_are_no_score():
    found = scores(VideoPanoptic(), panoptic_clip(0, frames=2))
    assert np.isnan(found["vpq_3"])
    assert found["vpq"] == pytest.approx((found["vpq_1"] + found["vpq_2"]) / 2)


@pytest.mark.parametrize("seed", range(12))
def test_stq_is_that_of_sets_of_pixels(seed):
    frames = panoptic_clip(seed)
    found = scores(SegmentationTracking(), frames)
    assert [found["stq"], found["aq"], found["sq"]] == pytest.approx(stq_by_pixels(frames))


def test_stq_of_a_track_cut_in_half():
    truth = [Segmentation.from_labels(np.array([[1, 1, 0]]), attributes={"track_id": np.array([1])})] * 4
    predicted = [truth[0].replace(attributes={"track_id": np.array([name])}) for name in (1, 1, 2, 2)]
    found = scores(SegmentationTracking(), [Pair(*sides) for sides in zip(truth, predicted, strict=True)])
    assert found["aq"] == 0.5  # 1/8 of twice 4 pixels times an IoU of a half
    assert found["sq"] == 1
    assert found["stq"] == pytest.approx(np.sqrt(0.5))


# All of them


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_truth_against_itself_is_perfect(metric):
    frames = [Pair(pair.truth, pair.truth) for pair in MAKER.clip(**MAKER.CASES["everything"])]
    assert scores(metric, frames)[metric.headline] == 1


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_clips_are_summed_and_scored_for_many_weightings(metric):
    first, second = panoptic_clip(0), panoptic_clip(1, frames=7)
    kept = [metric.keep_clip(first), metric.keep_clip(second)]
    table = metric.score(kept, np.array([[1, 0], [0, 1], [1, 1], [3, 3]]))
    assert set(table) == {score.name for score in metric.scores}
    for score in metric.scores:
        values = table[score.name]
        assert values.shape == ((4, 3) if score.per_class else (4,))
        assert np.allclose(values[2], values[3], equal_nan=True)
        assert np.allclose(values[0], scores(metric, first)[score.name], equal_nan=True)


@pytest.mark.parametrize("metric", [METRICS[0], METRICS[1], METRICS[3]], ids=lambda metric: metric.name)
def test_what_is_predicted_in_void_changes_nothing(metric):
    """But VPQ, which asks whether a tube is mostly void."""
    plain = panoptic_clip(5, void=False)
    region = np.zeros((10, 12), bool)
    region[2:5, 3:9] = True
    made = []
    for noise in (0, 1):
        random = np.random.default_rng(noise)
        frames = []
        for pair in plain:
            spoilt = np.where(region, random.integers(0, 7, region.shape), pair.predicted.labels)
            void = Segmentation.from_labels(
                pair.truth.labels * ~region,
                class_ids=pair.truth.class_ids,
                classes=CLASSES,
                void=region,
                attributes=dict(pair.truth.attributes),
            )
            again = Segmentation.from_labels(
                spoilt,
                class_ids=pair.predicted.class_ids,
                classes=CLASSES,
                attributes=dict(pair.predicted.attributes),
            )
            frames.append(Pair(void, again))
        made.append(scores(metric, frames))
    for name, values in made[0].items():
        assert np.allclose(values, made[1][name], equal_nan=True), name


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_nothing_on_either_side_is_no_score(metric):
    empty = Segmentation.from_labels(np.zeros((4, 5), int))
    found = scores(metric, [Pair(empty, empty)] * 4)
    assert all(np.isnan(values).all() for values in found.values())


def test_bad_settings_are_told():
    frames = panoptic_clip(0, frames=2)
    with pytest.raises(InputError, match="partners must be"):
        object_scores(frames, partners="nearest")
    with pytest.raises(InputError, match="drop_ends needs 3"):
        object_scores(frames, drop_ends=True)
    with pytest.raises(InputError, match="tolerance"):
        contour_accuracy(np.ones((2, 2), bool), np.ones((2, 2), bool), 0)
    with pytest.raises(InputError, match="one shape"):
        contour_accuracy(np.ones((2, 2), bool), np.ones((2, 3), bool))
    with pytest.raises(InputError, match="length"):
        video_consistency(frames, 0)
    with pytest.raises(InputError, match="windows"):
        VideoPanoptic(windows=(0, 1))


# Real sequences


@pytest.mark.realdata
def test_davis_sequences(data_dir):
    import cv2

    folder = data_dir / "davis2016" / "Annotations" / "480p"
    kept = {"itself": [], "shifted": [], "late": []}
    for name in ("car-shadow", "dog", "horsejump-high"):
        truth = [cv2.imread(str(path), 0) > 127 for path in sorted((folder / name).glob("*.png"))[:12]]
        tries = {
            "itself": truth,
            "shifted": [np.roll(mask, 1, 1) for mask in truth],
            "late": [truth[0], *truth[:-1]],
        }
        for what, predicted in tries.items():
            kept[what].append(masks(truth, predicted))
    davis = {what: scores(Davis(), *clips) for what, clips in kept.items()}
    assert davis["itself"]["j_and_f"] == 1
    assert davis["itself"]["j_recall"] == davis["itself"]["f_recall"] == 1
    assert 0.95 < davis["shifted"]["j"] < 1
    assert davis["shifted"]["f"] == 1  # well inside the 8 pixels of tolerance
    assert davis["late"]["j"] < davis["shifted"]["j"]
    assert 0.6 < davis["late"]["j"] < 0.97
    steady = {what: scores(TemporalConsistency(), *clips) for what, clips in kept.items()}
    assert steady["itself"]["vc"] == 1
    assert steady["itself"]["flicker"] == 0
    assert abs(steady["shifted"]["flicker"]) < 0.01
    assert steady["late"]["vc"] < 1
