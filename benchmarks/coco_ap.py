"""Average precision of COCO over many images."""

from __future__ import annotations

import cv2
import numpy as np
from harness import Comparison, row
from hotcoco import COCO, COCOeval

from smalti.classes import ClassSet
from smalti.masks import rles_from_runs
from smalti.metrics.average_precision import average_precision
from smalti.metrics.pair import Pair
from smalti.segmentation import Segmentation

HEIGHT, WIDTH = 480, 640
CLASSES = ClassSet.from_names(f"kind {k}" for k in range(20))
NUMBERS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "APs",
    "ap_medium": "APm",
    "ap_large": "APl",
}
NUMBERS |= {"ar1": "AR1", "ar10": "AR10", "ar100": "AR100"}
NUMBERS |= {"ar_small": "ARs", "ar_medium": "ARm", "ar_large": "ARl"}


def ellipses(shapes: np.ndarray) -> np.ndarray:
    """Masks (N, H, W) of ellipses, (N, 5): x, y, two half axes, degrees."""
    masks = np.zeros((len(shapes), HEIGHT, WIDTH), np.uint8)
    for mask, (x, y, first, second, degrees) in zip(masks, shapes.tolist(), strict=True):
        cv2.ellipse(mask, (int(x), int(y)), (int(first), int(second)), degrees, 0, 360, 1, -1)
    return masks.astype(bool)


def image(generator: np.random.Generator) -> tuple[Segmentation, Segmentation]:
    """Seven objects and twenty detections, of which most lie near an object."""
    low, high = [0, 0, 6, 6, 0], [WIDTH, HEIGHT, 110, 110, 180]
    shapes = generator.uniform(low, high, (7, 5))
    kinds = generator.integers(1, 21, 7)
    near = generator.integers(0, 7, 14)
    moved = shapes[near] * generator.normal(1, 0.04, (14, 5))
    moved = np.concatenate([moved, generator.uniform(low, high, (6, 5))])
    names = np.concatenate([kinds[near], generator.integers(1, 21, 6)])
    crowd = generator.random(7) < 0.05
    return (
        Segmentation.from_masks(
            ellipses(shapes), class_ids=kinds, classes=CLASSES, attributes={"crowd": crowd}
        ),
        Segmentation.from_masks(
            ellipses(moved), class_ids=names, classes=CLASSES, scores=generator.random(20)
        ),
    )


def annotations(side: Segmentation, number: int) -> list[dict]:
    """The segments of image ``number`` as COCO has them."""
    return [
        {
            "image_id": number,
            "category_id": int(side.class_ids[k]),
            "segmentation": rle,
            "area": int(side.areas_px[k]),
            "bbox": side.boxes[k][[1, 0]].tolist() + (side.boxes[k][[3, 2]] - side.boxes[k][[1, 0]]).tolist(),
            "iscrowd": int(side.attributes["crowd"][k]) if "crowd" in side.attributes else 0,
            "score": float(side.scores[k]),
        }
        for k, rle in enumerate(rles_from_runs(side.runs, side.shape))
    ]


@row("coco-ap", peer="hotcoco", target=0.83)
def coco_ap() -> Comparison:
    """The twelve numbers of 500 images, each library from its own run lengths."""
    generator = np.random.default_rng(0)
    sides = [image(generator) for _ in range(500)]
    images = [{"id": number, "height": HEIGHT, "width": WIDTH} for number in range(1, 501)]
    categories = [{"id": one.id, "name": one.name} for one in CLASSES]
    truth, detections = (
        [entry for number, pair in enumerate(sides, 1) for entry in annotations(pair[side], number)]
        for side in (0, 1)
    )
    for number, entry in enumerate(truth, 1):
        entry["id"] = number
    for entry in detections:
        del entry["bbox"]  # with a box its area would be the object's

    def peer() -> COCOeval:
        dataset = COCO({"images": images, "annotations": truth, "categories": categories})
        evaluation = COCOeval(dataset, dataset.load_res(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        return evaluation

    def ours() -> dict[str, float]:
        return average_precision([Pair(*side) for side in sides])

    def agree(evaluation: COCOeval, numbers: dict[str, float]) -> bool:
        evaluation.summarize()
        theirs = evaluation.get_results()
        return all(abs(theirs[name] - numbers[own]) < 1e-12 for own, name in NUMBERS.items())

    return Comparison(
        peer,
        ours,
        agree,
        "500 images of 480 x 640, 20 classes, 3,500 objects and 10,000 detections in memory: annotations with RLE, as "
        "json gives them, against Segmentations of runs; hotcoco on one thread as well",
    )
