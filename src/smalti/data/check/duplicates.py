"""Images that are there more than once, exactly or nearly, and what that does to splits and groups.

Equal pixels are found by their digest. Candidates for near copies have perceptual hashes that differ in few bits;
each pair is then read again, moved over each other and compared where it has detail, so that a copy (compressed,
brightened, resized, cropped) and the next frame of a video count, and another picture of a like scene does not. The
alignment is refined as in Evangelidis and Psarakis, Parametric image alignment using enhanced correlation
coefficient maximization, PAMI 30 (2008).
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ...classes import ClassSet
from ...errors import SmaltiError
from ...sample import Sample
from .examined import Examined, Named
from .finding import KINDS, Finding, Severity
from .pictures import grey_slice
from .usual import certainty

ALIKE = 0.6
"""Correlation of the details of two aligned pictures from which on they are of one scene, such as frames of a video."""
COPY = 0.85
"""Correlation from which on they are nearly the same picture: planted copies, compressed, brightened, cropped or
resized, have 0.87 or more, neighbouring frames of a car that drives (CamVid, val) 0.86 or less."""
SIDE_PX = 128
"""Pictures are compared at this size."""
SMALL_PX = 64
"""Of pictures with a side shorter than this only copies are told: they have few details, and with these the two
least different of many pictures agree by chance, as slices of different people do (0.63 at 35 x 51 pixels)."""
NEAR_BITS, NEAR_BITS_OF_MANY, MANY = 16, 10, 30_000
"""Bits of 64 in which the hashes of near copies may differ; fewer where there are very many images to compare."""

SUREST = 0.99
"""Pictures that are not equal are the same scene at most this surely."""

_SHIFT_PX = 14
_CACHED = 2000
_BLOCK = 4_000_000


class DuplicateJudge:
    """Copies of images, and copies or groups that lie in several splits. ``sample(i)`` reads sample i again."""

    def __init__(self, classes: ClassSet, sample: Callable[[int], Sample], flips: bool = False) -> None:
        self._sample = sample
        self._flips = flips
        self._where: list[Named] = []
        self._digests: dict[bytes, list[int]] = defaultdict(list)
        self._truths: list[bytes] = []
        self._hashes: list[np.ndarray] = []
        self._groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def add(self, sample: Examined) -> None:
        """Take the fingerprints of one sample."""
        where = sample.where
        if where.group is not None and where.split is not None:
            names = self._groups[where.group][where.split]
            names.append(where.name)
        if sample.picture is not None:
            self._digests[sample.picture.digest].append(len(self._where))
            self._where.append(where)
            self._truths.append(b"".join(truth.digest for truth in sample.truths))
            self._hashes.append(sample.picture.hashes if self._flips else sample.picture.hashes[:1])

    def findings(self) -> Iterator[Finding]:
        """Groups split apart, then copies."""
        for group, splits in self._groups.items():
            if len(splits) > 1:
                yield _group_finding(group, splits)
        for members in self._digests.values():
            if len(members) > 1:
                yield self._exact(members)
        yield from self._near([members[0] for members in self._digests.values()])

    def _exact(self, members: list[int]) -> Finding:
        wheres = [self._where[i] for i in members]
        splits = list(dict.fromkeys(where.split for where in wheres if where.split is not None))
        # the first is the one to keep: of copies in several splits one that nobody trains on
        wheres.sort(key=lambda where: where.split in (None, "train"))
        differ = len({self._truths[i] for i in members}) > 1
        also = "; their annotations differ" if differ else ""
        return Finding.of(
            "leakage" if len(splits) > 1 else "duplicate",
            f"{_listed([where.name for where in wheres])} are the same image"
            f"{f', in the splits {_listed(splits)}' if len(splits) > 1 else ''}{also}.",
            samples=tuple(where.name for where in wheres),
            files=tuple(file for where in wheres for file in where.files[:1]),
            measured={
                "images": len(members),
                "correlation": 1.0,
                "annotations": "different" if differ else "equal",
            },
            fixable=not differ,
        )

    def _near(self, members: list[int]) -> Iterator[Finding]:
        """Clusters of images that are nearly the same, each linked by its most alike pairs."""
        if len(members) < 2:
            return
        view = _Views(lambda place: self._sample(self._where[place].index))
        links: dict[int, list[tuple[int, int, float]]] = {}
        cluster = list(range(len(members)))

        def root(i: int) -> int:
            while cluster[i] != i:
                cluster[i] = cluster[cluster[i]]
                i = cluster[i]
            return i

        hashes = np.array([self._hashes[i] for i in members], np.uint64).reshape(len(members), -1)
        for i, j, turn in near_pairs(hashes):
            one, other = view(members[i]), view(members[j])
            if one is None or other is None:
                continue
            alike = likeness(one.details, other.details, turn)
            if alike >= (COPY if one.small or other.small else ALIKE):
                first, second = sorted((root(i), root(j)))
                cluster[second] = first
                found = links.setdefault(first, [])
                found.append((i, j, alike))
                if first != second:
                    found += links.pop(second, [])
        for found in links.values():
            yield self._near_finding([(members[i], members[j], alike) for i, j, alike in found])

    def _near_finding(self, pairs: list[tuple[int, int, float]]) -> Finding:
        across = [pair for pair in pairs if _apart(self._where[pair[0]], self._where[pair[1]])]
        one, other, alike = max(across or pairs, key=lambda pair: pair[2])
        members = sorted({i for pair in pairs for i in pair[:2]})
        # those that are most alike first: they are shown
        wheres = [self._where[i] for i in (one, other, *(i for i in members if i not in (one, other)))]
        groups = {where.group for where in wheres}
        grouped = len(groups) == 1 and None not in groups
        splits = list(dict.fromkeys(where.split for where in wheres if where.split is not None))
        best: dict[int, float] = defaultdict(float)
        for i, j, each in pairs:
            best[i], best[j] = max(best[i], each), max(best[j], each)
        count = len(members)
        least = min(best.values())
        hint = ""
        code = "near-duplicate"
        if count > 2 and (len(pairs) < count * (count - 1) // 2 or least < COPY):
            code = "sequence"
            message = (
                f"{count} images, {self._where[members[0]].name} to {self._where[members[-1]].name}, look like one "
                "sequence, such as the frames of a video: "
                f"each is much like another of them (correlation of details {least:.2f} to {max(best.values()):.2f})"
            )
            hint = KINDS["sequence"].advice if across else ""
        elif least >= COPY:
            message = (
                f"{_listed([where.name for where in wheres])} are nearly the same image (correlation of details "
                f"{alike:.2f})"
            )
        else:
            message = (
                f"{wheres[0].name} and {wheres[1].name} look as if they show the same scene (correlation of details "
                f"{alike:.2f}; copies have {COPY} or more)"
            )
            hint = (
                "Look whether they show the same; if so, give them one group, so that they stay in one split."
            )
        severity: Severity = "warning"
        if across:
            severity = "error" if least >= COPY or code == "sequence" else "warning"
        elif grouped:
            severity = "info"
        return Finding.of(
            "leakage" if across else code,
            f"{message}{f', in the splits {_listed(splits)}' if across else ''}.",
            samples=tuple(where.name for where in wheres),
            files=tuple(file for where in wheres for file in where.files[:1]),
            measured={
                "images": count,
                "correlation": alike,
                "least_correlation": least,
                "pairs": len(pairs),
                "pairs_across": len(across),
            },
            certainty=min(SUREST, certainty(alike, 0.5, COPY)),
            severity=severity,
            hint=hint,
        )


def _apart(one: Named, other: Named) -> bool:
    return one.split is not None and other.split is not None and one.split != other.split


def _listed(names: Sequence[str], shown: int = 4) -> str:
    """``a, b and c``; of many the first ones and how many follow."""
    names = list(names)
    if len(names) > shown:
        names = [*names[: shown - 1], f"{len(names) - shown + 1} more"]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _group_finding(group: str, splits: dict[str, list[str]]) -> Finding:
    counts = [f"{split} ({len(names)})" for split, names in splits.items()]
    return Finding.of(
        "group-split",
        f"Samples of the group {group} lie in {_listed(counts)}.",
        samples=tuple(name for names in splits.values() for name in names[:3]),
        measured={"group": group, **{split: len(names) for split, names in splits.items()}},
    )


def near_pairs(hashes: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Pairs i < j whose hashes (N, V) uint64 differ in few bits, and by which of j's V variants they do least."""
    count, variants = hashes.shape
    limit = NEAR_BITS if count <= MANY else NEAR_BITS_OF_MANY
    rows = max(1, _BLOCK // max(1, count * variants))
    informative = np.bitwise_count(hashes[:, 0]) > 0  # an image of one value has no frequencies
    for begin in range(0, count, rows):
        bits = np.bitwise_count(hashes[begin : begin + rows, 0, None, None] ^ hashes[None])
        best = bits.min(axis=2)
        near = (best <= limit) & (np.arange(begin, min(begin + rows, count))[:, None] < np.arange(count))
        near &= informative[begin : begin + rows, None] & informative
        for i, j in np.argwhere(near).tolist():
            yield begin + i, j, int(bits[i, j].argmin())


class _View(NamedTuple):
    """The details of an image, and whether it had few pixels to have any."""

    details: np.ndarray
    small: bool


class _Views:
    """Small pictures of samples that fit to be compared; the last ones are kept."""

    def __init__(self, sample: Callable[[int], Sample]) -> None:
        self._sample = sample
        self._kept: OrderedDict[int, _View | None] = OrderedDict()

    def __call__(self, place: int) -> _View | None:
        """The details of a sample's image; None if it cannot be read any more."""
        if place not in self._kept:
            try:
                grey = grey_slice(self._sample(place).image)
                self._kept[place] = _View(details(grey), min(grey.shape) < SMALL_PX)
            except SmaltiError:
                self._kept[place] = None
            if len(self._kept) > _CACHED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(place)
        return self._kept[place]


def details(grey: np.ndarray) -> np.ndarray:
    """What is neither shade nor grain in a picture, equally strong all over, (SIDE_PX, SIDE_PX) float32."""
    small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    band = cv2.GaussianBlur(small, (0, 0), 1) - cv2.GaussianBlur(small, (0, 0), 6)
    strength = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 10))
    return band / (strength + 0.3 * strength.mean() + 1e-3)


def likeness(one: np.ndarray, other: np.ndarray, turn: int = 0) -> float:
    """Correlation, -1..1, of the details of two pictures once they lie over each other; ``turn`` is that of a hash."""
    if turn:
        other = turned(other, turn)
    half = SIDE_PX // 2
    spectrum = np.fft.rfft2(one) * np.conj(np.fft.rfft2(other))
    near = np.fft.fftshift(np.fft.irfft2(spectrum, s=one.shape))[
        half - _SHIFT_PX : half + _SHIFT_PX + 1, half - _SHIFT_PX : half + _SHIFT_PX + 1
    ]
    y, x = (int(each) - _SHIFT_PX for each in np.unravel_index(near.argmax(), near.shape))
    move = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    moved = _correlation(one, other, move)
    if moved >= ALIKE or moved < 0.2:
        return moved
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-3)
    try:
        _, move = cv2.findTransformECC(one, other, move, cv2.MOTION_AFFINE, stop, None, 5)
    except cv2.error:  # it did not converge: these pictures have little in common
        return moved
    zoom = float(np.linalg.det(move[:, :2]))
    return max(moved, _correlation(one, other, move)) if 0.65 < zoom < 1.5 else moved


def turned(picture: np.ndarray, turn: int) -> np.ndarray:
    """A picture flipped and transposed as the hash of this number, 0..7; see ``perceptual_hashes``."""
    transposed, rows, columns = turn & 4, turn & 2, turn & 1
    picture = picture.T if transposed else picture
    picture = picture[::-1] if rows else picture
    return np.ascontiguousarray(picture[:, ::-1] if columns else picture)


def _correlation(one: np.ndarray, other: np.ndarray, move: np.ndarray) -> float:
    """Correlation where ``other``, moved, covers ``one``; -1 where that is less than half."""
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = one.shape[::-1]
    covered = cv2.warpAffine(np.ones_like(other), move, size, flags=how) > 0.99
    if covered.mean() < 0.5:
        return -1.0
    a, b = one[covered], cv2.warpAffine(other, move, size, flags=how)[covered]
    a, b = a - a.mean(), b - b.mean()
    energy = float((a * a).sum() * (b * b).sum())
    return float((a * b).sum()) / np.sqrt(energy) if energy > 1e-6 else -1.0
