"""How well networks segment eight annotated sets after a time on a CPU: tables of docs/results.md.

    SMALTI_DATA=../shared/data python benchmarks/network_quality.py dsb2018 --budget 10m     # a set, a row
    SMALTI_DATA=../shared/data python benchmarks/network_quality.py camvid --budget 1h --method fast
    python benchmarks/network_quality.py --write                                            # the table, of what is kept

A row is of a set, a method and a budget, is measured by itself and put into ``network_quality.json``. Nothing is set by
hand but what ``ASKED`` says; the plan does the rest. ``--models DIR`` keeps the models. Trained from new weights.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from forest_sets import Measure
from network_sets import SETS
from pages import put_table
from quality import groups_of, pair_of, score_cell, scored

from smalti.data.dataset import Dataset
from smalti.io.writing import replacing
from smalti.segmenter import make_segmenter, parse_settings
from smalti.service.training import seconds_of

KEPT = Path(__file__).with_name("network_quality.json")
ASKED: dict[str, dict[str, Any]] = {"crackforest": {"metric": "tolerance_f1"}}
"""What a user of the set would say: cracks are scored by F1 within a distance."""


def trained(
    name: str, train: Dataset, method: str, budget: str, given: dict[str, Any]
) -> tuple[Any, list[dict[str, float]], float]:
    """The fitted network, the scores of its validations, and the seconds it took."""
    from smalti.train.reports import EpochReport
    from smalti.train.run import Run

    curve: list[dict[str, float]] = []
    begun = perf_counter()

    def watch(report: Any) -> None:
        if isinstance(report, EpochReport):
            seconds = perf_counter() - begun
            curve.append({"seconds": round(seconds, 1), "step": report.step, "score": report.score})
            print(f"  {seconds:6.0f} s, step {report.step}: {report.score:.3f}", file=sys.stderr, flush=True)

    made = make_segmenter(method, budget_s=seconds_of(budget), **ASKED.get(name, {}), **given)
    fitted = made.fit(
        train,
        classes=train.classes,
        run=Run(watch=watch),
        told=lambda plan: print(plan.explain(), file=sys.stderr, flush=True),
    )
    return fitted, curve, perf_counter() - begun


def measured(
    name: str, method: str, budget: str, folder: Path, given: dict[str, Any], models: Path | None
) -> dict[str, Any]:
    """One row: a network trained on the training part of a set within a budget and scored on its test part."""
    from run import machine

    wanted = SETS[name]
    train, test = wanted.open(folder)
    fitted, curve, fit_seconds = trained(name, train, method, budget, given)
    if models is not None:
        models.mkdir(parents=True, exist_ok=True)
        fitted.save(models / f"{name}-{method}-{budget}.smalti")
    kept: list[list[Any]] = [[] for _ in wanted.measures]
    seconds, size = 0.0, 0
    for sample in test:
        image, truth = sample.image, sample.truth
        at = perf_counter()
        found = fitted.predict(image)
        seconds += perf_counter() - at
        size += int(np.prod(image.shape))
        for measure, own in zip(wanted.measures, kept, strict=True):
            own.append(measure.metric.keep(pair_of(measure, truth, found)))
    groups = groups_of(test)
    return {
        "set": name,
        "method": method,
        "budget": budget,
        "given": given,
        "scores": [
            scored(measure, own, seen_by(measure, train), groups)
            for measure, own in zip(wanted.measures, kept, strict=True)
        ],
        "images": len(train),
        "test_images": len(test),
        "report": dict(fitted.report),
        "curve": curve,
        "fit_seconds": round(fit_seconds, 1),
        "predict_seconds_per_megapixel": round(seconds / size * 1e6, 3),
        "machine": machine(),
        "measured": date.today().isoformat(),
    }


def seen_by(measure: Measure, train: Dataset) -> Dataset:
    """The set with the classes that the measure sees."""
    if measure.view is None:
        return train
    return Dataset([], measure.view(train[0].truth).classes)


def keep(row: dict[str, Any]) -> None:
    """Put the row into the file, in place of an earlier one of its set, method and budget."""
    rows = {(each["set"], each["method"], each["budget"]): each for each in kept_rows()}
    rows[row["set"], row["method"], row["budget"]] = row
    ordered = sorted(
        rows.values(),
        key=lambda each: (list(SETS).index(each["set"]), each["method"], seconds_of(each["budget"])),
    )
    with replacing(KEPT) as part:
        part.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def kept_rows() -> list[dict[str, Any]]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """The page's tables: for each set one, a row for each method and budget."""
    parts = [HEAD]
    for name, wanted in SETS.items():
        own = [row for row in rows if row["set"] == name]
        if not own:
            continue
        titles = [score["title"] for score in own[0]["scores"]]
        parts.append(
            f"### {name}: {wanted.title}\n\n{own[0]['images']} images to learn from and to validate on, "
            f"{own[0]['test_images']} test images ({wanted.split}).\n"
        )
        parts.append("| network | budget | " + " | ".join(titles) + " | parameters | steps | fit | predict |")
        parts.append("|---|---|" + "---:|" * (len(titles) + 4))
        for row in own:
            report = row["report"]
            cells = [score_cell(score) for score in row["scores"]]
            cells[0] = f"**{cells[0].partition(' ')[0]}** {cells[0].partition(' ')[2]}".strip()
            cells += [
                f"{report['parameters'] / 1e6:.2f} M",
                f"{report['steps']:,}",
                f"{row['fit_seconds'] / 60:.1f} min",
            ]
            cells.append(f"{row['predict_seconds_per_megapixel']:.2f} s/MP")
            parts.append(f"| {row['method']} | {row['budget']} | " + " | ".join(cells) + " |")
        parts.append("")
        parts.append(curves(own))
    days = sorted({(row["machine"], row["measured"]) for row in rows})
    parts += [f"Measured on {day}: {place}." for place, day in days]
    return "\n".join(parts)


def curves(rows: list[dict[str, Any]]) -> str:
    """How the score of validation images rose, by the share of the training."""
    lines = [
        "| validation score after | 25 % | 50 % | 75 % | all, with interval |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        curve, judged = row["curve"], row["report"].get("validation")
        if not curve or not judged:
            continue
        last = curve[-1]["step"]
        at = [
            max(
                (each for each in curve if each["step"] <= share * last),
                key=lambda each: each["step"],
                default=None,
            )
            for share in (0.25, 0.5, 0.75)
        ]
        cells = ["–" if each is None else f"{each['score']:.3f}" for each in at]
        ends = f"{judged['value']:.3f} ({judged['low']:.3f} to {judged['high']:.3f})"
        lines.append(
            f"| {row['method']}, {row['budget']}: {judged['metric']} | " + " | ".join([*cells, ends]) + " |"
        )
    return "\n".join([*lines, ""]) if len(lines) > 2 else ""


HEAD = """Made by `benchmarks/network_quality.py` from the sets that `SMALTI_DATA` names: networks from new weights,
planned and trained by `smalti fit` with nothing said but the budget (and for cracks the metric), validation, tuning and
export included in it. Scores are of test images, with the 95 % interval of 1,000 resamples of them, as in the tables
of the forest above. The second table of a set is of images held out of its training part, by which the weights and the
decoding were chosen.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="How well networks segment after a time on a CPU.")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}")
    parser.add_argument("--method", default="unet")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="a parameter, name=value")
    parser.add_argument("--models", type=Path, help="folder to keep the models in")
    parser.add_argument("--try", action="store_true", dest="trial", help="score validation images only")
    parser.add_argument("--write", action="store_true", help="put the kept rows into docs/results.md")
    given = parser.parse_args()
    unknown = [each for each in given.sets if each not in SETS]
    if unknown:
        parser.error(f"no {', '.join(unknown)}; sets: {', '.join(SETS)}")
    folder = Path(os.environ.get("SMALTI_DATA", ""))
    if given.sets and not (folder / "splits.json").is_file():
        parser.error("SMALTI_DATA must name the folder of the sets, with splits.json in it")
    for name in given.sets:
        settings = parse_settings(given.settings)
        if given.trial:
            train, _ = SETS[name].open(folder)
            fitted, _, seconds = trained(name, train, given.method, given.budget, settings)
            print(f"{name}: {fitted.report['validation']} in {seconds:.0f} s, {fitted.decoding}", flush=True)
            continue
        row = measured(name, given.method, given.budget, folder, settings, given.models)
        keep(row)
        told = ", ".join(f"{score['title']} {score_cell(score)}" for score in row["scores"])
        print(f"{name}, {given.method}, {given.budget}: {told}", flush=True)
    if given.write:
        put_table("results.md", "network-quality", table(kept_rows()))


if __name__ == "__main__":
    main()
