"""Where the time of an evaluation of 500 images from disk goes: the table of docs/evaluate.md.

    python benchmarks/evaluate_time.py          # prints it
    python benchmarks/evaluate_time.py --write  # puts it into the page

Truth and predictions are made-up street scenes, written as PNG masks and photographs, read anew for every task. One
thread, the second run of each, so that nothing is compiled.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from pages import put_table

from smalti.data.dataset import Dataset
from smalti.data.scenes import scene_classes, scenes
from smalti.evaluation.evaluator import evaluate
from smalti.evaluation.summary import summarise
from smalti.sample import Sample
from smalti.segmentation import Segmentation

IMAGES = 500
SIZE_HW = (512, 1024)
CASES = {
    "semantic": ("street", "semantic", "label-maps"),
    "instance": ("cells", "instance", "instance-maps"),
    "panoptic": ("street", "panoptic", "coco-panoptic"),
}


def moved(truth: Segmentation) -> Segmentation:
    """A prediction: all two pixels to the right, and a few segments missing."""
    labels = np.roll(truth.panoptic().labels, 2, axis=1)
    kept = np.arange(len(truth)) % 9 != 4
    return Segmentation.from_labels(labels, class_ids=truth.class_ids, classes=truth.classes)[kept]


def row(task: str, folder: Path, images: int = IMAGES) -> str:
    kind, scene_task, format = CASES[task]
    # Twenty scenes over and over: drawing 500 would take longer than scoring them.
    drawn = [
        (sample.image, sample.truth)
        for sample in scenes(kind, 20, task=scene_task, size_hw=SIZE_HW)  # type: ignore[arg-type]
    ]
    classes = scene_classes(kind, scene_task)  # type: ignore[arg-type]
    for name, change in (("truth", lambda truth: truth), ("found", moved)):
        changed = [change(truth) for _, truth in drawn]
        samples = [Sample.of(f"scene-{k:03}", drawn[k % 20][0], changed[k % 20]) for k in range(images)]
        Dataset(samples, classes).write(folder / name, format)
    truth, found = (Dataset.open(folder / name, format) for name in ("truth", "found"))
    evaluate(truth[:3], found, task, jobs=1)  # type: ignore[arg-type]
    evaluation = evaluate(truth, found, task, jobs=1)  # type: ignore[arg-type]
    reading, scoring = evaluation.seconds["reading"], evaluation.seconds["scoring"]
    from time import perf_counter

    start = perf_counter()
    summarise(evaluation, by=())
    intervals = perf_counter() - start
    metrics = ", ".join(metric.name for metric in evaluation.metrics)
    share = reading / (reading + scoring)
    return (
        f"| {task} | {metrics} | {1000 * reading / images:.1f} ms | {1000 * scoring / images:.1f} ms | {share:.0%} | "
        f"{intervals:.1f} s |"
    )


def main() -> None:
    lines = [
        f"{IMAGES} images of {SIZE_HW[0]} x {SIZE_HW[1]} from disk, one thread:",
        "",
        "| task | metrics | reading an image's two masks | scoring it | share of reading | 1,000 resamples of all |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for task in CASES:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(row(task, Path(folder)))
            print(lines[-1], flush=True)
    if "--write" in sys.argv:
        put_table("evaluate.md", "evaluate-time", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
