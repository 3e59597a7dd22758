"""Faults planted by a seeded script are found, and little else is told of."""

from __future__ import annotations

import pytest
from planted_sets import Bench, Score, score


def total_of(bench, wanted=None):
    total = Score()
    for planted in [*bench.clean_sets(), *bench.sets()]:
        if wanted is None or planted.title in wanted or planted.title.startswith("nothing"):
            one = score(bench.check(planted.dataset), planted)
            total.planted += one.planted
            total.found += one.found
            total.false += one.false
            total.missed += one.missed
            total.images += one.images
    return total


def test_a_few_of_the_kinds(tmp_path):
    bench = Bench(tmp_path, seed=3, size=24, count=3)
    wanted = {
        "stray pixels",
        "island",
        "object annotated twice",
        "same image in two splits",
        "group in two splits",
        "image cut short",
        "annotation of another size",
        "number of no class",
        "outline that crosses itself",
    }
    total = total_of(bench, wanted)
    assert total.planted >= 15
    assert total.found >= 0.95 * total.planted, total.missed
    assert len(total.false) <= 0.05 * total.planted + 1, total.false


@pytest.mark.slow
def test_every_kind(tmp_path):
    total = total_of(Bench(tmp_path, seed=11, size=40, count=5))
    assert total.found >= 0.95 * total.planted, total.missed
    assert len(total.false) <= 0.05 * total.planted, total.false
