"""The images that runtimes are measured on, and those that INT8 is calibrated on, which are others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..data.dataset import Dataset
from ..errors import InputError
from ..image import Image
from ..postprocess.parts import blurred
from ..sample import Sample
from .datasets import Opening
from .models import TRAIN, VALIDATION

if TYPE_CHECKING:
    from ..runtime.fitted import FittedNetwork

MEASURED_ON = (VALIDATION, "test")
"""Splits that are measured on where nobody says another one."""

MOST_IMAGES = 100
"""Images that are measured on, and that INT8 is calibrated on, evenly chosen."""

CALIBRATION_PX = {2: 512, 3: 96}
"""Longest side of the part of an image that INT8 is calibrated on."""

MADE_UP = 4
"""Made-up images that a bench without data runs on."""

MADE_UP_PX = {2: 512, 3: 64}


@dataclass(frozen=True)
class Images:
    """Images to measure on and, where wanted, others to calibrate on, each with words for where they are from."""

    measured: Dataset
    source: str
    calibrated: Dataset | None = None
    calibration: str | None = None


def images_of(dataset: Dataset, opening: Opening | None, calibrate: bool, most: int = MOST_IMAGES) -> Images:
    """The images of a dataset to measure on: all annotated ones of the split, or all where none is annotated.

    With ``calibrate`` there are others to calibrate on. Raises ``InputError`` where there are too few.
    """
    with_image = dataset.filter(lambda sample: sample.load_image is not None)
    split = None if opening is None else opening.split
    if split is None:
        split = next((name for name in MEASURED_ON if name in with_image.splits), None)
    part = with_image if split is None else with_image.split(split)
    where = str(dataset.path or "the dataset") if split is None else f"split {split}"
    rest = None
    if calibrate:
        rest, told = _calibration(with_image, part, split)
        if rest is None:
            part, rest = _halves(part)
            told = f"every second image of {where}"
            where = f"the other half of {where}"
    annotated = part.filter(lambda sample: sample.annotated)
    measured = _some(annotated or part, most)
    if not measured:
        raise InputError(f"there is no image in {where}")
    source = f"{len(measured)} {'image' if len(measured) == 1 else 'images'} of {where}"
    source += "" if annotated else ", none of them annotated"
    if rest is None:
        return Images(measured, source)
    chosen = _some(rest, most)
    return Images(measured, source, chosen, f"{len(chosen)} of {told}")


def _calibration(dataset: Dataset, measured: Dataset, split: str | None) -> tuple[Dataset | None, str]:
    """Images beside those that are measured on, and what they are; None where they have to be parted."""
    if split is None:
        return None, ""
    if split != TRAIN and TRAIN in dataset.splits:
        return dataset.split(TRAIN), f"split {TRAIN}"
    others = dataset.filter(lambda sample: sample.split != split)
    return (others, f"what is not in split {split}") if others else (None, "")


def _halves(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Every first and every second image, those of one group together. Raises ``InputError`` for a single one."""
    names = dict.fromkeys(sample.group or sample.name for sample in dataset)
    if len(names) < 2:
        raise InputError(
            "INT8 needs images to be calibrated on and others to be measured on, and there "
            f"{'is one image' if len(dataset) == 1 else 'are images of one group'} only; give more"
        )
    second = set(list(names)[1::2])
    return (
        dataset.filter(lambda sample: (sample.group or sample.name) not in second),
        dataset.filter(lambda sample: (sample.group or sample.name) in second),
    )


def _some(dataset: Dataset, most: int) -> Dataset:
    """At most so many, evenly chosen."""
    if len(dataset) <= most:
        return dataset
    chosen = np.linspace(0, len(dataset) - 1, most).round().astype(int)
    return dataset.with_samples(dataset[int(at)] for at in chosen)


def quantized(network: FittedNetwork, samples: Sequence[Sample]) -> FittedNetwork:
    """The network with the parts that OpenVINO runs in INT8, calibrated on images like those to come.

    Of several networks each is calibrated on the same images. Raises as ``runtime.quantize.quantize`` does.
    """
    from ..runtime.engines import INT8_BIN, INT8_XML
    from ..runtime.fitted import part_name
    from ..runtime.quantize import quantize

    batches = list(_batches(network, samples))
    parts = dict(network.parts)
    for number, name in enumerate(network.networks):
        made = quantize(network.parts[name], batches)
        parts |= {part_name(each, number): made[each] for each in (INT8_XML, INT8_BIN)}
    return replace(network, parts=parts, loaded=None)


def _batches(network: FittedNetwork, samples: Sequence[Sample]) -> Iterator[np.ndarray]:
    """A part of each image as the network sees it, (1, C, *S): the whole, or of large ones some random piece."""
    rng = np.random.default_rng(0)
    for sample in samples:
        image = network.kind.taken(sample.image)
        statistics = network.preparation.statistics(image)
        pixels = network.preparation.resampled(image)
        side = CALIBRATION_PX[image.ndim] if network.preparation.size is None else max(pixels.shape)
        firsts = [int(rng.integers(0, max(1, length - side + 1))) for length in pixels.shape[:-1]]
        place = tuple(slice(first, first + side) for first in firsts)
        yield network.preparation.prepared(pixels[place], statistics)[np.newaxis]


def made_up(network: FittedNetwork) -> list[Sample]:
    """Noise of several scales in the numbers that the network learned from, of the size of its tiles at most."""
    kind = network.kind
    values = kind.values
    shape = network.preparation.size or tuple(
        min(length, MADE_UP_PX[kind.ndim]) for length in network.tiling.tile_px
    )
    name = values.kinds[0] if values.kinds else "uint8"
    dtype = np.dtype("float32" if name == "float" else name)
    top = (values.highest or 1.0) * (np.iinfo(dtype).max if dtype.kind == "u" else 1.0)
    samples = []
    for number in range(MADE_UP):
        rng = np.random.default_rng(number)
        planes = []
        for _ in kind.channels:
            noise = rng.normal(0, 0.1, shape).astype(np.float32)
            for sigma in (2, 8):  # a blur makes noise about so many times weaker
                noise += sigma * blurred(rng.normal(size=shape).astype(np.float32), sigma, None)
            planes.append((noise - noise.min()) / max(float(np.ptp(noise)), 1e-6) * top)
        pixels = np.stack(planes, -1).astype(dtype)
        samples.append(Sample.of(f"made up {number + 1}", Image(pixels, kind.channels)))
    return samples
