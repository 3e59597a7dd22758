"""The one representation: the segments of one image. Which pixels, which class, how sure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from . import compiled
from .classes import OBJECT, ClassSet
from .errors import InputError, OverlapError
from .geometry import UNKNOWN, Geometry
from .runs import Runs, index_array


class Segmentation:
    """The segments of one image of ``shape`` (H, W) or (D, H, W), numbered 1..N. Immutable.

    Segment k has class ``class_ids[k - 1]`` and score ``scores[k - 1]``, 0..1, ones for ground truth. Segments
    may overlap. Semantic results have one segment per class present, instance results one per object, panoptic
    ones both and no overlap.

    The pixels are kept as runs or as a label map, whichever they came as, and each is made from the other when
    first asked for (``docs/why/runs.md`` has the measurements). Build one with ``from_labels``, ``from_masks``,
    ``from_semantic_map`` or ``from_runs``; each checks what it is given and raises ``InputError``.

    Annotations may say more. ``void`` is where nobody said what there is. ``attributes`` has further columns, a
    value for each segment, such as ``crowd`` (a group outlined as one), ``track_id``, ``group_id``, ``source_id``.
    """

    shape: tuple[int, ...]
    class_ids: np.ndarray
    scores: np.ndarray
    classes: ClassSet
    geometry: Geometry
    attributes: Mapping[str, np.ndarray]
    _void: Any  # Runs of one segment, or None
    _labels: Any  # np.ndarray or None
    _runs: Any  # Runs or None; never both None

    def __init__(
        self,
        shape: Sequence[int],
        count: int,
        *,
        labels: np.ndarray | None = None,
        runs: Runs | None = None,
        class_ids: Iterable[int] | None = None,
        scores: Iterable[float] | None = None,
        classes: ClassSet | None = None,
        geometry: Geometry | None = None,
        void: np.ndarray | Runs | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """For the ``from_...`` constructors, which check the pixels; here everything else is checked."""
        shape = tuple(int(length) for length in shape)
        geometry = UNKNOWN if geometry is None else geometry
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise InputError(f"shape must be (H, W) or (D, H, W) of at least one pixel, got {shape}")
        geometry.check_ndim(len(shape))
        classes = OBJECT if classes is None else classes
        if class_ids is None:
            if count and not len(classes):
                raise InputError(f"{count} segments need at least one class")
            class_ids = np.full(count, classes.ids[0] if len(classes) else 0)
        scores = np.ones(count) if scores is None else scores
        self.__dict__.update(
            shape=shape,
            geometry=geometry,
            classes=classes,
            class_ids=_column("class_ids", class_ids, count, np.int32),
            scores=_column("scores", scores, count, np.float64),
            attributes=_attributes(attributes or {}, count),
            _void=_void_runs(void, shape),
            _labels=labels,
            _runs=runs,
        )
        unknown = np.setdiff1d(self.class_ids, classes.ids)
        if len(unknown):
            raise InputError(f"class_ids {unknown.tolist()} are not in the class set {classes.ids.tolist()}")
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise InputError("scores must be numbers from 0 to 1")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"a Segmentation is immutable; make another with replace({name}=...)")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"attributes": dict(self.attributes)}  # a read-only mapping cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, attributes=MappingProxyType(state["attributes"]))

    # Building

    @classmethod
    def from_labels(
        cls,
        labels: np.ndarray,
        *,
        class_ids: Iterable[int] | None = None,
        scores: Iterable[float] | None = None,
        classes: ClassSet | None = None,
        geometry: Geometry | None = None,
        void: np.ndarray | Runs | None = None,
        attributes: Mapping[str, Any] | None = None,
        copy: bool = True,
    ) -> Segmentation:
        """Segments of a label map: any integers (*S,), 0 where there is none.

        Without ``class_ids`` and ``scores`` the labels may have gaps and are renumbered 1..N in ascending order.
        With either, label k belongs to its entry k - 1, and a label beyond the list is an error.
        ``copy=False`` hands an int32 array over: it becomes read-only.
        """
        labels = np.asarray(labels)
        if labels.dtype.kind not in "bui":
            raise InputError(f"labels must be integers, got {labels.dtype}; for scores use a threshold first")
        if labels.ndim not in (2, 3) or 0 in labels.shape:
            raise InputError(f"labels must be (H, W) or (D, H, W) of at least one pixel, got {labels.shape}")
        labels = labels.view(np.uint8) if labels.dtype == bool else labels
        labels = labels.astype(labels.dtype.newbyteorder("="), copy=False)
        lowest, top = int(labels.min()), int(labels.max())
        if lowest < 0:
            raise InputError(f"labels must be 0 or more, got {lowest}; void belongs to the reader's void=")
        if class_ids is not None:
            class_ids = list(class_ids)
        if scores is not None:
            scores = list(scores)
        listed = class_ids if class_ids is not None else scores
        if listed is not None:
            count = len(listed)
            if top > count:
                raise InputError(f"labels name segment {top} but class_ids or scores list only {count}")
        elif top > max(labels.size, 2**16):
            ids = np.unique(labels[labels > 0])
            labels = (np.searchsorted(ids, labels) + 1) * (labels > 0)
            count = len(ids)
        else:
            present = compiled.runs.count_labels(np.ascontiguousarray(labels).reshape(-1), top) > 0
            present[0] = False
            count = int(present.sum())
            if count != top:
                labels = np.cumsum(present, dtype=np.int32)[labels] * present[labels]
        # Handed over or not, an array whose memory is another's could be written through that one.
        labels = np.array(labels, dtype=np.int32, order="C", copy=copy or labels.base is not None or None)
        labels.flags.writeable = False
        return cls(
            labels.shape,
            count,
            labels=labels,
            class_ids=class_ids,
            scores=scores,
            classes=classes,
            geometry=geometry,
            void=void,
            attributes=attributes,
        )

    @classmethod
    def from_masks(
        cls,
        masks: np.ndarray | Iterable[np.ndarray],
        *,
        shape: Sequence[int] | None = None,
        class_ids: Iterable[int] | None = None,
        scores: Iterable[float] | None = None,
        classes: ClassSet | None = None,
        geometry: Geometry | None = None,
        void: np.ndarray | Runs | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Segmentation:
        """One segment per bool mask, (N, *S) or any iterable of (*S,), read once; masks may overlap and be empty.

        ``shape`` is needed only where there may be no mask to tell it.
        """
        stacks = [masks] if isinstance(masks, np.ndarray) else (np.asarray(mask)[None] for mask in masks)
        wanted = None if shape is None else tuple(int(length) for length in shape)
        parts = []
        for stack in stacks:
            if stack.dtype != bool:
                raise InputError(
                    f"masks must be bool, got {stack.dtype}; write mask > 0 or scores > threshold"
                )
            if stack.ndim not in (3, 4):
                raise InputError(f"masks must be (N, H, W) or (N, D, H, W), got {stack.shape}")
            wanted = stack.shape[1:] if wanted is None else wanted
            if stack.shape[1:] != wanted:
                raise InputError(f"every mask must have the shape {wanted}, got {stack.shape[1:]}")
            parts.append(Runs.of_masks(stack))
        if wanted is None:
            raise InputError("no masks and no shape; give shape=(H, W) where there may be no mask")
        runs = Runs.concatenate(parts)
        return cls(
            wanted,
            len(runs),
            runs=runs,
            class_ids=class_ids,
            scores=scores,
            classes=classes,
            geometry=geometry,
            void=void,
            attributes=attributes,
        )

    @classmethod
    def from_runs(
        cls,
        shape: Sequence[int],
        runs: Runs,
        *,
        class_ids: Iterable[int] | None = None,
        scores: Iterable[float] | None = None,
        classes: ClassSet | None = None,
        geometry: Geometry | None = None,
        void: np.ndarray | Runs | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Segmentation:
        """Segments of well-formed ``runs`` over the flattened ``shape``; see ``Runs``."""
        shape = tuple(int(length) for length in shape)
        runs.check(shape)
        dtype = index_array(math.prod(shape)).dtype
        runs = Runs(runs.offsets.astype(np.int64), runs.start.astype(dtype), runs.stop.astype(dtype))
        return cls(
            shape,
            len(runs),
            runs=runs,
            class_ids=class_ids,
            scores=scores,
            classes=classes,
            geometry=geometry,
            void=void,
            attributes=attributes,
        )

    @classmethod
    def from_semantic_map(
        cls,
        semantic_map: np.ndarray,
        classes: ClassSet,
        *,
        void: int | None = None,
        geometry: Geometry | None = None,
    ) -> Segmentation:
        """One segment per class present in a map of class ids (*S,); 0 is no segment and ``void`` no label."""
        semantic_map = np.asarray(semantic_map)
        if semantic_map.dtype.kind not in "bui":
            raise InputError(f"a semantic map must hold integers, got {semantic_map.dtype}")
        present = np.unique(semantic_map)
        present = present[(present != 0) & (present != (0 if void is None else void))].astype(np.int64)
        unknown = np.setdiff1d(present, classes.ids)
        if len(unknown):
            raise InputError(
                f"the map names classes {unknown[:10].tolist()} that are not in the class set "
                f"{classes.ids.tolist()}; name one of them void=... if it means 'no label'"
            )
        labels = np.zeros(semantic_map.shape, np.int32)
        for k, class_id in enumerate(present, 1):
            labels[semantic_map == class_id] = k
        unlabelled = None if void is None else semantic_map == void
        return cls.from_labels(
            labels, class_ids=present, classes=classes, geometry=geometry, void=unlabelled, copy=False
        )

    # Pixels

    @property
    def labels(self) -> np.ndarray:
        """Label map (*S,) int32, 0 = no segment, read-only. Raises ``OverlapError`` where segments overlap."""
        if self._labels is None:
            labels, covered = self._runs.paint(self.shape)
            if covered:
                raise OverlapError(
                    f"segments overlap on {covered} pixels, so no label map can hold them; use semantic_map(), "
                    "panoptic() (the surest segment wins) or layers() (several label maps)"
                )
            labels.flags.writeable = False
            self.__dict__["_labels"] = labels
        return self._labels

    @property
    def runs(self) -> Runs:
        """The pixels as runs."""
        if self._runs is None:
            self.__dict__["_runs"] = Runs.of_labels(self._labels, len(self))
        return self._runs

    @property
    def void(self) -> np.ndarray:
        """Where nobody said what there is, (*S,) bool: left out of training and scores."""
        void = np.zeros(self.shape, bool)
        if self._void is not None:
            one = np.zeros(1, np.int64)
            flat = void.reshape(-1).view(np.uint8)
            compiled.runs.paint(flat, self._void.offsets, self._void.start, self._void.stop, one)
        return void

    @cached_property
    def void_px(self) -> int:
        """Number of void pixels."""
        return 0 if self._void is None else int(self._void.areas[0])

    @cached_property
    def overlapping(self) -> bool:
        """Whether any pixel belongs to more than one segment."""
        if self._labels is not None or len(self) < 2:
            return False
        try:
            return self.labels is None
        except OverlapError:
            return True

    @property
    def ndim(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.shape)

    def __len__(self) -> int:
        """Number of segments."""
        return len(self.class_ids)

    @cached_property
    def areas_px(self) -> np.ndarray:
        """Pixels of each segment, (N,) int64."""
        if self._runs is None:
            areas = compiled.runs.count_labels(self._labels.reshape(-1), len(self))[1:]
        else:
            areas = self._runs.areas
        areas.flags.writeable = False
        return areas

    @cached_property
    def boxes(self) -> np.ndarray:
        """Bounding boxes (N, 2 * ndim) int64, ``ymin, xmin, ymax, xmax``, half open; zeros for an empty segment."""
        boxes = self.runs.boxes(self.shape)
        boxes.flags.writeable = False
        return boxes

    @property
    def coverage(self) -> float:
        """Share of the image's pixels that belong to at least one segment."""
        if self.overlapping:
            return float(np.count_nonzero(self._runs.paint(self.shape)[0])) / math.prod(self.shape)
        return float(self.areas_px.sum()) / math.prod(self.shape)

    def mask(self, k: int) -> np.ndarray:
        """Pixels of segment ``k`` (1..N), (*S,) bool."""
        mask = np.zeros(self.shape, bool)
        crop, place = self.crop(k)
        mask[place] = crop
        return mask

    def masks(self) -> Iterator[np.ndarray]:
        """The masks of all segments, one at a time."""
        return (self.mask(k) for k in range(1, len(self) + 1))

    def crop(self, k: int) -> tuple[np.ndarray, tuple[slice, ...]]:
        """Mask of segment ``k`` inside its box, and the slices that place it in the image."""
        if not 1 <= k <= len(self):
            raise InputError(f"segments are numbered 1..{len(self)}, got {k}")
        box = self.boxes[k - 1]
        place = tuple(slice(int(low), int(high)) for low, high in zip(*np.split(box, 2), strict=True))
        return self.runs.crop(k, box, self.shape), place

    # Views

    def layers(self) -> list[np.ndarray]:
        """Label maps (*S,) int32 that hold the segments' own numbers and together show every pixel of every one.

        One map where nothing overlaps; otherwise each segment lies in the first map that has room for it.
        """
        if not self.overlapping:
            return [self.labels]
        layers: list[np.ndarray] = []
        for k in range(1, len(self) + 1):
            start, stop = self.runs.of(k)
            layer = next((one for one in layers if compiled.runs.is_free(one, start, stop)), None)
            if layer is None:
                layer = np.zeros(math.prod(self.shape), np.int32)
                layers.append(layer)
            compiled.runs.paint(layer, self.runs.offsets, self.runs.start, self.runs.stop, np.array([k - 1]))
        return [layer.reshape(self.shape) for layer in layers]

    def panoptic(self) -> Segmentation:
        """The same without overlap: a contested pixel goes to the highest score, then to things over stuff, then
        to the lower number. Segments left without a pixel are dropped."""
        if not self.overlapping:
            return self
        stuff = np.array([not self.classes.of(class_id).thing for class_id in self.class_ids])
        order = np.lexsort((stuff, -self.scores))
        labels, _ = self.runs.paint(self.shape, order[::-1].copy())
        seen = np.unique(labels)
        seen = seen[seen > 0] - 1
        return Segmentation.from_labels(labels, copy=False).replace(**self._columns(seen))

    def semantic_map(self, background: int = 0, void: int | None = None) -> np.ndarray:
        """Class id of every pixel, (*S,) int32; ``background`` where there is none, overlap as in ``panoptic``.

        Void pixels are ``void`` if that is given, otherwise as if nothing were known of them.
        """
        flat = self.panoptic()
        semantic_map = np.concatenate([[background], flat.class_ids]).astype(np.int32)[flat.labels]
        if void is not None and self.void_px:
            semantic_map[self.void] = void
        return semantic_map

    # Others made from this one

    def replace(self, **changes: Any) -> Segmentation:
        """The same pixels with other ``class_ids``, ``scores``, ``classes``, ``geometry``, ``void`` or
        ``attributes`` (all of them anew)."""
        kept = self._columns(slice(None))
        unknown = set(changes) - set(kept)
        if unknown:
            raise InputError(f"replace takes {', '.join(kept)}, got {', '.join(sorted(unknown))}")
        return Segmentation(self.shape, len(self), labels=self._labels, runs=self._runs, **(kept | changes))

    def _columns(self, chosen: Any) -> dict[str, Any]:
        """All but the pixels, of the chosen segments."""
        return {
            "class_ids": self.class_ids[chosen],
            "scores": self.scores[chosen],
            "classes": self.classes,
            "geometry": self.geometry,
            "void": self._void,
            "attributes": {name: column[chosen] for name, column in self.attributes.items()},
        }

    def __getitem__(self, index: Any) -> Segmentation:
        """The chosen segments, renumbered 1..M in the order chosen.

        ``index`` is what numpy takes for one axis, 0-based: a bool array (N,), integers without repeats, a slice.
        """
        chosen = np.atleast_1d(np.arange(len(self))[index])
        if chosen.ndim != 1:
            raise InputError(f"segments are chosen along one axis, got an index of shape {chosen.shape}")
        if len(np.unique(chosen)) != len(chosen):
            raise InputError("a segment can be chosen once only")
        columns = self._columns(chosen)
        if self._runs is None:
            lookup = np.zeros(len(self) + 1, np.int32)
            lookup[chosen + 1] = np.arange(1, len(chosen) + 1)
            return Segmentation.from_labels(lookup[self._labels], copy=False, **columns)
        return Segmentation(self.shape, len(chosen), runs=self._runs.take(chosen), **columns)

    def merge(self, groups: Sequence[int] | np.ndarray) -> Segmentation:
        """Segments of one group made one: segment k joins ``groups[k - 1]`` (1..M, every number used); 0 drops it.

        The union has the class and the attributes of its first member and the highest score of any.
        """
        groups = np.asarray(groups, dtype=None if len(self) else np.int64)
        if groups.shape != (len(self),) or groups.dtype.kind not in "ui":
            raise InputError(
                f"groups must be {len(self)} integers, got {groups.dtype} of shape {groups.shape}"
            )
        numbers, first = np.unique(groups, return_index=True)
        first = first[numbers != 0]
        count = len(first)
        if not np.array_equal(numbers[numbers != 0], np.arange(1, count + 1)):
            raise InputError("groups must use every number from 1 to the highest; 0 drops a segment")
        scores = np.zeros(count + 1)
        np.maximum.at(scores, groups, self.scores)
        columns = self._columns(first) | {"scores": scores[1:]}
        if self._runs is None:
            lookup = np.concatenate([[0], groups]).astype(np.int32)
            return Segmentation.from_labels(lookup[self._labels], copy=False, **columns)
        return Segmentation(
            self.shape, count, runs=self._runs.merge(groups, count, self.shape[-1]), **columns
        )

    @staticmethod
    def concatenate(parts: Sequence[Segmentation]) -> Segmentation:
        """All segments of several segmentations of one image, in order; they may come to overlap.

        Void is what is void in any. An attribute that a part does not have is 0, False or "" for its segments.
        """
        if not parts:
            raise InputError("nothing to concatenate; give at least one Segmentation")
        first = parts[0]
        for part in parts[1:]:
            if part.shape != first.shape or part.classes != first.classes:
                raise InputError(
                    f"parts must share shape and classes: {first.shape} {first.classes} and "
                    f"{part.shape} {part.classes}"
                )
            if (part.geometry.spacing, part.geometry.unit) != (first.geometry.spacing, first.geometry.unit):
                raise InputError(f"parts must share their spacing: {first.geometry} and {part.geometry}")
        return Segmentation(
            first.shape,
            sum(len(part) for part in parts),
            runs=Runs.concatenate([part.runs for part in parts]),
            class_ids=np.concatenate([part.class_ids for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            classes=first.classes,
            geometry=first.geometry,
            void=np.any([part.void for part in parts], axis=0)
            if any(part.void_px for part in parts)
            else None,
            attributes=_joined_attributes(parts),
        )

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same segments in the same order, and the same void."""
        if not isinstance(other, Segmentation):
            return NotImplemented
        return (
            self.shape == other.shape
            and self.classes == other.classes
            and np.array_equal(self.class_ids, other.class_ids)
            and np.array_equal(self.scores, other.scores)
            and self.attributes.keys() == other.attributes.keys()
            and all(np.array_equal(self.attributes[name], other.attributes[name]) for name in self.attributes)
            and np.array_equal(self.void, other.void)
            and np.array_equal(self.runs.offsets, other.runs.offsets)
            and np.array_equal(self.runs.start, other.runs.start)
            and np.array_equal(self.runs.stop, other.runs.stop)
        )

    __hash__ = None  # type: ignore[assignment]  # compared by its pixels

    def __repr__(self) -> str:
        ids, counts = np.unique(self.class_ids, return_counts=True)
        kinds = ", ".join(f"{self.classes.of(i).name} {count}" for i, count in zip(ids, counts, strict=True))
        size = " x ".join(str(length) for length in self.shape)
        return f"Segmentation({size}, {len(self)} segments{': ' + kinds if kinds else ''}, spacing {self.geometry})"


def _column(name: str, values: Iterable[float], count: int, dtype: type) -> np.ndarray:
    """One value per segment as a read-only array of its own. Integers are wanted whole, never rounded."""
    given = np.asarray(values if isinstance(values, np.ndarray) else list(values))
    if given.shape != (count,):
        raise InputError(f"{name} must be {count} numbers, one per segment, got shape {given.shape}")
    if count and given.dtype.kind not in ("ui" if dtype is np.int32 else "buif"):
        raise InputError(f"{name} must be {'whole ' if dtype is np.int32 else ''}numbers, got {given.dtype}")
    if count and dtype is np.int32 and not (given.min() >= 0 and given.max() < 2**31):
        raise InputError(f"{name} must lie in 0..{2**31 - 1}, got {given.min()}..{given.max()}")
    column: np.ndarray = given.astype(dtype)
    column.flags.writeable = False
    return column


def _attributes(given: Mapping[str, Any], count: int) -> Mapping[str, np.ndarray]:
    """Read-only columns of bool, whole numbers, floats or text, one value per segment."""
    columns = {}
    for name, values in given.items():
        column = np.array(values if len(values) else [], dtype=None if len(values) else np.int64)
        column = column.astype(values.dtype) if isinstance(values, np.ndarray) else column
        if column.shape != (count,):
            raise InputError(
                f"attribute {name!r} must have {count} values, one per segment, got {column.shape}"
            )
        if column.dtype.kind not in "buifU":
            raise InputError(f"attribute {name!r} must be bool, numbers or text, got {column.dtype}")
        column.flags.writeable = False
        columns[str(name)] = column
    return MappingProxyType(columns)


def _void_runs(void: np.ndarray | Runs | None, shape: tuple[int, ...]) -> Runs | None:
    """A void region as the runs of one segment; None where there is none."""
    if void is None:
        return None
    if not isinstance(void, Runs):
        void = np.asarray(void)
        if void.dtype != bool or void.shape != shape:
            raise InputError(f"void must be bool {shape}, got {void.dtype} {void.shape}")
        if not void.any():
            return None
        void = Runs.of_masks(void[None])
    elif len(void) != 1:
        raise InputError(f"void is the runs of one region, got those of {len(void)}")
    else:
        void.check(shape)
    return void


def _joined_attributes(parts: Sequence[Segmentation]) -> dict[str, np.ndarray]:
    joined = {}
    for name in dict.fromkeys(name for part in parts for name in part.attributes):
        dtype = next(part.attributes[name].dtype for part in parts if name in part.attributes)
        joined[name] = np.concatenate(
            [part.attributes.get(name, np.zeros(len(part), dtype)) for part in parts]
        )
    return joined
