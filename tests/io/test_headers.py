"""The size in a header is the size of the image that is read."""

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from smalti.errors import ReadError
from smalti.io import read
from smalti.io.headers import image_size

PIXELS = np.random.default_rng(0).integers(0, 255, (37, 53, 3), dtype=np.uint8)


def saved(path, **options):
    PillowImage.fromarray(PIXELS).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.webp", "a.gif"])
def test_size_of_each_kind(tmp_path, name):
    path = saved(tmp_path / name)
    assert image_size(path) == read(path).shape == (37, 53)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_turned_by_exif(tmp_path, name):
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / name, exif=exif)
    assert image_size(path) == read(path).shape == (53, 37)


def test_long_segments_before_the_pixels(tmp_path):
    path = saved(tmp_path / "a.jpg", icc_profile=b"x" * 20_000, comment=b"y" * 9_000)
    assert image_size(path) == (37, 53)
    path = saved(tmp_path / "a.png", icc_profile=np.random.default_rng(0).bytes(20_000))
    assert image_size(path) == (37, 53)


def test_progressive_jpeg(tmp_path):
    assert image_size(saved(tmp_path / "a.jpg", progressive=True)) == (37, 53)


def test_volumes_have_a_depth(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 40, 50), np.uint8))
    assert image_size(tmp_path / "a.npy") == (3, 40, 50)


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(ReadError):
        image_size(tmp_path / "a.png")
    with pytest.raises(ReadError):
        image_size(tmp_path / "missing.png")
    stream = io.BytesIO()
    PillowImage.fromarray(PIXELS).save(stream, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(stream.getvalue()[:100])
    with pytest.raises(ReadError):
        image_size(tmp_path / "cut.jpg")
