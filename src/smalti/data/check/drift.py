"""Whether the splits look alike: brightness, contrast, colour, size of images and of objects.

Two splits differ where both hold: the effect is not small (Cliff's delta, Psychological Bulletin 114, 1993; 0.33 is
"medium" after Romano et al. 2006) and chance is no explanation (Mann-Whitney U, with Holm's correction for the
number of comparisons). Images of one group are one observation, so that a long video is no crowd of witnesses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ...classes import ClassSet
from .examined import Examined
from .finding import Finding
from .pictures import LOOKS
from .usual import certainty

EFFECT = 0.4
"""Least Cliff's delta: of 100 pairs, one image from each split, 70 go one way and 30 the other."""
CHANCE = 0.01

MEASURES = (*LOOKS, "object size")
_WORDS = {
    "brightness": ("darker", "brighter"),
    "contrast": ("flatter", "richer in contrast"),
    "red": ("less red", "redder"),
    "blue": ("less blue", "bluer"),
    "size": ("smaller", "larger"),
    "aspect": ("narrower", "wider"),
    "object size": ("of smaller objects", "of larger objects"),
}


class DriftJudge:
    """Differences between the first split (or ``train``) and each other one."""

    def __init__(self, classes: ClassSet) -> None:
        self._values: dict[str, dict[str, list[tuple[float, ...]]]] = defaultdict(lambda: defaultdict(list))

    def add(self, sample: Examined) -> None:
        """Take the looks of one sample."""
        where = sample.where
        if where.split is None or sample.picture is None:
            return
        sizes = [truth.object_size for truth in sample.truths]
        group = where.name if where.group is None else f"group {where.group}"
        self._values[where.split][group].append((*sample.picture.looks, sizes[0] if sizes else float("nan")))

    def columns(self) -> dict[str, np.ndarray]:
        """For each split one row for each group, (G, len(MEASURES))."""
        return {
            split: np.array([_mean(np.array(rows)) for rows in groups.values()])
            for split, groups in self._values.items()
        }

    def summary(self) -> dict[str, dict[str, float]]:
        """For each split how many images it has and the middle of each measure."""
        found = {}
        for split, groups in self._values.items():
            rows = np.array([row for rows in groups.values() for row in rows])
            known = {
                name: float(np.nanmedian(column))
                for name, column in zip(MEASURES, rows.T, strict=True)
                if np.isfinite(column).any()
            }
            found[split] = {"images": len(rows), "groups": len(groups)} | known
        return found

    def findings(self) -> Iterator[Finding]:
        """What stands out."""
        columns = self.columns()
        if len(columns) < 2:
            return
        reference = "train" if "train" in columns else max(columns, key=lambda split: len(columns[split]))
        tests = [
            (split, index, *compare(columns[reference][:, index], columns[split][:, index]))
            for split in columns
            if split != reference
            for index in range(len(MEASURES))
        ]
        tests.sort(key=lambda test: test[3])
        for rank, (split, index, effect, chance) in enumerate(tests):
            chance *= len(tests) - rank
            if chance > CHANCE:
                break
            if abs(effect) >= EFFECT:
                middles = [float(np.nanmedian(columns[each][:, index])) for each in (reference, split)]
                yield Finding.of(
                    "drift",
                    f"The images of {split} are {_WORDS[MEASURES[index]][effect > 0]} than those of {reference}: "
                    f"{MEASURES[index]} {middles[1]:.4g} against {middles[0]:.4g} in the middle.",
                    measured={
                        "measure": MEASURES[index],
                        "split": split,
                        "against": reference,
                        "effect": effect,
                        "chance": chance,
                        reference: middles[0],
                        split: middles[1],
                    },
                    certainty=certainty(abs(effect), 0.25, 0.7),
                )


def compare(reference: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Cliff's delta (above 0 where ``other`` is larger) and how likely chance alone gives as much."""
    from scipy.stats import mannwhitneyu

    one, two = reference[np.isfinite(reference)], other[np.isfinite(other)]
    if len(one) < 3 or len(two) < 3 or (np.ptp(one) == 0 and np.ptp(two) == 0 and one[0] == two[0]):
        return 0.0, 1.0
    found = mannwhitneyu(two, one, method="auto")
    return float(2 * found.statistic / (len(one) * len(two)) - 1), float(found.pvalue)


def _mean(rows: np.ndarray) -> np.ndarray:
    """Mean of each column without NaN; NaN where there is nothing else."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, rows, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
