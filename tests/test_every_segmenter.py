"""The contract of every method and step in the tables, present and future."""

import json
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from smalti.errors import InputError, SmaltiError, UnknownName
from smalti.image import Image
from smalti.segmentation import Segmentation
from smalti.segmenter import (
    SEGMENTERS,
    STEPS,
    ImageStep,
    Prompts,
    Segmenter,
    load_class,
    make_segmenter,
    make_step,
    segmenter_class,
)


def two_squares(dtype=np.uint8, high=200, ndim=2, channels=1):
    """Two bright squares (cubes) on a dark, slightly uneven ground, 40 pixels a side."""
    shape = (40,) * ndim
    plane = np.random.default_rng(0).uniform(high * 0.05, high * 0.1, shape)
    plane[(slice(5, 17),) * ndim] += high * 0.8
    plane[(slice(22, 36),) * ndim] += high * 0.7
    pixels = np.repeat(plane[..., None], channels, -1)
    if np.dtype(dtype).kind == "f":
        pixels = pixels / (high * 1.1)
    return Image(pixels.astype(dtype))


def prompts_for(method, shape):
    """A foreground scribble or point in the first square's place and a ground one in the corner, or a box."""
    if not method.prompts:
        return ()
    inner = tuple(min(length - 1, length // 4) for length in shape)
    corner = tuple(length - 1 for length in shape)
    if "scribbles" in method.prompts:
        scribbles = np.zeros(shape, np.int32)
        scribbles[corner] = -1
        scribbles[inner] = 1
        return (Prompts(scribbles=scribbles),)
    if "points" in method.prompts:
        return (Prompts(points_yx=np.array([inner, corner]), point_labels=np.array([1, 0])),)
    low = tuple(min(length // 10, length - 1) for length in shape)
    high = tuple(max(length // 2, at + 1) for length, at in zip(shape, low, strict=True))
    return (Prompts(boxes=np.array([low + high])),)


def run(method, image):
    return method.predict(image, *prompts_for(method, image.shape))


NETWORKS = sorted(name for name, place in SEGMENTERS.items() if place.startswith("smalti.train."))
"""What they predict with is what ``fit`` gives, whose contract is in train/test_every_network.py."""
FROM_FILES = [*NETWORKS, "onnx"]
"""Methods that predict with a file only."""


@pytest.fixture(params=[name for name in sorted(SEGMENTERS) if name not in FROM_FILES])
def method(request):
    return make_segmenter(request.param)


@pytest.fixture(params=sorted(SEGMENTERS))
def any_method(request):
    return make_segmenter(request.param)


@pytest.mark.parametrize("name", FROM_FILES)
def test_what_needs_a_file_says_how_to_come_by_one(name):
    command = f"smalti fit DATASET --method {name}" if name in NETWORKS else "smalti import"
    with pytest.raises(InputError, match=f"{command}.*--model"):
        make_segmenter(name).predict(two_squares())


def test_name_source_and_descriptions_are_there(any_method):
    method = any_method
    assert type(method).name in SEGMENTERS
    assert segmenter_class(method.name) is type(method)
    assert method.source
    assert (type(method).__doc__ or "").strip()
    assert isinstance(method, Segmenter)
    for name, field in type(method).model_fields.items():
        assert field.description and field.description.endswith("."), f"{name} needs its sentence"


def test_image_is_left_as_it_was(method):
    image = two_squares()
    before = image.pixels.copy()
    run(method, image)
    assert np.array_equal(image.pixels, before)


def test_same_image_same_result(method):
    image = two_squares(channels=3)
    assert run(method, image) == run(method, image)


def test_result_covers_the_image_and_keeps_its_geometry(method):
    from smalti.geometry import Geometry

    image = Image(two_squares().pixels, geometry=Geometry.parse("0.5um"))
    found = run(method, image)
    assert isinstance(found, Segmentation)
    assert found.shape == image.shape
    assert found.geometry is image.geometry


def test_two_squares_are_noticed(method):
    """Inside and outside of the first square do not come out the same, given the right polarity."""
    if "polarity" in type(method).model_fields:
        method = make_segmenter(method.name, polarity="bright")
    pixels = two_squares(channels=3).pixels.copy()
    pixels[..., 2] //= 4  # yellow, so that methods that look for colour see them too
    painted = run(method, Image(pixels)).panoptic().labels
    inside, outside = painted[6:16, 6:16], painted[1:4, 25:38]
    assert np.bincount(inside.ravel()).argmax() != np.bincount(outside.ravel()).argmax()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (33, 1), (2, 2), (7, 13)])
def test_tiny_and_odd_sizes(method, shape):
    generator = np.random.default_rng(1)
    image = Image.from_array(generator.integers(0, 255, shape).astype(np.uint8))
    if method.name == "forest" and image.pixels.size == 1:  # one pixel cannot show two classes
        with pytest.raises(InputError, match="two classes"):
            run(method, image)
        return
    assert run(method, image).shape == shape


@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_images(method, value):
    image = Image.from_array(np.full((20, 24), value, np.uint8))
    assert run(method, image).shape == (20, 24)


@pytest.mark.parametrize(
    ("dtype", "high"), [(np.uint16, 50000), (np.int32, 100000), (np.float32, 1), (np.float64, 1), (bool, 20)]
)
def test_other_dtypes(method, dtype, high):
    image = two_squares(dtype, high)
    try:
        assert run(method, image).shape == image.shape
    except InputError as error:
        assert str(error)  # a method may refuse a dtype it is not defined on, in words


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_channel_counts(method, channels):
    image = two_squares(channels=channels)
    try:
        assert run(method, image).shape == image.shape
    except InputError as error:
        assert channels in (2, 7), error
        assert "channel" in str(error)


def test_nan_is_refused_in_words(method):
    pixels = two_squares(np.float32, 1).pixels.copy()
    pixels[3, 3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        run(method, Image(pixels))


def test_floats_of_0_to_255_are_the_8_bit_image_or_refused_in_words(method):
    image = two_squares()
    floats = Image(image.pixels.astype(np.float32))
    try:
        found = run(method, floats)
    except InputError as error:
        assert "must lie in 0..1, got" in str(error)
    else:
        # A histogram of floats has bins of other widths than one of integers: a few pixels may change sides.
        same = found.panoptic().labels == run(method, image).panoptic().labels
        assert same.mean() > 0.99


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_byte_order_does_not_matter(method, dtype):
    image = two_squares(f"<{dtype}", 1 if dtype[0] == "f" else 50000, channels=3)
    assert run(method, Image(image.pixels.astype(f">{dtype}"))) == run(method, image)


def test_threads_do_not_disturb_each_other(method):
    images = [two_squares(channels=channels) for channels in (1, 3, 4, 3)]
    alone = [run(method, image) for image in images]
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: run(method, image), images * 2))
    assert together == alone * 2
    assert warnings.filters == before


def test_volumes_work_where_claimed_and_are_refused_elsewhere(method):
    volume = two_squares(ndim=3)
    if 3 in type(method).ndims:
        assert run(method, volume).shape == volume.shape
    else:
        with pytest.raises(InputError, match="2-D"):
            run(method, volume)


def test_parameters_out_of_bounds_are_refused(any_method):
    method = any_method
    with pytest.raises(UnknownName, match="no parameter"):
        make_segmenter(method.name, no_such_parameter=1)
    schema = type(method).model_json_schema()["properties"]
    for name, field in schema.items():
        for options in [field, *field.get("anyOf", [])]:
            for key, beyond in (
                ("minimum", -1),
                ("exclusiveMinimum", 0),
                ("maximum", 1),
                ("exclusiveMaximum", 0),
            ):
                if key in options:
                    with pytest.raises(InputError, match=name):
                        make_segmenter(method.name, **{name: options[key] + beyond})


@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_both_ends_of_every_number_give_a_result_or_words(method, end):
    """A field without a bound is tried far out; those that are asked for much work are bounded by an image at rest."""
    image = two_squares(channels=3)
    for name, field in type(method).model_json_schema()["properties"].items():
        for options in [field, *field.get("anyOf", [])]:
            if options.get("type") not in ("number", "integer") or name in (
                "clusters",
                "max_rounds",
                "rounds",
            ):
                continue
            one = 1 if options["type"] == "integer" else 1e-300
            far = 10**30 if options["type"] == "integer" else 1e300
            if end == "lowest":
                value = options.get("minimum", options.get("exclusiveMinimum", -far) + one)
            else:
                value = options.get("maximum", options.get("exclusiveMaximum", far) - one)
            try:
                assert run(make_segmenter(method.name, **{name: value}), image).shape == image.shape
            except InputError as error:
                assert str(error)


def test_json_of_the_parameters_makes_the_same_method_again(method):
    again = make_segmenter(**json.loads(json.dumps(method.describe())))
    assert again == method
    assert run(again, two_squares(channels=3)) == run(method, two_squares(channels=3))


@pytest.mark.parametrize("name", sorted(STEPS))
class TestSteps:
    def test_steps_keep_their_contract(self, name):
        step = make_step(name)
        assert load_class("step", name, STEPS).name == name
        assert step.source
        assert make_step(**json.loads(json.dumps(step.describe()))) == step
        for shape in [(1, 1), (1, 9), (7, 13), (40, 40)]:
            image = Image.from_array(np.random.default_rng(2).integers(0, 255, (*shape, 3)).astype(np.uint8))
            if isinstance(step, ImageStep):
                before = image.pixels.copy()
                changed = step.apply(image)
                assert changed.shape == image.shape
                assert np.array_equal(image.pixels, before)
                assert np.array_equal(step.apply(image).pixels, changed.pixels)
            else:
                segmentation = Segmentation.from_labels(image.pixels[..., 0] // 100)
                changed = step.apply(segmentation)
                assert changed.shape == segmentation.shape
                assert step.apply(segmentation) == changed

    @pytest.mark.parametrize("dtype", ["u2", "f4"])
    def test_byte_order_does_not_matter(self, name, dtype):
        step = make_step(name)
        if isinstance(step, ImageStep):
            image = two_squares(f"<{dtype}", 1 if dtype[0] == "f" else 50000, channels=3)
            swapped = step.apply(Image(image.pixels.astype(f">{dtype}"))).pixels
            expected = step.apply(image).pixels
            assert np.array_equal(swapped, expected)
            assert swapped.dtype.newbyteorder("=") == expected.dtype

    def test_steps_work_in_a_pipeline(self, name):
        side = "before" if isinstance(make_step(name), ImageStep) else "after"
        pipeline = make_segmenter("pipeline", **{side: [name]}, method="otsu")
        image = two_squares(channels=3)
        try:
            assert pipeline.predict(image).shape == image.shape
        except SmaltiError as error:
            # A colour step leaves no grey for Otsu, and says so.
            assert "channel" in str(error)
        assert make_segmenter(**json.loads(json.dumps(pipeline.describe()))) == pipeline
