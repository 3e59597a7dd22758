"""Formats of annotated datasets, each loaded when first used."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import InputError, UnknownName
from ...segmenter import load_class
from .format import AnnotationFormat, Recognised
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
    for name in ANNOTATION_FORMATS:
        try:
            recognised = make_format(name, **options).recognise(tree)
        except InputError as error:
            refusals.append(error)
            continue
        if recognised is not None:
            found[name] = recognised
    if len(refusals) == len(ANNOTATION_FORMATS):
        values = [refusal for refusal in refusals if not isinstance(refusal, UnknownName)]
        raise (values or [InputError(f"no annotation format has the options {', '.join(options)}")])[0]
    if not found:
        what = f"{len(tree.paths)} files" if tree.paths else "no files"
        raise InputError(
            f"{tree.root / (tree.focus or '')} ({what}) looks like none of the annotation formats; "
            f"name one: --format {', '.join(ANNOTATION_FORMATS)}"
        )
    ranked = sorted(found, key=lambda name: -found[name].certainty)
    best = ranked[0]
    equal = [name for name in ranked[1:] if found[name].certainty == found[best].certainty]
    if equal:
        reasons = "; ".join(f"{name} ({found[name].reason})" for name in [best, *equal])
        raise InputError(
            f"{tree.root / (tree.focus or '')} could be more than one format: {reasons}; "
            "name one with --format, or the folder or file of one of them"
        )
    return best, found[best]
