"""Twelve properties of every cell of a label map, against scikit-image's ``regionprops_table``.

Both start from the same label map and the same grey image. Ours includes making the ``Segmentation`` and its
runs.
"""

from __future__ import annotations

import numpy as np
from harness import Comparison, row
from skimage.measure import regionprops_table

from smalti.image import Image
from smalti.measurements import measure
from smalti.segmentation import Segmentation

PITCH = 34  # pixels from cell to cell: 900 cells on 1024 x 1024, 14,400 on 4096 x 4096
PEER_PROPERTIES = (
    "area",
    "perimeter",
    "equivalent_diameter_area",
    "centroid",
    "bbox",
    "axis_major_length",
    "axis_minor_length",
    "orientation",
    "eccentricity",
    "solidity",
    "euler_number",
    "intensity_mean",
)
PROPERTIES = (
    "area",
    "perimeter",
    "equivalent_diameter",
    "centroid",
    "box",
    "axis_major_length",
    "axis_minor_length",
    "orientation",
    "eccentricity",
    "solidity",
    "euler_number",
    "mean",
)
COLUMNS = {  # scikit-image's column -> ours
    "area": "area",
    "perimeter": "perimeter",
    "equivalent_diameter_area": "equivalent_diameter",
    "centroid-0": "centroid_y",
    "centroid-1": "centroid_x",
    "bbox-0": "box_ymin",
    "bbox-1": "box_xmin",
    "bbox-2": "box_ymax",
    "bbox-3": "box_xmax",
    "axis_major_length": "axis_major_length",
    "axis_minor_length": "axis_minor_length",
    "orientation": "orientation",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
    "euler_number": "euler_number",
    "intensity_mean": "mean_grey",
}


def cells(size: int, seed: int = 0) -> np.ndarray:
    """Label map (size, size) of lobed cells, one in each square of a grid, a tenth with a hole."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    y, x = np.mgrid[:PITCH, :PITCH] - PITCH / 2
    distance, angle = np.hypot(y, x), np.arctan2(y, x)
    per_side = size // PITCH
    for k in range(per_side**2):
        lobes, phase = rng.integers(2, 6), rng.uniform(0, 2 * np.pi)
        radius = rng.uniform(9, 14) * (1 + 0.2 * np.cos(lobes * angle + phase))
        cell = (distance < radius) & (distance >= 2 * (rng.random() < 0.1))
        top, left = PITCH * (k // per_side), PITCH * (k % per_side)
        labels[top : top + PITCH, left : left + PITCH][cell] = k + 1
    return labels


def agree(peer: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> bool:
    """Every number of every cell to nine digits; a round cell has no direction to compare."""
    same = all(
        np.allclose(peer[theirs], ours[name], rtol=1e-9, atol=1e-9)
        for theirs, name in COLUMNS.items()
        if name not in ("orientation", "eccentricity")
    )
    round_off = np.abs(peer["eccentricity"] ** 2 - ours["eccentricity"] ** 2)  # of 1 - (minor / major)²
    turned = (peer["orientation"] - ours["orientation"])[ours["eccentricity"] > 0.01]
    return same and round_off.max() < 1e-9 and np.abs(np.sin(turned)).max() < 1e-9


def compare(size: int) -> Comparison:
    labels = cells(size)
    grey = np.random.default_rng(1).integers(0, 256, labels.shape, np.uint8)
    image = Image.from_array(grey)

    def ours() -> dict[str, np.ndarray]:
        segmentation = Segmentation.from_labels(labels, copy=False)
        return dict(measure(segmentation, image, PROPERTIES).columns)

    return Comparison(
        peer=lambda: regionprops_table(labels, grey, PEER_PROPERTIES),
        ours=ours,
        agree=agree,
        note=f"{labels.max()} cells; {', '.join(PROPERTIES)}; from the label map, one thread",
    )


@row("measure-1024", peer="scikit-image", what="time", target=20)
def measure_1024() -> Comparison:
    return compare(1024)


@row("measure-4096", peer="scikit-image", what="time", target=20, repeats=3)
def measure_4096() -> Comparison:
    return compare(4096)
