"""Writing samples as DICOM: their slices, and binary segmentation objects on them through highdicom."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...classes import Class
from ...errors import InputError
from ...optional import require
from ...sample import Sample
from ...segmentation import Segmentation
from ..decoding import first_line
from ..dicom import Series
from ..writing import replacing
from .dicom_images import capture_image, copy_series, unique_id
from .dicom_seg import SCHEME, VOID_CODE
from .records import rows

_EXTRA = "medical"
_CATEGORY = f"CLASS^Annotated class^{SCHEME}"
_MAX_STACK = 4_000_000_000  # values of a stack of masks, which highdicom wants where segments overlap
_MAX_DESCRIPTION = 1024  # characters that DICOM allows
_ALWAYS_THERE = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
_TOO_LONG = '{"smalti":{"score":1}}'  # attributes that do not fit are left out, which the loss report states


def write_sample(folder: Path, name: str, sample: Sample) -> tuple[str | None, list[str]]:
    """Write a series and its segmentations into ``folder/name``; gives the first file of each below ``folder``.

    Raises ``InputError`` for what DICOM cannot hold: annotations without an image, channels that are no colours.
    """
    truths = sample.truths if sample.annotated else ()
    if sample.load_image is None:
        raise InputError(
            f"{sample.name} has no image, which a DICOM segmentation refers to; write smalti or nifti"
        )
    place = folder / name
    if isinstance(sample.load_image, Series):
        series = sample.load_image
        if truths and truths[0].shape != series.shape:
            raise InputError(f"{sample.name}: the image is {series.shape}, its truth {truths[0].shape}")
        sources = copy_series(series, place)
    else:
        sources = capture_image(sample.image, place, name, sample.group or "")
    written = []
    for number, truth in enumerate(truths, 1):
        file = f"{name}/seg-{number}.dcm"
        _write_seg(folder / file, sources, truth, number, name)
        written.append(file)
    return f"{name}/0001.dcm", written


def _write_seg(path: Path, sources: Sequence[Any], truth: Segmentation, number: int, name: str) -> None:
    highdicom = require("highdicom", _EXTRA)
    values, descriptions = _described(highdicom, truth, name, number)
    if truth.ndim == 2:
        values = values[None]
    for source in sources:
        for keyword in _ALWAYS_THERE:  # empty where nobody knows, but highdicom wants to find them
            if keyword not in source:
                setattr(source, keyword, "")
    try:
        content = _segmentation(highdicom, sources, values, descriptions, number, name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: no DICOM segmentation can refer to its images, {first_line(error)}; write nifti or smalti"
        ) from error
    with replacing(path) as part:
        content.save_as(part)


def _segmentation(
    highdicom: Any,
    sources: Sequence[Any],
    values: np.ndarray,
    descriptions: list[Any],
    number: int,
    name: str,
) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names and numbers that a PACS might want otherwise
        return highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=values,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=descriptions,
            series_instance_uid=unique_id(name, "segmentation", str(number)),
            series_number=100 + number,
            sop_instance_uid=unique_id(name, "segmentation", str(number), values.tobytes()),
            instance_number=1,
            manufacturer="smalti",
            manufacturer_model_name="smalti",
            software_versions="1",
            device_serial_number="1",
            content_label="SMALTI",
            content_creator_name="smalti",
            omit_empty_frames=bool(values.any()),
            specific_character_set="ISO_IR 192",
        )


def _described(highdicom: Any, truth: Segmentation, name: str, number: int) -> tuple[np.ndarray, list[Any]]:
    """Values for highdicom, a label map or a stack of masks, and a description of each segment; void is the last.

    A truth of no segment has the void alone, as an object has one segment at least.
    """
    attributes = rows(truth)
    descriptions = [
        _description(highdicom, truth, k, attributes[k], unique_id(name, str(number), str(k)))
        for k in range(len(truth))
    ]
    with_void = truth.void_px > 0 or not len(truth)
    if with_void:
        void = Class(1, "void", (128, 128, 128))
        codes = f"{VOID_CODE}^Nobody said what there is^{SCHEME}"
        descriptions.append(_segment(highdicom, len(truth) + 1, void, _CATEGORY, codes, ""))
    disjoint = not truth.overlapping and not (truth.void_px and bool((truth.void & (truth.labels > 0)).any()))
    if disjoint:
        labels = truth.labels
        if truth.void_px:
            labels = np.where(truth.void, len(truth) + 1, labels)
        dtype = np.uint8 if len(descriptions) < 256 else np.uint16
        return labels.astype(dtype), descriptions
    count = truth.void.size * len(descriptions)
    if count > _MAX_STACK:
        raise InputError(
            f"{name} has {len(descriptions)} overlapping segments of {truth.shape}, {count} values together, more than "
            f"the {_MAX_STACK} that are put into one object; write smalti"
        )
    masks = [*truth.masks(), *([truth.void] if with_void else [])]
    return np.stack(masks, axis=-1).astype(np.uint8), descriptions


def _description(
    highdicom: Any, truth: Segmentation, k: int, attributes: dict[str, Any], tracking_uid: str
) -> Any:
    entry = truth.classes.of(truth.class_ids[k])
    label = str(attributes.get("segment_label", ""))
    category = str(attributes.get("category", ""))
    code = str(attributes.get("type", ""))
    own = category.count("^") != 2 or code.count("^") != 2
    if own:
        category, code = _CATEGORY, f"{entry.id}^{entry.name}^{SCHEME}"
    tracking = attributes.get("tracking_id") or attributes.get("track_id") or ""
    described = _segment(highdicom, k + 1, entry, category, code, str(tracking), tracking_uid)
    described.SegmentLabel = (entry.name if own or not label else label)[:64]
    kept = {key: value for key, value in attributes.items() if key not in ("tracking_id", "track_id")}
    if not own:  # said by the codes, the label and the number
        kept = {key: value for key, value in kept.items() if key not in ("category", "type", "segment_label")}
        if kept == {"source_id": k + 1}:
            kept = {}
    score = float(truth.scores[k])
    if own or score != 1 or kept:
        text = json.dumps({"smalti": {"score": score, "attributes": kept}}, separators=(",", ":"))
        described.SegmentDescription = text if len(text) <= _MAX_DESCRIPTION else _TOO_LONG
    return described


def _segment(
    highdicom: Any, number: int, entry: Class, category: str, code: str, tracking: str, tracking_uid: str = ""
) -> Any:
    concepts = [highdicom.sr.CodedConcept(*_fields(each)) for each in (category, code)]
    track = {"tracking_uid": tracking_uid, "tracking_id": tracking} if tracking else {}
    return highdicom.seg.SegmentDescription(
        number,
        entry.name[:64],
        *concepts,
        highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        display_color=highdicom.color.CIELabColor.from_rgb(*entry.color),
        **track,
    )


def _fields(code: str) -> tuple[str, str, str]:
    """Value, scheme and meaning for highdicom."""
    value, meaning, scheme = code.split("^")
    return value or "0", (scheme or SCHEME)[:16], (meaning or value)[:64]
