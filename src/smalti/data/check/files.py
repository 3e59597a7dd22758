"""Whether image and annotation of a sample can be read and belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...errors import SmaltiError
from ...image import Image
from ...io.formats.format import Problem
from ...sample import Sample
from ...segmentation import Segmentation
from .finding import Finding

_SIZES = re.compile(r"\d+ ?x ?\d+|\(\d+, \d+(, \d+)?\)|imageheight|width")
_CLASSES = re.compile(r"class_ids|categor|\bclass(es)?\b|\blabel\b|the number \d+")
_NOT_LISTED = re.compile(r"not in|unknown|no class|no categor|nobody listed|outside of the list|not listed")

_DAMAGED = re.compile(r"\bis no [A-Z]{3,}|cut short|damaged|cannot be read|too early")


def names_of(sample: Sample) -> tuple[str, ...]:
    """Files of a sample, the image first."""
    paths = ([] if sample.image_path is None else [sample.image_path]) + list(sample.truth_paths)
    return tuple(str(path) for path in paths)


def load(sample: Sample) -> tuple[Image | None, list[tuple[int, Segmentation]], list[Finding]]:
    """Image and numbered annotations of a sample as far as they can be read, and what is wrong with the rest.

    An annotation whose size is not the image's is left out, as nothing can be said of its pixels.
    """
    findings: list[Finding] = []
    image: Image | None = None
    truths: tuple[Segmentation, ...] = ()
    if sample.load_image is not None:
        try:
            image = sample.image
        except Exception as error:  # whatever a stranger's file sets off must not end the check
            findings.append(_unreadable(sample, "image", error))
    if sample.annotated:
        try:
            truths = sample.truths
        except Exception as error:
            findings.append(_unreadable(sample, "annotation", error))
    elif sample.load_image is not None:
        findings.append(
            Finding.of(
                "no-annotation",
                f"{sample.name} has an image and no annotation.",
                samples=(sample.name,),
                files=names_of(sample),
            )
        )
    fitting = []
    for number, truth in enumerate(truths, 1):
        if image is None or truth.shape == image.shape:
            fitting.append((number, truth))
            continue
        turned = truth.shape == image.shape[::-1]
        findings.append(
            Finding.of(
                "size-mismatch",
                f"The image of {sample.name} is {_size(image.shape)}, its annotation {_size(truth.shape)}"
                f"{'; one of them is turned by 90 degrees' if turned else ''}.",
                samples=(sample.name,),
                files=names_of(sample),
                truth=number,
                measured={"image": _size(image.shape), "annotation": _size(truth.shape)},
            )
        )
    return image, fitting, findings


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _unreadable(sample: Sample, part: str, error: Exception) -> Finding:
    told = isinstance(error, SmaltiError)
    message = str(error) if told else f"unexpected {type(error).__name__}: {error}; please report it"
    return Finding.of(
        code_of(message),
        f"The {part} of {sample.name} cannot be read: {message.rstrip('.')}.",
        samples=(sample.name,),
        files=names_of(sample),
        measured={"part": part},
        fixable=True,
    )


def code_of(message: str, default: str = "unreadable") -> str:
    """Which kind of fault a reader's message tells of: classes nobody listed, two sizes, or a file that is damaged."""
    text = message.lower()
    if _CLASSES.search(text) and _NOT_LISTED.search(text):
        return "unknown-class"
    if len(_SIZES.findall(text)) > 1 or "another image" in text:
        return "size-mismatch"
    return default


def code_of_problem(problem: Problem) -> str:
    """Which kind of fault it is that a format left a record, or a whole file, out."""
    damaged = not problem.record and _DAMAGED.search(problem.message)
    return code_of(problem.message, "unreadable" if damaged else "faulty-record")


def problem_findings(problems: Iterable[Problem]) -> list[Finding]:
    """Findings for the records, and whole files, that a format had to leave out."""
    return [
        Finding.of(
            code_of_problem(problem),
            f"{str(problem).rstrip('.')}.",
            samples=(problem.image,) if problem.image else (),
            files=(problem.file,),
            measured={"record": problem.record} if problem.record else {},
        )
        for problem in problems
    ]
