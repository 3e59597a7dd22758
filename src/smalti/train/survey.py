"""Taking the fingerprint of a dataset: samples looked at one by one in threads, what they say put together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, SmaltiError
from ..geometry import METRES, UNKNOWN, Geometry
from ..postprocess.targets import Task, task_of
from ..sample import Sample
from ..values import Values
from .fingerprint import ClassFound, Fingerprint, Objects, Spacing, Spread
from .intensities import Drawn, draw, summarised
from .objects import Measured, Shown, measure, radii_px, show

MOST_TRUTHS = 2000
"""Truths that are looked at for the classes in them; of a larger set evenly chosen ones."""
MOST_IMAGES = 200
"""Images that are read, and truths whose shapes are measured."""
MOST_PIECES = 64
"""Of these the truths whose connected pieces are found."""
MOST_PX = 2**28
"""Pixels of these together, by the size of the first: fewer are read where they are large."""
FEWEST_IMAGES = 8
"""But at least so many."""
AT_ONCE = 64
"""Samples that are asked for at a time."""
NAMED = 3
"""Samples that an error names."""
NOTHING = Values()


@dataclass(frozen=True)
class Look:
    """What one sample says: amounts always, pixels and shapes where its image was read."""

    shown: Shown
    classes: ClassSet
    channels: tuple[str, ...] = ()
    values: Values = NOTHING
    geometry: Geometry = UNKNOWN
    drawn: Drawn | None = None
    measured: Measured | None = None


def survey(
    samples: Sequence[Sample],
    classes: ClassSet | None = None,
    task: Task | None = None,
    workers: int | None = None,
) -> Fingerprint:
    """The fingerprint of annotated samples, of the first truth of each; ``task`` is what it is for unless told.

    Samples without image or truth are left out. Every image is read once. Of large sets ``MOST_TRUTHS`` truths are
    looked at for their classes and ``MOST_IMAGES`` images for values and shapes, evenly chosen: a second or so per
    hundred images of 512 x 512 besides decoding them. The same samples give the same fingerprint.

    Raises ``InputError`` where there is nothing to learn from, where images differ in axes or channels (alpha aside)
    or an image and its truth in size, and where a truth has a class that is not one of ``classes``. What a file is
    refused for is raised with the sample's name.
    """
    usable = [
        index for index, sample in enumerate(samples) if sample.annotated and sample.load_image is not None
    ]
    if not usable:
        raise InputError(f"none of {len(samples)} samples has an image and an annotation to learn from")
    first = _look(samples[usable[0]], 0, True, True)
    size = int(np.prod(first.shown.shape))
    wanted = int(np.clip(MOST_PX // size, FEWEST_IMAGES, MOST_IMAGES))
    truths, images = _evenly(len(usable), MOST_TRUTHS), _evenly(len(usable), wanted)
    pieces = {images[at] for at in _evenly(len(images), MOST_PIECES)}
    closely = set(images)
    places = sorted({*truths, *images} - {0})
    looks = {0: first}
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(places), AT_ONCE):
            chunk = places[start : start + AT_ONCE]
            found = pool.map(lambda at: _look(samples[usable[at]], at, at in closely, at in pieces), chunk)
            looks.update(zip(chunk, found, strict=True))
    names = {at: samples[usable[at]].name for at in looks}
    classes = classes or first.classes
    _check(looks, names, classes)
    kept = [samples[index] for index in usable]
    return _put_together(kept, list(looks.values()), classes, task)


def _evenly(count: int, most: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def _look(sample: Sample, number: int, closely: bool, with_pieces: bool) -> Look:
    try:
        truth = sample.truth
        shown = show(truth)
        if not closely:
            return Look(shown, truth.classes)
        image = sample.image.without_alpha()
    except SmaltiError as error:
        if sample.name in str(error):
            raise
        raise type(error)(f"sample {sample.name!r}: {error}") from error
    if truth.shape != image.shape:
        raise InputError(f"sample {sample.name!r}: the image is {image.shape}, its truth {truth.shape}")
    flat = truth.panoptic()
    unlabelled = flat.void if flat.void_px else None
    return Look(
        shown,
        truth.classes,
        image.channels,
        Values().and_those_of(image),
        image.geometry,
        draw(image, flat.labels, unlabelled, number),
        measure(flat, with_pieces),
    )


def _check(looks: dict[int, Look], names: dict[int, str], classes: ClassSet) -> None:
    """Raise ``InputError`` for samples that cannot be learned from together."""
    by_axes = {at: f"{len(look.shown.shape)} axes" for at, look in looks.items()}
    _same(by_axes, names, "images of pictures and volumes do not go together; train on one kind")
    by_channels = {
        at: f"{len(look.channels)} channels ({', '.join(look.channels)})"
        for at, look in looks.items()
        if look.drawn is not None
    }
    _same(
        by_channels,
        names,
        "a model takes one kind of image; save all with the same channels, or leave some out",
        [len(looks[at].channels) for at in by_channels],
    )
    for at, look in looks.items():
        foreign = set(look.shown.class_ids.tolist()) - set(classes.ids.tolist())
        if foreign:
            raise InputError(
                f"sample {names[at]!r} has segments of class {min(foreign)}, which is not in the class set "
                f"{classes.ids.tolist()}; give its truth the classes of the dataset"
            )
    if not any(look.shown.background_px + look.shown.areas_px.sum() for look in looks.values()):
        raise InputError(f"no pixel of {len(looks)} samples is labelled, all is void")


def _same(kinds: dict[int, str], names: dict[int, str], advice: str, numbers: Iterable[int] = ()) -> None:
    counts = Counter(kinds.values())
    if len(set(numbers) or counts) < 2:
        return
    told = []
    for kind, count in counts.most_common():
        some = [repr(names[at]) for at, own in kinds.items() if own == kind][:NAMED]
        told.append(f"{kind} in {count} samples, such as {', '.join(some)}")
    raise InputError(f"images differ: {'; '.join(told)}; {advice}")


def _put_together(
    samples: Sequence[Sample], looks: Sequence[Look], classes: ClassSet, task: Task | None
) -> Fingerprint:
    ndim = len(looks[0].shown.shape)
    axes: Literal[2, 3] = 3 if ndim == 3 else 2
    close = [look for look in looks if look.drawn is not None]
    drawn = [look.drawn for look in close if look.drawn is not None]
    values = Values()
    for look in close:
        kinds = tuple(sorted({*values.kinds, *look.values.kinds}))
        values = Values(kinds, max(values.highest, look.values.highest))
    shapes = np.array([look.shown.shape for look in looks])
    pixels = shapes.prod(axis=1)
    void, background = (
        np.array([getattr(look.shown, name) for look in looks], np.int64)
        for name in ("void_px", "background_px")
    )
    labelled = max(1, int(pixels.sum() - void.sum()))
    ids = {class_id for look in looks for class_id in look.shown.class_ids.tolist()}
    stuff = any(not classes.of(class_id).thing for class_id in ids)
    task = task or task_of(any(look.shown.several for look in looks), stuff)
    intensities, difference = summarised(drawn)
    shaped = [look.measured for look in close if look.measured is not None]
    spacing, unit, known = _spacing([look.geometry for look in close], ndim)
    return Fingerprint(
        num_samples=len(samples),
        num_truths=len(looks),
        num_images=len(close),
        num_groups=len({sample.group or sample.name for sample in samples}),
        splits=dict(Counter(sample.split for sample in samples if sample.split is not None)),
        task=task,
        ndim=axes,
        channels=close[0].channels,
        values=values,
        grey=all(each.grey for each in drawn),
        sizes=tuple(_spread(column, 0, 100) for column in shapes.T),
        total_px=round(float(pixels.mean()) * len(samples)),
        spacing=spacing,
        unit=unit,
        spacing_known=known,
        mapped=any(look.geometry.crs is not None for look in close),
        intensities=intensities,
        difference=difference,
        classes=tuple(
            _class_found(each.id, classes, looks, shaped, labelled, task, ndim) for each in classes
        ),
        background_share=int(background.sum()) / labelled,
        background_images=float((background > 0).mean()),
        void_share=int(void.sum()) / int(pixels.sum()),
        objects=_objects(shaped, task, ndim, {each.id for each in classes if each.thing}),
    )


def _spread(numbers: np.ndarray, low: float, high: float) -> Spread:
    least, median, most = np.percentile(numbers, (low, 50, high))
    return Spread(low=least, median=median, high=most)


def _areas(shaped: Measured, as_objects: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Areas and class ids of segments, or of the pieces they consist of where those were found."""
    if as_objects:
        return shaped.areas_px, shaped.class_ids
    if shaped.piece_areas_px is None or shaped.piece_class_ids is None:
        return None
    return shaped.piece_areas_px, shaped.piece_class_ids


def _class_found(
    class_id: int,
    classes: ClassSet,
    looks: Sequence[Look],
    shaped: Sequence[Measured],
    labelled: int,
    task: Task,
    ndim: int,
) -> ClassFound:
    own = classes.of(class_id)
    area = sum(int(look.shown.areas_px[look.shown.class_ids == class_id].sum()) for look in looks)
    images = sum(bool((look.shown.class_ids == class_id).any()) for look in looks)
    segments = sum(int(look.shown.counts[look.shown.class_ids == class_id].sum()) for look in looks)
    thickness, places, radii = [], [], []
    for one in shaped:
        mine = (one.class_ids == class_id) & (one.areas_px > 0)
        if not mine.any():
            continue
        weights = one.areas_px[mine]
        thickness.append(
            weights.sum() / (weights / one.thickness_px[mine]).sum()
        )  # of all area by all outline
        places.append(np.average(one.centers[mine], axis=0, weights=weights) - 0.5)
        objects = _areas(one, task != "semantic" and own.thing)
        if objects is not None:
            areas, owners = objects
            radii.append(radii_px(areas[(owners == class_id) & (areas > 0)], ndim))
    found: dict[str, Any] = {}
    if thickness:
        lean = np.array(places)
        found = {
            "thickness_px": float(np.median(thickness)),
            "radius_px": _spread(np.concatenate(radii), 5, 95) if radii else None,
            "lean": tuple(lean.mean(axis=0).tolist()),
            "lean_error": tuple(_error_of_mean(lean).tolist()),
        }
    return ClassFound(
        id=class_id,
        name=own.name,
        thing=own.thing,
        pixel_share=area / labelled,
        image_share=images / len(looks),
        segments=segments,
        **found,
    )


def _error_of_mean(values: np.ndarray) -> np.ndarray:
    """Standard error of the mean along the first axis, (n, K) to (K,); 1 where one value says nothing of it.

    Frames of a video and slices of a stack say the same again: with a correlation r of neighbours n values count as
    n (1 - r) / (1 + r) (Bayley and Hammersley 1946, for a process of first order).
    """
    count = len(values)
    if count < 2:
        return np.ones(values.shape[1])
    apart = values - values.mean(axis=0)
    squares = (apart**2).sum(axis=0)
    products = (apart[1:] * apart[:-1]).sum(axis=0)
    alike = np.clip(np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0), 0, 0.99)
    return np.sqrt(squares / (count - 1) / count * (1 + alike) / (1 - alike))


def _objects(shaped: Sequence[Measured], task: Task, ndim: int, things: set[int]) -> Objects | None:
    as_objects = task != "semantic"
    radii, counts, touching, extra, divisible = [], [], [], 0, 0
    for one in shaped:
        objects = _areas(one, as_objects)
        if objects is None:
            continue
        areas, owners = objects
        kept = areas > 0
        if as_objects:
            kept &= np.isin(owners, list(things))
            touching.append(one.touching[kept])
            if one.piece_class_ids is not None:
                number = int(np.count_nonzero(kept))
                extra += int(np.isin(one.piece_class_ids, list(things)).sum()) - number
                divisible += number
        radii.append(radii_px(areas[kept], ndim))
        counts.append(int(kept.sum()))
    together = np.concatenate(radii) if radii else np.zeros(0)
    if not len(together):
        return None
    touched = np.concatenate(touching) if touching else np.zeros(1, bool)
    return Objects(
        radius_px=_spread(together, 5, 95),
        per_image=_spread(np.array(counts), 0, 100),
        touching=float(touched.mean()),
        in_pieces=min(1.0, extra / divisible) if divisible else 0.0,
    )


def _spacing(geometries: Sequence[Geometry], ndim: int) -> tuple[tuple[Spacing, ...] | None, str, float]:
    """Spacing of each axis in the unit of the first image that says one; images in degrees only go with such."""
    told = [each for each in geometries if each.spacing is not None]
    if not told:
        return None, "px", 0.0
    unit = told[0].unit
    if unit in METRES:
        alike = [each for each in told if each.unit in METRES]
        steps = np.array([np.array(each.spacing) * (METRES[each.unit] / METRES[unit]) for each in alike])
    else:
        alike = [each for each in told if each.unit == unit]
        steps = np.array([each.spacing for each in alike])
    spacing = []
    for axis in range(ndim):
        low, tenth, median, high = np.percentile(steps[:, axis], (0, 10, 50, 100))
        spacing.append(Spacing(low=low, tenth=tenth, median=median, high=high))
    return tuple(spacing), unit, len(alike) / len(geometries)
