"""Predictions found for the samples of a dataset, whatever form they come in, and none passed over in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..classes import ClassSet
from ..data.dataset import Dataset
from ..errors import InputError, ReadError
from ..io.bundle import SUFFIX, load
from ..io.formats.tree import Tree
from ..io.labels import read_labels
from ..sample import Sample
from ..segmentation import Segmentation
from ..segmenter import Segmenter

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".nii", ".nii.gz", ".npy")
_MARKS = (".labels", "_labels", "_mask", "_masks", "_pred", "_prediction", "_segmentation", "-pred")

Load = Callable[[], Segmentation]


@dataclass(frozen=True)
class Predictions:
    """How to get the prediction of each sample by its name.

    ``missing`` are samples without one, which count as images in which nothing was found; ``unused`` are predictions
    of images that the truth does not have; ``origin`` says in words what the predictions at ``place`` were taken for
    ``classes`` are those they may use; ``notes`` what was taken for granted when they were opened.
    """

    loads: Mapping[str, Load]
    classes: ClassSet
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    origin: str = ""
    place: str = ""
    notes: tuple[str, ...] = ()


def find_predictions(truth: Dataset, place: str | Path | Dataset | Mapping[str, Segmentation]) -> Predictions:
    """The predictions at a ``place`` for the annotated samples of ``truth``.

    ``place`` is a dataset, or a folder or file that opens as one, a JSON list of COCO results beside a truth in COCO's
    format, a folder of masks named as the images are (numbers and colours mean what they mean in truth; files such as
    ``a.labels.png`` that ``smalti predict`` writes hold objects), a fitted model (``.smalti``), which is then asked for
    each image, or segmentations by name. Names are compared whole,
    else by their last part where that is different for all. Raises ``InputError`` where nothing belongs to the truth.
    """
    names = [sample.name for sample in truth if sample.annotated]
    if not names:
        raise InputError(f"none of {len(truth)} samples is annotated; there is nothing to compare with")
    classes = truth.classes
    notes: tuple[str, ...] = ()
    if isinstance(place, Mapping):
        loads: dict[str, Load] = {name: partial(_same, found) for name, found in place.items()}
        origin = "segmentations by name"
        classes = _all_classes([found.classes for found in place.values()]) or classes
    elif isinstance(place, Dataset):
        loads, classes, origin, notes = _of_dataset(place), place.classes, place.format, place.notes
    else:
        loads, classes, origin, notes = _of_path(truth, Path(place))
    matched = _by_name(names, loads)
    if not matched:
        raise InputError(
            f"none of {len(loads)} predictions ({_some(loads)}) has the name of one of {len(names)} images "
            f"({_some(names)}); name them alike"
        )
    used = set(matched.values())
    return Predictions(
        {name: loads[key] for name, key in matched.items()},
        classes,
        tuple(name for name in names if name not in matched),
        tuple(key for key in loads if key not in used),
        origin,
        "" if isinstance(place, Mapping | Dataset) else str(place),
        notes,
    )


def _of_model(truth: Dataset, path: Path) -> _Found:
    model = load(path)
    loads: dict[str, Load] = {
        sample.name: partial(_predicted, model, sample)
        for sample in truth
        if sample.annotated and sample.load_image
    }
    return loads, getattr(model, "classes", truth.classes), "predictions of a model", ()


def _predicted(model: Segmenter, sample: Sample) -> Segmentation:
    return model.predict(sample.image)


def _same(found: Segmentation) -> Segmentation:
    return found


def _of_dataset(dataset: Dataset) -> dict[str, Load]:
    return {sample.name: partial(_truth_of, sample) for sample in dataset if sample.annotated}


def _truth_of(sample: Sample) -> Segmentation:
    return sample.truth


def _all_classes(sets: Iterable[ClassSet]) -> ClassSet | None:
    """Every class of several sets, each name once, numbered from 1 where the sets differ; None for no set."""
    different = list(dict.fromkeys(sets))
    if len(different) < 2:
        return different[0] if different else None
    first = {each.name: each for one in different for each in one}
    return ClassSet(replace(each, id=number) for number, each in enumerate(first.values(), 1))


_Found = tuple[dict[str, Load], ClassSet, str, tuple[str, ...]]
"""How to get each prediction, their classes, what they were taken for, and notes."""


def _of_path(truth: Dataset, path: Path) -> _Found:
    if path.suffix.lower() == SUFFIX:
        return _of_model(truth, path)
    if path.suffix.lower() == ".json" and _is_list(path):
        if truth.format != "coco" or truth.path is None:
            raise InputError(
                f"{path} is a list of COCO results, whose image ids mean images of a COCO JSON; give that JSON as truth"
            )
        results = Dataset.open(truth.path, "coco", faulty="skip", results=str(path), need_images=False)
        wrong = [problem for problem in results.problems if problem.record.startswith("annotation")]
        if wrong:
            number = wrong[0].record.removeprefix("annotation ")
            raise ReadError(f"{path}, result {number}: {wrong[0].message} ({len(wrong)} such results)")
        return _of_dataset(results), results.classes, "COCO results", ()
    try:
        found = Dataset.open(path, faulty="skip")
        failure = f"it was taken for {found.format} ({found.reason}) and holds no segmentation"
    except (ReadError, InputError) as error:
        found, failure = None, str(error)
    if found is None or not any(sample.annotated for sample in found):
        loads = _of_masks(truth, path) if path.is_dir() else {}
        if not loads:
            raise InputError(f"{path} is neither a dataset nor a folder of masks: {failure}")
        return loads, truth.classes, "a folder of masks", ()
    notes = found.notes
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        notes = (*notes, f"faulty records count as not predicted: {found.problems[0]}{more}")
    return _of_dataset(found), found.classes, found.format, notes


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error


def _of_masks(truth: Dataset, folder: Path) -> dict[str, Load]:
    """Mask files by their names without suffix, or without words such as ``_pred`` where no image is called so.

    Raises ``InputError`` for two masks of one image.
    """
    tree = Tree(folder)
    known = {sample.name.rpartition("/")[2] for sample in truth}
    found: dict[str, str] = {}
    loads: dict[str, Load] = {}
    for path in tree.with_suffix(*MASK_SUFFIXES):
        stem = path[: -len(next(suffix for suffix in MASK_SUFFIXES[::-1] if path.lower().endswith(suffix)))]
        if stem.endswith(".overlay"):
            continue
        name = stem
        if stem.rpartition("/")[2] not in known:
            name = next((stem.removesuffix(mark) for mark in _MARKS if stem.endswith(mark)), stem)
        if name in loads:
            raise InputError(
                f"{folder}: {found[name]} and {path} are both predictions of {name!r}; keep one of them"
            )
        found[name] = path
        if stem.endswith(".labels"):
            loads[name] = partial(_objects, tree.file(path), truth.classes)
        elif truth.read_mask is not None:
            loads[name] = partial(_first, truth.read_mask, tree.file(path))
        else:
            loads[name] = partial(_numbered, tree.file(path), truth.classes)
    return loads


def _first(read_mask: Callable[[Path], tuple[Segmentation, ...]], path: Path) -> Segmentation:
    return read_mask(path)[0]


def _objects(path: Path, classes: ClassSet) -> Segmentation:
    """A label map of objects, all of the one class that is a thing. Raises ``InputError`` where there are more."""
    things = [each.id for each in classes if each.thing]
    if len(things) != 1:
        raise InputError(
            f"{path} holds numbers of objects and the truth has {len(things)} classes of things; "
            "write predictions with their classes, such as COCO or smalti's own format"
        )
    labels = read_labels(path)
    present = np.unique(labels[labels > 0])
    compact = np.searchsorted(present, labels).astype(np.int32) + 1
    compact[labels == 0] = 0
    return Segmentation.from_labels(
        compact, class_ids=[things[0]] * len(present), classes=classes, copy=False
    )


def _numbered(path: Path, classes: ClassSet) -> Segmentation:
    """A label map of objects where there is one class of things and nothing else, else of the ids of classes.

    Raises ``InputError`` for a number that is no class.
    """
    if len(classes) == 1 and classes[0].thing:
        return _objects(path, classes)
    labels = read_labels(path)
    present = np.unique(labels[labels > 0])
    unknown = np.setdiff1d(present, classes.ids)
    if len(unknown):
        raise InputError(f"{path}: {unknown[0]} is the id of no class; ids are {classes.ids.tolist()}")
    compact = (np.searchsorted(present, labels) + 1) * (labels > 0)
    return Segmentation.from_labels(compact.astype(np.int32), class_ids=present, classes=classes, copy=False)


def _by_name(names: Iterable[str], loads: Mapping[str, Load]) -> dict[str, str]:
    """Sample name to key of its prediction."""
    names = list(names)
    exact = {name: name for name in names if name in loads}
    if exact:
        return exact
    last_of_names, last_of_keys = (
        {each.rpartition("/")[2]: each for each in side} for side in (names, loads)
    )
    if len(last_of_names) < len(names) or len(last_of_keys) < len(loads):
        return {}
    return {name: last_of_keys[last] for last, name in last_of_names.items() if last in last_of_keys}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")


@dataclass(frozen=True)
class Alignment:
    """One class set for both sides, and the id in it of each class of the prediction by name.

    ``notes`` say what was taken for granted.
    """

    classes: ClassSet
    ids: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def __call__(self, segmentation: Segmentation) -> Segmentation:
        """The same segments with the common classes. Raises ``InputError`` for a class that the set lacks."""
        if segmentation.classes == self.classes:
            return segmentation
        ids = {each.id: self.ids.get(each.name) for each in segmentation.classes}
        unknown = [
            class_id for class_id in np.unique(segmentation.class_ids).tolist() if ids[class_id] is None
        ]
        if unknown:
            name = segmentation.classes.of(unknown[0]).name
            raise InputError(
                f"the class {name!r} is none of {', '.join(map(repr, self.ids))}, which others have"
            )
        class_ids = [ids[class_id] for class_id in segmentation.class_ids.tolist()]
        return segmentation.replace(class_ids=np.array(class_ids, np.int64), classes=self.classes)


def align_classes(truth: ClassSet, predicted: ClassSet) -> Alignment:
    """The classes of truth, and after them those that only the prediction has.

    Classes are the same by name; where both sides have one class only, those two are the same whatever they are called.
    Raises ``InputError`` where no name is common.
    """
    if len(truth) == len(predicted) == 1 and truth.names != predicted.names:
        note = f"the one class predicted, {predicted.names[0]!r}, is taken for {truth.names[0]!r}"
        own = int(truth.ids[0])
        return Alignment(truth, {predicted.names[0]: own, truth.names[0]: own}, (note,))
    if not set(truth.names) & set(predicted.names):
        raise InputError(
            f"truth has the classes {', '.join(truth.names[:8])}, the prediction {', '.join(predicted.names[:8])}; "
            "none is the same: name them alike"
        )
    ids = {each.name: each.id for each in truth}
    free = int(truth.ids.max()) + 1
    more = [each for each in predicted if each.name not in ids]
    added = [replace(each, id=free + index) for index, each in enumerate(more)]
    never = [each.name for each in truth if each.name not in set(predicted.names)]
    notes = []
    if added:
        notes.append(
            f"the truth has no class {', '.join(repr(each.name) for each in added)}, which the prediction may use; "
            "what is predicted as such is false"
        )
    if never:
        notes.append(
            f"the prediction has no class {', '.join(map(repr, never))}; those segments are all missed"
        )
    classes = ClassSet([*truth, *added]) if added else truth
    return Alignment(classes, ids | {each.name: each.id for each in added}, tuple(notes))
