"""Label Studio's JSON export: a list of tasks, each with what one or more people drew on its image.

https://labelstud.io/guide/task_format. Images are found by name below the folder of the JSON, wherever Label Studio kept
them. Several annotations of one task are several truths. Classes with their colours come from ``config.xml``, the labeling
configuration, where it lies beside.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from pydantic import Field

from ...classes import ClassSet
from ...errors import InputError, ReadError
from ...masks import trace_runs
from ...provenance import Provenance
from ...runs import Runs
from ...sample import Sample
from ...segmentation import Segmentation
from .. import read
from ..writing import replacing
from .documents import read_json, read_xml
from .format import AnnotationFormat, Annotations, Problem, Recognised
from .images import PICTURES, place_image
from .label_studio_brush import encode_brush
from .label_studio_regions import Drawn, Region, checked_size, parse_results
from .outlines import Shape
from .records import CLASSES, about, columns, extent, from_about, picture_truths, read_classes, rows, write_classes
from .tree import Tree, inside

TASKS = "tasks.json"
CONFIG = "config.xml"

_LOCAL = "/data/local-files/"
_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file
_MOST_CORNERS = 1_000  # of a polygon that is still handy to edit
_OWN = ("width", "height", "split", "group", "provenance", "metadata")


@dataclass(frozen=True, eq=False)
class _Task:
    name: str
    file: str
    record: str
    image: str | None
    shape: Shape | None
    annotations: tuple[Drawn, ...]
    fields: dict[str, Any] = field(default_factory=dict)


class LabelStudio(AnnotationFormat):
    """Label Studio's JSON: polygons where they say a segment exactly, brushes for the rest."""

    name: ClassVar[str] = "label-studio"
    title: ClassVar[str] = "Label Studio JSON"
    source: ClassVar[str] = "https://labelstud.io/guide/task_format"

    image_key: str = Field("image", min_length=1, description="Name under which a task's data has its image.")
    predictions: bool = Field(
        False, description="Read what models predicted too, as further annotators, with its scores."
    )
    least_alpha: int = Field(
        1, ge=1, le=255, description="Alpha from which on a pixel under a brush belongs to the segment."
    )
    void: str = Field("__ignore__", min_length=1, description="Label of regions where nobody said what there is.")
    shapes: Literal["auto", "polygon", "brush"] = Field(
        "auto",
        description="Written shapes: polygons for segments of one piece without holes, brushes for the rest; polygon "
        "takes brushes only where it must, brush always.",
    )

    def recognise(self, tree: Tree) -> Recognised | None:
        for name in [tree.focus] if tree.focus is not None else tree.with_suffix(".json")[:20]:
            head = tree.head(name).lstrip(b"\xef\xbb\xbf \r\n\t")
            if name != CLASSES and head.startswith((b"[", b"{")) and _looks(head):
                return Recognised(0.9, f"{name} has Label Studio's tasks")
        return None
