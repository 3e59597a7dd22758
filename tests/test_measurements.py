"""Measurements: shapes checked by eye, every number against scikit-image, physical units, symmetry."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops

from smalti.classes import ClassSet
from smalti.errors import InputError, UnknownName
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.measurements import PROPERTIES, measure
from smalti.segmentation import Segmentation
from smalti.table import Table


def row_of(picture: str, properties: list[str] | None = None) -> dict:
    """The measurements of the one segment drawn with # in lines of text."""
    labels = np.array([[int(mark == "#") for mark in line] for line in picture.split()])
    return next(measure(Segmentation.from_labels(labels), properties=properties).rows())


def ball(radius: float, spacing: tuple[float, float, float] = (1, 1, 1)) -> Segmentation:
    half = [int(radius / step) + 2 for step in spacing]
    z, y, x = (np.arange(-n, n + 1) * step for n, step in zip(half, spacing, strict=True))
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius**2
    return Segmentation.from_masks(inside[None], geometry=Geometry(spacing, "mm"))


# Shapes checked by eye


def test_rectangle_of_two_by_three() -> None:
    row = row_of("..... .###. .###. .....")
    assert row["segment"] == 1 and row["class"] == "object" and row["score"] == 1
    assert row["area"] == 6
    assert row["perimeter"] == 6  # the line through the six centres
    assert row["equivalent_diameter"] == pytest.approx(2 * np.sqrt(6 / np.pi))
    assert (row["centroid_y"], row["centroid_x"]) == (1.5, 2)
    assert (row["box_ymin"], row["box_xmin"], row["box_ymax"], row["box_xmax"]) == (1, 1, 3, 4)
    assert row["axis_major_length"] == pytest.approx(4 * np.sqrt(2 / 3))
    assert row["axis_minor_length"] == pytest.approx(4 * np.sqrt(1 / 4))
    assert row["eccentricity"] == pytest.approx(np.sqrt(1 - (1 / 4) / (2 / 3)))
    assert row["orientation"] == pytest.approx(np.pi / 2)  # along x
    assert row["solidity"] == 1
    assert row["euler_number"] == 1


def test_ring_has_a_hole() -> None:
    row = row_of("#### #..# #..# ####")
    assert row["area"] == 12
    assert row["perimeter"] == 12
    assert row["euler_number"] == 0
    assert row["solidity"] == 12 / 16


def test_letter_l_is_not_convex() -> None:
    row = row_of("#... #... #... ####")
    assert row["area"] == 7
    assert row["solidity"] == 7 / 10  # the hull's edge runs through the centres of the diagonal


def test_single_pixel() -> None:
    row = row_of("... .#. ...")
    assert row["area"] == row["solidity"] == row["euler_number"] == 1
    assert (
        row["perimeter"] == row["axis_major_length"] == row["axis_minor_length"] == row["eccentricity"] == 0
    )


def test_straight_line_has_no_width() -> None:
    row = row_of("#.... .#... ..#.. ...#. ....#")
    assert row["axis_minor_length"] == 0
    assert row["eccentricity"] == 1
    assert row["orientation"] == pytest.approx(np.pi / 4)
    assert row["solidity"] == 1
    assert row["perimeter"] == pytest.approx(3 * np.sqrt(2))  # an end has one neighbour and adds nothing


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    assert row_of("#. .#", ["euler_number"])["euler_number"] == 1
    assert row_of("#.. ..#", ["euler_number"])["euler_number"] == 2


def test_perimeter_by_crofton_of_a_disc() -> None:
    y, x = np.mgrid[-60:61, -60:61]
    disc = Segmentation.from_masks((y**2 + x**2 <= 50**2)[None])
    assert measure(disc, properties=["perimeter_crofton"])["perimeter_crofton"][0] == pytest.approx(
        2 * np.pi * 50, rel=0.01
    )


def test_block_in_three_dimensions() -> None:
    labels = np.zeros((6, 7, 8), int)
    labels[1:3, 1:5, 1:7] = 1
    row = next(measure(Segmentation.from_labels(labels)).rows())
    assert row["volume"] == 2 * 4 * 6
    assert (row["centroid_z"], row["centroid_y"], row["centroid_x"]) == (1.5, 2.5, 3.5)
    assert row["axis_major_length"] == pytest.approx(2 * np.sqrt(5 * 35 / 12))
    assert row["axis_middle_length"] == pytest.approx(2 * np.sqrt(5 * 15 / 12))
    assert row["axis_minor_length"] == pytest.approx(2 * np.sqrt(5 * 3 / 12))
    assert row["solidity"] == row["euler_number"] == 1


def test_cavity_and_tunnel_in_three_dimensions() -> None:
    shell = np.ones((3, 3, 3), bool)
    shell[1, 1, 1] = False
    tunnel = np.ones((3, 3, 3), bool)
    tunnel[:, 1, 1] = False
    table = measure(Segmentation.from_masks(np.stack([shell, tunnel])), properties=["euler_number"])
    assert table["euler_number"].tolist() == [2, 0]


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2.0, 0.7, 1.0)])
def test_volume_and_surface_of_a_ball(spacing: tuple[float, float, float]) -> None:
    row = next(measure(ball(15, spacing), properties=["volume", "surface"]).rows())
    assert row["volume"] == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.02)
    assert row["surface"] == pytest.approx(4 * np.pi * 15**2, rel=0.03)


def test_surface_of_a_box_is_near() -> None:
    labels = np.ones((30, 40, 50), int)  # all of the image: its border counts
    surface = measure(Segmentation.from_labels(labels), properties=["surface"])["surface"][0]
    assert surface == pytest.approx(2 * (30 * 40 + 30 * 50 + 40 * 50), rel=0.1)


def test_flat_segments_have_a_hull_in_three_dimensions() -> None:
    labels = np.zeros((5, 5, 5), int)
    labels[2, 1:4, 1:4] = 1
    labels[0, 0, 0] = 2
    assert measure(Segmentation.from_labels(labels), properties=["solidity"])["solidity"].tolist() == [1, 1]


# Every number against scikit-image

LABELS = st.one_of(
    hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)),
    hnp.arrays(np.int32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 3)),
)
SAME_NAME = (
    "area",
    "perimeter",
    "perimeter_crofton",
    "euler_number",
    "axis_major_length",
    "axis_minor_length",
)


def assert_equals_regionprops(labels: np.ndarray, spacing: tuple[float, ...] | None) -> None:
    ids = np.unique(labels[labels > 0])
    pixels = np.random.default_rng(0).normal(size=(*labels.shape, 3))
    geometry = None if spacing is None else Geometry(spacing, "um")
    isotropic = spacing is None or len(set(spacing)) == 1
    names = [name for name, known in PROPERTIES.items() if labels.ndim in known.ndims]
    table = measure(Segmentation.from_labels(labels, geometry=geometry), Image(pixels), names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Qhull on flat segments
        regions = regionprops(labels, pixels, spacing=spacing or (1,) * labels.ndim)
        assert [region.label for region in regions] == ids.tolist()
        for region, row in zip(regions, table.rows(), strict=True):
            row["area"] = row["area"] if labels.ndim == 2 else row["volume"]
            for name in SAME_NAME:
                if name in row and (isotropic or not name.startswith("perimeter")):
                    assert row[name] == pytest.approx(getattr(region, name), rel=1e-9, abs=1e-6), name
            assert row["equivalent_diameter"] == pytest.approx(region.equivalent_diameter_area)
            assert [row[f"centroid_{axis}"] for axis in "zyx"[-labels.ndim :]] == pytest.approx(
                region.centroid
            )
            assert tuple(value for name, value in row.items() if name.startswith("box_")) == region.bbox
            if np.isfinite(region.solidity):
                assert row["solidity"] == pytest.approx(region.solidity)
            if labels.ndim == 2:
                assert row["eccentricity"] ** 2 == pytest.approx(region.eccentricity**2, abs=1e-9)
                if row["eccentricity"] > 1e-3:
                    assert np.sin(row["orientation"] - region.orientation) == pytest.approx(0, abs=1e-6)
            for name in ("mean", "min", "max", "std"):
                found = [row[f"{name}_{color}"] for color in ("red", "green", "blue")]
                assert found == pytest.approx(getattr(region, f"intensity_{name}").tolist())


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_random_labels_measure_as_in_scikit_image(labels: np.ndarray) -> None:
    assert_equals_regionprops(labels, None)


@settings(max_examples=40, deadline=None)
@given(LABELS, st.lists(st.sampled_from([0.25, 0.5, 1.0, 3.0]), min_size=3, max_size=3))
def test_random_labels_and_spacing_measure_as_in_scikit_image(labels: np.ndarray, steps: list[float]) -> None:
    assert_equals_regionprops(labels, tuple(steps[: labels.ndim]))


@pytest.mark.parametrize("shape", [(90, 120), (16, 20, 24)])
def test_smooth_labels_measure_as_in_scikit_image(shape: tuple[int, ...]) -> None:
    grid = np.meshgrid(*(np.linspace(0, 9, n) for n in shape), indexing="ij")
    waves = np.sin(grid[0] + np.cos(grid[-1])) + np.cos(1.3 * grid[1] - grid[0])
    assert_equals_regionprops(np.digitize(waves, [-0.8, 0, 0.9]), None)


def test_hulls_of_scattered_pixels_count_as_in_scikit_image() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        labels = np.zeros((40, 50), int)
        labels[rng.integers(0, 40, 5), rng.integers(0, 50, 5)] = 1
        solidity = measure(Segmentation.from_labels(labels), properties=["solidity"])["solidity"][0]
        assert solidity == regionprops(labels)[0].solidity


def test_hull_of_a_ball_counts_as_in_scikit_image() -> None:
    segmentation = ball(9, (1.3, 1, 0.8))
    solidity = measure(segmentation, properties=["solidity"])["solidity"][0]
    assert solidity == regionprops(segmentation.labels)[0].solidity


def test_two_and_three_dimensions_have_the_same_euler_number() -> None:
    labels = np.random.default_rng(3).integers(0, 3, (20, 30))
    flat = measure(Segmentation.from_labels(labels), properties=["euler_number"])
    thick = measure(Segmentation.from_labels(np.stack([labels, labels])), properties=["euler_number"])
    assert flat["euler_number"].tolist() == thick["euler_number"].tolist()


# Physical units


def test_lengths_are_physical_where_the_spacing_is_known() -> None:
    labels = np.zeros((8, 9), int)
    labels[2:5, 3:7] = 1
    plain = measure(Segmentation.from_labels(labels))
    table = measure(Segmentation.from_labels(labels, geometry=Geometry.parse("0.5um")))
    for power, names in {
        1: [
            "perimeter",
            "equivalent_diameter",
            "centroid_y",
            "centroid_x",
            "axis_major_length",
            "axis_minor_length",
        ],
        2: ["area"],
    }.items():
        for name in names:
            assert table[name][0] == pytest.approx(plain[name][0] * 0.5**power)
            assert f"{name}_um{power if power > 1 else ''}" in table.header
    for name in ("orientation", "eccentricity", "solidity", "euler_number", "box_ymin", "area_px"):
        assert table[name][0] == pytest.approx(plain[name][0])


def test_units_are_pixels_where_the_spacing_is_unknown_and_area_is_there_once() -> None:
    table = measure(Segmentation.from_labels(np.ones((2, 2), int)))
    assert table.header.count("area_px") == 1
    assert table["area"].tolist() == table["area_px"].tolist() == [4]
    assert {"perimeter_px", "box_xmax_px", "orientation_rad", "solidity"} <= set(table.header)


def test_perimeter_follows_each_axis_of_the_spacing() -> None:
    labels = np.zeros((6, 9), int)
    labels[1:5, 1:8] = 1  # 4 rows, 7 columns: 3 steps down and 6 across, twice
    table = measure(
        Segmentation.from_labels(labels, geometry=Geometry((2.0, 0.5), "um")), properties=["perimeter"]
    )
    assert table["perimeter"][0] == pytest.approx(2 * (3 * 2 + 6 * 0.5))


@settings(max_examples=30, deadline=None)
@given(LABELS)
def test_numbers_turn_with_the_image(labels: np.ndarray) -> None:
    spacing = (0.5, 2.0, 3.0)[: labels.ndim]
    turned = labels.transpose()[::-1]
    here = measure(Segmentation.from_labels(labels, geometry=Geometry(spacing, "um")))
    there = measure(Segmentation.from_labels(turned, geometry=Geometry(spacing[::-1], "um")))
    for name in set(here.columns) - {"class", "orientation"}:
        if not name.startswith(("centroid", "box")):
            assert np.allclose(here[name], there[name], atol=1e-6), name


# Segmentations and images of every kind


def test_overlapping_segments_measure_as_if_alone() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((5, 12, 14)) < 0.6
    image = Image.from_array(rng.integers(0, 255, (12, 14, 3), np.uint8))
    together = measure(Segmentation.from_masks(masks), image)
    for k, mask in enumerate(masks):
        alone = measure(Segmentation.from_masks(mask[None]), image)
        for name in set(together.columns) - {"segment"}:
            assert together[name][k] == alone[name][0], name


def test_segment_without_pixels_has_a_row() -> None:
    masks = np.zeros((2, 4, 4), bool)
    masks[1, 1:3, 1:3] = True
    table = measure(Segmentation.from_masks(masks), Image.from_array(np.ones((4, 4))))
    empty = next(table.rows())
    zeros = {"area", "euler_number", "box_ymin", "box_xmin", "box_ymax", "box_xmax"}
    for name in set(table.columns) - {"segment", "class", "score"}:
        assert empty[name] == 0 if name in zeros else np.isnan(empty[name]), name
    volume = measure(Segmentation.from_masks(np.zeros((1, 2, 2, 2), bool)))
    assert volume["volume"][0] == 0 and np.isnan(volume["surface"][0]) and np.isnan(volume["solidity"][0])


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6)])
def test_no_segments_give_no_rows(shape: tuple[int, ...]) -> None:
    table = measure(
        Segmentation.from_labels(np.zeros(shape, int)), Image.from_array(np.ones(shape), ndim=len(shape))
    )
    assert len(table) == 0
    assert "mean_grey" in table


def test_classes_are_named() -> None:
    classes = ClassSet.from_names(["cell", "dirt"])
    segmentation = Segmentation.from_labels(
        np.array([[1, 2]]), class_ids=[2, 1], scores=[0.5, 1], classes=classes
    )
    table = measure(segmentation, properties=[])
    assert list(table.columns) == ["segment", "class", "score"]
    assert table["class"].tolist() == ["dirt", "cell"]
    assert table["score"].tolist() == [0.5, 1]


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int8, np.uint16, ">u2", np.int32, np.uint64, np.float16, np.float32, ">f8"]
)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_intensities_of_every_dtype(dtype: type, num_channels: int) -> None:
    labels = np.array([[1, 1, 0], [1, 0, 2]])
    pixels = np.arange(6 * num_channels).reshape(2, 3, num_channels).astype(dtype)
    table = measure(
        Segmentation.from_labels(labels), Image(pixels, geometry=Geometry()), ["mean", "min", "max", "std"]
    )
    for channel, name in enumerate(("grey", "alpha")[:num_channels]):
        inside = pixels[labels == 1, channel].astype(np.float64)
        assert table[f"mean_{name}"][0] == pytest.approx(inside.mean())
        assert table[f"std_{name}"][0] == pytest.approx(inside.std())
        assert (table[f"min_{name}"][0], table[f"max_{name}"][0]) == (inside.min(), inside.max())


def test_nan_pixels_make_their_segment_nan_and_no_other() -> None:
    pixels = np.array([[1.0, np.nan, 3.0, 5.0]])
    table = measure(Segmentation.from_labels(np.array([[1, 1, 2, 2]])), Image.from_array(pixels))
    for name in ("mean_grey", "min_grey", "max_grey", "std_grey"):
        assert np.isnan(table[name]).tolist() == [True, False], name


def test_only_what_is_asked_for_comes_in_the_order_asked() -> None:
    table = measure(
        Segmentation.from_labels(np.ones((2, 2), int)), properties=["solidity", "area", "solidity"]
    )
    assert isinstance(table, Table)
    assert list(table.columns) == ["segment", "class", "score", "solidity", "area"]


def test_what_cannot_be_measured_is_refused() -> None:
    flat = Segmentation.from_labels(np.ones((4, 5), int))
    with pytest.raises(UnknownName, match="nearest: perimeter"):
        measure(flat, properties=["perimetre"])
    with pytest.raises(InputError, match="not defined in 2-D"):
        measure(flat, properties=["volume"])
    with pytest.raises(InputError, match="needs the image"):
        measure(flat, properties=["mean"])
    with pytest.raises(InputError, match="list of names"):
        measure(flat, properties="area")
    with pytest.raises(InputError, match=r"shape \(4, 5\), got \(5, 4\)"):
        measure(flat, Image.from_array(np.zeros((5, 4))))
