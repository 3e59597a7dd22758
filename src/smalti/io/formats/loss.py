"""What a conversion loses: measured by comparing what was meant with what is read back."""

from __future__ import annotations

import filecmp
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ...classes import ClassSet
from ...geometry import Geometry
from ...masks import trace_runs
from ...overlaps import overlap
from ...sample import Sample
from ...segmentation import Segmentation

_SCORE_TOLERANCE = 1e-6
_AFFINE_TOLERANCE = 1e-9  # DICOM keeps 16 characters of a number
_LENGTH_TOLERANCE = 1e-6  # relative: formats round spacings to single precision or decimals


@dataclass(frozen=True)
class Loss:
    """How what is read back of one image differs from what was to be written; all zero and empty if in nothing.

    Pixels are counted for each segment: one that lost 3 pixels to its neighbour changes 3 of its own and 3 of the
    neighbour's. Segments that became one are compared as one.
    """

    pixels_changed: int = 0
    void_changed: int = 0  # pixels
    overlap_flattened: int = 0  # pixels that belonged to several segments and belong to fewer now
    holes_lost: int = 0
    segments_lost: int = 0  # nothing of them is left
    segments_added: int = 0
    segments_merged: int = 0  # came back as part of another
    segments_split: int = 0  # pieces that came back as segments of their own
    classes_changed: int = 0  # segments under another class name, or thing that became stuff
    scores_changed: int = 0
    annotators_lost: int = 0
    attributes_changed: Mapping[str, int] = field(default_factory=dict)  # name to segments
    fields_lost: tuple[str, ...] = ()  # split, group, spacing, licence ...
    image_changed: str = ""  # in words

    def __bool__(self) -> bool:
        """Whether anything at all was lost."""
        return any(getattr(self, each.name) for each in fields(self))

    @property
    def exact(self) -> bool:
        """Whether every pixel of every segment, and void, came back."""
        return not (self.pixels_changed or self.void_changed or self.segments_lost or self.segments_added)

    def to_json(self) -> dict[str, Any]:
        """The parts that are not zero."""
        content = {each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name)}
        return {
            name: dict(value)
            if isinstance(value, Mapping)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in content.items()
        }

    def __str__(self) -> str:
        return ", ".join(_phrases(self.to_json())) or "nothing lost"


@dataclass(frozen=True)
class LossReport:
    """The losses of a conversion by sample name, and what concerns the whole dataset."""

    losses: Mapping[str, Loss]
    format: str
    notes: tuple[str, ...] = ()  # about the dataset: classes that are gone, problems found on reading back
    changes: tuple[str, ...] = ()  # of what carries no meaning: numbers and colours of classes

    def __bool__(self) -> bool:
        """Whether anything at all was lost."""
        return any(self.losses.values()) or bool(self.notes)

    @property
    def exact(self) -> bool:
        """Whether every pixel of every sample came back."""
        return all(loss.exact for loss in self.losses.values())

    @property
    def total(self) -> Loss:
        """All samples together; of what is lost by fields, the names."""
        counts = {
            each.name: sum(getattr(loss, each.name) for loss in self.losses.values())
            for each in fields(Loss)
            if each.type == "int"
        }
        attributes: Counter[str] = Counter()
        for loss in self.losses.values():
            attributes.update(loss.attributes_changed)
        lost = dict.fromkeys(name for loss in self.losses.values() for name in loss.fields_lost)
        changed = sum(bool(loss.image_changed) for loss in self.losses.values())
        return Loss(
            **counts,
            attributes_changed=dict(attributes),
            fields_lost=tuple(lost),
            image_changed=f"{changed} images" if changed else "",
        )

    def to_json(self) -> dict[str, Any]:
        """Totals, notes, and every sample that lost something."""
        return {
            "format": self.format,
            "samples": len(self.losses),
            "samples_with_loss": sum(map(bool, self.losses.values())),
            "total": self.total.to_json(),
            "notes": list(self.notes),
            "changes": list(self.changes),
            "by_sample": {name: loss.to_json() for name, loss in self.losses.items() if loss},
        }

    def lines(self) -> Iterator[str]:
        """The report in words, the totals first."""
        changed = sum(map(bool, self.losses.values()))
        yield f"{len(self.losses)} samples as {self.format}, {changed} of them with a loss"
        for phrase in _phrases(self.total.to_json()):
            yield f"  {phrase}"
        for note in (*self.notes, *self.changes):
            yield f"  {note}"
        if not self:
            yield "  nothing lost: every pixel, class, score and attribute came back"


def compare_classes(wanted: ClassSet, found: ClassSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which classes are gone, and which came back with another number or colour, each in a line of words."""
    back = {each.name: each for each in found}
    gone = [each.name for each in wanted if each.name not in back]
    both = [(each, back[each.name]) for each in wanted if each.name in back]
    numbers = [f"{one.name} {one.id} is {other.id}" for one, other in both if one.id != other.id]
    colors = [one.name for one, other in both if one.color != other.color]
    return (
        (f"classes not kept: {', '.join(gone)}",) if gone else (),
        (
            *((f"numbers of classes changed: {', '.join(numbers)}",) if numbers else ()),
            *((f"colours of classes not kept: {', '.join(colors)}",) if colors else ()),
        ),
    )


def compare(wanted: Sample, found: Sample) -> Loss:
    """What ``found`` has lost of ``wanted``: annotations, where they belong, and the pixels of the image."""
    given = [wanted.truths, found.truths if found.annotated else ()] if wanted.annotated else [(), ()]
    parts = [compare_segmentations(one, other) for one, other in zip(*given, strict=False)]
    whole = LossReport({str(index): part for index, part in enumerate(parts)}, "").total
    lost = dict.fromkeys(whole.fields_lost)
    for name in ("split", "group"):
        if getattr(wanted, name) is not None and getattr(found, name) != getattr(wanted, name):
            lost[name] = None
    origin = found.provenance.to_json()
    lost |= dict.fromkeys(k for k, v in wanted.provenance.to_json().items() if origin.get(k) != v)
    lost |= dict.fromkeys(k for k, v in wanted.metadata.items() if not _same(v, found.metadata.get(k)))
    change, geometry = _image_change(wanted, found)
    lost |= dict.fromkeys(geometry)
    return Loss(
        **{each.name: getattr(whole, each.name) for each in fields(Loss) if each.type == "int"}
        | {"annotators_lost": max(0, len(given[0]) - len(given[1]))},
        attributes_changed=whole.attributes_changed,
        fields_lost=tuple(lost),
        image_changed=change,
    )


def compare_segmentations(wanted: Segmentation, found: Segmentation) -> Loss:
    """What ``found`` has lost of ``wanted``, whatever the order and number of the segments."""
    if wanted.shape != found.shape:
        return Loss(
            pixels_changed=int(wanted.areas_px.sum()),
            segments_lost=len(wanted),
            segments_added=len(found),
            image_changed=f"size {wanted.shape} became {found.shape}",
        )
    pairs = _Pairs.of(wanted, found)
    groups = np.arange(1, len(wanted) + 1)
    groups[pairs.merged - 1] = groups[pairs.merged_into - 1]
    found_groups = np.zeros(len(found), np.int64)
    found_groups[pairs.found - 1] = groups[pairs.wanted - 1]
    found_groups[pairs.split - 1] = groups[pairs.split_from - 1]
    changed, holes = _changes(wanted, found, groups, found_groups)
    lost = np.setdiff1d(np.arange(1, len(wanted) + 1), np.concatenate([pairs.wanted, pairs.merged]))
    added = np.setdiff1d(np.arange(1, len(found) + 1), np.concatenate([pairs.found, pairs.split]))
    changed += int(wanted.areas_px[lost - 1].sum() + found.areas_px[added - 1].sum())
    return Loss(
        pixels_changed=changed,
        void_changed=int(np.count_nonzero(wanted.void != found.void)),
        overlap_flattened=max(0, _overlap_px(wanted) - _overlap_px(found)),
        holes_lost=holes,
        segments_lost=len(lost),
        segments_added=len(added),
        segments_merged=len(pairs.merged),
        segments_split=len(pairs.split),
        classes_changed=_classes_changed(wanted, found, pairs),
        scores_changed=int(
            np.count_nonzero(
                np.abs(wanted.scores[pairs.wanted - 1] - found.scores[pairs.found - 1]) > _SCORE_TOLERANCE
            )
        ),
        attributes_changed=_attributes_changed(wanted, found, pairs),
        fields_lost=_geometry_lost(wanted.geometry, found.geometry),
    )


@dataclass(frozen=True)
class _Pairs:
    """Segment numbers of both sides that are the same segment, and those that joined or left another."""

    wanted: np.ndarray
    found: np.ndarray
    merged: np.ndarray  # of wanted, came back inside the partner of ...
    merged_into: np.ndarray  # ... these, of wanted
    split: np.ndarray  # of found, are pieces of ...
    split_from: np.ndarray  # ... these, of wanted

    @classmethod
    def of(cls, wanted: Segmentation, found: Segmentation) -> _Pairs:
        """Partners by the largest IoU, then by class; the rest by the partner of what they overlap most."""
        table = overlap(wanted, found)
        names = [np.array([side.classes.of(i).name for i in side.class_ids]) for side in (wanted, found)]
        same_class = (
            names[0][table.truth - 1] == names[1][table.predicted - 1]
            if len(table.truth)
            else np.zeros(0, bool)
        )
        order = np.lexsort((table.predicted, table.truth, ~same_class, -table.iou))
        partner = np.zeros(len(wanted) + 1, np.int64)
        partner_of = np.zeros(len(found) + 1, np.int64)
        left: list[tuple[int, int]] = []
        for k, other in zip(table.truth[order].tolist(), table.predicted[order].tolist(), strict=True):
            if not partner[k] and not partner_of[other]:
                partner[k], partner_of[other] = other, k
            else:
                left.append((k, other))
        _pair_empty(wanted, found, partner, partner_of)
        merged: dict[int, int] = {}
        split: dict[int, int] = {}
        for k, other in left:  # by falling IoU: the first that fits is the best
            if not partner[k] and k not in merged and partner_of[other]:
                merged[k] = int(partner_of[other])
            if not partner_of[other] and other not in split and partner[k]:
                split[other] = k
        numbers = np.flatnonzero(partner)
        return cls(
            numbers,
            partner[numbers],
            *(np.array(list(side), np.int64) for side in (merged, merged.values(), split, split.values())),
        )


def _pair_empty(
    wanted: Segmentation, found: Segmentation, partner: np.ndarray, partner_of: np.ndarray
) -> None:
    """Segments without pixels are partners in the order they come."""
    empty = np.flatnonzero(wanted.areas_px == 0) + 1
    others = np.flatnonzero(found.areas_px == 0) + 1
    count = min(len(empty), len(others))
    partner[empty[:count]], partner_of[others[:count]] = others[:count], empty[:count]


def _changes(
    wanted: Segmentation, found: Segmentation, groups: np.ndarray, found_groups: np.ndarray
) -> tuple[int, int]:
    """Pixels that differ between the unions of each group on both sides, and holes that are gone there."""
    used = np.intersect1d(groups, found_groups)
    if not len(used):
        return 0, 0
    both = [
        side.merge(np.where(np.isin(own, used), np.searchsorted(used, own) + 1, 0))
        for side, own in ((wanted, groups), (found, found_groups))
    ]
    table = overlap(*both)
    common = np.zeros(len(used), np.int64)
    same = table.truth == table.predicted
    common[table.truth[same] - 1] = table.pixels[same]
    changed = both[0].areas_px + both[1].areas_px - 2 * common
    altered = np.flatnonzero(changed)
    if wanted.ndim != 2 or not len(altered):
        return int(changed.sum()), 0
    counts = [_num_holes(side[altered]) for side in both]
    return int(changed.sum()), int(np.maximum(counts[0] - counts[1], 0).sum())


def _num_holes(segmentation: Segmentation) -> np.ndarray:
    return np.array(
        [
            sum(len(polygon.holes_xy) for polygon in polygons)
            for polygons in trace_runs(segmentation.runs, segmentation.shape)
        ]
    )


def _overlap_px(segmentation: Segmentation) -> int:
    if not segmentation.overlapping:
        return 0
    painted, _ = segmentation.runs.paint(segmentation.shape)
    return int(segmentation.areas_px.sum()) - int(np.count_nonzero(painted))


def _classes_changed(wanted: Segmentation, found: Segmentation, pairs: _Pairs) -> int:
    changed = 0
    for numbers, others in (
        (pairs.wanted, pairs.found),
        (pairs.merged, pairs.found[np.searchsorted(pairs.wanted, pairs.merged_into)]),
    ):
        for k, other in zip(numbers, others, strict=True):
            one = wanted.classes.of(wanted.class_ids[k - 1])
            back = found.classes.of(found.class_ids[other - 1])
            changed += (one.name, one.thing) != (back.name, back.thing)
    return changed


def _attributes_changed(wanted: Segmentation, found: Segmentation, pairs: _Pairs) -> dict[str, int]:
    changed = {}
    for name, column in wanted.attributes.items():
        there = name in found.attributes
        back = found.attributes[name][pairs.found - 1] if there else np.zeros(len(pairs.found), column.dtype)
        kept = np.zeros(len(wanted), bool)
        kept[pairs.wanted - 1] = _equal(column[pairs.wanted - 1], back)
        said = column != np.zeros(1, column.dtype)[0]  # False, 0 and "" say nothing, so nothing is lost
        count = int(np.count_nonzero(~kept & said))
        if count:
            changed[name] = count
    return changed


def _equal(column: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Equal values; an id may come back as text and a number as another type of number."""
    if column.dtype.kind == "U" or back.dtype.kind == "U":
        return np.asarray(column.astype(str) == back.astype(str))
    return np.isclose(column.astype(np.float64), back.astype(np.float64), rtol=1e-6, equal_nan=True)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))  # NaN is what it was


def _geometry_lost(one: Geometry, other: Geometry) -> tuple[str, ...]:
    lost = []
    if one.spacing is None:
        if other.spacing is not None:
            lost.append(f"that the spacing is unknown (now {other})")
    elif not (
        other.spacing is not None
        and one.unit == other.unit
        and np.allclose(one.spacing, other.spacing, rtol=_LENGTH_TOLERANCE, atol=0)
    ):
        lost.append("spacing")
    if one.affine is not None and not (
        other.affine is not None
        and one.affine.shape == other.affine.shape
        and np.allclose(one.affine, other.affine, rtol=_AFFINE_TOLERANCE, atol=_AFFINE_TOLERANCE)
    ):
        lost.append("affine")
    if one.crs is not None and one.crs != other.crs:
        lost.append("crs")
    return tuple(lost)


def _image_change(wanted: Sample, found: Sample) -> tuple[str, tuple[str, ...]]:
    """How the image differs, and what of its geometry is lost.

    Files copied as they are need not be decoded to know that they do not differ.
    """
    if wanted.load_image is None:
        return "", ()
    if found.load_image is None:
        return "the image is not kept", ()
    paths = wanted.image_path, found.image_path
    if paths[0] is not None and paths[1] is not None and filecmp.cmp(paths[0], paths[1], shallow=False):
        return "", ()
    images = wanted.image, found.image
    geometry = _geometry_lost(images[0].geometry, images[1].geometry)
    if images[0].channels != images[1].channels:
        geometry += ("channel names",)
    one, other = images[0].pixels, images[1].pixels
    if one.shape != other.shape:
        return f"size {one.shape} became {other.shape}", geometry
    if one.dtype != other.dtype:
        return f"{one.dtype} became {other.dtype}", geometry
    differs = int(np.count_nonzero(one != other))
    return f"{differs} of {one.size} values differ" if differs else "", geometry


_WORDS = {
    "pixels_changed": "{} pixels changed",
    "void_changed": "{} pixels of void changed",
    "overlap_flattened": "{} pixels of overlap flattened",
    "holes_lost": "{} holes lost",
    "segments_lost": "{} segments lost",
    "segments_added": "{} segments added",
    "segments_merged": "{} segments merged into others (their numbers are gone)",
    "segments_split": "{} pieces became segments of their own",
    "classes_changed": "{} segments changed their class",
    "scores_changed": "{} scores dropped",
    "annotators_lost": "{} further annotators dropped",
    "image_changed": "image changed: {}",
}


def _phrases(content: Mapping[str, Any]) -> Iterable[str]:
    for name, value in content.items():
        if name == "attributes_changed":
            yield from (f"{attribute} of {count} segments dropped" for attribute, count in value.items())
        elif name == "fields_lost":
            yield f"not kept: {', '.join(value)}"
        else:
            yield _WORDS[name].format(value)
