"""Scribbles as files: what is read, and files that are none."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from smalti.errors import InputError
from smalti.service.prompts import read_prompts


def written(path: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(path), pixels)
    return path


def test_255_is_the_ground(tmp_path):
    marks = np.zeros((20, 30), np.uint8)
    marks[2], marks[9] = 255, 3
    read = read_prompts([], [], written(tmp_path / "marks.png", marks))
    assert np.array_equal(read.scribbles, np.where(marks == 255, -1, marks.astype(int)))


def test_every_pixel_may_be_marked(tmp_path):
    marks = np.repeat([1, 255], 8).astype(np.uint8)[:, np.newaxis].repeat(9, 1)
    assert (read_prompts([], [], written(tmp_path / "marks.png", marks)).scribbles != 0).all()


@pytest.mark.parametrize("picture", [data.camera, data.coins])
def test_a_photograph_is_none(tmp_path, picture):
    with pytest.raises(InputError, match=r"photo.png looks like a photograph; scribbles are 0 where"):
        read_prompts([], [], written(tmp_path / "photo.png", picture()))


def test_nor_is_what_a_jpeg_made_of_them(tmp_path):
    with pytest.raises(InputError, match="JPEG changes numbers"):
        read_prompts([], [], written(tmp_path / "marks.jpg", np.zeros((9, 9), np.uint8)))
