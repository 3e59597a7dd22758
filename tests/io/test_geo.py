"""GeoTIFF: affine, reference system, band names and missing data, read from the tags and written into them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io import read, write_image, write_labels
from smalti.io.decoding import Request
from smalti.io.geo import nodata_of
from smalti.io.labels import read_labels_and_geometry
from smalti.io.tiff import tiff_extent

NORTH_UP = np.array([[0.5, 0, 733601], [0, -0.5, 3725139], [0, 0, 1]])
TURNED = np.array([[0.3, 0.1, 500.25], [0.2, -0.7, -3.3], [0, 0, 1]])


def geometry(affine=NORTH_UP, unit="m", crs="EPSG:32616", metres=1.0):
    steps = np.hypot(affine[0, :2], affine[1, :2])[::-1] * metres
    return Geometry(tuple(steps.tolist()), unit, affine, crs)


def tiff(shape=(4, 6), **options):
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros(shape, np.uint8), **options)
    return file.getvalue()


def directory(*keys):
    values = (1, 1, 0, len(keys), *(value for key, number in keys for value in (key, 0, 1, number)))
    return (34735, 3, len(values), values, True)


SCALE = (33550, 12, 3, (2.0, 3.0, 0.0), True)
TIE = (33922, 12, 6, (0.0, 0.0, 0.0, 100.0, 200.0, 0.0), True)


@pytest.mark.parametrize(
    "placed",
    [
        geometry(),
        geometry(TURNED),
        geometry(NORTH_UP * [[1], [-1], [1]]),  # y up
        geometry(TURNED, "deg", "EPSG:4326"),
        geometry(TURNED, "m", "EPSG:2263", 1200 / 3937),  # feet
        geometry(crs="+proj=aea +lat_1=29.5 +lat_2=45.5 +lon_0=-96 +datum=WGS84 +units=m"),
        geometry(crs=None),
        Geometry(affine=TURNED),
    ],
)
def test_place_comes_back_bit_for_bit(tmp_path, placed):
    write_image(tmp_path / "a.tif", Image(np.ones((4, 6, 1), np.uint8), geometry=placed))
    back = read(tmp_path / "a.tif").geometry
    assert back.affine.tobytes() == placed.affine.tobytes()
    assert (back.crs, back.unit) == (placed.crs, placed.unit)
    assert back.spacing == placed.spacing


def test_label_maps_keep_their_place(tmp_path):
    write_labels(tmp_path / "a.tif", np.arange(24).reshape(4, 6), geometry(TURNED))
    labels, back = read_labels_and_geometry(tmp_path / "a.tif")
    assert np.array_equal(back.affine, TURNED) and back.crs == "EPSG:32616" and labels.max() == 23


@pytest.mark.parametrize("placed", [geometry(), geometry(NORTH_UP, "deg", "EPSG:4326")])
def test_rasterio_finds_the_same_place(tmp_path, placed):
    rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
    write_image(tmp_path / "a.tif", Image(np.ones((4, 6, 1), np.uint8), geometry=placed))
    with rasterio.open(tmp_path / "a.tif") as found:
        assert found.crs.to_string() == placed.crs
        assert np.array_equal(np.array(found.transform).reshape(3, 3), placed.affine)


def test_rasters_that_give_centres_are_moved_by_half_a_pixel():
    point = read(tiff(extratags=[SCALE, TIE, directory((1024, 1), (1025, 2), (3072, 32633))])).geometry
    assert point.affine.tolist() == [[2, 0, 99], [0, -3, 201.5], [0, 0, 1]]
    assert point.crs == "EPSG:32633" and point.spacing == (3, 2) and point.unit == "m"


def test_an_unknown_unit_leaves_the_spacing_unknown():
    found = read(tiff(extratags=[SCALE, TIE, directory((1024, 1), (3072, 2263))])).geometry
    assert found.affine is not None and found.spacing is None
    assert read(tiff(extratags=[SCALE, TIE])).geometry.crs is None


@pytest.mark.parametrize(
    "tags",
    [
        [SCALE],
        [(34264, 12, 16, (0.0,) * 16, True)],
        [(34264, 12, 4, (1.0,) * 4, True)],
        [SCALE, (33922, 12, 6, (0.0, 0.0, 0.0, float("nan"), 0.0, 0.0), True)],
        [SCALE, (33922, 12, 2, (0.0, 0.0), True)],
        [(34735, 3, 5, (1, 1, 0, 9, 3072), True)],
    ],
)
def test_tags_that_make_no_sense_are_no_place(tags):
    image = read(tiff(extratags=tags))
    assert image.shape == (4, 6) and image.geometry.affine is None


def metadata(*items):
    text = "".join(
        f'<Item name="{name}" sample="{i}" role="{name.lower()}">{value}</Item>' for i, name, value in items
    )
    return (42112, 2, 0, f"<GDALMetadata>{text}</GDALMetadata>", True)


def test_bands_have_the_names_that_gdal_gives_them():
    named = [(i, "DESCRIPTION", name) for i, name in enumerate(["blue", "green", "nir"])]
    options = {"photometric": "minisblack", "planarconfig": "contig", "shape": (4, 6, 3)}
    assert read(tiff(extratags=[metadata(*named)], **options)).channels == ("blue", "green", "nir")
    assert read(tiff(extratags=[metadata(*named[:2])], **options)).channels == (
        "channel_0",
        "channel_1",
        "channel_2",
    )
    broken = (42112, 2, 0, "<!DOCTYPE x><GDALMetadata>", True)
    assert read(tiff(extratags=[broken], **options)).channels[0] == "channel_0"


def test_a_band_that_gdal_knows_for_no_alpha_is_none():
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"], "shape": (4, 6, 4)}
    assert read(tiff(**options)).channels[3] == "alpha"
    denied = metadata((3, "COLORINTERP", "Undefined"))
    assert read(tiff(extratags=[denied], **options)).channels == ("red", "green", "blue", "channel_3")


@pytest.mark.parametrize(("text", "value"), [("-9999", -9999.0), ("0 ", 0.0), ("none", None)])
def test_missing_data(text, value):
    content = tiff(extratags=[(42113, 2, 0, text, True)])
    assert nodata_of(tiff_extent(io.BytesIO(content), Request("a"))[2]) == value
    assert nodata_of({}) is None and np.isnan(nodata_of({42113: "nan"}))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((4, 6), {}),
        ((4, 6), {"extratags": [SCALE, TIE, directory((3072, 32633))]}),
        ((4, 6, 3), {"photometric": "rgb"}),
        ((3, 4, 6), {"photometric": "rgb", "planarconfig": "separate"}),
        ((5, 4, 6), {"photometric": "minisblack"}),
        ((5, 4, 6), {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 2.0, "PhysicalSizeY": 3.0}}),
        ((4, 6), {"extratags": [(274, 3, 1, 6, True)]}),
        ((4, 6), {"extratags": [(274, 3, 1, 6, True), SCALE, TIE]}),
    ],
)
def test_the_header_alone_tells_size_and_place(shape, options):
    content = tiff(shape, **options)
    image = read(content)
    found, place, _ = tiff_extent(io.BytesIO(content), Request("a"))
    assert (
        found == image.shape and place.spacing == image.geometry.spacing and place.crs == image.geometry.crs
    )


# Real data


@pytest.mark.realdata
def test_naip(data_dir):
    image = read(next((data_dir / "naip_geotiff").glob("*.tif")))
    assert image.pixels.shape == (724, 934, 4) and image.pixels.dtype == np.uint8
    assert image.channels == (
        "red",
        "green",
        "blue",
        "channel_3",
    )  # its file says alpha, and GDAL's tag that it is none
    assert image.geometry.affine.tolist() == [[5, 0, 485902], [0, -5, 5209248], [0, 0, 1]]
    assert image.geometry.crs == "EPSG:26914" and image.geometry.spacing == (5, 5)


@pytest.mark.realdata
def test_real_places_are_those_of_rasterio(data_dir):
    rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
    count = 0
    for path in sorted((data_dir / "spacenet_geotiff").glob("*.tif")):
        image = read(path)
        if image.geometry.affine is None:
            continue
        with rasterio.open(path) as found:
            assert np.array_equal(image.geometry.affine, np.array(found.transform).reshape(3, 3))
            assert rasterio.crs.CRS.from_user_input(image.geometry.crs) == found.crs
            assert np.array_equal(image.pixels, found.read().transpose(1, 2, 0))
        count += 1
    assert count == 4
