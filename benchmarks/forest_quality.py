"""How well the forest segments seven annotated sets, beside what else one could use: a table of docs/results.md.

    SMALTI_DATA=../shared/data python benchmarks/forest_quality.py                    # everything
    SMALTI_DATA=../shared/data python benchmarks/forest_quality.py dsb2018 camvid     # two sets
    SMALTI_DATA=../shared/data python benchmarks/forest_quality.py cwfid --only forest,otsu
    SMALTI_DATA=../shared/data python benchmarks/forest_quality.py --quick            # a quarter of the training images
    python benchmarks/forest_quality.py --write                                       # only the table, of what is kept

Each pair of set and method is measured by itself and its row put into ``forest_quality.json``, so that several of these
may run at once. The sets are those of ``forest_sets.py``, the peers those of ``forest_peers.py``. Everything is seeded.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter
from typing import Any

from filelock import FileLock
from forest_ours import forest, one_forest, same_forest
from forest_peers import Fitted, otsu, otsu_watershed, trainable_segmenter
from forest_sets import SETS, QualitySet
from pages import put_table
from quality import FEWEST_GROUPS, groups_of, pair_of, score_cell, scored

from smalti.data.dataset import Dataset
from smalti.data.strokes import scribbled
from smalti.io.writing import replacing

KEPT = Path(__file__).with_name("forest_quality.json")
STROKES = 10


@dataclass(frozen=True)
class Way:
    """A method of the table and what it learns from; ``fit`` gives None where it does not apply.

    With ``strokes`` it is shown strokes of the training images only; ``objects`` is whether it is for objects alone.
    """

    title: str
    learned_from: str
    fit: Callable[[QualitySet, Dataset, int, int], Fitted | None]
    strokes: bool = False
    objects: bool = False


WAYS: dict[str, Way] = {
    "forest": Way("smalti forest", "full truth", forest),
    "forest-strokes": Way("smalti forest", f"{STROKES} strokes an image", forest, True),
    "one-forest": Way("the same, one forest", "full truth", one_forest),
    "same-forest": Way("one forest of scikit-learn's trees", "full truth", same_forest),
    "trainable": Way("TrainableSegmenter", "full truth", trainable_segmenter),
    "trainable-strokes": Way("TrainableSegmenter", f"{STROKES} strokes an image", trainable_segmenter, True),
    "otsu": Way("Otsu", "nothing", otsu),
    "otsu-watershed": Way("Otsu, distance watershed", "nothing", otsu_watershed, objects=True),
}
"""Every method by the name it is asked for."""


def measured(wanted: QualitySet, name: str, folder: Path, quick: bool, seed: int) -> dict[str, Any]:
    """One row: a method learned on the training images of a set and scored on its test images."""
    from run import machine  # here, as it limits the threads of what is loaded after it

    way = WAYS[name]
    train, test = wanted.parts(folder, quick)
    if way.strokes:
        train = scribbled(train, STROKES, seed)
    row: dict[str, Any] = {"set": wanted.name, "method": name, "quick": quick, "seed": seed}
    fitted = way.fit(wanted, train, wanted.pixels // (4 if quick else 1), seed)
    if fitted is None:
        return row | {"applies": False}
    kept: list[list[Any]] = [[] for _ in wanted.measures]
    seconds, size = 0.0, 0
    for sample in test:
        image, truth = sample.image, sample.truth
        begun = perf_counter()
        found = fitted.predict(image)
        seconds += perf_counter() - begun
        size += found.labels.size
        for measure, own in zip(wanted.measures, kept, strict=True):
            own.append(measure.metric.keep(pair_of(measure, truth, found)))
    groups = groups_of(test)
    return row | {
        "applies": True,
        "scores": [
            scored(measure, own, train, groups) for measure, own in zip(wanted.measures, kept, strict=True)
        ],
        "drawn": "image" if groups is None else "group",
        "training_images": len(train),
        "test_images": len(test),
        "pixels": fitted.pixels,
        "fit_seconds": round(fitted.seconds, 2),
        "predict_seconds_per_megapixel": round(seconds / size * 1e6, 3),
        **fitted.details,
        "versions": {each: version(each) for each in ("scikit-image", "scikit-learn", "numpy")},
        "machine": machine(),
        "measured": date.today().isoformat(),
    }


def keep(row: dict[str, Any]) -> None:
    """Put the row into the file, in place of an earlier one of its set and method; quick ones replace quick ones."""
    with FileLock(Path(gettempdir()) / "smalti-forest-quality.lock"):
        rows = {(each["set"], each["method"]): each for each in kept_rows()}
        earlier = rows.get((row["set"], row["method"]), row)
        if row["quick"] and not earlier["quick"]:
            return
        rows[row["set"], row["method"]] = row
        order = [(name, way) for name in SETS for way in WAYS]
        chosen = [rows[pair] for pair in order if pair in rows]
        with replacing(KEPT) as part:
            part.write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")


def kept_rows() -> list[dict[str, Any]]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """The page's tables: for each set one, a row for each method."""
    parts = [HEAD]
    for name, wanted in SETS.items():
        own = {row["method"]: row for row in rows if row["set"] == name}
        if not own:
            continue
        titles = [measure.title for measure in wanted.measures]
        learned = next((row for row in own.values() if row["applies"]), {})
        parts.append(
            f"### {name}: {wanted.title}\n\n"
            f"{learned.get('training_images', 0)} training images, {learned.get('test_images', 0)} test images "
            f"({wanted.split}).\n"
        )
        parts.append("| method | learned from | " + " | ".join(titles) + " | pixels | fit | predict |")
        parts.append("|---|---|" + "---:|" * (len(titles) + 3))
        for method, way in WAYS.items():
            if method in own:
                parts.append(line(way, own[method], len(titles)))
        parts.append("")
    days = {(row["machine"], row["measured"]) for row in rows if row["applies"]}
    parts += [f"Measured on {day}: {place}." for place, day in sorted(days)]
    return "\n".join(parts)


def line(way: Way, row: dict[str, Any], count: int) -> str:
    if not row["applies"]:
        cells = ["–"] * (count + 3)
    else:
        cells = [score_cell(score) for score in row["scores"]]
        cells[0] = f"**{cells[0].partition(' ')[0]}** {cells[0].partition(' ')[2]}".strip()
        cells.append(f"{row['pixels']:,}" if row["pixels"] else "–")
        cells.append(f"{row['fit_seconds']:.1f} s" if row["pixels"] else "–")
        cells.append(f"{row['predict_seconds_per_megapixel']:.2f} s/MP")
    return (
        f"| {way.title}{' (quick)' if row['quick'] else ''} | {way.learned_from} | "
        + " | ".join(cells)
        + " |"
    )


HEAD = f"""Made by `benchmarks/forest_quality.py` from the sets that `SMALTI_DATA` names. Of each score the 95 %
interval of 1,000 resamples of the test images. Objects and pixels are pooled over all test images: AP50 is
TP / (TP + FP + FN) of all objects at IoU 0.5; mIoU the mean over classes of the IoU of all pixels, void left out (of
cwfid with soil as a class, of magnetic_tile without the ground); F1 within a distance is of all crack or membrane
pixels, each right with one of the other side within it. clDice and the adapted Rand F (of connected cell interiors,
membranes of truth left out) are means over images. Groups of test images are drawn as a whole where there are
{FEWEST_GROUPS} or more; the slices of isbi2012_em, the tile of dubai_aerial and the frames of camvid come from so few
that images are drawn, and the intervals are too narrow for another stack, city or drive.

All methods of a set learn from the same images and at most as many pixels: of full truth drawn evenly over the images,
of strokes all that are drawn on, or as many of them at random. TrainableSegmenter has its defaults
(`multiscale_basic_features`, 100 trees) and gives classes; nuclei are its connected pieces or their distance watershed,
whichever is better on training images (from strokes, which show no whole nucleus, the watershed). Otsu is for two
sides of a threshold, nuclei being the smaller one; how its pieces are parted and cleaned is chosen on training images
too. "One forest" leaves out the second forest, which sees what the first one said, and the pixels chosen by
its errors; with scikit-learn's trees, as many, as deep and with as large leaves, its features, its pixels and what is
made of the probabilities stay the same. Fitting includes the features. Seconds are of one core on a machine that did
other work as well: of one set they may be compared, and differences below a factor of two are noise. Scores are of one
seed. crackforest is fitted with `tuned_by=line_f1`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="How well the forest segments, beside what else one could use."
    )
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all by default")
    parser.add_argument("--only", default=",".join(WAYS), help=f"methods, of {','.join(WAYS)}")
    parser.add_argument("--quick", action="store_true", help="a quarter of the training images and pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the kept rows into docs/results.md")
    given = parser.parse_args()
    unknown = [each for each in given.sets if each not in SETS] + [
        each for each in given.only.split(",") if each not in WAYS
    ]
    if unknown:
        parser.error(f"no {', '.join(unknown)}; sets: {', '.join(SETS)}; methods: {', '.join(WAYS)}")
    if given.sets or not given.write:
        folder = Path(os.environ.get("SMALTI_DATA", ""))
        if not (folder / "splits.json").is_file():
            parser.error("SMALTI_DATA must name the folder of the sets, with splits.json in it")
        for name in given.sets or SETS:
            for method in given.only.split(","):
                if WAYS[method].objects and SETS[name].finds != "objects":
                    continue
                row = measured(SETS[name], method, folder, given.quick, given.seed)
                keep(row)
                told = score_cell(row["scores"][0]) if row["applies"] else "does not apply"
                print(f"{name}, {method}: {told}", flush=True)
    if given.write:
        put_table("results.md", "forest-quality", table(kept_rows()))
    elif not given.sets:
        print(table(kept_rows()))


if __name__ == "__main__":
    main()
