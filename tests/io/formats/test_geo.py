"""GeoJSON datasets: polygons on the pixel grid of the image they lie on, in whatever reference system."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.errors import InputError, MissingExtra, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io import write_image
from smalti.io.features import parse_features, segments_of
from smalti.io.geojson import to_geojson
from smalti.io.placing import same_crs
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet.from_names(["house", "field"])
UTM = Geometry((2.0, 2.0), "m", np.array([[2.0, 0, 500000], [0, -2, 4600000], [0, 0, 1]]), "EPSG:32633")


def put_image(path, geometry=UTM, shape=(8, 10), value=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(np.full((*shape, 1), value, np.uint8), geometry=geometry))


def square(left, top, right, bottom, affine=UTM.affine):
    """A ring around whole pixels, in the coordinates of the world."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]], float)
    return (corners @ affine[:2, :2].T + affine[:2, 2]).tolist()


def feature(*rings, shape="Polygon", **properties):
    coordinates = list(rings) if shape == "Polygon" else rings[0]
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": shape, "coordinates": coordinates},
    }


def put_features(path, *features, crs="urn:ogc:def:crs:EPSG::32633", **members):
    content = {"type": "FeatureCollection", "features": list(features)} | members
    if crs:
        content["crs"] = {"type": "name", "properties": {"name": crs}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_polygons_are_laid_on_the_pixels_they_cover(tmp_path):
    put_image(tmp_path / "a.tif")
    holed = feature(square(1, 1, 6, 6), square(2, 2, 4, 4), **{"class": "field", "year": 2020, "empty": ""})
    both = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 1, 1)], [square(8, 6, 20, 30)]]}
    put_features(
        tmp_path / "a.geojson",
        holed,
        {"type": "Feature", "id": "x7", "properties": {"class": "house", "score": 0.5}, "geometry": both},
        feature(square(100, 100, 110, 110)),  # of another tile
        {"type": "Feature", "properties": None, "geometry": None},
    )
    (sample,) = Dataset.open(tmp_path)
    truth = sample.truth
    assert [truth.classes.of(i).name for i in truth.class_ids] == ["field", "house", "object"]
    assert truth.areas_px.tolist() == [21, 5, 0] and not truth.mask(1)[2:4, 2:4].any()
    assert truth.scores.tolist() == [1, 0.5, 1] and truth.attributes["year"].tolist() == [2020, 0, 0]
    assert truth.attributes["source_id"].tolist() == ["", "x7", ""] and "empty" not in truth.attributes
    assert np.array_equal(truth.geometry.affine, UTM.affine) and truth.geometry.crs == "EPSG:32633"


@pytest.mark.parametrize(
    ("properties", "option", "name"),
    [
        ({"kind": "barn"}, "kind", "barn"),
        ({"classification": {"name": "Tumor", "color": [1, 2, 3]}}, "", "Tumor"),
        ({"a": {"b": "deep"}}, "a.b", "deep"),
        ({"label": 3}, "", "3"),
        ({"kind": "barn"}, "", "object"),
        ({"kind": None}, "kind", "object"),
    ],
)
def test_the_class_is_a_property(tmp_path, properties, option, name):
    put_image(tmp_path / "a.tif")
    put_features(tmp_path / "a.geojson", feature(square(1, 1, 3, 3), **properties))
    assert Dataset.open(tmp_path, "geojson", label=option).classes.names == (name,)


def test_lines_and_points_are_problems_unless_they_are_made_wide(tmp_path):
    put_image(tmp_path / "a.tif")
    line = feature(square(1, 1, 8, 5)[:2], shape="LineString")
    point = feature(square(5, 5, 6, 6)[0], shape="Point")
    put_features(tmp_path / "a.geojson", line, point)
    with pytest.raises(ReadError, match="feature 0.*buffer_px"):
        Dataset.open(tmp_path)
    assert len(Dataset.open(tmp_path, faulty="skip").problems) == 2
    truth = Dataset.open(tmp_path, "geojson", buffer_px=1.0)[0].truth
    assert truth.mask(1)[0:2, 1:8].all() and truth.areas_px.tolist() == [18, 4]


def test_coordinates_without_a_system_are_longitude_and_latitude(tmp_path):
    pyproj = pytest.importorskip("pyproj", reason="the extra geo is not installed")
    to_degrees = pyproj.Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform
    put_image(tmp_path / "a.tif")
    ring = [list(to_degrees(*point)) for point in square(1, 1, 6, 6)]
    put_features(tmp_path / "a.geojson", feature(ring), crs="")
    assert Dataset.open(tmp_path)[0].truth.areas_px.tolist() == [25]
    put_features(tmp_path / "a.geojson", feature(ring), crs="EPSG:4326")
    assert Dataset.open(tmp_path)[0].truth.areas_px.tolist() == [25]
    put_features(tmp_path / "a.geojson", feature(ring), crs="EPSG:9999999")
    with pytest.raises(ReadError, match="EPSG:9999999"):
        Dataset.open(tmp_path)[0].truths  # noqa: B018


def test_metres_without_a_system_are_the_images_own(tmp_path):
    put_image(tmp_path / "a.tif")
    put_features(tmp_path / "a.geojson", feature(square(1, 1, 6, 6)), crs="")
    assert Dataset.open(tmp_path)[0].truth.areas_px.tolist() == [25]
    put_features(tmp_path / "a.geojson", feature(square(1, 1, 6, 6)), crs="EPSG:32632")
    assert Dataset.open(tmp_path, "geojson", crs="image")[0].truth.areas_px.tolist() == [25]


def test_another_system_needs_pyproj(tmp_path, monkeypatch):
    def absent(module, extra):
        raise MissingExtra(f"{module} is needed for this; install it with: pip install 'smalti[{extra}]'")

    monkeypatch.setattr("smalti.io.placing.require", absent)
    put_image(tmp_path / "a.tif")
    put_features(tmp_path / "a.geojson", feature(square(1, 1, 6, 6)), crs="EPSG:32632")
    with pytest.raises(MissingExtra, match=r"pyproj.*smalti\[geo\]"):
        Dataset.open(tmp_path)[0].truths  # noqa: B018


def test_features_elsewhere_are_refused(tmp_path):
    put_image(tmp_path / "a.tif")
    put_features(tmp_path / "a.geojson", feature(square(100, 100, 110, 110)))
    with pytest.raises(ReadError, match="none of its 1 features touches the image"):
        Dataset.open(tmp_path)[0].truths  # noqa: B018
    put_image(tmp_path / "b.tif")
    shared = Dataset.open(tmp_path, "geojson", labels="a.geojson")
    assert [len(sample.truth) for sample in shared] == [0, 0]


def test_pictures_that_lie_nowhere_have_pixel_coordinates(tmp_path):
    put_image(tmp_path / "a.png", Geometry())
    (tmp_path / "a.geojson").write_text(json.dumps([feature([[1, 1], [4, 1], [4, 3], [1, 3]], name="x")]))
    assert Dataset.open(tmp_path)[0].truth.areas_px.tolist() == [6]
    put_features(tmp_path / "a.geojson", feature(square(1, 1, 6, 6)))
    with pytest.raises(ReadError, match="lies nowhere"):
        Dataset.open(tmp_path)[0].truths  # noqa: B018


def test_images_are_found_by_name(tmp_path):
    for number in (1, 10):
        put_image(tmp_path / "train" / "PS-RGB" / f"city_PS-RGB_img{number}.tif")
        put_features(
            tmp_path / "train" / "geojson" / f"city_geojson_img{number}.geojson",
            feature(square(1, 1, 3, 2 + number % 9)),
        )
    found = Dataset.open(tmp_path, "geojson", match=r"(img\d+)$")
    assert [len(sample.truth) for sample in found] == [1, 1] and found.splits == ("train",)
    assert found[0].truth.areas_px.tolist() == found[1].truth.areas_px.tolist() == [4]
    with pytest.raises(ReadError, match="no image is called"):
        Dataset.open(tmp_path, "geojson")
    with pytest.raises(InputError, match="bracket"):
        Dataset.open(tmp_path, "geojson", match="img")
    alone = tmp_path / "train" / "geojson" / "city_geojson_img1.geojson"
    put_image(alone.parent / "other.tif")
    assert len(Dataset.open(alone)) == 1  # the only image beside it
    assert len(Dataset.open(alone, images="other.tif")) == 1


def test_pixels_without_data_are_void(tmp_path_factory):
    tmp_path, out = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("out")
    tifffile = pytest.importorskip("tifffile")
    values = np.full((8, 10), 5, np.int16)
    values[:2] = -9999
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(42113, 2, 0, "-9999", True)])
    put_features(tmp_path / "a.geojson", feature([[1, 1], [4, 1], [4, 3], [1, 3]]), crs="")
    assert Dataset.open(tmp_path)[0].truth.void[:2].all() and Dataset.open(tmp_path)[0].truth.void_px == 20
    assert Dataset.open(tmp_path, "geojson", nodata=False)[0].truth.void_px == 0
    report = Dataset.open(tmp_path, "geojson", nodata=False).write(out / "one", "geojson")
    assert not report  # what smalti wrote says itself where void is
    assert not Dataset.open(tmp_path).write(out / "two", "geojson")


RING = [[1, 1], [4, 1], [4, 3], [1, 1]]


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (3, "type Feature"),
        ({"type": "Feature", "properties": [], "geometry": None}, "properties"),
        ({"type": "Feature", "geometry": 3}, "geometry"),
        (feature(RING[:2]), "2 different points"),
        (feature(3), "finite pairs"),
        (feature([["a", 1], [2, 2], [3, 3]]), "finite pairs"),
        (feature([[1, float("nan")], [2, 2], [3, 3]]), "finite pairs"),
        (feature([RING], shape="MultiPolygon"), "list of rings|finite pairs"),
        (feature(3, shape="MultiPolygon"), "wanted a list"),
        (feature(RING, shape="Circle"), "Circle"),
        (
            {
                "type": "Feature",
                "geometry": {"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection"}]},
            },
            "plain",
        ),
    ],
)
def test_features_that_lie_are_problems(tmp_path, record, word):
    put_image(tmp_path / "a.png", Geometry())
    put_features(tmp_path / "a.geojson", feature(RING), record, crs="")
    found = Dataset.open(tmp_path, faulty="skip")
    assert len(found[0].truth) == 1
    (problem,) = found.problems
    assert problem.record == "feature 1" and problem.file == "a.geojson"
    assert any(part in problem.message for part in word.split("|"))


def test_files_that_are_no_geojson_are_refused(tmp_path):
    put_image(tmp_path / "a.png", Geometry())
    for text in ("[1, 2", "{}", '{"type": "Topology"}', '{"type": "FeatureCollection", "features": 3}'):
        (tmp_path / "a.geojson").write_text(text)
        with pytest.raises(ReadError, match="a.geojson") as raised:
            Dataset.open(tmp_path, "geojson")
        assert "\n" not in str(raised.value)
    put_features(tmp_path / "a.geojson", feature([[1e300, 0], [0, 1e308], [-1e308, 3]]), crs="")
    with pytest.raises(ReadError, match="feature 0"):
        Dataset.open(tmp_path)[0].truths  # noqa: B018


def test_a_plain_geometry_and_a_collection_of_them_are_taken():
    polygon = {"type": "Polygon", "coordinates": [[[1, 1], [4, 1], [4, 3], [1, 3]]]}
    parts = {
        "type": "GeometryCollection",
        "geometries": [polygon, polygon | {"coordinates": [[[6, 6], [7, 6], [7, 7]]]}],
    }
    found = parse_features({"type": "Feature", "geometry": parts}, "a")
    truth = segments_of(found, (8, 10), Geometry(), ClassSet.from_names(["object"]), name="a")
    assert len(truth) == 1 and truth.areas_px[0] >= 6
    assert len(parse_features(polygon, "a").features) == 1


def test_names_of_reference_systems():
    assert same_crs("urn:ogc:def:crs:EPSG::32616", "EPSG:32616") and same_crs(
        "epsg:32616", "urn:ogc:def:crs:EPSG:8.9:32616"
    )
    assert same_crs("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326") and same_crs("WGS 84", "OGC:CRS84")
    assert not same_crs("EPSG:32616", "EPSG:32617") and not same_crs(None, "EPSG:4326")


# Writing

AFFINES = {
    "north up": UTM,
    "turned": Geometry(
        (1.0, 1.0), "m", np.array([[0.6, 0.8, 733601.3], [0.8, -0.6, 3725139.7], [0, 0, 1]]), "EPSG:32616"
    ),
    "degrees": Geometry(
        (2.7e-6, 2.7e-6),
        "deg",
        np.array([[2.7000000000043656e-06, 0, -115.2338076], [0, -2.7e-06, 36.14], [0, 0, 1]]),
        "EPSG:4326",
    ),
    "mirrored": Geometry((0.1, 0.3), "m", np.array([[0.3, 0, 1e6], [0, 0.1, -1e7], [0, 0, 1]]), "EPSG:32733"),
    "own system": Geometry(
        (30.0, 30.0),
        "m",
        np.array([[30.0, 0, -673425], [0, -30, 2130165], [0, 0, 1]]),
        "+proj=aea +lat_1=29.5",
    ),
    "nowhere": Geometry(),
}


@pytest.mark.parametrize("place", AFFINES)
@settings(max_examples=10)
@given(masks=arrays(bool, (3, 7, 9)), void=st.booleans())
def test_no_pixel_is_lost(tmp_path_factory, place, masks, void):
    geometry = AFFINES[place]
    truth = Segmentation.from_masks(
        masks,
        class_ids=[1, 2, 2],
        scores=[1, 0.25, 1],
        classes=CLASSES,
        geometry=geometry,
        void=masks[0] ^ masks[1] if void else None,
        attributes={"track_id": [0, 4, 5], "class": ["a", "", "b"], "big": [True, False, True]},
    )
    image = Image(np.ones((7, 9, 1), np.uint16), geometry=geometry)
    folder = tmp_path_factory.mktemp("geo")
    sample = Sample.of("a/b", image, truth, split="val", group="city")
    report = Dataset([sample], CLASSES).write(folder / "out", "geojson")
    assert not report, list(report.lines())
    (back,) = Dataset.open(folder / "out")
    assert np.array_equal(back.truth.runs.start, truth.runs.start) and back.truth == truth
    assert (back.split, back.group) == ("val", "city")


def test_what_is_written_is_geojson_in_the_world(tmp_path):
    truth = Segmentation.from_labels(np.eye(4, dtype=int), class_ids=[1], classes=CLASSES, geometry=UTM)
    image = Image(np.ones((4, 4, 1), np.uint8), geometry=UTM)
    Dataset([Sample.of("a", image, truth)], CLASSES).write(tmp_path / "out", "geojson")
    content = json.loads((tmp_path / "out" / "a.geojson").read_text())
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    (written,) = content["features"]
    assert written["geometry"]["type"] == "MultiPolygon" and written["properties"]["class"] == "house"
    assert (
        written["geometry"]["coordinates"][0][0][0] == [500000, 4600000 - 2]
        or [500000, 4600000] in written["geometry"]["coordinates"][0][0]
    )


def test_a_truth_without_an_image_has_pixel_coordinates(tmp_path):
    truth = Segmentation.from_labels(np.eye(4, dtype=int), class_ids=[1], classes=CLASSES, geometry=UTM)
    sample = Sample("a", None, lambda: (truth,))
    report = Dataset([sample], CLASSES).write(tmp_path / "out", "geojson")
    assert report.exact and report.total.fields_lost == ("spacing", "affine", "crs")


def test_volumes_are_refused(tmp_path):
    truth = Segmentation.from_labels(np.ones((2, 3, 4), int), classes=ClassSet.from_names(["a"]))
    with pytest.raises(InputError, match="volume"):
        Dataset([Sample.of("a", Image(np.ones((2, 3, 4, 1))), truth)], truth.classes).write(
            tmp_path / "o", "geojson"
        )
    assert not list(tmp_path.iterdir())


def test_void_is_a_last_feature():
    void = np.zeros((4, 4), bool)
    void[1:3, 1:3] = True
    content = to_geojson(Segmentation.from_labels(np.zeros((4, 4), int), classes=CLASSES, void=void))
    (last,) = content["features"]
    assert last["properties"] == {"void": True} and last["geometry"]["type"] == "Polygon"


# Real data


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("labels", "image", "count"),
    [
        ("geotiff_labels.geojson", "sample_geotiff.tif", 43),
        ("geotiff_custom_proj_labels.geojson", "sample_geotiff_custom_proj.tif", 19),
    ],
)
def test_real_polygons_are_those_of_rasterio(data_dir, tmp_path, labels, image, count):
    rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
    from rasterio.features import rasterize

    folder = data_dir / "spacenet_geotiff"
    found = Dataset.open(folder / labels, images=image)
    truth = found[0].truth
    assert len(truth) == count
    with rasterio.open(folder / image) as source:
        shape, transform = source.shape, source.transform
    for k, record in enumerate(json.loads((folder / labels).read_text())["features"], 1):
        burnt = rasterize([record["geometry"]], out_shape=shape, transform=transform).astype(bool)
        assert np.array_equal(burnt, truth.mask(k))
    report = found.write(tmp_path / "out", "geojson")
    assert not report, list(report.lines())


@pytest.mark.realdata
def test_real_roads_lie_elsewhere(data_dir):
    """The roads of the sample are 7 km west of the raster beside them, which is told and not drawn."""
    folder = data_dir / "spacenet_geotiff"
    found = Dataset.open(folder / "sample_roads.geojson", images="road_mask_input.tif", buffer_px=5)
    with pytest.raises(ReadError, match="none of its 27 features touches"):
        found[0].truths  # noqa: B018


@pytest.mark.realdata
def test_the_outline_of_a_patch_covers_all_of_its_pixels(data_dir):
    folder = data_dir / "eolearn_s2_patch"
    labels = np.load(folder / "mask_timeless" / "LULC.npy")[..., 0]
    collection = parse_features(json.loads((folder / "bbox.geojson").read_text()), "bbox.geojson")
    low, high = collection.features[0].points().min(axis=0), collection.features[0].points().max(axis=0)
    steps = (high - low) / labels.shape[::-1]
    affine = np.array([[steps[0], 0, low[0]], [0, -steps[1], high[1]], [0, 0, 1]])
    place = Geometry(tuple(steps[::-1]), "m", affine, "EPSG:32633")
    truth = segments_of(collection, labels.shape, place, ClassSet.from_names(["object"]), name="bbox.geojson")
    assert truth.mask(1).all() and labels.shape == (101, 100)
    assert 9.9 < steps[0] < 10.1 and 9.9 < steps[1] < 10.1  # Sentinel-2's 10 m


def test_metadata_that_is_no_number_is_written_as_null(tmp_path):
    truth = Segmentation.from_labels(np.ones((3, 4), int), classes=CLASSES)
    image = Image(np.zeros((3, 4, 1), np.uint8))
    sample = Sample.of("a", image, truth, metadata={"dose": float("nan"), "stain": "HE"})
    Dataset([sample], CLASSES).write(tmp_path / "out", "geojson")
    told = json.loads(
        (tmp_path / "out/a.geojson").read_text(), parse_constant=lambda _: pytest.fail("no JSON")
    )
    assert told["smalti"]["metadata"] == {"dose": None, "stain": "HE"}
    assert Dataset.open(tmp_path / "out")[0].metadata == {"stain": "HE"}


def test_coordinates_too_large_are_problems(tmp_path):
    put_image(tmp_path / "a.tif")
    put_features(tmp_path / "a.geojson", feature([[0, 0], [1e300, 0], [1e300, 1e300]]))
    (problem,) = Dataset.open(tmp_path, "geojson", faulty="skip").problems
    assert (problem.file, problem.record) == ("a.geojson", "feature 0") and "up to 2**31" in problem.message


@pytest.mark.parametrize("size", [("8", 10), (0, 10), (8.5, 10)])
def test_a_size_that_cannot_be_is_named(tmp_path, size):
    image = {"height": size[0], "width": size[1], "coordinates": "pixel corners"}
    put_features(tmp_path / "a.geojson", feature([[0, 0], [1, 0], [1, 1]]), crs="", image=image)
    put_image(tmp_path / "a.tif")
    with pytest.raises(ReadError, match=r"a\.geojson.*'image': height and width are whole numbers"):
        Dataset.open(tmp_path, "geojson")
