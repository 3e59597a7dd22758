"""Coarse logits to segments, against planes interpolated whole: by the definition, and by torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.classes import ClassSet
from smalti.errors import InputError
from smalti.postprocess.levels import segments_from_logits, segments_from_padded_logits

HALF = np.float32(0.5)


def fused(a, b, c):
    """``a * b + c`` of float32, rounded once: the sum in float64 is first rounded to odd."""
    product, c = np.broadcast_arrays(np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64))
    total = product + c
    part = total - product
    lost = (product - (total - part)) + (c - part)
    even = total.view(np.int64) % 2 == 0
    odd = np.nextafter(total, np.where(lost > 0, np.inf, -np.inf))
    return np.where((lost != 0) & even, odd, total).astype(np.float32)


def weights(size, out_size):
    """Both neighbours and the weight of either, of every output place along one axis."""
    if size == out_size:
        return np.arange(size), np.arange(size), np.ones(size, np.float32), np.zeros(size, np.float32)
    scale = np.float32(size) / np.float32(out_size)
    place = np.maximum(fused(scale, np.arange(out_size, dtype=np.float32) + HALF, -HALF), 0)
    lower = np.minimum(place.astype(np.int64), size - 1)
    far = np.clip(place - lower.astype(np.float32), 0, 1).astype(np.float32)
    return lower, np.minimum(lower + 1, size - 1), 1 - far, far


def interpolated(planes, size_hw):
    """Bilinear interpolation (N, H, W) with half-pixel centres: along x, then along y."""
    y0, y1, near_y, far_y = weights(planes.shape[1], size_hw[0])
    x0, x1, near_x, far_x = weights(planes.shape[2], size_hw[1])
    rows = fused(planes[:, :, x0], near_x, planes[:, :, x1] * far_x)
    return fused(rows[:, y0], near_y[:, None], rows[:, y1] * far_y[:, None])


def masks_of(segmentation):
    segmentation.runs.check(segmentation.shape)
    return np.array(list(segmentation.masks())).reshape(-1, *segmentation.shape)


def wavy(count, size_hw, seed=0):
    """Smooth logits of both signs, (N, h, w) float32."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal((count, *size_hw))
    return gaussian_filter(noise, (0, 2, 2)).astype(np.float32)


@st.composite
def planes_and_sizes(draw):
    """Logits of any kind: noise, smooth ones, ones that are equal to the threshold in many places, tiny ones."""
    size = st.integers(1, 12)
    shape = (draw(st.integers(0, 3)), draw(size), draw(size))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    threshold = draw(st.sampled_from([0.0, 0.5, -0.5, 0.3, 1e-39]))
    kind = draw(st.sampled_from(["noise", "steps", "tiny", "sparse", "near"]))
    planes = rng.standard_normal(shape)
    if kind == "steps":
        planes = np.round(2 * planes) / 2
    elif kind == "tiny":
        planes *= 1e-38
    elif kind == "sparse":
        planes = np.where(rng.random(shape) < 0.1, planes, -3)
    elif kind == "near":
        planes = threshold + planes * 1e-7
    out = st.integers(1, 60)
    return planes.astype(np.float32), (draw(out), draw(out)), threshold


@settings(max_examples=150, deadline=None)
@given(planes_and_sizes())
def test_as_if_interpolated_whole(drawn):
    planes, size_hw, threshold = drawn
    found = segments_from_logits(planes, size_hw, threshold=threshold)
    assert np.array_equal(masks_of(found), interpolated(planes, size_hw) > np.float32(threshold))


@settings(max_examples=150, deadline=None)
@given(planes_and_sizes(), st.data())
def test_as_if_interpolated_whole_cut_and_interpolated_again(drawn, data):
    planes, size_hw, threshold = drawn
    input_hw = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    valid_hw = data.draw(st.tuples(*(st.integers(1, length) for length in input_hw)))
    found = segments_from_padded_logits(
        planes, size_hw, input_hw=input_hw, valid_hw=valid_hw, threshold=threshold
    )
    between = interpolated(planes, input_hw)[:, : valid_hw[0], : valid_hw[1]]
    assert np.array_equal(masks_of(found), interpolated(between, size_hw) > np.float32(threshold))


def test_wide_cells_that_are_almost_flat_or_crossed_at_a_slant():
    planes = np.array(
        [
            [[1, -1], [-1, 1]],  # a saddle: two pieces
            [[1e-3, -1e-3], [2e-3, -1e-3]],
            [[1e6, -1], [1e6, -1]],
            [[1e-7, -1e-7], [-1, 1]],
            [[0, 0], [0, 1]],
        ],
        np.float32,
    )
    for size_hw in [(7, 501), (300, 333), (64, 64)]:
        assert np.array_equal(
            masks_of(segments_from_logits(planes, size_hw)), interpolated(planes, size_hw) > 0
        )


def test_pixels_on_the_outline_are_told_as_rounding_has_it():
    rng = np.random.default_rng(0)
    for width in (41, 200, 333):
        lower, _, near, far = weights(2, width)
        between = np.flatnonzero((lower == 0) & (far > 0))
        sizes = rng.uniform(0.1, 10, (2, len(between))).astype(np.float32)
        # Plane k is 0 but for rounding in pixel k of each row.
        planes = np.stack([far[between] * sizes, -near[between] * sizes], -1).swapaxes(0, 1)
        values = interpolated(planes, (9, width))
        assert (abs(values) < 1e-6).any(axis=(1, 2)).all()
        assert np.array_equal(masks_of(segments_from_logits(planes, (9, width))), values > 0)


def test_as_torch_gives_it():
    torch = pytest.importorskip("torch")
    interpolate = torch.nn.functional.interpolate
    fuses = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    for seed, (coarse, size_hw) in enumerate(
        [((27, 48), (216, 384)), ((31, 41), (117, 311)), ((64, 80), (50, 90)), ((1, 9), (70, 100))]
    ):
        planes = wavy(2, coarse, seed)
        tensor = torch.from_numpy(planes)[None]
        values = interpolate(tensor, size=size_hw, mode="bilinear", align_corners=False)[0].numpy()
        wrong = masks_of(segments_from_logits(planes, size_hw)) != (values > 0)
        assert (abs(values[wrong]) <= 1e-6).all()  # where torch rounds otherwise
        assert not (fuses and wrong.any())


def test_as_torch_gives_it_through_a_padded_input():
    torch = pytest.importorskip("torch")
    planes = wavy(2, (64, 64))
    options = {"mode": "bilinear", "align_corners": False}
    values = torch.nn.functional.interpolate(torch.from_numpy(planes)[None], size=(256, 256), **options)
    values = torch.nn.functional.interpolate(values[..., :144, :256], size=(270, 481), **options)[0].numpy()
    found = segments_from_padded_logits(planes, (270, 481), input_hw=(256, 256), valid_hw=(144, 256))
    wrong = masks_of(found) != (values > 0)
    assert (abs(values[wrong]) <= 1e-6).all()
    assert not (torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") and wrong.any())


def test_a_single_value_fills_the_image():
    found = segments_from_logits(np.array([[[2.0]], [[-2.0]]]), (3, 4))
    assert found.areas_px.tolist() == [12, 0]
    assert segments_from_logits(np.ones((1, 9, 9)), (1, 1)).areas_px.tolist() == [1]


def test_planes_without_a_pixel_stay_as_empty_segments():
    planes = np.stack([np.full((3, 3), -1.0), np.eye(3) - 0.5])
    found = segments_from_logits(planes, (6, 6), scores=[0.9, 0.8])
    assert found.scores.tolist() == [0.9, 0.8]
    assert len(found[found.areas_px > 0]) == 1
    assert len(segments_from_logits(np.zeros((0, 3, 3)), (6, 6))) == 0


def test_class_ids_and_overlap_travel():
    classes = ClassSet.from_names(["cell", "nucleus"])
    planes = np.stack([np.ones((4, 4)), np.pad(np.ones((2, 2)), 1, constant_values=-1)])
    found = segments_from_logits(planes, (8, 8), class_ids=[1, 2], classes=classes, scores=[0.5, 1])
    assert found.overlapping
    assert found.class_ids.tolist() == [1, 2]
    assert found.panoptic().areas_px.tolist() == [64 - found.areas_px[1], found.areas_px[1]]


@pytest.mark.parametrize("padded", [False, True])
def test_boxes_cut_their_segment_only(padded):
    planes = wavy(3, (12, 15))
    boxes = np.array([[3, 4, 40, 31], [0, 0, 100, 100], [7, 9, 7, 20]])
    options = {"input_hw": (24, 30), "valid_hw": (24, 28)} if padded else {}
    make = segments_from_padded_logits if padded else segments_from_logits
    whole, cut = (masks_of(make(planes, (50, 60), **options, **more)) for more in ({}, {"boxes": boxes}))
    for mask, same, (top, left, bottom, right) in zip(cut, whole, boxes, strict=True):
        inside = np.zeros_like(mask)
        inside[top:bottom, left:right] = True
        assert np.array_equal(mask, same & inside)


def test_half_precision_and_read_only_logits_are_taken():
    planes = wavy(2, (9, 9)).astype(np.float16)
    planes.flags.writeable = False
    found = segments_from_logits(planes, (33, 35))
    assert np.array_equal(masks_of(found), interpolated(planes.astype(np.float32), (33, 35)) > 0)


def test_runs_of_huge_images_are_counted_in_64_bits():
    found = segments_from_logits(np.array([[[-1.0, -1.0], [-1.0, 1.0]]]), (50_000, 50_000))
    assert found.runs.start.dtype == np.int64
    assert found.runs.stop[-1] == 50_000**2
    assert found.boxes[0, 2:].tolist() == [50_000, 50_000]


def test_memory_follows_the_runs():
    """Twelve masks of 16384 x 16384 would be 3.2 GB as bool, one of them as float32 1.1 GB."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        pytest.skip("the peak memory of a process is read from Linux")
    planes = wavy(12, (128, 128)) - np.float32(0.4)
    segments_from_logits(planes, (200, 200))  # compiled before anything is measured

    def kib(field):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))

    try:
        reset.write_text("5")
    except OSError:
        pytest.skip("this system does not let the peak be set back")
    before = kib("VmRSS")
    found = segments_from_logits(planes, (16_384, 16_384))
    assert found.areas_px.sum() > 0
    assert 1024 * (kib("VmHWM") - before) < 64e6 + 4 * found.runs.nbytes


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_told_with_their_plane(value):
    planes = wavy(3, (5, 5))
    planes[1, 2, 3] = value
    for padded in ({}, {"input_hw": (10, 10), "valid_hw": (8, 10)}):
        make = segments_from_padded_logits if padded else segments_from_logits
        with pytest.raises(InputError, match="plane 1"):
            make(planes, (20, 20), **padded)
    with pytest.raises(InputError, match="infinity"):
        segments_from_logits(np.full((1, 2, 2), 1e300), (4, 4))


def test_wrong_input_is_told():
    planes = np.zeros((2, 4, 4))
    with pytest.raises(InputError, match=r"\(N, h, w\)"):
        segments_from_logits(planes[0], (8, 8))
    with pytest.raises(InputError, match="at least one value"):
        segments_from_logits(np.zeros((2, 0, 4)), (8, 8))
    with pytest.raises(InputError, match="floats"):
        segments_from_logits(planes > 0, (8, 8))
    for size_hw in [(8,), (0, 8), (8.0, 8.0), (-1, 2)]:
        with pytest.raises(InputError, match="size_hw"):
            segments_from_logits(planes, size_hw)
    for boxes in [np.zeros((1, 4), int), np.zeros((2, 4)), np.zeros(4, int)]:
        with pytest.raises(InputError, match="boxes"):
            segments_from_logits(planes, (8, 8), boxes=boxes)
    for threshold in (np.nan, np.inf):
        with pytest.raises(InputError, match="threshold"):
            segments_from_logits(planes, (8, 8), threshold=threshold)
    with pytest.raises(InputError, match="valid_hw"):
        segments_from_padded_logits(planes, (8, 8), input_hw=(16, 16), valid_hw=(17, 16))
    with pytest.raises(InputError, match="scores"):
        segments_from_logits(planes, (8, 8), scores=[1.0])
