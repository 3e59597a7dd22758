"""Probabilities to segments: cases that can be checked by eye, and objects of every size and number of axes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from smalti.classes import OBJECT, Class, ClassSet
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.overlaps import overlap
from smalti.postprocess.border import border_targets
from smalti.postprocess.decode import BorderDecoding, instances, panoptic, semantic, typical_depth
from smalti.segmentation import Segmentation

TWO = ClassSet.from_names(["cat", "dog"])


def planes_of(labels, sigma=1.0, noise=0.0, seed=0):
    """Interior, border and background as a model might see them: blurred, noisy, summing to 1."""
    truth = Segmentation.from_labels(labels)
    border = border_targets(truth, 2)
    planes = np.stack([(truth.labels > 0) & ~border, border, (truth.labels == 0) & ~border]).astype(
        np.float32
    )
    planes = np.stack([ndimage.gaussian_filter(plane, sigma) for plane in planes])
    planes += noise * np.random.default_rng(seed).random(planes.shape, dtype=np.float32)
    planes /= planes.sum(axis=0)
    return planes[:1], planes[1], planes[2]


def discs(shape, centres, radius):
    """Label map of discs, or balls, each pixel to the nearest centre."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    apart = np.linalg.norm(grid[..., None, :] - np.array(centres), axis=-1)
    return np.where(apart.min(axis=-1) <= radius, apart.argmin(axis=-1) + 1, 0)


def num_found(labels, segmentation, min_iou=0.7):
    return len(overlap(labels.astype(np.int32), segmentation.labels).match(min_iou).iou)


# Semantic


def test_semantic_takes_the_most_probable_class():
    probabilities = np.array([[[0.6, 0.2, 0.1]], [[0.3, 0.5, 0.2]], [[0.1, 0.3, 0.7]]], np.float32)
    found = semantic(probabilities, [0, 2, 1], TWO)
    assert found.semantic_map().tolist() == [[0, 2, 1]]
    assert found.class_ids.tolist() == [1, 2]
    assert found.scores == pytest.approx([0.7, 0.5])


def test_weights_ask_for_a_class_more_often_and_leave_scores_as_they_are():
    probabilities = np.array([[[0.6, 0.9]], [[0.4, 0.1]]], np.float32)
    assert len(semantic(probabilities, [0, 1], OBJECT)) == 0
    found = semantic(probabilities, [0, 1], OBJECT, weights=[1, 2])
    assert found.labels.tolist() == [[1, 0]]
    assert found.scores == pytest.approx([0.4])


def test_semantic_works_in_volumes_and_keeps_the_geometry():
    probabilities = np.zeros((2, 3, 4, 5), np.float32)
    probabilities[1, 1] = 1
    probabilities[0] = 1 - probabilities[1]
    found = semantic(probabilities, [0, 1], OBJECT, geometry=Geometry((2, 1, 1), "um"))
    assert found.areas_px.tolist() == [20]
    assert found.geometry.spacing == (2, 1, 1)


@pytest.mark.parametrize(
    "arguments", [{"class_ids": [0]}, {"class_ids": [1, 1]}, {"weights": [1]}, {"weights": [1, -1]}]
)
def test_semantic_refuses_ids_and_weights_that_do_not_fit(arguments):
    with pytest.raises(InputError):
        semantic(np.full((2, 2, 2), 0.5, np.float32), **{"class_ids": [0, 1], "classes": OBJECT, **arguments})


# Instances


def test_two_squares_a_border_apart():
    labels = np.zeros((9, 17), int)
    labels[1:8, 1:8], labels[1:8, 8:16] = 1, 2
    found = instances(*planes_of(labels, sigma=0.5), [1], OBJECT)
    assert len(found) == 2
    assert num_found(labels, found, 0.9) == 2


@pytest.mark.parametrize("radius", [4, 8, 16, 40])
def test_touching_discs_of_every_size_come_apart_with_one_setting(radius):
    side = int(radius * 1.9)
    centres = [
        (radius + 3 + side * row, radius + 3 + side * column) for row in range(3) for column in range(3)
    ]
    labels = discs((side * 3 + 10, side * 3 + 10), centres, radius)
    planes = planes_of(labels, sigma=min(1, radius / 8), noise=0.3)
    found = instances(*planes, [1], OBJECT)
    assert len(found) == 9
    assert num_found(labels, found) == 9


def test_shape_alone_parts_objects_without_a_border_class():
    labels = discs((40, 70), [(20, 20), (20, 47)], 15)
    foreground = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1)
    planes = foreground[None], np.zeros_like(foreground), 1 - foreground
    found = instances(*planes, [1], OBJECT, BorderDecoding(distance_weight=2))
    assert num_found(labels, found, 0.8) == 2
    assert len(instances(*planes, [1], OBJECT, BorderDecoding(distance_weight=0))) == 1


def test_the_typical_depth_is_that_of_neither_specks_nor_a_blob():
    core = discs((200, 240), [(20 + 30 * row, 20 + 30 * k) for row in range(6) for k in range(5)], 10) > 0
    core[:190, 180:] = True
    core[195, 2:170:3] = True
    distance = ndimage.distance_transform_edt(core)
    assert typical_depth(core[:, :175], distance[:, :175]) == pytest.approx(11, abs=1)
    many = np.concatenate([core[:, :175]] * 3, axis=1)
    both = np.concatenate([many, core[:, 175:]], axis=1)
    assert typical_depth(both, ndimage.distance_transform_edt(both)) == pytest.approx(11, abs=1)
    ball = np.pad(discs((23, 23, 23), [(11, 11, 11)], 9) > 0, 2)
    assert typical_depth(ball, ndimage.distance_transform_edt(ball)) == pytest.approx(10, abs=1)


def test_a_blob_does_not_merge_the_small_objects_beside_it():
    small = [(8 + 12 * row, 8 + 12 * column) for row in range(15) for column in range(15)]
    labels = np.zeros((190, 500), int)
    labels[:, :190] = discs((190, 190), small, 6)
    interior, border, background = planes_of(labels, sigma=0.7)
    unsure = np.zeros(labels.shape, np.float32)
    unsure[60:120, 230:480] = 0.6  # the model wavers over something large that is no object
    interior = np.maximum(interior, unsure)
    background = 1 - border - interior[0]
    found = instances(interior, border, background, [1], OBJECT)
    assert num_found(labels, found) >= 0.97 * len(small)


def test_a_border_parts_what_shape_does_not():
    labels = np.zeros((20, 60), int)
    labels[4:16, 4:30], labels[4:16, 30:56] = 1, 2
    interior, border, background = planes_of(labels)
    assert num_found(labels, instances(interior, border, background, [1], OBJECT)) == 2
    merged = instances(interior + border, np.zeros_like(border), background, [1], OBJECT)
    assert len(merged) == 1


def test_balls_in_a_volume_of_flat_voxels():
    labels = discs((24, 24, 46), [(12, 12, 12), (12, 12, 31)], 10)[::2]  # slices two pixels apart
    found = instances(*planes_of(labels, sigma=0.7), [1], OBJECT, geometry=Geometry((2, 1, 1), "um"))
    assert found.shape == (12, 24, 46)
    assert num_found(labels, found) == 2


def test_pale_object_reaches_as_far_as_a_bright_one():
    labels = discs((30, 60), [(15, 15), (15, 45)], 10)
    foreground = ndimage.gaussian_filter((labels > 0).astype(np.float32), 2)
    foreground[:, 30:] *= 0.7  # nowhere surer than 0.7
    found = instances(foreground[None], np.zeros_like(foreground), 1 - foreground, [1], OBJECT)
    bright, pale = found.areas_px
    assert abs(int(bright) - int(pale)) <= 0.02 * bright
    assert found.scores[0] > 0.8 > 0.65 > found.scores[1]


def test_class_is_the_one_with_the_most_interior():
    labels = discs((30, 60), [(15, 15), (15, 45)], 10)
    interior, border, background = planes_of(labels)
    both = np.concatenate([interior * 0.75, interior * 0.25])
    both[:, :, 30:] = both[::-1, :, 30:]
    found = instances(both, border, background, [2, 1], TWO)
    assert found.class_ids.tolist() == [2, 1]
    alone = instances(interior, border, background, [2], TWO)
    assert found.scores == pytest.approx(0.75 * alone.scores, rel=1e-5)


def test_nothing_everything_and_one_pixel():
    nothing, all_ = np.zeros((8, 9), np.float32), np.ones((8, 9), np.float32)
    empty = instances(nothing[None], nothing, all_, [1], OBJECT)
    assert len(empty) == 0 and empty.shape == (8, 9)
    whole = instances(all_[None], nothing, nothing, [1], OBJECT)
    assert whole.areas_px.tolist() == [72] and whole.scores.tolist() == [1.0]
    pixel = instances(
        all_[None, :1, :1], nothing[:1, :1], nothing[:1, :1], [1], OBJECT, BorderDecoding(min_area_px=1)
    )
    assert len(pixel) == 1


def test_small_and_unsure_objects_are_dropped():
    foreground = np.zeros((20, 40), np.float32)
    foreground[5:15, 2:12], foreground[5:15, 15:25], foreground[5:8, 30:33] = 1, 0.55, 1
    planes = foreground[None], np.zeros_like(foreground), 1 - foreground
    assert instances(*planes, [1], OBJECT, BorderDecoding(smoothing=0)).areas_px.tolist() == [100]
    lenient = BorderDecoding(smoothing=0, min_area_px=9, min_peak=0.5)
    assert sorted(instances(*planes, [1], OBJECT, lenient).areas_px) == [9, 100, 100]


def test_an_object_is_one_piece():
    foreground = np.full((9, 20), 0.35, np.float32)
    foreground[2:7, 1:8] = foreground[2:7, 12:15] = 1  # a bridge too pale to belong to either
    planes = foreground[None], np.zeros_like(foreground), 1 - foreground
    found = instances(*planes, [1], OBJECT, BorderDecoding(smoothing=0, min_depth=5))
    assert found.areas_px.tolist() == [35]


def test_many_objects_are_decoded_alike_wherever_they_lie():
    tile = discs((32, 32), [(12, 11), (12, 22)], 6)
    interior, border, background = planes_of(tile, sigma=1)
    one = instances(interior, border, background, [1], OBJECT)
    many = instances(
        np.tile(interior, (1, 4, 5)), np.tile(border, (4, 5)), np.tile(background, (4, 5)), [1], OBJECT
    )
    assert len(one) == 2 and len(many) == 40
    assert np.array_equal(many.labels > 0, np.tile(one.labels > 0, (4, 5)))


@pytest.mark.parametrize(
    ("interior", "border", "background", "class_ids"),
    [
        (np.zeros((1, 4, 4)), np.zeros((4, 5)), np.zeros((4, 4)), [1]),
        (np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4)), [1]),
        (np.zeros((1, 4, 4)), np.zeros((4, 4)), np.full((4, 4), np.nan), [1]),
        (np.zeros((1, 4, 4)), np.zeros((4, 4)), np.zeros((4, 4)), [1, 2]),
    ],
)
def test_planes_that_do_not_fit_are_refused(interior, border, background, class_ids):
    with pytest.raises(InputError):
        instances(interior, border, background, class_ids, TWO)


def test_decoding_survives_json_and_refuses_what_is_none():
    decoding = BorderDecoding(min_depth=0.15, min_area_px=33)
    assert BorderDecoding.from_json(decoding.to_json()) == decoding
    for text in ("{", '{"min_depth": -1}', '{"depth": 1}'):
        with pytest.raises(ReadError):
            BorderDecoding.from_json(text)


# Panoptic

SCENE = ClassSet(
    [
        Class(1, "cell", (255, 0, 0)),
        Class(2, "tissue", (0, 255, 0), thing=False),
        Class(3, "fat", (0, 0, 255)),
    ]
)


def test_panoptic_has_things_one_by_one_and_stuff_where_no_thing_is():
    labels = discs((30, 50), [(15, 15), (15, 32)], 9)
    interior, border, background = planes_of(labels)
    tissue = background.copy()
    tissue[:, 45:] = 0
    probabilities = np.stack([background - tissue, interior[0], tissue])
    found = panoptic(probabilities, border, [0, 1, 2], SCENE)
    assert found.class_ids.tolist() == [1, 1, 2]
    assert not found.overlapping
    assert (found.semantic_map()[:, 46:] == 0).all()
    assert (found.semantic_map()[:3, :44] == 2).all()
    assert (found.semantic_map()[13:17, 12:18] == 1).all()
    assert found.scores[2] > 0.9


def test_panoptic_drops_small_stuff_and_needs_neither_things_nor_stuff():
    probabilities = np.zeros((2, 6, 6), np.float32)
    probabilities[1, :2, :2] = 1
    probabilities[0] = 1 - probabilities[1]
    border = np.zeros((6, 6), np.float32)
    assert panoptic(probabilities, border, [0, 2], SCENE).areas_px.tolist() == [4]
    assert len(panoptic(probabilities, border, [0, 2], SCENE, min_stuff_area_px=5)) == 0
    everything = panoptic(np.ones((1, 6, 6), np.float32), border, [3], SCENE)
    assert everything.class_ids.tolist() == [3] and everything.areas_px.tolist() == [36]
