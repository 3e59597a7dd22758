"""Overlays and contact sheets: what must be seen is there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from smalti.classes import OKABE_ITO, ClassSet
from smalti.errors import InputError
from smalti.image import Image
from smalti.io.draw import overlay, side_by_side
from smalti.segmentation import Segmentation

GREY = Image.from_array(np.full((400, 400), 128, np.uint8))


def squares(rows: int = 8, side: int = 50) -> np.ndarray:
    """Label map of touching squares, numbered along the rows."""
    return np.kron(np.arange(1, rows * rows + 1).reshape(rows, rows), np.ones((side, side), int))


def two_classes() -> Segmentation:
    labels = np.zeros((400, 400), int)
    labels[50:150, 50:350] = 1
    labels[200:350, 50:350] = 2
    return Segmentation.from_labels(labels, class_ids=[1, 2], classes=ClassSet.from_names(["sky", "sea"]))


def test_picture_has_the_size_of_the_image_and_leaves_it_alone() -> None:
    before = GREY.pixels.copy()
    labels = squares()
    picture = overlay(GREY, Segmentation.from_labels(labels))
    assert picture.shape == (400, 400, 3) and picture.dtype == np.uint8
    assert np.array_equal(GREY.pixels, before) and np.array_equal(labels, squares())
    assert np.array_equal(picture, overlay(GREY, Segmentation.from_labels(labels)))


def test_nothing_drawn_outside_the_segments_but_their_casing() -> None:
    labels = np.zeros((400, 400), int)
    labels[100:300, 100:300] = 1
    picture = overlay(GREY, Segmentation.from_labels(labels))
    changed = (picture != 128).any(axis=-1)
    assert changed[100:300, 100:300].all()
    assert not changed[:99].any() and not changed[:, 301:].any()
    assert (picture[99, 150] < 128).all()  # the dark casing


def test_no_segments_give_the_image_itself() -> None:
    empty = Segmentation.from_labels(np.zeros((400, 400), int))
    assert (overlay(GREY, empty) == 128).all()
    assert (overlay(GREY, empty, legend=True, class_names=True, ids=True) == 128).all()


def test_fill_0_without_outlines_and_ids_leaves_the_image() -> None:
    picture = overlay(GREY, two_classes(), fill=0, outlines=False, ids=False, legend=False)
    assert (picture == 128).all()


def test_neighbours_have_different_colors() -> None:
    rng = np.random.default_rng(3)
    seeds = np.stack([rng.integers(0, 400, 150), rng.integers(0, 400, 150)])
    yy, xx = np.mgrid[:400, :400]
    cells = np.argmin([(yy - y) ** 2 + (xx - x) ** 2 for y, x in seeds.T], axis=0) + 1
    for labels in (squares(), cells):
        picture = overlay(GREY, Segmentation.from_labels(labels), fill=1, outlines=False, ids=False)
        assert {tuple(color) for color in np.unique(picture.reshape(-1, 3), axis=0)} <= set(OKABE_ITO)
        meet = labels[:, 1:] != labels[:, :-1]
        assert (picture[:, 1:] != picture[:, :-1])[meet].any(axis=-1).all()
        meet = labels[1:] != labels[:-1]
        assert (picture[1:] != picture[:-1])[meet].any(axis=-1).all()


def test_segments_that_lie_side_by_side_without_touching_differ_too() -> None:
    labels = np.zeros((400, 400), int)
    for k in range(8):  # 1 and 8 would have the same colour by number
        labels[10 + 48 * (k * 3 % 8) :, 50:90][:30] = k + 1
    picture = overlay(GREY, Segmentation.from_labels(labels), fill=1, outlines=False, ids=False)
    column = [tuple(picture[20 + 48 * row, 60]) for row in range(8)]
    assert all(one != other for one, other in pairwise(column))


def test_semantic_results_have_the_colors_of_their_classes() -> None:
    picture = overlay(GREY, two_classes(), fill=1, outlines=False)
    assert tuple(picture[100, 100]) == OKABE_ITO[0] and tuple(picture[250, 100]) == OKABE_ITO[1]
    by_segment = Segmentation.from_labels(squares(2, 200))
    same = overlay(GREY, by_segment, fill=1, outlines=False, ids=False, colors="class")
    assert (same == OKABE_ITO[0]).all()


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_ids_are_written_inside_their_segment_and_on_any_ground(shade: int) -> None:
    image = Image.from_array(np.full((400, 400), shade, np.uint8))
    segmentation = Segmentation.from_labels(squares(4, 100))
    bare = overlay(image, segmentation, ids=False)
    changed = (overlay(image, segmentation) != bare).any(axis=-1)
    for k in range(16):
        inside = changed[k // 4 * 100 :, k % 4 * 100 :][:100, :100]
        ys, xs = np.nonzero(inside)
        assert 5 < len(ys) < 2000
        assert abs(ys.mean() - 50) < 3 and abs(xs.mean() - 50) < 3
    written = overlay(image, segmentation)[changed]
    assert (written.min(axis=1) > 240).any() and (written.max(axis=1) < 40).any()


def test_id_of_a_ring_is_not_in_its_hole() -> None:
    yy, xx = np.mgrid[-200:200, -200:200]
    ring = (yy**2 + xx**2 < 190**2) & (yy**2 + xx**2 > 120**2)
    segmentation = Segmentation.from_labels(ring.astype(int))
    changed = overlay(GREY, segmentation, ids=True) != overlay(GREY, segmentation, ids=False)
    assert changed.any() and not changed.any(axis=-1)[~ring].any()


def test_ids_are_left_out_where_they_do_not_fit() -> None:
    labels = squares(80, 5)
    segmentation = Segmentation.from_labels(labels)
    assert np.array_equal(overlay(GREY, segmentation, ids=True), overlay(GREY, segmentation, ids=False))


def test_class_names_are_written_and_give_way_to_the_id_alone() -> None:
    segmentation = two_classes()
    assert not np.array_equal(overlay(GREY, segmentation, class_names=True), overlay(GREY, segmentation))
    narrow = np.zeros((400, 400), int)
    narrow[:, 100:130] = 1
    one = Segmentation.from_labels(
        narrow, class_ids=[1], classes=ClassSet.from_names(["a name that is long"])
    )
    assert np.array_equal(overlay(GREY, one, ids=True, class_names=True), overlay(GREY, one, ids=True))
    assert np.array_equal(overlay(GREY, one, class_names=True), overlay(GREY, one))


def test_legend_is_added_below_and_hides_nothing() -> None:
    bare = overlay(GREY, two_classes(), legend=False)
    picture = overlay(GREY, two_classes())
    assert picture.shape[0] > 400 and np.array_equal(picture[:400, :400], bare)
    panel = picture[400:].reshape(-1, 3)
    for color in OKABE_ITO[:2]:
        assert (panel == color).all(axis=-1).sum() > 50
    assert not (panel == OKABE_ITO[2]).all(axis=-1).any()


def test_legend_of_a_hundred_long_names_keeps_to_the_width() -> None:
    classes = ClassSet.from_names([f"the class that is number {k} of a hundred" for k in range(1, 101)])
    labels = squares(10, 40)
    segmentation = Segmentation.from_labels(labels, class_ids=range(1, 101), classes=classes)
    picture = overlay(GREY, segmentation)
    assert picture.shape[1] == 400 and picture.shape[0] > 1000


def test_small_images_are_enlarged_by_a_whole_number() -> None:
    image = Image.from_array(np.arange(100, dtype=np.uint8).reshape(10, 10))
    empty = Segmentation.from_labels(np.zeros((10, 10), int))
    assert overlay(image, empty).shape == (320, 320, 3)
    picture = overlay(image, empty, zoom=3)
    assert np.array_equal(picture[..., 0], np.kron(image.pixels[..., 0], np.ones((3, 3), int)))
    medium = Image.from_array(np.zeros((399, 200), np.uint8))
    assert overlay(medium, Segmentation.from_labels(np.zeros((399, 200), int))).shape == (798, 400, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 13)])
def test_odd_and_tiny_sizes(shape: tuple[int, int]) -> None:
    image = Image.from_array(np.zeros(shape, np.float32))
    for segmentation in (
        Segmentation.from_labels(np.ones(shape, int)),
        Segmentation.from_labels(np.arange(1, shape[0] * shape[1] + 1).reshape(shape)),
    ):
        picture = overlay(image, segmentation, ids=True, class_names=True, legend=True)
        zoom = 32 if max(shape) < 30 else 1
        assert picture.shape[0] > shape[0] * zoom and picture.shape[1] >= shape[1] * zoom


def test_overlapping_segments_are_drawn_in_order() -> None:
    masks = np.zeros((3, 400, 400), bool)
    masks[0, 50:250, 50:250] = True
    masks[1, 150:350, 150:350] = True
    masks[2, 160:200, 300:340] = True
    segmentation = Segmentation.from_masks(masks)
    picture = overlay(GREY, segmentation, fill=1, outlines=False, ids=False).astype(int)
    assert (picture[200, 200] == picture[340, 340]).all() and (picture[200, 200] != picture[60, 60]).any()
    assert (picture[180, 320] != picture[200, 200]).any()
    outlined = overlay(GREY, segmentation, fill=0, ids=False)
    assert (outlined[200, 247:251] != 128).any()  # the edge of the first, below the second
    assert (outlined[220, 200] == 128).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
def test_any_number_and_type_of_channels(count: int, dtype: type) -> None:
    image = Image.from_array((np.arange(30 * 30 * count).reshape(30, 30, count) % 2).astype(dtype))
    segmentation = Segmentation.from_labels(np.kron([[1, 2], [3, 0]], np.ones((15, 15), int)))
    assert overlay(image, segmentation, zoom=1).shape == (30, 30, 3)


def test_volume_shows_the_slice_that_cuts_most_segments() -> None:
    labels = np.zeros((4, 400, 400), int)
    labels[:, :100, :100] = 1
    labels[2:3, 200:300, 200:300] = 2
    labels[2:, 320:380, 320:380] = 3
    volume = Image.from_array(np.full((4, 400, 400), 128, np.uint8), ndim=3)
    segmentation = Segmentation.from_labels(labels)
    picture = overlay(volume, segmentation)
    assert np.array_equal(picture, overlay(volume, segmentation, z=2))
    assert (overlay(volume, segmentation, z=0)[150:, 150:] == 128).all()
    overlapping = Segmentation.from_masks(np.stack([labels == 1, labels == 2, labels > 0]))
    assert (overlay(volume, overlapping)[250, 250] != 128).any()
    with pytest.raises(InputError, match="0 to 3"):
        overlay(volume, segmentation, z=4)


def test_bad_input_is_named() -> None:
    segmentation = Segmentation.from_labels(np.ones((3, 4), int))
    image = Image.from_array(np.zeros((3, 4)))
    with pytest.raises(InputError, match="one shape"):
        overlay(GREY, segmentation)
    with pytest.raises(InputError, match="fill"):
        overlay(image, segmentation, fill=1.5)
    with pytest.raises(InputError, match="colors"):
        overlay(image, segmentation, colors="random")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="zoom"):
        overlay(image, segmentation, zoom=0)
    with pytest.raises(InputError, match="2 axes"):
        overlay(image, segmentation, z=0)


def test_contact_sheet_sets_pictures_in_rows() -> None:
    pictures = [
        np.full((50, 80, 3), 10, np.uint8),
        np.full((300, 90, 3), 20, np.uint8),
        np.full((9, 9, 3), 30, np.uint8),
    ]
    sheet = side_by_side(
        pictures, ["one", "a caption much longer than its picture", ""], height_px=120, columns=2
    )
    for shade, width in ((10, 192), (20, 36), (30, 120)):
        assert (sheet == shade).all(axis=-1).sum() == 120 * width
    assert (sheet[0] == 255).all() and (sheet[:, 0] == 255).all()
    with pytest.raises(InputError, match="caption"):
        side_by_side(pictures, ["one"])
