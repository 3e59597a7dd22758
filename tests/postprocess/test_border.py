"""Where objects end, against a plain reading of the definition."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.postprocess.border import border_targets
from smalti.segmentation import Segmentation


def marked(text, **settings):
    """Border of a drawn label map: digits are objects, dots are ground."""
    rows = text.split()
    labels = np.array([[0 if sign == "." else int(sign) for sign in row] for row in rows])
    border = border_targets(Segmentation.from_labels(labels), **settings)
    return ["".join("x" if here else "." for here in row) for row in border]


def test_one_pixel_around_two_squares_that_touch_and_in_the_gap_to_a_third():
    drawing = "............. .111111222... .111111222.3. .111111222.3. .111111222.3. ............."
    assert marked(drawing, width_px=1) == [
        ".............",
        ".xxxxxxxxx...",
        ".x....xx.xxx.",
        ".x....xx.xxx.",
        ".xxxxxxxxxxx.",
        ".............",
    ]
    assert marked(drawing, width_px=1, rim=False) == [
        ".............",
        "......xx.....",
        "......xx..x..",
        "......xx..x..",
        "......xx..x..",
        ".............",
    ]


def plain(labels, width, share, spacing, rim):
    """The definition, one pixel at a time."""
    sizes = np.bincount(labels.reshape(-1)) * np.prod(spacing)
    radii = np.sqrt(sizes / np.pi) if labels.ndim == 2 else np.cbrt(sizes * 0.75 / np.pi)
    reach = [max(1, int(min(width, share * radius))) for radius in radii]
    ground = [max(1, int(min(width, share * radius) / 2)) for radius in radii]
    border = np.zeros(labels.shape, bool)
    grid = np.stack(np.indices(labels.shape), axis=-1)
    for place in product(*map(range, labels.shape)):
        here = labels[place]
        apart = np.sqrt((((grid - place) * spacing) ** 2).sum(axis=-1))
        if here:
            near = labels[apart <= reach[here]]
            border[place] = ((near != here) & (rim | (near > 0))).any()
        else:
            near = labels[(labels > 0) & (apart <= np.array(ground)[labels])]
            border[place] = len(np.unique(near)) > 1
    return border


@pytest.mark.parametrize("rim", [True, False])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_as_defined_in_images(width, rim):
    rng = np.random.default_rng(width)
    labels = np.kron(rng.integers(0, 5, (4, 4)), np.ones((4, 5), int))
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    found = border_targets(Segmentation.from_labels(labels), width, rim=rim)
    assert np.array_equal(found, plain(labels, width, 0.4, np.ones(2), rim))


def test_as_defined_in_volumes_of_flat_voxels():
    labels = np.zeros((5, 10, 12), int)
    labels[1:4, 1:9, 1:6], labels[0:4, 2:8, 7:11] = 1, 2
    truth = Segmentation.from_labels(labels, geometry=Geometry((3, 1.5, 1.5), "um"))
    expected = plain(labels, 3, 0.9, np.array([2, 1, 1]), True)
    assert np.array_equal(border_targets(truth, 3, 0.9), expected)


def test_small_objects_keep_an_interior():
    labels = np.zeros((40, 60), int)
    labels[5:10, 5:10], labels[5:35, 25:55] = 1, 2
    border = border_targets(Segmentation.from_labels(labels), 5)
    assert not border[7, 7] and not border[6, 6]
    assert border[20, 29] and not border[20, 30]


def test_neither_the_image_edge_nor_void_nor_stuff_parts_anything():
    labels = np.ones((6, 9), int)
    labels[:, 6:] = 2
    void = np.zeros((6, 9), bool)
    void[:, 5:7] = True
    cell, ground = Class(1, "cell", (255, 0, 0)), Class(2, "ground", (0, 0, 0), thing=False)
    classes = ClassSet([cell, ground])
    touching = Segmentation.from_labels(labels, class_ids=[1, 1], classes=classes)
    assert np.flatnonzero(border_targets(touching, 1).any(axis=0)).tolist() == [5, 6]
    assert not border_targets(touching.replace(void=void), 1).any()
    on_stuff = touching.replace(class_ids=[1, 2])
    assert np.flatnonzero(border_targets(on_stuff, 1).any(axis=0)).tolist() == [5]
    assert not border_targets(on_stuff, 1, rim=False).any()


def test_no_objects_have_no_border():
    assert not border_targets(Segmentation.from_labels(np.zeros((4, 5), int))).any()


@pytest.mark.parametrize(
    "settings", [{"width_px": 0}, {"width_px": 31}, {"width_px": 1.5}, {"radius_share": -1}]
)
def test_widths_out_of_bounds_are_refused(settings):
    with pytest.raises(InputError):
        border_targets(Segmentation.from_labels(np.ones((3, 3), int)), **settings)
