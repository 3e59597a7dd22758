"""What the forest is compared with: Otsu and a watershed, and scikit-image's ``TrainableSegmenter``.

The peers are used as their documentation has it. ``TrainableSegmenter`` takes one image; its two parts,
``fit_segmenter`` and ``predict_segmenter``, take the features of pixels of many, which is what is done here. Its
features are ``multiscale_basic_features`` with the default scales (told which axis the channels are), its forest is its
own default, with a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from forest_sets import QualitySet

from smalti.classes import ClassSet
from smalti.classical.grey import grey_plane
from smalti.classical.threshold import otsu_threshold
from smalti.data.dataset import Dataset
from smalti.image import Image
from smalti.metrics.instance import Instances
from smalti.metrics.pair import Pair
from smalti.metrics.semantic import class_numbers
from smalti.postprocess.flooding import part_touching
from smalti.segmentation import Segmentation

VOID = -1
TUNED_ON = 20
"""Training images that a way from a mask to objects is chosen on."""


@dataclass(frozen=True)
class Fitted:
    """Something that predicts, how long it learned and from how many pixels (0: from none)."""

    predict: Callable[[Image], Segmentation]
    seconds: float = 0.0
    pixels: int = 0
    details: dict[str, Any] = field(default_factory=dict)


def numbers(truth: Segmentation) -> np.ndarray:
    """What is known of each pixel (*S,): 0 background, 1..K the classes in order, ``VOID`` where nothing is."""
    known = class_numbers(truth).astype(np.int32)
    if truth.void_px:
        known[truth.void] = VOID
    return known


def sampled(train: Dataset, pixels: int, seed: int) -> Iterator[tuple[Image, np.ndarray, np.ndarray]]:
    """Each image, the flat places of pixels drawn at random from its known ones, and their class numbers.

    As many of each image as make ``pixels`` in all, or all that are known where that is fewer.
    """
    rng = np.random.default_rng(seed)
    left = pixels
    for index, sample in enumerate(train):
        known = numbers(sample.truth).reshape(-1)
        places = np.flatnonzero(known != VOID)
        wanted = min(len(places), left // (len(train) - index))
        chosen = rng.permutation(places)[:wanted]
        left -= wanted
        yield sample.image, chosen, known[chosen]


def basic_features(image: Image) -> np.ndarray:
    """The features (*S, F) of ``TrainableSegmenter``."""
    from skimage.feature import multiscale_basic_features

    if image.num_channels == 1:
        return multiscale_basic_features(image.pixels[..., 0])
    return multiscale_basic_features(image.pixels, channel_axis=-1)


def trainable_segmenter(wanted: QualitySet, train: Dataset, pixels: int, seed: int) -> Fitted:
    """scikit-image's ``TrainableSegmenter`` learning from random known pixels."""
    from skimage.future import fit_segmenter, predict_segmenter
    from sklearn.ensemble import RandomForestClassifier

    begun = perf_counter()
    rows, known = [], []
    for image, places, own in sampled(train, pixels, seed):
        features = basic_features(image)
        rows.append(features.reshape(-1, features.shape[-1])[places])
        known.append(own)
    labels = np.concatenate(known) + 1  # 0 would mean unlabelled
    forest = RandomForestClassifier(n_estimators=100, n_jobs=-1, random_state=seed)
    fit_segmenter(labels, np.concatenate(rows), forest)

    def class_map(image: Image) -> np.ndarray:
        return predict_segmenter(basic_features(image), forest) - 1

    predict, details = to_segments(wanted, train, class_map)
    return Fitted(predict, perf_counter() - begun, len(labels), details)


def otsu(wanted: QualitySet, train: Dataset, pixels: int, seed: int) -> Fitted | None:
    """Otsu's threshold; of objects the connected pieces. None where there are several classes."""
    class_map = otsu_map(wanted, train)
    if class_map is None:
        return None
    begun = perf_counter()
    predict, details = to_segments(wanted, train, class_map, PIECES)
    return Fitted(predict, perf_counter() - begun, 0, details)


def otsu_watershed(wanted: QualitySet, train: Dataset, pixels: int, seed: int) -> Fitted | None:
    """Otsu's threshold and the distance watershed, for objects alone."""
    class_map = otsu_map(wanted, train)
    if class_map is None:
        return None
    begun = perf_counter()
    predict, details = to_segments(wanted, train, class_map, PARTED)
    return Fitted(predict, perf_counter() - begun, 0, details)


def otsu_map(wanted: QualitySet, train: Dataset) -> Callable[[Image], np.ndarray] | None:
    """From an image to class numbers by Otsu's threshold of its brightness; None where it does not apply.

    Objects are the side of the threshold with fewer pixels, since some images show them dark on bright. What two
    classes, or lines, look like is learned from the training images: the darker mean is the dark side.
    """
    if wanted.finds == "objects":
        return lambda image: _above(image, lambda above: above if above.mean() <= 0.5 else ~above).astype(int)
    sides = wanted.two_sides
    if sides is None:
        return None
    brightness = np.zeros((2, 2))
    for sample in train:
        known, plane = numbers(sample.truth), grey_plane(sample.image, "grey").astype(np.float64)
        for row, side in enumerate(sides):
            brightness[row] += plane[known == side].sum(), np.count_nonzero(known == side)
    dark, bright = np.array(sides)[np.argsort(brightness[:, 0] / brightness[:, 1])]
    return lambda image: np.where(_above(image, lambda above: above), bright, dark)


def _above(image: Image, chosen: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    plane = grey_plane(image, "grey")
    return chosen(plane > otsu_threshold(plane))


PIECES: tuple[tuple[float | None, int], ...] = ((None, 1), (None, 20), (None, 50))
"""Ways from a mask to objects: neck depth of the distance watershed (None: connected pieces), and least area."""
PARTED: tuple[tuple[float | None, int], ...] = ((1.0, 1), (1.0, 20), (1.0, 50), (2.0, 20), (2.0, 50))
USUAL = (1.0, 20)


def to_segments(
    wanted: QualitySet,
    train: Dataset,
    class_map: Callable[[Image], np.ndarray],
    ways: Sequence[tuple[float | None, int]] = PIECES + PARTED,
) -> tuple[Callable[[Image], Segmentation], dict[str, Any]]:
    """From class numbers to segments: one a class, or objects in the way that does best on training images.

    Where only strokes are known there is no object to compare with, and the way is ``USUAL``.
    """
    classes = train.classes
    if wanted.finds != "objects":
        return lambda image: of_classes(class_map(image), classes), {}
    metric, best = Instances(), USUAL
    few = [train[int(index)] for index in np.linspace(0, len(train) - 1, min(TUNED_ON, len(train)))]
    if few[0].truth.void_px < few[0].truth.labels.size / 2:
        kept: list[list[np.ndarray]] = [[] for _ in ways]
        for sample in few:
            mask, truth = class_map(sample.image) > 0, sample.truth
            for way, own in zip(ways, kept, strict=True):
                own.append(metric.keep(Pair(truth, objects(mask, classes, *way))))
        scores = [float(metric.score(own, np.ones((1, len(own))))["object_accuracy50"][0]) for own in kept]
        best = ways[int(np.argmax(scores))]
    told = f"{'connected pieces' if best[0] is None else f'watershed, necks of {best[0]:g} px'}, from {best[1]} px"
    return lambda image: objects(class_map(image) > 0, classes, *best), {"objects_by": told}


def of_classes(class_numbers: np.ndarray, classes: ClassSet) -> Segmentation:
    """One segment per class of a map of class numbers (*S,), 0 none."""
    ids = np.concatenate([[0], classes.ids])
    return Segmentation.from_semantic_map(ids[class_numbers], classes)


def objects(
    mask: np.ndarray, classes: ClassSet, min_depth_px: float | None, min_area_px: int
) -> Segmentation:
    """One segment per piece of the mask, parted at its necks unless the depth is None."""
    from scipy.ndimage import label

    labels = label(mask)[0] if min_depth_px is None else part_touching(mask, min_depth_px)
    found = Segmentation.from_labels(labels, classes=classes)
    return found[found.areas_px >= min_area_px]
