"""What COCO's JSON files of instances and of panoptic segments share: images, categories, licences.

Keys that COCO does not know are kept by its tools, so what its own cannot say lies under ``smalti`` in the record of an
image: ``group``, ``metadata``, ``provenance``, ``annotated`` (false), ``image`` (false where there is none), ``void``
(run lengths), and the geometry of the truth (``spacing``, ``unit``, ``affine``, ``crs``). ``info`` names the ``split``
that all images of a file belong to.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...classes import OBJECT, Class, ClassSet, segment_colors
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN, Geometry
from ...provenance import Provenance
from ...sample import Sample, SampleList
from ...segmentation import Segmentation
from .. import read
from .class_lists import parse_color
from .coco_annotations import Size
from .coco_files import CocoFile, Places
from .format import Problem
from .naming import unique_names
from .records import checked_size, extent, from_about
from .tree import inside

logger = logging.getLogger(__name__)

EXTRA = "smalti"
"""Key of what COCO has no key for, in the record of an image."""

_HIGHEST_ID = 2**31 - 2
_CC = re.compile(r"creativecommons\.org/(?:licenses/([a-z\-]+)|publicdomain/(zero))/(\d\.\d)")


# Images


class Picture(NamedTuple):
    """The record of one image, its file, and what the record says of size and extras."""

    record: dict[str, Any]
    file_name: str
    path: str | None  # as ``Places`` finds it
    size: Size | None
    told: dict[str, Any]  # fields of ``Sample``
    extra: Mapping[str, Any]


def read_images(
    file: CocoFile, places: Places, need_images: bool, problems: list[Problem]
) -> tuple[dict[Any, Picture], set[Any]]:
    """The images of one JSON by their ids, and the ids of those left out, as their records lie."""
    found: dict[Any, Picture] = {}
    left_out: set[Any] = set()
    names: set[str] = set()
    folders = places.folders(file)
    missing: list[Problem] = []
    records = file.table("images")
    for index, record in enumerate(records):
        try:
            picture = _picture(record, places, folders)
            key = record["id"]
            if key in found:
                raise InputError("its id is another image's already; give each its own")
            if picture.file_name in names:
                raise InputError(f"the file {picture.file_name} is another image's already; keep one record")
            if picture.path is None and need_images and picture.extra.get("image") is not False:
                message = f"its file {picture.file_name} is not there; add it, or take need_images=False"
                stem = posixpath.splitext(picture.file_name)[0]
                missing.append(Problem(file.path, f"image {key}", message, stem))
                left_out.add(key)
                continue
            found[key] = picture
            names.add(picture.file_name)
        except (InputError, ReadError) as error:
            key = record.get("id") if isinstance(record, dict) else None
            if isinstance(key, int | str):
                left_out.add(key)
            name = f"image {f'number {index}' if key is None else key}"
            problems.append(Problem(file.path, name, str(error)))
    if len(missing) == len(records) > 1:
        first = missing[0].message.partition(";")[0]
        advice = "name the folder that has both, or take need_images=False"
        missing = [Problem(file.path, "", f"none of its {len(records)} images is there ({first}); {advice}")]
    problems += missing
    return found, left_out - found.keys()


def _picture(record: Any, places: Places, folders: Sequence[str]) -> Picture:
    if not isinstance(record, dict):
        raise InputError(f"wanted an object with id and file_name, got {record!r:.60}")
    key, file_name = record.get("id"), record.get("file_name")
    if not (type(key) is int and key >= 0) and not (isinstance(key, str) and key):
        raise InputError(f"the id of an image is a whole number from 0 or a text, got {key!r:.60}")
    if not isinstance(file_name, str) or not file_name:
        raise InputError(f"wanted the name of its file under file_name, got {file_name!r:.60}")
    path = places.find(file_name, folders)
    if path is None or not path.endswith(file_name):
        file_name = inside(file_name)
    size = _size(record.get("height"), record.get("width"))
    if size is None and path is None:
        raise InputError("it says no height and width, and its file, which would tell, is not there")
    extra = record.get(EXTRA)
    if not isinstance(extra, dict):
        return Picture(record, file_name, path, size, {}, {})
    geometry_of(extra)
    _check_void(extra.get("void"), size)
    return Picture(record, file_name, path, size, from_about(extra), extra)


def _check_void(void: Any, size: Size | None) -> None:
    """Raise ``InputError`` for a void that is no run-length encoding on an image of ``size``."""
    if void is None:
        return
    said = void.get("size") if isinstance(void, dict) else None
    if not isinstance(void, dict) or "counts" not in void or (size is not None and said != [*size]):
        raise InputError(
            f"its {EXTRA}.void has the size {said!r:.60}, wanted run lengths of {size} (height, width)"
        )


def _size(height: Any, width: Any) -> Size | None:
    """None where neither is said."""
    return None if height is None and width is None else checked_size(height, width)


def samples_of(
    pictures: Sequence[tuple[CocoFile, Picture]],
    places: Places,
    make: Callable[[int, str, str | None], Sample],
    problems: list[Problem],
) -> SampleList:
    """The samples of pictures, made when asked for by ``make(index of the picture, name, path of the image)``.

    Names are ``file_name`` without suffix. What another JSON lists too is left out and becomes a problem.
    """
    owners: dict[str, str] = {}
    doubles: Counter[tuple[str, str]] = Counter()
    chosen: list[int] = []
    for index, (file, picture) in enumerate(pictures):
        owner = owners.setdefault(picture.path or f"{file.path}/{picture.file_name}", file.path)
        if owner == file.path:
            chosen.append(index)
        else:
            doubles[file.path, owner] += 1
    for (path, owner), count in doubles.items():
        problems.append(Problem(path, "", f"{count} of its images are in {owner} too; name the JSON to open"))
    own = [pictures[index] for index in chosen]
    files = [None if picture.path is None else places.path(picture.path) for _, picture in own]
    names = unique_names(
        [
            picture.file_name
            if picture.extra.get("image") is False
            else posixpath.splitext(picture.file_name)[0]
            for _, picture in own
        ],
        [
            picture.path or posixpath.join(file.split or file.token, picture.file_name)
            for file, picture in own
        ],
    )
    return SampleList(names, files, lambda at: make(chosen[at], names[at], files[at]))


def geometry_of(extra: Mapping[str, Any]) -> Geometry | None:
    """The geometry that the extras of an image tell, None if they do not. Raises ``InputError``."""
    if not any(key in extra for key in ("spacing", "affine", "crs")):
        return None
    try:
        return Geometry(extra.get("spacing"), extra.get("unit", "px"), extra.get("affine"), extra.get("crs"))
    except (TypeError, ValueError) as error:
        raise InputError(f"its spacing, unit, affine and crs are no geometry: {error}") from error


def size_and_geometry(
    size: Size | None, image_path: str | None, extra: Mapping[str, Any]
) -> tuple[Size, Geometry]:
    """Size and geometry of the truth of an image: as the JSON says, else as the file does."""
    geometry = geometry_of(extra)
    in_file = image_path is not None and image_path.lower().endswith((".tif", ".tiff"))
    if size is not None and (geometry is not None or not in_file):
        return size, geometry or UNKNOWN
    assert image_path is not None, "a picture without a size has a file"
    shape, found = extent(Path(image_path))
    if len(shape) != 2:
        raise ReadError(f"{image_path} is a volume of {shape}; COCO's annotations are of pictures")
    return size or (shape[0], shape[1]), geometry or found


# Classes


def read_categories(
    files: Sequence[CocoFile], problems: list[Problem]
) -> tuple[ClassSet, list[dict[Any, int]]]:
    """The classes of all files, and for each file the class id of every ``category_id``.

    Ids are kept, or all one higher where 0 is a category too, which no class id may be. Of several files those of
    one name are one class; a name that one file has twice gets the id behind it.
    """
    listed = [list(_categories(file, problems)) for file in files]
    shift = int(any(key == 0 for entries in listed for key, _, _ in entries))
    if shift:
        logger.info("%s has a category 0; class ids are one higher than those of categories", files[0].path)
    free = 1 + max((key + shift for entries in listed for key, _, _ in entries), default=0)
    known: dict[str, tuple[int, Mapping[str, Any]]] = {}
    taken: set[int] = set()
    tables: list[dict[Any, int]] = []
    for entries in listed:
        table = {}
        for key, name, record in entries:
            if name not in known:
                class_id = key + shift
                if class_id in taken:
                    class_id, free = free, free + 1
                known[name] = class_id, record
                taken.add(class_id)
            table[key] = known[name][0]
        tables.append(table)
    colors = segment_colors(len(known)).tolist()
    classes = ClassSet(
        Class(class_id, name, parse_color(record.get("color")) or tuple(colors[index]), _is_thing(record))
        for index, (name, (class_id, record)) in enumerate(known.items())
    )
    return classes if len(classes) else OBJECT, tables


def _categories(file: CocoFile, problems: list[Problem]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    keys: set[int] = set()
    names: set[str] = set()
    for index, record in enumerate(file.table("categories")):
        key = record.get("id") if isinstance(record, dict) else None
        name = record.get("name") if isinstance(record, dict) else None
        fault = ""
        if type(key) is not int or not 0 <= key < _HIGHEST_ID:
            fault = f"the id of a category is a whole number from 0, got {key!r:.60}"
        elif not isinstance(name, str) or not name:
            fault = f"a category needs a name, got {name!r:.60}"
        elif key in keys:
            fault = f"the id {key} is another category's already; give each its own"
        if fault or not isinstance(name, str) or not isinstance(key, int):
            problems.append(Problem(file.path, f"category {index}", fault))
            continue
        while name in names:
            name = f"{name} ({key})"
        keys.add(key)
        names.add(name)
        yield key, name, record


def _is_thing(record: Mapping[str, Any]) -> bool:
    told = record.get("isthing")
    return bool(told) if isinstance(told, int) else record.get("supercategory") != "stuff"


# Origin


class Origin:
    """What the samples of one JSON share."""

    def __init__(self, file: CocoFile, path: Path) -> None:
        self.path = path
        self._split = file.split
        self._licences = licences_of(file)

    def sample(
        self,
        name: str,
        picture: Picture,
        image_file: str | None,
        load_truths: Callable[[], tuple[Segmentation, ...]] | None,
        truth_path: Path | None = None,
    ) -> Sample:
        """The sample of a picture; its truth is in the JSON if not in a file of its own."""
        told = dict(picture.told)
        if "provenance" not in picture.extra:
            told["provenance"] = provenance_of(picture.record, self._licences)
        told["split"] = told.get("split") or self._split
        image_path = None if image_file is None else Path(image_file)
        load_image = None if image_path is None else partial(read, image_path)
        return Sample(name, load_image, load_truths, image_path, (truth_path or self.path,), **told)


def licences_of(file: CocoFile) -> dict[Any, str]:
    """Id of each licence to its name: that of Creative Commons by its address, such as ``CC-BY-NC-2.0``."""
    found: dict[Any, str] = {}
    for record in file.table("licenses"):
        if isinstance(record, dict) and isinstance(record.get("id"), int | str):
            url, name = record.get("url"), record.get("name")
            short = _CC.search(url) if isinstance(url, str) else None
            if short:
                kind = "CC0" if short[2] else f"CC-{short[1].upper()}"
                found[record["id"]] = f"{kind}-{short[3]}"
            else:
                found[record["id"]] = next(
                    (each for each in (name, url) if each and isinstance(each, str)), ""
                )
    return found


def provenance_of(record: Mapping[str, Any], licences: Mapping[Any, str]) -> Provenance:
    """Origin of an image as its record tells it."""

    def text(*keys: str) -> str:
        return next((each for key in keys if isinstance(each := record.get(key), str) and each), "")

    key = record.get("license")
    licence = licences.get(key, "") if isinstance(key, int | str) else ""
    date = re.sub(r"^(\d{4}-\d\d-\d\d) (\d\d:\d\d)", r"\1T\2", text("date_captured"))
    return Provenance(text("flickr_url", "coco_url"), licence, text("author", "photographer"), date)
