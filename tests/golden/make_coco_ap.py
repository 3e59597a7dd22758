"""Numbers of pycocotools for made-up images: python tests/golden/make_coco_ap.py, where pycocotools is installed.

Writes coco_ap.json beside this file. The images come from ``pairs``, which the tests call as well.
"""

from __future__ import annotations

import contextlib
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from smalti.classes import Class, ClassSet
from smalti.masks import rles_from_runs
from smalti.metrics.pair import Pair
from smalti.segmentation import Segmentation

CASES: dict[str, dict[str, Any]] = {
    "plain": {"seed": 0},
    "crowds": {"seed": 1, "crowds": 0.3},
    "areas": {"seed": 2, "shape": (260, 300), "sides": (4, 180), "images": 12},
    "tied scores": {"seed": 3, "levels": 3},
    "many detections": {"seed": 4, "images": 3, "false_alarms": 300, "num_classes": 2, "levels": 40},
    "empty images": {"seed": 5, "empty": 0.4, "crowds": 0.2},
    "classes on one side": {"seed": 6, "num_classes": 6, "one_sided": True},
    "small and crowded": {"seed": 7, "shape": (40, 50), "sides": (2, 20), "crowds": 0.4, "levels": 5},
    "no truth": {"seed": 8, "images": 4, "objects": 0},
    "no detections": {"seed": 9, "images": 4, "found": 0.0, "false_alarms": 0},
    "everything": {"seed": 10, "images": 25, "crowds": 0.2, "empty": 0.2, "levels": 8, "false_alarms": 15},
}


def pairs(
    seed: int,
    images: int = 8,
    shape: tuple[int, int] = (110, 130),
    sides: tuple[int, int] = (3, 60),
    objects: int = 9,
    num_classes: int = 4,
    found: float = 0.8,
    false_alarms: int = 6,
    crowds: float = 0.0,
    empty: float = 0.0,
    levels: int = 0,
    one_sided: bool = False,
) -> list[Pair]:
    """Images of blocks that may overlap: found ones are moved a little, ``levels`` makes scores equal.

    ``one_sided``: the last class is never detected and the one before never there.
    """
    random = np.random.default_rng(seed)
    classes = ClassSet(Class(3 * k + 2, f"kind {k}", (k, 0, 0)) for k in range(num_classes))
    ids = classes.ids
    made = []
    for _ in range(images):
        count = 0 if random.random() < empty else objects
        alarms = 0 if random.random() < empty else false_alarms
        boxes = [_box(random, shape, sides) for _ in range(count)]
        kinds = random.choice(np.delete(ids, -2) if one_sided else ids, count)
        crowd = random.random(count) < crowds
        moved = [
            np.clip(box + random.integers(-3, 4, 4) * (random.random(4) < 0.6), 0, [*shape, *shape])
            for box in boxes
        ]
        chosen = np.flatnonzero(random.random(count) < found)
        moved = [moved[k] for k in chosen] + [_box(random, shape, sides) for _ in range(alarms)]
        names = np.concatenate([kinds[chosen], random.choice(ids, alarms)])
        swapped = random.random(len(names)) < 0.1
        names[swapped] = random.choice(ids, swapped.sum())
        if one_sided:
            names[names == ids[-1]] = ids[0]
        scores = random.random(len(names))
        if levels:
            scores = np.ceil(scores * levels) / levels
        truth, predicted = (
            Segmentation.from_masks(
                [_mask(box, shape) for box in some], shape=shape, class_ids=kind, classes=classes, **more
            )
            for some, kind, more in (
                (boxes, kinds, {"attributes": {"crowd": crowd}}),
                (moved, names, {"scores": scores}),
            )
        )
        made.append(Pair(truth, predicted))
    return made


def _box(random: np.random.Generator, shape: tuple[int, int], sides: tuple[int, int]) -> np.ndarray:
    height, width = np.minimum(random.integers(*sides, 2), np.array(shape) - 1)
    y, x = random.integers(0, shape[0] - height), random.integers(0, shape[1] - width)
    return np.array([y, x, y + height, x + width])


def _mask(box: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A block without its corner, and its right half a row lower, so that it is no rectangle."""
    mask = np.zeros(shape, bool)
    y, x, bottom, right = box
    mask[y:bottom, x:right] = True
    mask[y, x + (right - x) // 2 : right] = False
    return mask


def as_coco(made: list[Pair]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The truth of the images as COCO's document, and the detections as its results."""
    document: dict[str, Any] = {"images": [], "annotations": []}
    document["categories"] = [{"id": one.id, "name": one.name} for one in made[0].truth.classes]
    results = []
    for image, pair in enumerate(made, 1):
        document["images"].append({"id": image, "height": pair.truth.shape[0], "width": pair.truth.shape[1]})
        for k, rle in enumerate(rles_from_runs(pair.truth.runs, pair.truth.shape)):
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": image,
                    "category_id": int(pair.truth.class_ids[k]),
                    "segmentation": rle,
                    "area": int(pair.truth.areas_px[k]),
                    "iscrowd": int(pair.truth.attributes["crowd"][k]),
                }
            )
        for k, rle in enumerate(rles_from_runs(pair.predicted.runs, pair.predicted.shape)):
            results.append(
                {
                    "image_id": image,
                    "category_id": int(pair.predicted.class_ids[k]),
                    "segmentation": rle,
                    "score": float(pair.predicted.scores[k]),
                }
            )
    return document, results


def by_pycocotools(made: list[Pair]) -> list[float]:
    """AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl; -1 where a number does not exist."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    document, results = as_coco(made)
    with contextlib.redirect_stdout(io.StringIO()):
        truth, predicted = COCO(), COCO()
        truth.dataset = document
        truth.createIndex()
        if results:
            predicted = truth.loadRes(results)
        else:  # loadRes takes no empty list
            predicted.dataset = {**document, "annotations": []}
            predicted.createIndex()
        evaluation = COCOeval(truth, predicted, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


if __name__ == "__main__":
    numbers = {name: by_pycocotools(pairs(**case)) for name, case in CASES.items()}
    text = json.dumps({"peer": f"pycocotools {version('pycocotools')}", "numbers": numbers}, indent=1)
    Path(__file__).with_name("coco_ap.json").write_text(text + "\n")
