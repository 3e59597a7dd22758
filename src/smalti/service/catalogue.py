"""What methods, steps and annotation formats there are and what they take, as plain values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ..data.augment import AUGMENTATIONS, make_augmentation
from ..data.augment.augmentation import Within
from ..data.scenes import SCENES, scene_kind
from ..errors import SmaltiError
from ..io.formats import ANNOTATION_FORMATS, make_format
from ..io.formats.format import AnnotationFormat
from ..segmenter import STEPS, ImageStep, Parameters, known_segmenters, load_class
from ..table import Table

FAMILIES = {
    "threshold": "thresholding",
    "local_threshold": "thresholding",
    "color_range": "thresholding",
    "edges": "discontinuity",
    "ridges": "discontinuity",
    "regions": "regions",
    "watershed": "regions",
    "clusters": "clustering",
    "superpixels": "clustering",
    "graphs": "graphs and contours",
    "contours": "graphs and contours",
    "forest": "learned",
    "methods": "learned",
    "imported": "learned",
    "pipeline": "composition",
    "steps": "steps before",
    "channels": "steps before",
    "clean": "steps after",
}
"""Family, as the textbooks divide the field, of the methods in each module; see also ``OTHERS``."""

OTHERS = "of other packages"


def family_of(target: str) -> str:
    """Family of a table entry ``module:Class``; methods of other packages are a family of their own."""
    module = target.partition(":")[0].rpartition(".")[2]
    return FAMILIES.get(module, OTHERS) if target.startswith("smalti.") else OTHERS


def _entries() -> dict[str, str]:
    return known_segmenters() | STEPS


def _load(name: str) -> type[Parameters]:
    table = _entries()
    return load_class("method or step", name, table)


def list_methods() -> list[dict[str, Any]]:
    """Every method and step: family, name, first sentence of its docstring, what it takes; by family."""
    order = list(dict.fromkeys(FAMILIES.values()))
    rows = [_summarise_or_report(name) for name in _entries()]
    rank = {family: place for place, family in enumerate(order)}
    return sorted(rows, key=lambda row: (rank.get(row["family"], len(order)), row["name"]))


def _summarise_or_report(name: str) -> dict[str, Any]:
    """The summary of one entry; of one that cannot be loaded (a broken package of somebody's), why."""
    try:
        return summarise(name)
    except SmaltiError as error:
        return {"family": OTHERS, "name": name, "summary": f"Cannot be used: {error}.", "takes": []}


def summarise(name: str) -> dict[str, Any]:
    """Family, name, summary and inputs of one method or step. Raises ``UnknownName``."""
    found = _load(name)
    ndims = getattr(found, "ndims", (2,))
    takes = [f"{ndim}-D" for ndim in ndims] + [f"{kind} as prompts" for kind in getattr(found, "prompts", ())]
    return {
        "family": family_of(_entries()[name]),
        "name": name,
        "summary": _summary(found),
        "takes": takes,
    }


def show_method(name: str) -> dict[str, Any]:
    """All about one method or step: summary, source, parameters with defaults and bounds, an example."""
    found = _load(name)
    parameters = parameters_of(found)
    return summarise(name) | {
        "source": getattr(found, "source", ""),
        "parameters": parameters,
        "example": _example(name, found, parameters),
    }


def list_formats() -> list[dict[str, Any]]:
    """Every annotation format: name, title, and whether it is written or only read."""
    rows = []
    for name in ANNOTATION_FORMATS:
        kind = type(make_format(name))
        written = kind.write is not AnnotationFormat.write
        rows.append({"name": name, "title": kind.title, "written": written, "summary": _summary(kind)})
    return rows


def show_format(name: str) -> dict[str, Any]:
    """All about one annotation format: summary, source and options. Raises ``UnknownName``."""
    kind = type(make_format(name))
    (row,) = (row for row in list_formats() if row["name"] == name)
    return row | {"source": kind.source, "parameters": parameters_of(kind)}


def list_augmentations() -> list[dict[str, Any]]:
    """Every augmentation: name and first sentence of its docstring."""
    return [{"name": name, "summary": _summary(type(make_augmentation(name)))} for name in AUGMENTATIONS]


def show_augmentation(name: str) -> dict[str, Any]:
    """All about one augmentation: summary and parameters. Raises ``UnknownName``."""
    kind = type(make_augmentation(name))
    return {"name": name, "summary": _summary(kind), "parameters": parameters_of(kind)}


def list_scenes() -> list[dict[str, Any]]:
    """Every kind of scene: name and what it shows."""
    return [{"name": name, "summary": scene_kind(name).title} for name in SCENES]


def show_scene(name: str) -> dict[str, Any]:
    """All about one kind of scene: summary and parameters. Raises ``UnknownName``."""
    kind = type(scene_kind(name))
    return {"name": name, "summary": kind.title, "parameters": parameters_of(kind)}


def _summary(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].replace("``", "").split())


def parameters_of(kind: type[Parameters]) -> list[dict[str, Any]]:
    """The declared parameters of a method, step or format: name, default, what is allowed, meaning."""
    return [_parameter(key, field) for key, field in kind.model_fields.items()]


def _parameter(name: str, field: FieldInfo) -> dict[str, Any]:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Parameters):
        default = default.model_dump(mode="json", exclude_defaults=True)
    return {
        "name": name,
        "default": None if default is PydanticUndefined else json.loads(json.dumps(default, default=str)),
        "allowed": _allowed(field.annotation, field.metadata),
        "description": field.description or "",
    }


def _allowed(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Bounds or choices in words: ``1 to 3``, ``above 0``, ``bright | dark``, ``a number``."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _allowed(inner, [*metadata, *more])
    if isinstance(annotation, type) and issubclass(annotation, Parameters):
        return f"an object of {', '.join(annotation.model_fields)}"
    bounds: dict[type, Any] = {type(one): one for one in metadata}
    if Within in bounds:
        return str(bounds[Within])
    low = f"{bounds[Ge].ge:g}" if Ge in bounds else f"above {bounds[Gt].gt:g}" if Gt in bounds else None
    high = f"{bounds[Le].le:g}" if Le in bounds else f"below {bounds[Lt].lt:g}" if Lt in bounds else None
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return low if low.startswith("above") else f"{low} or more"
    if high is not None:
        return high if high.startswith("below") else f"{high} or less"
    kinds = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) in (Union, UnionType):
        words = [_allowed(each, metadata) for each in kinds]
        return "see meaning" if "see meaning" in words else " or ".join(dict.fromkeys(words))
    if kinds and all(isinstance(choice, str) for choice in kinds):
        return " | ".join(kinds)
    if get_origin(annotation) is tuple:
        each = _allowed(kinds[0])
        return "a list" if each == "see meaning" else f"a list of: {each}"
    names = {int: "whole number", float: "number", str: "text", bool: "true | false", Path: "a file"}
    return names.get(annotation, "see meaning")


def _example(name: str, found: type[Parameters], parameters: list[dict[str, Any]]) -> str:
    """A command line that runs as it stands, on an image called image.png."""
    setting = ""
    for parameter in parameters:
        if isinstance(parameter["default"], int | float) and not isinstance(parameter["default"], bool):
            setting = f"{parameter['name']}={parameter['default']}"
            break
    if name in STEPS:
        kind = "before" if issubclass(found, ImageStep) else "after"
        step = f"{name}:{setting}" if setting else name
        return f"smalti predict image.png --method otsu --{kind} {step}"
    prompts = getattr(found, "prompts", ())
    prompt = " --box 20,20,80,80" if "boxes" in prompts else ""
    if "points" in prompts:
        prompt = " --point 50,50,1 --point 5,5,0"
    elif "scribbles" in prompts and not prompt:
        prompt = " --scribbles scribbles.png"
    return f"smalti predict image.png --method {name}{f' --set {setting}' if setting else ''}{prompt}"


def json_rows(table: Table) -> list[dict[str, Any]]:
    """Rows of a table as JSON values; NaN, which JSON lacks, becomes null."""
    return [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in table.rows()
    ]
