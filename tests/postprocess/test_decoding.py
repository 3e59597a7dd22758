"""From planes to segments for every task, by borders and by centres, and decodings kept as plain values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from perfect_planes import perfect_planes

from smalti.classes import OBJECT, Class, ClassSet
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.io.raster import read_image
from smalti.metrics.instance import count_objects
from smalti.overlaps import overlap
from smalti.postprocess.centers import CenterDecoding
from smalti.postprocess.decode import BorderDecoding, Landscape, panoptic, semantic
from smalti.postprocess.decoding import decoding_from, segments, undecided_objects
from smalti.postprocess.planes import Planes
from smalti.postprocess.targets import Targets
from smalti.segmentation import Segmentation

SCENE = ClassSet([Class(1, "cell", (255, 0, 0)), Class(2, "wall", (0, 255, 0), thing=False)])
TARGETS = Targets.of([1, 2], SCENE, background=True, border_px=1)
EVERYTHING = Planes(TARGETS, 2, centers=True, distance=True)


def a_scene():
    """Two squares that touch, and a stripe of stuff."""
    labels = np.zeros((24, 30), np.int32)
    labels[2:14, 3:14], labels[2:14, 14:26], labels[18:] = 1, 2, 3
    return labels, perfect_planes(labels, EVERYTHING, [1, 1, 2], SCENE)


@pytest.mark.parametrize("decoding", [BorderDecoding(smoothing=0), CenterDecoding(), None])
def test_panoptic_has_things_apart_and_stuff(decoding):
    labels, planes = a_scene()
    found = segments(planes, EVERYTHING, "panoptic", SCENE, decoding, Geometry((2, 2), "um"))
    assert found.class_ids.tolist() == [1, 1, 2] and found.geometry.unit == "um"
    assert len(overlap(labels, found.labels).match(0.9).iou) == 3


def test_instances_are_found_by_what_the_decoding_says():
    _, planes = a_scene()
    planes[EVERYTHING.heat] = 0
    assert len(segments(planes, EVERYTHING, "instance", SCENE, CenterDecoding())) == 0
    assert len(segments(planes, EVERYTHING, "instance", SCENE, BorderDecoding(smoothing=0))) >= 2
    assert len(segments(planes, EVERYTHING, "instance", SCENE, None)) == 0  # they have centres


def test_semantic_segments_are_those_of_the_classes_with_their_factors():
    _, planes = a_scene()
    found = segments(planes, EVERYTHING, "semantic", SCENE, None, factors=np.array([1, 0, 1, 1]))
    assert found.class_ids.tolist() == [2]
    same = semantic(planes[:4], TARGETS.class_ids, SCENE, weights=[1, 0, 1, 1])
    assert np.array_equal(found.labels, same.labels)


def test_panoptic_by_borders_is_that_of_decode():
    _, planes = a_scene()
    bare = Planes(TARGETS, 2)
    found = segments(planes[:4], bare, "panoptic", SCENE, BorderDecoding())
    same = panoptic(planes[:3], planes[3], [0, 1, 2], SCENE, BorderDecoding())
    assert np.array_equal(found.labels, same.labels) and np.array_equal(found.scores, same.scores)


def test_stuff_alone_needs_no_decoding():
    targets = Targets.of([2], SCENE, background=True)
    planes = np.zeros((2, 5, 6), np.float32)
    planes[1, 2:] = 1
    planes[0] = 1 - planes[1]
    for centers in (False, True):
        kinds = Planes(targets, 2, centers=centers)
        more = np.zeros((3 * centers, 5, 6), np.float32)
        found = segments(np.concatenate([planes, more]), kinds, "panoptic", SCENE, None)
        assert found.class_ids.tolist() == [2] and found.areas_px.tolist() == [18]


def test_a_distance_that_is_given_parts_what_touches():
    labels = np.zeros((24, 40), np.int32)
    labels[2:22, 2:20], labels[2:22, 20:38] = 1, 2
    kinds = Planes(Targets(("background", "object"), (0, 1)), 2, distance=True)
    planes = perfect_planes(labels, kinds)
    decoding = BorderDecoding(distance_weight=1)
    assert len(segments(planes, kinds, "instance", OBJECT, decoding)) == 2
    assert len(segments(planes[:2], Planes(kinds.targets, 2), "instance", OBJECT, decoding)) == 1
    for wrong in (planes[2][:-1], np.full_like(planes[2], np.nan)):
        with pytest.raises(InputError, match="distance"):
            Landscape(planes[1:2], np.zeros_like(planes[0]), planes[0], distance=wrong)


def test_what_cannot_be_decoded_is_refused():
    _, planes = a_scene()
    with pytest.raises(InputError, match="wanted 8 planes"):
        segments(planes[:4], EVERYTHING, "panoptic", SCENE, None)
    with pytest.raises(InputError, match="by centres"):
        undecided_objects(planes[:4], Planes(TARGETS, 2), "instance", SCENE, CenterDecoding)


@pytest.mark.parametrize(
    "decoding", [None, BorderDecoding(min_depth=0.15), CenterDecoding(reach=2.5, min_area_px=33)]
)
def test_decodings_are_told_apart_when_they_are_read(decoding):
    said = None if decoding is None else json.loads(json.dumps(decoding.describe()))
    assert decoding_from(said) == decoding


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        "center-decoding",
        {"name": "no-decoding"},
        {"name": ["center-decoding"]},
        {"name": "center-decoding", "min_depth": 0.1},
        {"name": "center-decoding", "reach": float("inf")},
        {"name": "border-decoding", "extent": -1},
        {"name": "border-decoding", 3: 4},
    ],
)
def test_decodings_that_are_none_are_refused(said):
    with pytest.raises(ReadError):
        decoding_from(said)


@pytest.mark.realdata
def test_nuclei_come_back_from_perfect_planes(data_dir):
    chosen = json.loads((data_dir / "splits.json").read_text())["dsb2018"]["train"][:20]
    shares = {"border": [], "center": []}
    for name in chosen:
        file = data_dir / "dsb2018" / "labels" / f"{name.removesuffix('.png')}.png"
        labels = read_image(file).pixels[..., 0]
        truth = Segmentation.from_labels(labels)
        for way, bordered, decoding in (
            ("border", 2, BorderDecoding()),
            ("center", 0, CenterDecoding(min_area_px=1)),
        ):
            kinds = Planes(
                Targets.of([1], OBJECT, background=True, border_px=bordered), 2, centers=way == "center"
            )
            found = segments(perfect_planes(truth.labels, kinds), kinds, "instance", OBJECT, decoding)
            shares[way].append(float(count_objects(truth, found, thresholds=(0.5,)).accuracy[0]))
    assert np.mean(shares["border"]) > 0.97  # 0.978 when this was written
    assert np.mean(shares["center"]) > 0.98  # 0.993; 1.000 without smoothing
