"""Augmentation against what trainings use today: Pillow as torchvision uses it, albumentations, MONAI.

The rows of albumentations and of MONAI, which brings torch, are there where these are installed.

Every side does the same operations with the same strengths, and both results are compared. Exact are flips, crops and
brightness; a rotation is the same up to how values are interpolated and rounded, and each row says within which bounds.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness import Comparison, row
from PIL import Image as PillowImage
from PIL import ImageEnhance
from skimage import data

from smalti.data.augment import Chain, sample_rng

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for newer versions otherwise

SIDE, CROP = 512, 256
DEGREES, ZOOM = 12.0, 1.1
MEAN, STD = 127.5, 60.0
VOID = 255


def photographs() -> np.ndarray:
    """Photographs of scikit-image as RGB, slightly smoothed, (N, 512, 512, 3) uint8."""
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    square = [cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for picture in pictures]
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 1.0) for picture in square])


def class_maps(pictures: np.ndarray) -> np.ndarray:
    """Four classes by smoothed grey value, (N, H, W) uint8: areas with bent outlines."""
    grey = [cv2.GaussianBlur(picture.mean(axis=-1).astype(np.float32), (0, 0), 6) for picture in pictures]
    return np.stack([np.digitize(each, np.quantile(each, [0.25, 0.5, 0.75])) for each in grey]).astype(
        np.uint8
    )


FOLDER = tempfile.TemporaryDirectory()  # removed when the process ends


@cache
def cached() -> tuple[np.ndarray, np.ndarray]:
    """The photographs and their classes as a training reads them: arrays on disk, mapped into memory."""
    pixels, labels = (Path(FOLDER.name) / name for name in ("pixels.npy", "labels.npy"))
    pictures = photographs()
    np.save(pixels, pictures)
    np.save(labels, class_maps(pictures))
    return np.load(pixels, mmap_mode="r"), np.load(labels, mmap_mode="r")


def well_inside(labels: np.ndarray, margin: int = 3) -> np.ndarray:
    """Where a peer's result shows the image and not what it was padded with."""
    known = np.pad((labels != VOID).astype(np.uint8), 1)
    return cv2.erode(known, np.ones((2 * margin + 1,) * 2, np.uint8), borderValue=0)[1:-1, 1:-1] > 0


def alike(
    peer: tuple[np.ndarray, np.ndarray], ours: tuple[np.ndarray, np.ndarray], levels: float, share: float
) -> bool:
    """Pixels (*S, C) within ``levels`` of 255, and labels the same, both on a ``share`` of what the peer shows."""
    inside = well_inside(peer[1])
    apart = np.abs(peer[0].astype(np.float64) - ours[0])[inside]
    same = (np.asarray(peer[1]) == ours[1])[inside]
    return bool(inside.mean() > 0.5 and (apart <= levels).mean() >= share and same.mean() >= share)


Prepare = Callable[[], Comparison]


def row_with(module: str, name: str, **described: Any) -> Callable[[Prepare], Prepare]:
    """A row of the table if ``module`` is installed, else none."""
    return row(name, **described) if find_spec(module) else lambda prepare: prepare


# A training sample


@row("sample-256", peer="pillow and numpy, as torchvision composes them", target=4)
def sample_256() -> Comparison:
    """The peer does what torchvision does on Pillow images: crop, hflip, affine, adjust_brightness and
    adjust_contrast (its ImageEnhance), ToTensor and Normalize, with numpy in the place of torch."""
    pixels, labels = cached()
    chain = Chain.make(
        {
            "steps": [
                f"crop:size=[{CROP}]",
                "flip:probability=1",
                f"rotate:degrees=[{DEGREES},{DEGREES}]",
                f"scale:factor=[{ZOOM},{ZOOM}]",
                "brightness:shift=[0,0];factor=[1.1,1.1]",
                "contrast:factor=[1.2,1.2]",
            ]
        }
    )
    starts = [
        np.floor(sample_rng(0, k).random(2) * (SIDE - CROP + 1)).astype(int) for k in range(len(pixels))
    ]
    turns = {"peer": count(), "ours": count()}

    def peer() -> tuple[np.ndarray, np.ndarray]:
        index = next(turns["peer"]) % len(pixels)
        top, left = starts[index]
        box = (left, top, left + CROP, top + CROP)
        image = PillowImage.fromarray(pixels[index]).crop(box)
        target = PillowImage.fromarray(labels[index]).crop(box)
        image = image.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT)
        target = target.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT)
        angle, middle = np.deg2rad(DEGREES), CROP / 2
        a, b = np.cos(angle) / ZOOM, -np.sin(angle) / ZOOM
        lines = (a, b, middle - a * middle - b * middle, -b, a, middle + b * middle - a * middle)
        size, affine = (CROP, CROP), PillowImage.Transform.AFFINE
        image = image.transform(size, affine, lines, PillowImage.Resampling.BILINEAR, fillcolor=0)
        target = target.transform(size, affine, lines, PillowImage.Resampling.NEAREST, fillcolor=VOID)
        image = ImageEnhance.Brightness(image).enhance(1.1)
        image = ImageEnhance.Contrast(image).enhance(1.2)
        planes = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)).astype(np.float32)
        planes /= np.float32(255)
        planes -= np.float32(MEAN / 255)
        planes /= np.float32(STD / 255)
        return planes, np.asarray(target, np.int64)

    def ours() -> tuple[np.ndarray, np.ndarray]:
        index = next(turns["ours"]) % len(pixels)
        found = chain.apply_arrays(pixels[index], labels[index], sample_rng(0, index), void=VOID)
        assert found.labels is not None
        return found.floats(MEAN, STD), found.labels.astype(np.int64)

    def agree(theirs: tuple[np.ndarray, np.ndarray], own: tuple[np.ndarray, np.ndarray]) -> bool:
        first, second = ((np.moveaxis(each[0], 0, -1) * STD + MEAN, each[1]) for each in (theirs, own))
        # torchvision's contrast is around the mean luma of the padded crop, ours around the mean of the crop
        return alike(first, second, levels=6, share=0.995)

    return Comparison(
        peer,
        ours,
        agree,
        "crop 256 of 512, flip, rotate, scale, brightness, contrast, to float32 (C, H, W); 6 of 255 levels",
    )


# albumentations


@row_with("albumentations", "augment-albumentations", peer="albumentations", target=0.77)
def augment_albumentations() -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import albumentations as peers

    pixels, labels = (np.array(each[0]) for each in cached())
    theirs = peers.Compose(
        [
            peers.CenterCrop(CROP, CROP, p=1),
            peers.HorizontalFlip(p=1),
            peers.Affine(rotate=(DEGREES, DEGREES), scale=(ZOOM, ZOOM), fill=0, fill_mask=VOID, p=1),
            peers.RandomBrightnessContrast((0.1, 0.1), (0.2, 0.2), p=1),
            peers.RandomGamma((120, 120), p=1),
            peers.GaussianBlur(blur_limit=(7, 7), sigma_limit=(1, 1), p=1),
        ]
    )
    chain = Chain.make(
        {
            "steps": [
                f"crop:size=[{CROP}];around=center",
                "flip:probability=1",
                f"rotate:degrees=[{DEGREES},{DEGREES}]",
                f"scale:factor=[{ZOOM},{ZOOM}]",
                "brightness:shift=[0.1,0.1];factor=[1.2,1.2]",
                "gamma:exponent=[1.2,1.2]",
                "blur:sigma_px=[1,1]",
            ]
        }
    )

    def peer() -> tuple[np.ndarray, np.ndarray]:
        found = theirs(image=pixels, mask=labels)
        return found["image"], found["mask"]

    numbers = count()

    def ours() -> tuple[np.ndarray, np.ndarray]:
        found = chain.apply_arrays(pixels, labels, sample_rng(0, next(numbers)), void=VOID)
        assert found.labels is not None
        return found.pixels, found.labels

    return Comparison(
        peer,
        ours,
        lambda theirs, own: alike(theirs, own, levels=3, share=0.99),
        "crop 256, flip, rotate and scale, brightness and contrast, gamma, blur; uint8; 3 of 255 levels",
    )


# MONAI


def monai_chain(ndim: int) -> Any:
    """MONAI's dictionary transforms, with fixed strengths."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from monai import transforms

    torch.set_num_threads(1)
    both = ["image", "label"]
    angles = np.deg2rad([DEGREES] if ndim == 2 else [DEGREES, -DEGREES, DEGREES])
    return transforms.Compose(
        [
            transforms.EnsureTyped(both, dtype=torch.float32),
            transforms.RandFlipd(both, prob=1, spatial_axis=ndim - 1),
            transforms.RandAffined(
                both,
                prob=1,
                rotate_range=[(angle, angle) for angle in angles],
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            transforms.RandZoomd(
                both,
                prob=1,
                min_zoom=1.25,
                max_zoom=1.25,
                mode=("bilinear" if ndim == 2 else "trilinear", "nearest"),
            ),
            transforms.RandGaussianNoised(["image"], prob=1, std=0.01, sample_std=False),
            transforms.RandScaleIntensityd(["image"], prob=1, factors=(0.1, 0.1)),
        ]
    )


def against_monai(
    pixels: np.ndarray, labels: np.ndarray, levels: float, share: float, note: str
) -> Comparison:
    ndim = labels.ndim
    theirs = monai_chain(ndim)
    angle = f"[{-DEGREES},{-DEGREES}]"
    steps = [
        "flip:probability=1",
        f"rotate:degrees={angle};tilt_degrees={angle}",
        "scale:factor=[1.25,1.25]",
        "gaussian-noise:sigma=[0.00004,0.00004]",
        "brightness:shift=[0,0];factor=[1.1,1.1]",
    ]
    chain = Chain.make({"steps": steps})
    first = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))

    def peer() -> tuple[np.ndarray, np.ndarray]:
        found = theirs({"image": first, "label": labels[np.newaxis]})
        return np.asarray(found["image"]), np.asarray(found["label"])[0]

    numbers = count()

    def ours() -> tuple[np.ndarray, np.ndarray]:
        found = chain.apply_arrays(pixels, labels, sample_rng(0, next(numbers)), void=VOID)
        assert found.labels is not None
        return found.floats(), found.labels

    def agree(theirs: tuple[np.ndarray, np.ndarray], own: tuple[np.ndarray, np.ndarray]) -> bool:
        inside = tuple(slice(length // 4, -length // 4) for length in labels.shape)
        apart = np.abs(theirs[0].clip(0, 255) - own[0])[(slice(None), *inside)]
        same = (theirs[1] == own[1])[inside]
        return bool((apart <= levels).mean() >= share and same.mean() >= share)

    return Comparison(peer, ours, agree, note)


STEPS_NOTE = "flip, rotate, zoom, noise, intensity"


@row_with("monai", "augment-monai", peer="monai dictionary transforms", target=50)
def augment_monai() -> Comparison:
    pixels, labels = cached()
    grey = cv2.cvtColor(np.array(pixels[0]), cv2.COLOR_RGB2GRAY)[::2, ::2, np.newaxis]
    return against_monai(
        np.ascontiguousarray(grey),
        labels[0][::2, ::2].copy(),
        8,
        0.9,
        f"{STEPS_NOTE}; 256 x 256, uint8 to float32",
    )


@row_with("monai", "augment-monai-3d", peer="monai dictionary transforms", repeats=5)
def augment_monai_3d() -> Comparison:
    rng = np.random.default_rng(0)
    coarse = rng.random((6, 6, 6)).astype(np.float32)
    from scipy.ndimage import zoom

    volume = zoom(coarse, 16, order=1)
    volume = (255 * (volume - volume.min()) / np.ptp(volume)).astype(np.uint8)
    labels = np.digitize(volume, [90, 160]).astype(np.uint8)
    return against_monai(
        volume[..., np.newaxis], labels, 8, 0.9, f"{STEPS_NOTE}; 96 x 96 x 96, uint8 to float32"
    )
