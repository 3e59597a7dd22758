"""Writing COCO's JSON files, one for each split; ``coco_json`` says what they hold beyond COCO's own keys."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...classes import ClassSet
from ...geometry import Geometry
from ...sample import Sample
from ..writing import replacing
from .coco_annotations import Size, categories_of
from .coco_files import CocoFile
from .coco_json import EXTRA, licences_of, provenance_of
from .tree import inside


class Writer:
    """One JSON file for each split, filled image by image."""

    def __init__(self, folder: Path, kind: str, classes: ClassSet) -> None:
        self._folder = folder
        self._kind = kind
        self._classes = classes
        self._splits: dict[str | None, SplitFile] = {}

    def split(self, name: str | None) -> SplitFile:
        """The file of a split, made when first asked for."""
        if name not in self._splits:
            safe = "" if name is None else re.sub(r"[^\w\-]+", "_", inside(name))
            others = {each.token.lower() for each in self._splits.values()}
            token = safe if name is None or safe else "split"
            while token.lower() in others:
                token += "_"
            self._splits[name] = SplitFile(name, token, f"{self._kind}_{token}" if token else self._kind)
        return self._splits[name]

    @property
    def parts(self) -> list[SplitFile]:
        """The files asked for so far."""
        return list(self._splits.values())

    def close(self) -> None:
        """Write all files."""
        for part in self.parts:
            content = {
                "info": {"description": "written by smalti"}
                | ({} if part.name is None else {"split": part.name}),
                "licenses": part.licences.to_json(),
                "images": part.images,
                "annotations": part.finished(),
                "categories": categories_of(self._classes),
            }
            with replacing(self._folder / "annotations" / f"{part.stem}.json") as partial:
                partial.write_text(
                    json.dumps(content, separators=(",", ":"), ensure_ascii=False), encoding="utf-8"
                )


class SplitFile:
    """What one JSON file is to hold."""

    def __init__(self, name: str | None, token: str, stem: str) -> None:
        self.name = name
        self.token = token
        self.stem = stem
        self.images_folder = token or "images"
        self.licences = Licences()
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, sample: Sample, file_name: str | None, size: Size, extra: Mapping[str, Any]) -> int:
        """Add the record of an image and give its number."""
        number = len(self.images) + 1
        record: dict[str, Any] = {
            "id": number,
            "file_name": inside(sample.name) if file_name is None else file_name,
            "height": size[0],
            "width": size[1],
        }
        origin = sample.provenance
        record |= {"license": self.licences.id_of(origin.licence)} if origin.licence else {}
        if origin.source:
            record["flickr_url" if "flickr" in origin.source else "coco_url"] = origin.source
        record |= {"date_captured": origin.date} if origin.date else {}
        record |= {"author": origin.author} if origin.author else {}
        more: dict[str, Any] = dict(extra)
        listed = CocoFile("", {"licenses": self.licences.to_json()})
        if provenance_of(record, licences_of(listed)) != origin:
            more["provenance"] = origin.to_json()
        more |= {"group": sample.group} if sample.group else {}
        more |= {"metadata": dict(sample.metadata)} if sample.metadata else {}
        more |= {"image": False} if file_name is None else {}
        self.images.append(record | ({EXTRA: more} if more else {}))
        return number

    def finished(self) -> list[dict[str, Any]]:
        """The annotations, once images have the ids that their names are: COCO's custom, 139 of 000000000139.jpg."""
        stems = [posixpath.splitext(record["file_name"])[0] for record in self.images]
        if all(stem.isascii() and stem.isdecimal() and len(stem) <= 15 for stem in stems):
            ids = [int(stem) for stem in stems]
            if len(set(ids)) == len(ids):
                for record, key in zip(self.images, ids, strict=True):
                    record["id"] = key
                for annotation in self.annotations:
                    annotation["image_id"] = ids[annotation["image_id"] - 1]
        return self.annotations


def geometry_extra(geometry: Geometry) -> dict[str, Any]:
    """The extras of an image that ``geometry_of`` reads."""
    extra: dict[str, Any] = {}
    if geometry.spacing is not None:
        extra |= {"spacing": list(geometry.spacing), "unit": geometry.unit}
    if geometry.affine is not None:
        extra["affine"] = geometry.affine.tolist()
    if geometry.crs is not None:
        extra["crs"] = geometry.crs
    return extra


class Licences:
    """The table of licences of a file that is written."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def id_of(self, licence: str) -> int:
        """The number of a licence in the table."""
        return self._ids.setdefault(licence, len(self._ids) + 1)

    def to_json(self) -> list[dict[str, Any]]:
        """The table, with addresses for the licences of Creative Commons."""
        return [{"id": key, "name": name, "url": _licence_url(name)} for name, key in self._ids.items()]


def _licence_url(name: str) -> str:
    if short := re.fullmatch(r"CC-([A-Z\-]+)-(\d\.\d)", name):
        return f"https://creativecommons.org/licenses/{short[1].lower()}/{short[2]}/"
    if name == "CC0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    return name if name.startswith(("http://", "https://")) else ""
