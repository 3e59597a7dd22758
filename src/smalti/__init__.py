"""smalti: image segmentation from raw images to masks that run in production.

The public names below are loaded when first used, so that ``import smalti`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Class": "classes",
    "ClassSet": "classes",
    "Dataset": "data.dataset",
    "Geometry": "geometry",
    "Image": "image",
    "Method": "segmenter",
    "Pipeline": "pipeline",
    "Prompts": "segmenter",
    "Provenance": "provenance",
    "Runs": "runs",
    "Sample": "sample",
    "Segmentation": "segmentation",
    "Segmenter": "segmenter",
    "SmaltiError": "errors",
    "Table": "table",
    "confusion": "overlaps",
    "load": "io.bundle",
    "make_segmenter": "segmenter",
    "make_step": "segmenter",
    "mask_iou": "overlaps",
    "measure": "measurements",
    "nms": "overlaps",
    "overlap": "overlaps",
    "overlay": "io.draw",
    "predict": "service.actions",
    "read": "io",
    "read_labels": "io.labels",
    "write_image": "io.encode",
    "write_labels": "io.labels",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'smalti' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOMES))


if TYPE_CHECKING:
    from .classes import Class, ClassSet
    from .data.dataset import Dataset
    from .errors import SmaltiError
    from .geometry import Geometry
    from .image import Image
    from .io import read
    from .io.bundle import load
    from .io.draw import overlay
    from .io.encode import write_image
    from .io.labels import read_labels, write_labels
    from .measurements import measure
    from .overlaps import confusion, mask_iou, nms, overlap
    from .pipeline import Pipeline
    from .provenance import Provenance
    from .runs import Runs
    from .sample import Sample
    from .segmentation import Segmentation
    from .segmenter import Method, Prompts, Segmenter, make_segmenter, make_step
    from .service.actions import predict
    from .table import Table
