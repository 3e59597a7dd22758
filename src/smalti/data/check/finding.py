"""What a check finds: one record for each fault, with what it is, where it is and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Kind:
    """One kind of fault."""

    title: str
    severity: Severity
    advice: str


KINDS: dict[str, Kind] = {
    "unreadable": Kind(
        "Files that cannot be read",
        "error",
        "Fetch or export the file again, or leave the sample out.",
    ),
    "faulty-record": Kind(
        "Records that cannot be true",
        "error",
        "Correct the record in the file it is in; until then it is left out.",
    ),
    "size-mismatch": Kind(
        "Image and annotation of different size",
        "error",
        "Find out which of the two was resized, turned or exchanged, and export that one again.",
    ),
    "unknown-class": Kind(
        "Classes that are not in the class set",
        "error",
        "Add the class to the list, or correct the number; a number such as 255 is often void.",
    ),
    "no-annotation": Kind(
        "Images without annotation",
        "info",
        "Annotate them, or keep them apart: they take no part in training or scoring.",
    ),
    "empty-truth": Kind(
        "Annotations without a segment",
        "warning",
        "Look whether there is truly nothing to see; if not, annotate the image or leave it out.",
    ),
    "empty-segment": Kind(
        "Segments without a pixel",
        "warning",
        "Remove the segment, or draw it again.",
    ),
    "all-void": Kind(
        "Images that are void all over",
        "warning",
        "Leave the image out or annotate it: nothing can be learnt from it or scored on it.",
    ),
    "mostly-void": Kind(
        "Unusually much void",
        "warning",
        "Look whether the void hides what should be annotated; the rest of the set has far less.",
    ),
    "void-class": Kind(
        "A class that looks like void",
        "warning",
        "If nobody means to learn this class, name its number as void when opening the dataset.",
    ),
    "stray-pixels": Kind(
        "Stray pixels far from their segment",
        "warning",
        "Erase them, or give them to the segment they lie in; --fix erases them.",
    ),
    "tiny-segment": Kind(
        "Segments far smaller than any other of their class",
        "warning",
        "Look whether this is an object or a slip of the mouse, and erase it if it is a slip.",
    ),
    "island": Kind(
        "Unlabelled islands inside a segment",
        "warning",
        "Fill them if the object goes on there; --fix fills them.",
    ),
    "duplicate-instance": Kind(
        "One object annotated twice",
        "error",
        "Remove one of the two; --fix keeps the first.",
    ),
    "overlap": Kind(
        "Segments that overlap where others do not",
        "warning",
        "Decide which segment the shared pixels belong to.",
    ),
    "self-crossing": Kind(
        "Outlines that cross themselves",
        "warning",
        "Draw the outline again: which side of it is inside is not defined where it crosses.",
    ),
    "outside-image": Kind(
        "Outlines that leave the image",
        "warning",
        "Move the points into the image; if many are off, the annotation belongs to another size of it.",
    ),
    "duplicate": Kind(
        "The same image more than once",
        "warning",
        "Keep one of them; --fix keeps the first where the annotations are equal.",
    ),
    "near-duplicate": Kind(
        "Nearly the same image more than once",
        "warning",
        "Keep one of them, or give all of them one group so that they stay in one split.",
    ),
    "sequence": Kind(
        "Images that look like frames of one sequence",
        "warning",
        "Give all of them one group, so that they stay in one split; they are worth fewer images than they are.",
    ),
    "leakage": Kind(
        "The same image in several splits",
        "error",
        "Move all of them into one split: a score on an image that was trained on means nothing.",
    ),
    "group-split": Kind(
        "A group in several splits",
        "error",
        "Move the whole group into one split; smalti split keeps groups together.",
    ),
    "drift": Kind(
        "Splits that look different",
        "warning",
        "Mix the splits anew by group, or say that the test set is meant to be different.",
    ),
    "class-missing": Kind(
        "Classes that a split does not have",
        "warning",
        "Split anew, stratified by class, or annotate more images that show the class.",
    ),
    "class-imbalance": Kind(
        "Rare classes",
        "info",
        "Annotate more of them, or draw training crops around them; report scores by class.",
    ),
    "unused-class": Kind(
        "Classes that nothing belongs to",
        "info",
        "Take them out of the class set, or check that their number is read right.",
    ),
    "shifted": Kind(
        "Masks that lie beside their objects",
        "warning",
        "Look whether the annotation belongs to another crop or frame, and move it back.",
    ),
    "dilated": Kind(
        "Masks larger than their objects",
        "warning",
        "Draw the outline on the edge of the object.",
    ),
    "eroded": Kind(
        "Masks smaller than their objects",
        "warning",
        "Draw the outline on the edge of the object.",
    ),
    "merged": Kind(
        "One segment that seems to be two objects",
        "warning",
        "Cut it at the neck if these are two objects.",
    ),
    "split": Kind(
        "Two segments that seem to be one object",
        "warning",
        "Join them if the line between them is not in the image.",
    ),
}
"""Code of each kind of fault to what it is called, how bad it is, and what is to be done."""


@dataclass(frozen=True)
class Finding:
    """One fault.

    ``samples`` and ``files`` are where it is, ``segments`` the numbers 1..N in annotation ``truth`` (1 for the
    first annotator) of the first sample, ``box`` the place in its image, lowest then one past the highest index
    along each axis. ``measured`` are the numbers it was judged by. ``certainty`` is an estimate, 0..1; what is
    certain has 1. ``fixable`` says that ``fix`` repairs it without anybody looking. ``hint`` is what to do where
    that is not what is to be done about others of its kind.
    """

    code: str
    message: str
    samples: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    segments: tuple[int, ...] = ()
    truth: int = 1
    box: tuple[int, ...] = ()
    measured: Mapping[str, float | int | str] = field(default_factory=dict)
    certainty: float = 1.0
    fixable: bool = False
    severity: Severity = "info"
    hint: str = ""

    @classmethod
    def of(cls, code: str, message: str, **fields: Any) -> Finding:
        """A finding of the severity its kind has, unless ``severity`` is given."""
        fields.setdefault("severity", KINDS[code].severity)
        return cls(code, message, **fields)

    @property
    def advice(self) -> str:
        """What to do."""
        return self.hint or KINDS[self.code].advice

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values; numbers to four digits."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "advice": self.advice,
            "samples": list(self.samples),
            "files": list(self.files),
            "truth": self.truth,
            "segments": list(self.segments),
            "box": list(self.box),
            "measured": {name: _plain(value) for name, value in self.measured.items()},
            "certainty": _plain(self.certainty),
            "fixable": self.fixable,
        }


def counted_of(count: int, things: str) -> str:
    """A number and what it counts, in the singular where it is one: ``3 pixels``, ``1 pixel``."""
    return f"{count} {things.removesuffix('s') if count == 1 else things}"


def _plain(value: float | int | str) -> float | int | str:
    return float(f"{value:.4g}") if isinstance(value, float) else value
