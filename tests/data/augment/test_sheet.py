"""The contact sheet shows originals and variants, and the same ones each time."""

import numpy as np
import pytest

from smalti.data.augment import contact_sheet, make_augmentation, preset
from smalti.errors import InputError
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation


def sample(shape=(40, 50), value=90):
    labels = np.zeros(shape, np.int32)
    labels[tuple(slice(length // 4, length // 2) for length in shape)] = 1
    pixels = np.full((*shape, 1), value, np.uint8)
    return Image(pixels), Segmentation.from_labels(labels)


def test_rows_are_samples_and_columns_epochs():
    samples = [Sample.of(f"s{value}", *sample(value=value)) for value in (50, 100, 150)]
    narrow = contact_sheet(samples, preset("microscopy"), rows=2, columns=2, height_px=60)
    wide = contact_sheet(samples, preset("microscopy"), rows=3, columns=4, height_px=60)
    assert narrow.channels == ("red", "green", "blue")
    assert wide.shape[0] > narrow.shape[0]
    assert wide.shape[1] > narrow.shape[1]
    again = contact_sheet(samples, preset("microscopy"), rows=2, columns=2, height_px=60)
    other = contact_sheet(samples, preset("microscopy"), rows=2, columns=2, height_px=60, seed=1)
    assert np.array_equal(again.pixels, narrow.pixels)
    assert not np.array_equal(other.pixels, narrow.pixels)


def test_pictures_of_any_shape_stand_in_equal_columns():
    steps = [make_augmentation("quarter-turn", turns=[1]), make_augmentation("crop", size=[20, 50])]
    sheet = contact_sheet(sample(), steps, rows=2, height_px=60)
    plain = contact_sheet(sample(), [make_augmentation("flip")] * 2, rows=2, height_px=60)
    assert sheet.shape == plain.shape


def test_void_volumes_and_missing_truths_are_shown():
    shift = make_augmentation("shift", share=[0.3, 0.3])
    assert contact_sheet(sample(), shift, rows=1, columns=1, height_px=60).shape
    assert contact_sheet(sample((8, 40, 44)), shift, rows=1, columns=2, height_px=60).shape
    assert contact_sheet([Sample.of("bare", sample()[0])], shift, rows=1, columns=1).shape


def test_a_sheet_of_nothing_is_refused():
    shift = make_augmentation("shift")
    with pytest.raises(InputError, match="no samples"):
        contact_sheet([], shift)
    with pytest.raises(InputError, match="no augmentations"):
        contact_sheet(sample(), [])
    with pytest.raises(InputError, match="a row and a column"):
        contact_sheet(sample(), shift, rows=0)
