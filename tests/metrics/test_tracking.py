"""Identity through a clip: TrackEval's numbers kept, and what void, crowds and classes change."""

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
from smalti.metrics.tracking import ClearMot, Hota, Identity
from smalti.segmentation import Segmentation

GOLDEN = Path(__file__).parents[1] / "golden"
METRICS = (Hota(), Identity(), ClearMot())


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


def frame(truth, predicted, void=None, crowd=None, classes=None):
    """A picture of one row: each side is a text, a letter a pixel; the letter is the track, '.' none."""

    def side(text, void, crowd=""):
        letters = sorted(set(text) - set("."))
        labels = np.array([[letters.index(letter) + 1 if letter != "." else 0 for letter in text]])
        return Segmentation.from_labels(
            labels,
            class_ids=[2 if classes and letter in classes else 1 for letter in letters],
            classes=ClassSet.from_names(["one", "two"]),
            void=void,
            attributes={
                "track_id": np.array([ord(letter) for letter in letters], np.int64),
                "crowd": np.array([letter in crowd for letter in letters], bool),
            },
        )

    mask = None if void is None else np.array([[letter == "x" for letter in void]])
    return Pair(side(truth, mask, crowd or ""), side(predicted, None))


@pytest.mark.parametrize("name", MAKER.CASES)
def test_numbers_are_those_of_trackeval(name):
    frames = MAKER.clip(**MAKER.CASES[name])
    wanted = KEPT[name]
    hota, identity, clear = (scores(metric, frames) for metric in METRICS)
    none_true, none_predicted = (
        not any(len(side) for side in sides)
        for sides in zip(*[(p.truth, p.predicted) for p in frames], strict=True)
    )
    names = {"hota": "HOTA", "det_a": "DetA", "ass_a": "AssA", "ass_re": "AssRe", "ass_pr": "AssPr"}
    if not none_true:
        names["det_re"] = "DetRe"
    if not none_predicted:
        names["det_pr"] = "DetPr"
    for ours, theirs in names.items():
        assert hota[ours] == pytest.approx(wanted["hota"][theirs], abs=1e-9), ours
    matched = np.array(wanted["hota"]["HOTA_TP by alpha"]) > 0
    if matched.any():
        located = np.array(wanted["hota"]["LocA by alpha"])[matched].mean()
        assert hota["loc_a"] == pytest.approx(located, abs=1e-9)
    else:
        assert np.isnan(hota["loc_a"])

    assert identity["idf1"] == pytest.approx(wanted["identity"]["IDF1"], abs=1e-9)
    for ours, theirs, nothing in (("id_recall", "IDR", none_true), ("id_precision", "IDP", none_predicted)):
        assert (
            np.isnan(identity[ours])
            if nothing
            else identity[ours] == pytest.approx(wanted["identity"][theirs], abs=1e-9)
        )

    assert clear["id_switches"] == wanted["clear"]["IDSW"]
    if none_true:
        assert np.isnan(clear["mota"])
    else:
        for ours, theirs in {"mota": "MOTA", "smotsa": "sMOTA", "recall": "CLR_Re"}.items():
            assert clear[ours] == pytest.approx(wanted["clear"][theirs], abs=1e-9)
    if wanted["clear"]["CLR_TP"]:
        assert clear["motp"] == pytest.approx(wanted["clear"]["MOTP"], abs=1e-9)


def test_the_golden_clips_have_something_to_count():
    assert KEPT["everything"]["clear"]["IDSW"] > 5
    assert 0.2 < KEPT["everything"]["hota"]["HOTA"] < 0.8
    assert (
        KEPT["poor masks"]["hota"]["HOTA_TP by alpha"][-1] < KEPT["poor masks"]["hota"]["HOTA_TP by alpha"][0]
    )


def test_truth_against_itself_is_perfect():
    frames = [Pair(pair.truth, pair.truth) for pair in MAKER.clip(**MAKER.CASES["everything"])]
    assert all(scores(Hota(), frames)[name] == 1 for name in ("hota", "det_a", "ass_a", "loc_a"))
    assert scores(Identity(), frames)["idf1"] == 1
    clear = scores(ClearMot(), frames)
    assert (clear["mota"], clear["id_switches"], clear["motp"]) == (1, 0, 1)


def test_one_switch_by_hand():
    # Four frames; the tracker calls the object A, A, B, B: half of it is the best that one identity gets.
    frames = [frame("aa..", f"{letter * 2}..") for letter in "ppqq"]
    assert scores(Identity(), frames)["idf1"] == 0.5
    assert scores(ClearMot(), frames)["mota"] == 1 - 1 / 4
    found = scores(Hota(), frames)
    assert found["det_a"] == 1
    assert found["ass_a"] == 0.5  # each of the matches: TPA 2, FNA 2, FPA 0
    assert found["hota"] == pytest.approx(np.sqrt(0.5))


def test_a_switch_is_told_after_a_gap():
    frames = [frame("aa..", "pp.."), frame("aa..", "...."), frame("aa..", "qq..")]
    found = scores(ClearMot(), frames)
    assert found["id_switches"] == 1
    assert found["mota"] == pytest.approx(1 - 2 / 3)


def test_names_of_identities_do_not_matter():
    frames = [frame("aabb", "ppqq"), frame("aab.", "ppq.")]
    again = [frame("aabb", "yyxx"), frame("aab.", "yyx.")]
    for metric in METRICS:
        assert np.array_equal(metric.keep_clip(frames), metric.keep_clip(again))


def test_what_lies_in_void_counts_for_neither():
    plain = [frame("aa....", "pp....")] * 2
    void = [frame("aa..bb", "pp..qq", void="....xx")] * 2
    half = [frame("aa....", "pp.qqq", void="....xx")] * 2  # q: 2 of 3 in void, nothing there to find
    for metric in METRICS:
        assert np.array_equal(metric.keep_clip(plain), metric.keep_clip(void))
        assert np.array_equal(metric.keep_clip(plain), metric.keep_clip(half))
    seen = [frame("aa....", "ppqqqx", void=".....x")] * 2
    assert scores(ClearMot(), seen)["precision"] < 1


def test_crowds_are_neither_missed_nor_charge_what_is_found_in_them():
    frames = [frame("aa.cccc", "pp.qqrr", crowd="c")] * 2
    assert scores(ClearMot(), frames)["mota"] == 1
    assert scores(Identity(), frames)["idf1"] == 1
    assert scores(Hota(), frames)["hota"] == 1


def test_a_crowd_of_another_class_excuses_nothing():
    frames = [frame("aa.cccc", "pp.qqqq", crowd="c", classes="q")] * 2
    assert scores(ClearMot(), frames)["precision"] == 0.5


def test_what_is_mostly_void_must_have_a_partner_to_count():
    partnered = frame("aaaa......", "pppppppppp", void="....xxxxxx")
    touching = frame("aaaa......", "...ppppppp", void="....xxxxxx")
    assert scores(ClearMot(), [partnered])["precision"] == 1
    assert np.isnan(scores(ClearMot(), [touching])["precision"])


def test_a_pair_that_still_matches_is_kept_for_a_better_one():
    before, both, away = frame("aaaaa", "pp..."), frame("aaaaa", "ppqqq"), frame("bb...", "rr...")
    assert scores(ClearMot(min_iou=0.3), [before, both])["id_switches"] == 0
    assert scores(ClearMot(min_iou=0.3), [before, away, both])["id_switches"] == 1


def test_another_class_is_no_partner():
    frames = [frame("aa..bb", "aa..bb", classes="b")] * 3
    crossed = [Pair(pair.truth, pair.predicted.replace(class_ids=[1, 1])) for pair in frames]
    found = scores(Identity(), crossed)
    assert found["idf1"] == 0.5
    assert found["idf1_of_class"].tolist() == [pytest.approx(2 / 3), 0]
    assert scores(Hota(), crossed)["hota_of_class"][1] == 0


def test_stuff_has_no_identity():
    classes = ClassSet([Class(1, "sky", (0, 0, 255), thing=False), Class(2, "car", (255, 0, 0))])
    labels = np.array([[1, 1, 2, 2]])
    truth = Segmentation.from_labels(labels, class_ids=[1, 2], classes=classes)
    predicted = Segmentation.from_labels(labels * (labels == 2), class_ids=[1, 2], classes=classes)
    assert scores(ClearMot(), [Pair(truth, predicted)])["mota"] == 1


def test_nothing_on_either_side_is_no_score():
    empty = [frame("....", "....")] * 3
    for metric in METRICS:
        found = scores(metric, empty)
        assert all(np.isnan(found[name]).all() for name in found if name != "id_switches")
    assert scores(Hota(), [frame("....", "pp..")])["hota"] == 0
    assert scores(Hota(), [frame("aa..", "....")])["hota"] == 0


def test_the_pieces_of_a_track_in_one_frame_are_one_thing():
    labels = np.array([[1, 1, 0, 2, 2, 0]])
    ids = {"track_id": np.array([7, 7])}
    pieces = Segmentation.from_labels(labels, attributes=ids)
    whole = Segmentation.from_labels((labels > 0).astype(int), attributes={"track_id": np.array([7])})
    clip = Clip.of([Pair(pieces, whole)] * 2)
    assert len(clip.truth) == 1
    assert clip.iou.tolist() == [1, 1]


def test_clips_are_summed():
    first, second = (MAKER.clip(seed, frames=6) for seed in (20, 21))
    for metric in METRICS:
        kept = [metric.keep_clip(first), metric.keep_clip(second)]
        table = metric.score(kept, np.array([[1, 0], [0, 1], [1, 1], [2, 0]]))
        assert all(values.shape[0] == 4 for values in table.values())
        headline = table[metric.headline]
        assert headline[0] == scores(metric, first)[metric.headline]
        assert min(headline[:2]) <= headline[2] <= max(headline[:2])
        assert headline[3] == headline[0]
        assert set(table) == {score.name for score in metric.scores}


def test_an_image_is_a_clip_of_one_frame():
    pair = frame("aab", "ppq")
    assert np.array_equal(Hota().keep(pair), Hota().keep_clip([pair]))


def test_bad_clips_are_told():
    pair = frame("aa", "pp")
    with pytest.raises(InputError, match="at least one frame"):
        Clip.of([])
    with pytest.raises(InputError, match="share shape"):
        Clip.of([pair, frame("aaa", "ppp")])
    bare = Segmentation.from_labels(np.array([[1, 1]]), classes=pair.truth.classes)
    with pytest.raises(InputError, match="truth have a track_id in some frames"):
        Clip.of([pair, Pair(bare, pair.predicted)])
    named = bare.replace(attributes={"track_id": np.array(["left"])})
    with pytest.raises(InputError, match="whole numbers"):
        Clip.of([Pair(bare, named)])
    with pytest.raises(InputError, match="min_iou"):
        Identity(min_iou=0)


@given(st.integers(0, 500))
def test_hota_lies_between_nought_and_the_mean_of_its_parts(seed):
    found = scores(Hota(), MAKER.clip(seed, frames=5, objects=4, switch=0.2))
    assert (
        0 <= found["hota"] <= np.sqrt(found["det_a"] * found["ass_a"]) + 1e-12 <= 1 + 1e-12
    )  # Cauchy, Schwarz
    assert found["det_a"] <= min(found["det_re"], found["det_pr"])
    assert found["ass_a"] <= min(found["ass_re"], found["ass_pr"])
