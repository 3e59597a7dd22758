"""The contract of every augmentation in the table, present and future."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.augment import AUGMENTATIONS, Chain, make_augmentation, sample_rng
from smalti.data.augment.augmentation import Augmentation, Within
from smalti.errors import InputError, UnknownName
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.segmentation import Segmentation

CLASSES = ClassSet.from_names(["disc", "bar"])
# Steps that make something of nothing more than their defaults would show.
SETTINGS = {
    "flip": {"probability": 1},
    "crop": {"size": [24]},
    "resize": {"size": [30]},
    "pad": {"size": [50]},
    "chain": {"steps": ["rotate", "brightness", "gaussian-noise"]},
    "one-of": {"steps": ["rotate", "blur"]},
}


def made(name, **settings):
    return make_augmentation(name, **(SETTINGS.get(name, {}) | settings))


def scene(shape=(40, 44), dtype=np.uint8, channels=3, high=250):
    """A picture or volume of a gradient with a bright disc and a dark bar, and their segments."""
    grid = np.indices(shape)
    grey = sum(axis / length for axis, length in zip(grid, shape, strict=True)) / len(shape) * 0.5 + 0.2
    labels = np.zeros(shape, np.int32)
    labels[tuple(slice(length // 8, length // 2) for length in shape)] = 1
    labels[..., -(-shape[-1] * 3 // 4) :] = 2
    grey = grey + 0.3 * (labels == 1) - 0.15 * (labels == 2)
    pixels = np.stack([grey * (1 - 0.2 * k / channels) for k in range(channels)], axis=-1) * high
    return pixels.astype(dtype), labels


def objects(shape=(40, 44), dtype=np.uint8, channels=3, high=250, geometry=None):
    pixels, labels = scene(shape, dtype, channels, high)
    truth = Segmentation.from_labels(labels, class_ids=[1, 2], classes=CLASSES)
    return Image(pixels, geometry=geometry or Geometry()), truth.replace(geometry=geometry or Geometry())


@pytest.fixture(params=sorted(AUGMENTATIONS))
def step(request):
    return made(request.param)


def shape_for(step, flat=(40, 44), deep=(10, 20, 24)):
    return flat if 2 in step.ndims else deep


def test_name_source_and_descriptions_are_there(step):
    assert isinstance(step, Augmentation)
    assert type(step).name in AUGMENTATIONS
    assert step.source
    assert step.kind in ("spatial", "tone", "filter", "mixing", "chain")
    assert (type(step).__doc__ or "").strip()
    for name, field in type(step).model_fields.items():
        assert field.description and field.description.endswith("."), f"{name} needs its sentence"


def test_what_is_given_is_left_as_it_was(step):
    image, truth = objects()
    pixels, labels = image.pixels.copy(), truth.labels.copy()
    step.apply(image, truth, sample_rng(0, 1))
    assert np.array_equal(image.pixels, pixels)
    assert np.array_equal(truth.labels, labels)
    given = scene()
    kept = [array.copy() for array in given]
    result = step.apply_arrays(*given, sample_rng(0, 1), class_ids=[1, 2])
    assert all(np.array_equal(a, b) for a, b in zip(given, kept, strict=True))
    result.pixels[...] = 0
    result.labels[...] = 0
    assert all(np.array_equal(a, b) for a, b in zip(given, kept, strict=True))


def test_same_seed_index_and_epoch_give_the_same_and_others_differ(step):
    image, truth = objects()
    others = [(Image(255 - image.pixels), truth)]
    once, again = (step.apply(image, truth, sample_rng(3, 5, 7), others=others) for _ in range(2))
    assert np.array_equal(once[0].pixels, again[0].pixels)
    assert once[1] == again[1]
    if step.name in ("pad", "resize", "flip"):
        return  # nothing in them is drawn
    seen = {
        step.apply(image, truth, sample_rng(*numbers), others=others)[0].pixels.tobytes()
        for numbers in [(3, 5, 7), (4, 5, 7), (3, 6, 7), (3, 5, 8), *((9, k, 0) for k in range(12))]
    }
    assert len(seen) > 2


def test_objects_and_arrays_come_out_alike(step):
    image, truth = objects()
    out, found = step.apply(image, truth, sample_rng(1, 2))
    arrays = step.apply_arrays(
        image.pixels, truth.labels, sample_rng(1, 2), class_ids=truth.class_ids, void=255
    )
    assert np.array_equal(out.pixels, arrays.pixels)
    assert out.shape == found.shape == arrays.labels.shape
    assert np.array_equal(found.class_ids, arrays.class_ids)
    if not found.overlapping:
        assert np.array_equal(np.where(found.void, 255, found.labels), arrays.labels)


@pytest.mark.parametrize(
    ("dtype", "high", "channels"),
    [(np.uint8, 250, 1), (np.uint16, 4000, 2), (np.int16, 900, 1), (np.float32, 1, 3), (np.float64, 30, 5)],
)
def test_dtype_channels_and_range_are_kept(step, dtype, high, channels):
    pixels, labels = scene(dtype=dtype, channels=channels, high=high)
    try:
        result = step.apply_arrays(pixels, labels, sample_rng(0, 0), void=255)
    except InputError as error:
        assert step.name in str(error)  # some are defined for certain images only, and say so
        assert step.name in ("hue-saturation", "jpeg", "copy-paste")
        return
    assert result.pixels.dtype == dtype
    assert result.pixels.shape[-1] == channels
    low, top = (0, 255) if dtype == np.uint8 else (pixels.min(), pixels.max())
    slack = 1e-3 * high if np.dtype(dtype).kind == "f" else 0
    assert result.pixels.min() >= low - slack
    assert result.pixels.max() <= top + slack


def test_labels_get_no_new_values(step):
    pixels, labels = scene()
    named = np.array([0, 9, 200], np.uint8)[labels]
    for index in range(4):
        try:
            result = step.apply_arrays(pixels, named, sample_rng(0, index), void=255)
        except InputError:
            assert step.name == "copy-paste"
            return
        assert result.labels.dtype == np.uint8
        assert set(np.unique(result.labels)) <= {0, 9, 200, 255}


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (33, 1), (2, 2), (7, 13)])
def test_tiny_and_odd_sizes(step, shape):
    for index in range(3):
        image, truth = objects(shape)
        out, found = step.apply(image, truth, sample_rng(0, index))
        assert out.shape == found.shape
        if step.kind != "spatial":
            assert out.shape == shape


def test_volumes_work_where_claimed_and_are_refused_elsewhere(step):
    shape = (9, 20, 24)
    for spacing in ("1mm", "5x1x1mm"):
        image, truth = objects(shape, np.uint16, 1, 4000, Geometry.parse(spacing, 3))
        if 3 not in step.ndims:
            with pytest.raises(InputError, match="2-D"):
                step.apply(image, truth, sample_rng(0, 0))
            continue
        try:
            out, found = step.apply(image, truth, sample_rng(0, 0))
        except InputError as error:
            assert step.name in str(error)
            continue
        assert out.shape == found.shape
        assert out.pixels.dtype == np.uint16


def test_no_truth_and_an_empty_one(step):
    image, _ = objects()
    out, nothing = step.apply(image, None, sample_rng(0, 0)) if step.name != "copy-paste" else (image, None)
    assert nothing is None
    empty = Segmentation.from_labels(np.zeros(image.shape, np.uint8), class_ids=[], classes=CLASSES)
    out, found = step.apply(image, empty, sample_rng(0, 0))
    assert len(found) == 0
    assert found.shape == out.shape


def test_overlapping_segments_move_each_as_alone(step):
    image, _ = objects()
    masks = np.zeros((3, 40, 44), bool)
    masks[0, 5:30, 5:30] = masks[1, 15:38, 12:40] = masks[2, 0:12, 20:44] = True
    truth = Segmentation.from_masks(masks, class_ids=[1, 2, 1], scores=[1, 0.5, 0.25], classes=CLASSES)
    assert truth.overlapping
    out, found = step.apply(image, truth, sample_rng(0, 3))
    assert found.shape == out.shape
    if step.kind != "spatial":
        return
    for k in range(1, 4):
        alone = step.apply(image, truth[[k - 1]], sample_rng(0, 3))[1]
        same = np.flatnonzero(found.scores == truth.scores[k - 1])
        assert len(same) == len(alone)
        if len(alone) and step.name != "crop":
            assert np.array_equal(found.mask(int(same[0]) + 1), alone.mask(1))


def test_void_moves_along(step):
    image, truth = objects()
    void = np.zeros(image.shape, bool)
    void[2:6, 20:30] = True
    truth = truth.replace(void=void)
    out, found = step.apply(image, truth, sample_rng(0, 3))
    assert found.void.shape == out.shape
    if step.kind in ("tone", "filter"):
        assert np.array_equal(found.void, void)


def test_threads_do_not_disturb_each_other(step):
    image, truth = objects()
    alone = [step.apply(image, truth, sample_rng(0, k))[0].pixels for k in range(6)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda k: step.apply(image, truth, sample_rng(0, k))[0].pixels, range(6)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_byte_order_does_not_matter(step):
    for dtype, high in (("u2", 4000), ("f4", 1)):
        pixels, labels = scene(dtype=f"<{dtype}", high=high)
        try:
            expected = step.apply_arrays(pixels, labels, sample_rng(0, 1), class_ids=[1, 2])
        except InputError:
            continue
        swapped = step.apply_arrays(
            pixels.astype(f">{dtype}"), labels.astype(">i4"), sample_rng(0, 1), class_ids=[1, 2]
        )
        assert np.array_equal(expected.pixels, swapped.pixels)
        assert np.array_equal(expected.labels, swapped.labels)


def test_parameters_out_of_bounds_are_refused(step):
    with pytest.raises(UnknownName, match="no parameter"):
        make_augmentation(step.name, no_such_parameter=1)
    for name, field in type(step).model_fields.items():
        for bounds in [each for each in field.metadata if isinstance(each, Within)]:
            for span in (
                [bounds.low - 1, bounds.high],
                [bounds.low, bounds.high + 1],
                [bounds.high, bounds.low],
            ):
                with pytest.raises(InputError, match=name):
                    make_augmentation(step.name, **{name: span})
    for name, field in type(step).model_json_schema()["properties"].items():
        for key, beyond in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1)):
            if key in field:
                with pytest.raises(InputError, match=name):
                    make_augmentation(step.name, **{name: field[key] + beyond})


@pytest.mark.parametrize("end", ["low", "high"])
def test_both_ends_of_every_span_give_a_result(step, end):
    pixels, labels = scene((13, 17))
    for name, field in type(step).model_fields.items():
        for bounds in [each for each in field.metadata if isinstance(each, Within)]:
            value = bounds.low if end == "low" else bounds.high
            extreme = made(step.name, **{name: [value, value]})
            result = extreme.apply_arrays(pixels, labels, sample_rng(0, 0), class_ids=[1, 2], void=255)
            assert result.pixels.dtype == np.uint8


def test_json_of_the_parameters_makes_the_same_again(step):
    again = make_augmentation(**json.loads(json.dumps(step.describe())))
    assert again == step
    image, truth = objects()
    once, twice = (each.apply(image, truth, sample_rng(1, 1)) for each in (step, again))
    assert np.array_equal(once[0].pixels, twice[0].pixels)
    assert once[1] == twice[1]


def test_a_probability_of_0_changes_nothing(step):
    image, truth = objects()
    never = made(step.name, probability=0)
    out, found = never.apply(image, truth, sample_rng(0, 0))
    assert np.array_equal(out.pixels, image.pixels)
    assert found == truth


def test_works_in_a_chain_after_and_before_others(step):
    image, truth = objects()
    chain = Chain.make({"steps": ["rotate:degrees=[5,5]", step, "brightness:shift=[0.1,0.1]"]})
    if step.name != "chain":
        out, found = chain.apply(image, truth, sample_rng(0, 0))
        assert out.shape == found.shape
