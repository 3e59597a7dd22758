"""Copies of images: exact, near, mirrored, and where they lie."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenery import CELLS, cell_draft

from smalti.data.check import check
from smalti.data.check.duplicates import details, likeness, near_pairs, turned
from smalti.data.check.pictures import perceptual_hashes
from smalti.data.dataset import Dataset


def draft(seed, **fields):
    return replace(cell_draft(np.random.default_rng(seed), f"s{seed}", 128), **fields)


def grey(seed):
    return draft(seed).pixels.mean(axis=2, dtype=np.float32)


def told(*drafts, **options):
    dataset = Dataset([each.sample() for each in drafts], CELLS)
    codes = ("duplicate", "near-duplicate", "sequence", "leakage", "group-split")
    return [finding for finding in check(dataset, **options).findings if finding.code in codes]


@pytest.mark.parametrize("turn", range(8))
def test_the_hash_of_a_turned_picture_is_among_those_of_the_picture(turn):
    picture = grey(1)
    hashes = perceptual_hashes(picture)
    other = perceptual_hashes(np.ascontiguousarray(turned(picture, turn)))[0]
    assert np.bitwise_count(other ^ hashes[turn]) <= 4
    assert turn == 0 or np.bitwise_count(other ^ hashes[0]) > 10


def test_near_pairs_are_those_a_plain_loop_finds():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, (40, 1), dtype=np.uint64)
    hashes[7] = hashes[3] ^ np.uint64(0b1011)
    hashes[30] = hashes[7]
    hashes[12] = hashes[20] = 0  # images of one value
    assert [pair[:2] for pair in near_pairs(hashes)] == [(3, 7), (3, 30), (7, 30)]


def test_likeness_survives_what_happens_to_copies_and_nothing_else():
    picture = grey(2)
    one = details(picture)
    assert likeness(one, details(picture * 0.7 + 20)) > 0.95
    assert likeness(one, details(cv2.resize(picture, (90, 90), interpolation=cv2.INTER_AREA))) > 0.9
    assert likeness(one, details(picture[4:, 2:-3])) > 0.9
    assert likeness(one, details(picture[::-1].copy()), 2) > 0.95
    assert likeness(one, details(grey(3))) < 0.4
    assert likeness(one, details(np.zeros_like(picture))) < 0.1


def test_a_copy_in_another_split_is_leakage_and_the_one_to_keep_comes_first():
    first = draft(1, split="train")
    (finding,) = told(first, draft(2), replace(first, name="again", split="test"))
    assert (finding.code, finding.severity, finding.fixable) == ("leakage", "error", True)
    assert finding.samples == ("again", "s1")


def test_a_copy_with_another_annotation_is_not_dropped():
    first = draft(1)
    (finding,) = told(first, replace(first, name="again", truth=first.truth[1:]))
    assert (finding.code, finding.fixable) == ("duplicate", False)
    assert "annotations differ" in finding.message


def test_frames_of_one_group_are_a_note_and_a_chain_is_one_finding():
    first = draft(1, group="clip")
    frames = [replace(first, name=f"f{i}", pixels=np.roll(first.pixels, i, axis=1)) for i in range(4)]
    (finding,) = told(*frames, draft(5, group="clip"))
    assert (finding.code, finding.severity) == ("near-duplicate", "info")
    assert set(finding.samples) == {"f0", "f1", "f2", "f3"}


def mixed(share, side=128):
    """A picture of which ``share`` is one scene and the rest another, (side, side, 3)."""
    one, other = (cell_draft(np.random.default_rng(seed), "s", side).pixels.astype(float) for seed in (1, 5))
    return (share * one + (1 - share) * other).round().astype(np.uint8)


def frames(numbers, of=12, **fields):
    """Frames of a slow change: each is much like the one before, the last like nothing in the first."""
    return [draft(1, name=f"f{i}", pixels=mixed(i / (of - 1)), **fields) for i in numbers]


def test_frames_that_are_like_their_neighbours_are_a_sequence():
    (finding,) = told(*frames(range(12)))
    assert (finding.code, finding.severity) == ("sequence", "warning")
    assert "12 images, f0 to f11" in finding.message and "same image" not in finding.message
    assert "Keep one" not in finding.advice and "one group" in finding.advice
    assert 0.6 <= finding.measured["least_correlation"] <= finding.measured["correlation"] <= 1
    (finding,) = told(*frames(range(12), group="clip"))
    assert finding.severity == "info"


def test_a_sequence_in_two_splits_is_leakage():
    (finding,) = told(*frames(range(6), split="train"), *frames(range(6, 12), split="test"))
    assert (finding.code, finding.severity) == ("leakage", "error")
    assert "12 images, f0 to f11" in finding.message and "train and test" in finding.message


def test_pictures_that_are_somewhat_alike_are_not_called_the_same():
    (finding,) = told(draft(1), draft(2, pixels=mixed(0.6)))
    assert finding.code == "near-duplicate" and 0.6 < finding.measured["correlation"] < 0.85
    assert "are nearly the same" not in finding.message and finding.certainty < 0.9
    assert f"{finding.measured['correlation']:.2f}" in finding.message


def test_small_pictures_are_alike_by_chance():
    small = cell_draft(np.random.default_rng(1), "small", 48)
    half = replace(small, name="half", pixels=mixed(0.55, 48))
    pair = (details(each.pixels.mean(axis=2, dtype=np.float32)) for each in (small, half))
    assert 0.65 < likeness(*pair) < 0.85
    assert told(small, half) == []
    (finding,) = told(small, replace(small, name="again", pixels=(small.pixels * 0.8).astype(np.uint8)))
    assert "are nearly the same" in finding.message


def test_mirrored_copies_are_found_when_asked_for():
    first = draft(1)
    mirrored = replace(first, name="mirrored", pixels=first.pixels[:, ::-1].copy())
    assert told(first, mirrored) == []
    (finding,) = told(first, mirrored, flips=True)
    assert finding.code == "near-duplicate"


def test_a_group_in_two_splits():
    (finding,) = told(
        draft(1, group="p", split="train"),
        draft(2, group="p", split="test"),
        draft(3, group="q", split="test"),
    )
    assert (finding.code, finding.measured["group"]) == ("group-split", "p")


def test_blank_images_are_equal_and_not_like_others():
    blank = replace(draft(1), pixels=np.zeros((128, 128, 3), np.uint8))
    (finding,) = told(blank, replace(blank, name="b"), draft(2))
    assert finding.code == "duplicate"
