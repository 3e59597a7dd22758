"""The ultrametric maps that come with BSDS500, scored here and beside the numbers that come with them.

    python benchmarks/bsds_scores.py ../shared/data/bsds500

The folder holds ``ucm2/test/*.mat``, maps of gPb-owt-ucm (Arbelaez, Maire, Fowlkes, Malik, PAMI 2011), ``groundTruth``
and ``ucm2/test_eval``, the benchmark's own evaluation, whose rows are the 200 test images in the order of their names.
Covering of truth (of) and of the prediction (by) agree to the six digits that are kept there. Boundaries differ by a
few pixels an image: the benchmark solves its assignment with outliers connected at random, six to a pixel, and so loses
some of about ten thousand pairs; ours is exact, and never has fewer.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.ndimage import label

from smalti.metrics.edges import (
    THRESHOLDS,
    EdgeCounts,
    average_precision,
    boundary_counts,
    ods,
    ois,
    region_boundaries,
)
from smalti.metrics.partition import Contingency
from smalti.segmentation import Segmentation

OFFICIAL_ROWS = {"100007": 1, "107014": 16, "123057": 31, "147077": 46, "163096": 61, "189029": 76}


@dataclass(frozen=True, eq=False)
class Regions:
    """Scores of one image's regions at each threshold (T,).

    Pixels covered of all annotators' ``total``, covering of the prediction by the regions of all annotators, means over
    annotators of the Rand index and the variation of information. ``best_px`` takes each region of truth at its best
    threshold.
    """

    covered_px: np.ndarray
    total: float
    best_px: float
    covered_back: np.ndarray
    rand_index: np.ndarray
    vi: np.ndarray


def score_regions(ucm: np.ndarray, truths: list[Segmentation]) -> Regions:
    covered, back, rand, vi = np.zeros((4, len(THRESHOLDS)))
    best = [np.zeros(len(truth) + 1) for truth in truths]
    areas = [np.append(0, truth.areas_px) for truth in truths]
    for k, threshold in enumerate(THRESHOLDS):
        regions = Segmentation.from_labels(label(ucm <= threshold)[0][1::2, 1::2])
        tables = [Contingency.of(truth, regions) for truth in truths]
        for a, table in enumerate(tables):
            best[a] = np.maximum(best[a], table.best_iou[0])
        nearest = np.max([table.best_iou[1] for table in tables], axis=0)
        back[k] = nearest @ tables[0].predicted_areas / tables[0].total
        covered[k] = sum(table.covered_px[0] for table in tables)
        rand[k] = np.mean([table.rand_index for table in tables])
        vi[k] = np.mean([table.variation_of_information.total for table in tables])
    best_px = sum(float(iou @ area) for iou, area in zip(best, areas, strict=True))
    return Regions(covered, float(sum(area.sum() for area in areas)), best_px, back, rand, vi)


def official(folder: Path, name: str, image: str) -> np.ndarray:
    rows = np.loadtxt(folder / "ucm2" / "test_eval" / name)
    return rows[OFFICIAL_ROWS[image] - 1, 1:]


def compared(ours: list[float], theirs: np.ndarray) -> str:
    return " ".join(f"{one:9.6f}/{other:9.6f}" for one, other in zip(ours, theirs, strict=True))


def main(folder: Path) -> None:
    edges: list[EdgeCounts] = []
    regions: list[Regions] = []
    for path in sorted((folder / "ucm2" / "test").glob("*.mat")):
        ucm = loadmat(path)["ucm2"]
        records = loadmat(folder / "groundTruth" / "test" / path.name)["groundTruth"].reshape(-1)
        truths = [Segmentation.from_labels(record["Segmentation"][0, 0]) for record in records]
        begun = time.perf_counter()
        edges.append(boundary_counts(ucm[2::2, 2::2], [region_boundaries(truth) for truth in truths]))
        between = time.perf_counter()
        regions.append(score_regions(ucm, truths))
        ended = time.perf_counter()

        best, found = ods(edges[-1:]), regions[-1]
        covering = found.covered_px / found.total
        top = int(np.argmax(covering))
        lines = [best.threshold, best.recall, best.precision, best.f]
        cover = [float(THRESHOLDS[top]), float(covering[top]), float(found.covered_back[top])]
        print(f"{path.stem}: {len(truths)} annotators, lines {between - begun:.1f} s", end="")
        print(f", regions {ended - between:.1f} s (ours/official)")
        print("  lines, T R P F      ", compared(lines, official(folder, "eval_bdry_img.txt", path.stem)))
        print("  covering, T of by   ", compared(cover, official(folder, "eval_cover_img.txt", path.stem)))

    total = sum(found.total for found in regions)
    covered = np.array([found.covered_px for found in regions])
    rand, vi = (np.array([getattr(found, name) for found in regions]) for name in ("rand_index", "vi"))
    best, each = ods(edges), ois(edges)
    print(f"\n{len(edges)} images together (in brackets what the benchmark has for all 200)")
    print(
        f"  lines     ODS {best.f:.3f} (.726)  OIS {each.f:.3f} (.760)  AP {average_precision(edges):.3f} (.727)"
    )
    print(
        f"  covering  ODS {covered.sum(0).max() / total:.3f} (.588)  OIS {covered.max(1).sum() / total:.3f} (.647)  "
        f"best {sum(found.best_px for found in regions) / total:.3f} (.744)"
    )
    print(f"  PRI       ODS {rand.mean(0).max():.3f} (.827)  OIS {rand.max(1).mean():.3f} (.856)")
    print(f"  VI        ODS {vi.mean(0).min():.3f} (1.690)  OIS {vi.min(1).mean():.3f} (1.475)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
