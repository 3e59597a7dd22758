"""Numbers of TrackEval for made-up clips: python tests/golden/make_tracking.py, where trackeval is installed.

Writes tracking.json beside this file. The clips come from ``clip``, which the tests call as well.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from smalti.classes import ClassSet
from smalti.metrics.pair import Pair
from smalti.overlaps import mask_iou
from smalti.segmentation import Segmentation

CASES: dict[str, dict[str, Any]] = {
    "plain": {"seed": 0},
    "births and deaths": {"seed": 1, "frames": 24, "life": 0.5},
    "occlusions": {"seed": 2, "objects": 12, "sides": (10, 30)},
    "switches": {"seed": 3, "switch": 0.2},
    "empty frames": {"seed": 4, "blank": 0.3},
    "poor masks": {"seed": 5, "shift": 4, "false_alarms": 2.0},
    "nothing predicted": {"seed": 6, "found": 0.0, "false_alarms": 0.0},
    "no truth": {"seed": 7, "objects": 0, "false_alarms": 1.0},
    "one frame": {"seed": 8, "frames": 1},
    "two classes": {"seed": 9, "classes": 2, "switch": 0.1, "shift": 2},
    "everything": {
        "seed": 10, "frames": 40, "objects": 15, "life": 0.6, "switch": 0.1, "blank": 0.1, "shift": 3,
        "found": 0.85, "classes": 3,
    },
}  # fmt: skip


def clip(
    seed: int,
    frames: int = 12,
    shape: tuple[int, int] = (70, 90),
    objects: int = 6,
    sides: tuple[int, int] = (8, 22),
    life: float = 1.0,
    found: float = 0.92,
    switch: float = 0.03,
    blank: float = 0.0,
    shift: int = 1,
    false_alarms: float = 0.3,
    classes: int = 1,
) -> list[Pair]:
    """Drifting ellipses, the later over the earlier, and a tracker that loses, moves and mixes them up."""
    random = np.random.default_rng(seed)
    class_set = ClassSet.from_names([f"kind {k}" for k in range(1, classes + 1)])
    place = random.uniform((0, 0), shape, (objects, 2))
    speed = random.normal(0, 1.5, (objects, 2))
    radii = random.uniform(*sides, (objects, 2)) / 2
    birth = random.integers(0, max(1, int((1 - life) * frames)) + 1, objects)
    death = birth + max(1, int(life * frames))
    class_ids = random.integers(1, classes + 1, objects)
    names = np.arange(1, objects + 1) * 3  # what the tracker calls each
    made = []
    for number in range(frames):
        for n in range(objects):
            same = np.flatnonzero(class_ids == class_ids[n])
            if random.random() < switch:
                other = random.choice(same)
                names[[n, other]] = names[[other, n]]
            elif random.random() < switch / 2:
                names[n] = names.max() + 1
        centres = place + number * speed
        alive = (birth <= number) & (number < death)
        drawn = {int(n): (centres[n], radii[n]) for n in np.flatnonzero(alive)}
        if random.random() < blank:
            drawn = {}
        seen = {
            n: (centre + random.integers(-shift, shift + 1, 2), radius + random.normal(0, 0.4, 2))
            for n, (centre, radius) in drawn.items()
            if random.random() < found
        }
        if random.random() < blank:
            seen = {}
        ids = {n: (int(names[n]), int(class_ids[n])) for n in seen}
        for alarm in range(int(random.poisson(false_alarms))):
            seen[1000 + alarm] = random.uniform((0, 0), shape), random.uniform(3, 9, 2)
            ids[1000 + alarm] = (
                100_000 + 4 * alarm + int(random.integers(0, 4)),
                int(random.integers(1, classes + 1)),
            )
        truth_ids = {n: (n + 1, int(class_ids[n])) for n in drawn}
        made.append(Pair(_painted(shape, drawn, truth_ids, class_set), _painted(shape, seen, ids, class_set)))
    return made


def _painted(
    shape: tuple[int, int], drawn: dict[int, Any], ids: dict[int, tuple[int, int]], classes: ClassSet
) -> Segmentation:
    labels = np.zeros(shape, np.int32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for label, ((cy, cx), (ry, rx)) in enumerate(drawn.values(), 1):
        labels[((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1] = label
    present = [k for k in range(1, len(drawn) + 1) if (labels == k).any()]
    lookup = np.zeros(len(drawn) + 1, np.int32)
    lookup[present] = np.arange(1, len(present) + 1)
    kept = [ids[list(drawn)[k - 1]] for k in present]
    return Segmentation.from_labels(
        lookup[labels],
        class_ids=[class_id for _, class_id in kept],
        classes=classes,
        attributes={"track_id": np.array([track_id for track_id, _ in kept], np.int64)},
    )


def _of_class(frames: list[Pair], class_id: int) -> dict[str, Any]:
    """The clip's objects of one class in the form TrackEval's metrics take."""
    from smalti.masks import encode_rles

    sides: list[dict[str, Any]] = []
    chosen = [[side[side.class_ids == class_id] for side in (pair.truth, pair.predicted)] for pair in frames]
    for side in (0, 1):
        ids = [pair[side].attributes["track_id"] for pair in chosen]
        known = np.unique(np.concatenate(ids))
        masks = [
            encode_rles(np.array(list(pair[side].masks()), bool).reshape(-1, *pair[side].shape))
            for pair in chosen
        ]
        sides.append(
            {
                "ids": [np.searchsorted(known, some) for some in ids],
                "num": len(known),
                "count": sum(len(some) for some in ids),
                "masks": masks,
            }
        )
    return {
        "num_timesteps": len(frames),
        "gt_ids": sides[0]["ids"],
        "tracker_ids": sides[1]["ids"],
        "num_gt_ids": sides[0]["num"],
        "num_tracker_ids": sides[1]["num"],
        "num_gt_dets": sides[0]["count"],
        "num_tracker_dets": sides[1]["count"],
        "gt_dets": sides[0]["masks"],
        "tracker_dets": sides[1]["masks"],
        "similarity_scores": [mask_iou(*pair) for pair in chosen],
    }


def _numbers(result: dict[str, Any]) -> dict[str, Any]:
    """Numbers as they are, those of each alpha as their mean; the matches and their IoU at each alpha as well."""
    kept = {name: round(float(np.mean(value)), 12) for name, value in result.items()}
    if "HOTA" in result:
        kept |= {f"{name} by alpha": np.round(result[name], 12).tolist() for name in ("LocA", "HOTA_TP")}
    return kept


def main() -> None:
    """Score every case, class by class and with the classes summed."""
    from trackeval.metrics import CLEAR, HOTA, Identity, JAndF

    quiet = {"PRINT_CONFIG": False}
    metrics = {"hota": HOTA(), "identity": Identity(quiet), "clear": CLEAR(quiet)}
    cases = {}
    for name, settings in CASES.items():
        frames = clip(**settings)
        of_class = [_of_class(frames, int(class_id)) for class_id in frames[0].truth.classes.ids]
        case: dict[str, Any] = {}
        for family, metric in metrics.items():
            results = {str(k): metric.eval_sequence(data) for k, data in enumerate(of_class)}
            case[family] = _numbers(metric.combine_classes_det_averaged(results))
        if len(of_class) == 1 and of_class[0]["num_gt_ids"]:
            case["j_and_f"] = _numbers(JAndF().eval_sequence(of_class[0]))
        cases[name] = case
    path = Path(__file__).with_name("tracking.json")
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items()]
    head = json.dumps({"peer": "trackeval", "version": version("trackeval")})[1:-1]
    path.write_text(f'{{{head}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
