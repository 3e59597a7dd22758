"""Results as COCO JSON, which pycocotools reads back with the same pixels; ``formats.coco`` has whole datasets."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..classes import Class, ClassSet
from ..errors import InputError
from ..segmentation import Segmentation
from .formats.coco_annotations import Form, annotations_of, categories_of
from .writing import replacing


def to_coco(
    results: Iterable[tuple[str, Segmentation]],
    *,
    segmentation: Form = "auto",
    info: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The segments of one or more images, each with its file name, as one COCO dictionary.

    ``segmentation`` says how masks are written: ``"rle"`` compressed run lengths, ``"polygon"`` pixel
    outlines, and ``"auto"`` outlines, which any tool can edit, but run lengths for segments with holes, which
    COCO's polygons cannot say, and for crowds. (``"polygon"`` cuts holes open along a line.) All are exact: COCO's
    own rasterisation gives the same pixels back. A segment without pixels is always run lengths.

    Annotations carry ``area`` in pixels, ``bbox`` as x, y, width, height, ``iscrowd``, the ``score``, and
    ``attributes`` where there are any; image and annotation ids count from 1. Categories are all classes of all
    images, with their colour and ``isthing`` as in COCO's panoptic files. ``info`` is written as given, such as
    method and parameters.
    Raises ``InputError`` for a volume, a file name that comes twice, and an id that means different classes
    in different images.
    """
    if segmentation not in ("auto", "rle", "polygon"):
        raise InputError(f"segmentation must be auto, rle or polygon, got {segmentation!r}")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    classes: dict[int, Class] = {}
    for image_id, (file_name, found) in enumerate(results, 1):
        if found.ndim != 2:
            raise InputError(
                f"COCO describes pictures, got a volume of {found.shape} for {file_name}; "
                "write it as a label map (TIFF)"
            )
        for entry in found.classes:
            if classes.setdefault(entry.id, entry) != entry:
                raise InputError(
                    f"class {entry.id} is {entry} in {file_name} and {classes[entry.id]} before; "
                    "one COCO file has one set of classes"
                )
        height, width = found.shape
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        for annotation in annotations_of(found, segmentation):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
    counts = Counter(image["file_name"] for image in images)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise InputError(f"every image needs a file name of its own, repeated: {', '.join(repeated)}")
    return {
        "info": {"description": "segments found by smalti", **(info or {})},
        "images": images,
        "annotations": annotations,
        "categories": categories_of(ClassSet(entry for _, entry in sorted(classes.items()))),
    }


def write_coco(
    path: str | os.PathLike[str],
    results: Iterable[tuple[str, Segmentation]],
    *,
    segmentation: Form = "auto",
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write ``to_coco`` as JSON. Raises like it, and ``WriteError`` where the file cannot be written."""
    content = json.dumps(to_coco(results, segmentation=segmentation, info=info), separators=(",", ":"))
    with replacing(path) as part:
        Path(part).write_text(content, encoding="utf-8")
