"""All that is looked at in one sample, by itself: a pure function that may run in any process."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np

from ...image import Image
from ...masks import Polygon
from ...sample import Sample
from ...segmentation import Segmentation
from .examined import Examined, Named, Truth
from .files import load, names_of
from .instances import overlapping_pairs
from .outlines import outlines
from .pictures import look
from .pieces import crumbs, islands, smallest
from .shapes import shape_findings
from .voids import contacts

Polygons = Callable[[Sample], Sequence[tuple[str, Polygon]]]


def examine(sample: Sample, index: int = 0, polygons: Polygons | None = None) -> Examined:
    """Look at one sample, number ``index`` of its set; ``polygons`` gives the outlines its files have."""
    where = Named(index, sample.name, names_of(sample), sample.split, sample.group)
    image, truths, findings = load(sample)
    if polygons is not None and (image is not None or truths):
        size = truths[0][1].shape if image is None else image.shape
        if len(size) == 2:
            try:
                found = polygons(sample)
            except Exception:  # files that cannot be read are told of already
                found = ()
            findings += shape_findings(sample.name, where.files, found, (size[0], size[1]))
    return Examined(
        where,
        tuple(findings),
        None if image is None else look(image),
        tuple(_truth(number, truth, image) for number, truth in truths),
    )


def _truth(number: int, truth: Segmentation, image: Image | None) -> Truth:
    layers = truth.layers()
    labels = layers[0] if len(layers) == 1 else truth.runs.paint(truth.shape)[0]
    picture, flat, flat_labels = _flat(image, truth, labels)
    things = np.array([truth.classes.of(each).thing for each in truth.class_ids], bool)
    areas = truth.areas_px[things & (truth.areas_px > 0)]
    return Truth(
        number,
        math.prod(truth.shape),
        truth.class_ids,
        truth.areas_px,
        truth.boxes,
        truth.void_px,
        _digest(truth),
        float(np.median(areas)) ** (1 / truth.ndim) if len(areas) else float("nan"),
        crumbs(truth, layers)[0],
        islands(truth, labels)[0],
        smallest(truth),
        overlapping_pairs(truth),
        contacts(flat, flat_labels),
        None if picture is None else outlines(picture, flat, flat_labels),
    )


def _flat(
    image: Image | None, truth: Segmentation, labels: np.ndarray
) -> tuple[Image | None, Segmentation, np.ndarray]:
    """A picture as it is; of a volume the slice that has most to show."""
    if truth.ndim == 2:
        return image, truth, labels
    z = int(np.argmax(np.count_nonzero(np.diff(labels, axis=2, prepend=0), axis=(1, 2))))
    flat = Segmentation.from_labels(
        labels[z], class_ids=truth.class_ids, classes=truth.classes, void=truth.void[z]
    )
    picture = None if image is None else Image(image.pixels[z], image.channels)
    return picture, flat, flat.labels


def _digest(truth: Segmentation) -> bytes:
    digest = hashlib.sha256(str(truth.shape).encode())
    for column in (truth.class_ids, truth.runs.offsets, truth.runs.start, truth.runs.stop):
        digest.update(np.ascontiguousarray(column, np.int64).data)
    return digest.digest()
