"""How much there is of each class, how large its objects are, and which split lacks it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...classes import ClassSet
from .examined import Examined
from .finding import Finding, counted_of
from .usual import Usual

RARE_SHARE = 0.02
"""A class is rare that has less than this share of what the most frequent class has."""
FEW_IMAGES = 5
"""A class that a split ought to have is in at least this many images of all."""


class BalanceJudge:
    """Counts of images, segments and pixels by class and split, and the sizes of segments."""

    def __init__(self, classes: ClassSet) -> None:
        self._classes = classes
        self._images: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._segments: dict[int, int] = defaultdict(int)
        self._pixels: dict[int, int] = defaultdict(int)
        self._judged = 0
        self._volumes = False
        self._areas: dict[int, Usual] = defaultdict(Usual)
        self._splits: dict[str, int] = defaultdict(int)
        self._annotated = 0

    def add(self, sample: Examined) -> None:
        """Take the classes of one sample, as its first annotator has them."""
        if not sample.truths:
            return
        truth = sample.truths[0]
        split = sample.where.split or ""
        self._splits[split] += 1
        self._annotated += 1
        self._judged += truth.size - truth.void_px
        self._volumes |= truth.volume
        for class_id in np.unique(truth.class_ids).tolist():
            areas = truth.areas_px[truth.class_ids == class_id]
            areas = areas[areas > 0]
            if len(areas):
                self._images[class_id][split] += 1
                self._segments[class_id] += len(areas)
                self._pixels[class_id] += int(areas.sum())
                self._areas[class_id].add(areas)

    def table(self) -> list[dict[str, Any]]:
        """One row a class: images, segments, pixels, quantiles of area in pixels, images of each split.

        ``pixel_share`` is the share of all pixels but void; of classes that overlap, the shares may sum to more than 1.
        """
        rows = []
        for entry in self._classes:
            areas = self._areas[entry.id].quantile([0.05, 0.25, 0.5, 0.75, 0.95])
            rows.append(
                {
                    "id": entry.id,
                    "name": entry.name,
                    "color": list(entry.color),
                    "thing": entry.thing,
                    "images": sum(self._images[entry.id].values()),
                    "segments": self._segments[entry.id],
                    "pixels": self._pixels[entry.id],
                    "pixel_share": self._pixels[entry.id] / max(1, self._judged),
                    "area_px": [None if np.isnan(area) else float(area) for area in areas],
                    "images_by_split": {
                        split: self._images[entry.id][split] for split in self._splits if split
                    },
                }
            )
        return rows

    @property
    def unit(self) -> str:
        """What areas are counted in."""
        return "voxels" if self._volumes else "pixels"

    def splits(self) -> dict[str, int]:
        """Annotated images of each split."""
        return dict(self._splits)

    def findings(self) -> Iterator[Finding]:
        """Classes that are rare, unused, or missing in a split."""
        if not self._annotated:
            return
        table = self.table()
        unused = [row["name"] for row in table if not row["segments"]]
        if unused:
            yield Finding.of(
                "unused-class",
                f"Nothing belongs to "
                f"{', '.join(unused[:8])}{f' and {len(unused) - 8} more' if len(unused) > 8 else ''}.",
                measured={"classes": len(unused), "names": ", ".join(unused)},
            )
        yield from self._rare([row for row in table if row["segments"]])
        for row in table:
            missing = [split for split, count in row["images_by_split"].items() if not count]
            if row["images"] >= FEW_IMAGES and missing and len(self._splits) > 1:
                yield Finding.of(
                    "class-missing",
                    f"{row['name']} is in {counted_of(row['images'], 'images')} and in none of {', '.join(missing)}.",
                    measured={"class": row["name"], "images": row["images"], "missing": ", ".join(missing)},
                )

    def _rare(self, rows: list[dict[str, Any]]) -> Iterator[Finding]:
        """Things are counted by segments, stuff, of which an image has one segment a class, by pixels."""
        for thing, measure in ((True, "segments"), (False, "pixels")):
            unit = self.unit if measure == "pixels" else measure
            counted = [row for row in rows if row["thing"] == thing]
            most = max((row[measure] for row in counted), default=0)
            rare = sorted(
                (row for row in counted if row[measure] < RARE_SHARE * most), key=lambda row: row[measure]
            )
            if not rare:
                continue
            listed = [
                f"{row['name']} ({counted_of(row[measure], unit)} in {counted_of(row['images'], 'images')})"
                for row in rare[:6]
            ]
            more = f" and {len(rare) - 6} more" if len(rare) > 6 else ""
            yield Finding.of(
                "class-imbalance",
                f"Less than {RARE_SHARE:.0%} of what the most frequent class has ({counted_of(most, unit)}): "
                f"{', '.join(listed)}{more}.",
                measured={
                    "classes": len(rare),
                    "names": ", ".join(row["name"] for row in rare),
                    "most": most,
                },
            )
