"""Formats of annotated datasets, each loaded when first used."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import InputError, UnknownName
from ...segmenter import load_class
from .format import AnnotationFormat, Recognised, typed_options
from .tree import Tree

ANNOTATION_FORMATS: dict[str, str] = {
    "smalti": "smalti.io.formats.native:Native",
    "coco": "smalti.io.formats.coco:Coco",
    "coco-panoptic": "smalti.io.formats.coco_panoptic:CocoPanoptic",
    "label-maps": "smalti.io.formats.label_maps:LabelMaps",
    "instance-maps": "smalti.io.formats.label_maps:InstanceMaps",
    "color-masks": "smalti.io.formats.color_masks:ColorMasks",
    "binary-masks": "smalti.io.formats.color_masks:BinaryMasks",
    "cityscapes": "smalti.io.formats.cityscapes:Cityscapes",
    "object-masks": "smalti.io.formats.object_masks:ObjectMasks",
    "stacks": "smalti.io.formats.stacks:Stacks",
    "bsds": "smalti.io.formats.bsds:Bsds",
    "yolo": "smalti.io.formats.yolo:Yolo",
    "voc": "smalti.io.formats.voc:Voc",
    "labelme": "smalti.io.formats.labelme:LabelMe",
    "cvat": "smalti.io.formats.cvat:Cvat",
    "label-studio": "smalti.io.formats.label_studio:LabelStudio",
    "imagej-roi": "smalti.io.formats.imagej:ImageJRoi",
    "geojson": "smalti.io.formats.geo:GeoJson",
    "nifti": "smalti.io.formats.nifti:Nifti",
    "dicom-seg": "smalti.io.formats.dicom:DicomSeg",
}
"""Name of each format to the ``module:Class`` it is loaded from on first use."""


def make_format(name: str, **options: object) -> AnnotationFormat:
    """A format by name with these options. Raises ``UnknownName`` and ``InputError``."""
    return load_class("annotation format", name, ANNOTATION_FORMATS).make(options)


def recognise(tree: Tree, options: Mapping[str, object] | None = None) -> tuple[str, Recognised]:
    """The format that takes ``tree`` for its own most surely, and why.

    Only formats that know all ``options`` are asked, and with these, which may say what files are meant.
    Raises ``InputError`` where none does, and where two are as sure and more than half.
    """
    options = options or {}
    found: dict[str, Recognised] = {}
    refusals: list[InputError] = []
    mistakes: list[InputError] = []
    for name in ANNOTATION_FORMATS:
        try:
            made = make_format(name, **options)
        except InputError as error:
            refusals.append(error)
            continue
        try:
            recognised = made.recognise(tree)
        except InputError as error:
            mistakes.append(error)
            continue
        if recognised is not None:
            found[name] = recognised
    if len(refusals) == len(ANNOTATION_FORMATS):
        values = [refusal for refusal in refusals if not isinstance(refusal, UnknownName)]
        raise (values or [InputError(f"no annotation format has the options {', '.join(options)}")])[0]
    place = tree.root / (tree.focus or "")
    if not found:
        if mistakes:
            raise mistakes[0]
        if not tree.paths:
            raise InputError(f"{place} is empty; give the folder that has the dataset")
        what = "" if tree.focus is not None else f" ({len(tree.paths)} files)"
        raise InputError(
            f"{place}{what} looks like none of the annotation formats; if it is one, name it with format=... "
            f"(--format on the command line): {', '.join(ANNOTATION_FORMATS)}"
        )
    ranked = sorted(found, key=lambda name: -found[name].certainty)
    best = ranked[0]
    equal = [name for name in ranked[1:] if found[name].certainty == found[best].certainty]
    if equal:
        reasons = "; ".join(f"{name} ({found[name].reason})" for name in [best, *equal])
        typed = [option for name in [best, *equal] for option in found[name].options]
        if len(set(typed)) == len(typed) > 1 and all(found[name].options for name in equal):
            advice = f"choose with {typed_options(typed)}"
        else:
            advice = "name one with format=... (--format on the command line)"
        raise InputError(f"{place} could be more than one format: {reasons}; {advice}")
    return best, found[best]
