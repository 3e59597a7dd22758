"""What COCO's JSON files of instances and of panoptic segments share: images, categories, licences, places of files.

Keys that COCO does not know are kept by its tools, so what they cannot say lies under ``smalti`` in the record of an
image: ``group``, ``metadata``, ``provenance``, ``annotated`` (false), ``image`` (false where there is none), ``void`` (a
run-length encoding), and the geometry of the truth (``spacing``, ``unit``, ``affine``, ``crs``). ``info`` names the
``split`` that all images of a file belong to.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ...classes import OBJECT, Class, ClassSet, segment_colors
from ...errors import InputError, ReadError
from ...geometry import UNKNOWN, Geometry
from ...provenance import Provenance
from ..source import MAX_PIXELS
from .class_lists import parse_color
from .coco_annotations import Size
from .documents import read_json
from .format import Problem
from .images import PICTURES
from .records import extent, from_about
from .roles import split_of
from .tree import Tree, inside

HEAD_BYTES = 1 << 16
EXTRA = "smalti"
"""Key of what COCO has no key for, in the record of an image."""

_FIRST_KEY = re.compile(rb'\s*\{\s*"(info|images|annotations|categories|licenses|type)"\s*:')
_KEYS = (
    b'"images"',
    b'"annotations"',
    b'"categories"',
    b'"licenses"',
    b'"file_name"',
    b'"image_id"',
    b'"supercategory"',
)
_PREFIXES = re.compile(
    r"^(_?annotations|instances|panoptic|person_keypoints|stuff|image_info|coco)(?=[_.\-]|$)[_.\-]*"
)
_OTHER_KINDS = ("captions", "image_info", "person_keypoints", "stuff", "dataset-meta")
_ANNOTATION_FOLDERS = ("annotations", "annotation", "labels", "json")
_IMAGE_FOLDERS = ("images", "data", "JPEGImages", "input_images")
_MOST_FILES = 200
_HIGHEST_ID = 2**31 - 2
_CC = re.compile(r"creativecommons\.org/(?:licenses/([a-z\-]+)|publicdomain/(zero))/(\d\.\d)")


# Files


@dataclass(frozen=True)
class CocoFile:
    """One JSON file of a dataset, its path below the folder, and what its name says of images and split."""

    path: str
    content: dict[str, Any]

    @property
    def token(self) -> str:
        """The file's name without words that say its kind: ``val2017`` of ``instances_val2017.json``."""
        stem = posixpath.basename(self.path).rpartition(".")[0]
        return _PREFIXES.sub("", stem)

    @property
    def folder(self) -> str:
        """The file's folder with a slash, empty for the root."""
        return self.path.rpartition("/")[0] + "/" if "/" in self.path else ""

    @cached_property
    def split(self) -> str | None:
        """As ``info`` says it, else the name of the file or its folder."""
        info = self.content.get("info")
        told = info.get("split") if isinstance(info, Mapping) else None
        if isinstance(told, str) and told:
            return told
        return split_of(self.token) or split_of(posixpath.basename(self.folder[:-1]))

    def table(self, name: str) -> list[Any]:
        """The records under ``name``, none where there is no such key. Raises ``ReadError`` unless it is a list."""
        records = self.content.get(name)
        if records is None:
            return []
        if not isinstance(records, list):
            raise ReadError(f"{self.path}: wanted a list under {name!r}, got {type(records).__name__}")
        return records


def evidence(head: bytes) -> int:
    """How many of COCO's keys the beginning of a file shows; 0 for one that does not begin as COCO's do."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    first = _FIRST_KEY.match(head)
    if first is None or (first[1] == b"type" and b'"instances"' not in head[:200]):
        return 0
    return sum(key in head for key in _KEYS)


def candidates(tree: Tree) -> list[str]:
    """JSON files that begin as COCO's do: those of ``annotations`` and the root, else those further down."""
    if tree.focus is not None:
        return [tree.focus]
    names = tree.with_suffix(".json")
    high = [
        name
        for name in names
        if "/" not in name or (name.count("/") == 1 and name.lower().startswith("annotations/"))
    ]
    for group in (high, names):
        if len(group) > _MOST_FILES:  # COCO's are few, and a folder of LabelMe's has as many as images
            group = [
                name
                for name in group
                if _PREFIXES.match(posixpath.basename(name)) or "coco" in name.rpartition("/")[2]
            ]
        found = [name for name in group[:_MOST_FILES] if evidence(tree.head(name, HEAD_BYTES))]
        if found:
            return found
    return []


def read_files(tree: Tree, panoptic: bool) -> list[CocoFile]:
    """The JSON files of instances, or of panoptic segments, among the ``candidates``.

    Of a folder's files with captions, keypoints and the like are left out where there are others. Raises
    ``ReadError`` where there is none, and for one that cannot be read.
    """
    names = candidates(tree)
    if tree.focus is None and not panoptic:
        names = [name for name in names if not _names_panoptic(name)]
        main = [name for name in names if not posixpath.basename(name).startswith(_OTHER_KINDS)]
        names = main or names
    files = []
    for name in names:
        content = read_json(tree.file(name))
        images, annotations = content.get("images"), content.get("annotations")
        if not isinstance(images, list) or not isinstance(annotations, list | None):
            if tree.focus is not None:
                raise ReadError(
                    f"{tree.file(name)}: wanted COCO's lists of images and annotations, got the keys "
                    f"{', '.join(map(repr, list(content)[:8])) or 'none'}"
                )
            continue
        first = next((each for each in annotations or () if isinstance(each, dict)), {})
        is_panoptic = "segments_info" in first or (not first and _names_panoptic(name))
        if is_panoptic == panoptic:
            files.append(CocoFile(name, content))
        elif tree.focus is not None and first:
            other = "coco-panoptic" if is_panoptic else "coco"
            raise ReadError(f"{tree.file(name)} is of another kind of COCO's files; open it as {other}")
        elif tree.focus is not None:
            files.append(CocoFile(name, content))
    if not files:
        kind = "panoptic segments" if panoptic else "instances"
        raise ReadError(f"{tree.root} has no JSON of COCO {kind}, which has lists of images and annotations")
    return files


def _names_panoptic(name: str) -> bool:
    return "panoptic" in posixpath.basename(name).lower()


# Where files lie


class Places:
    """Finds the files that a JSON names by their names alone, in the folders where tools put them.

    For a JSON that was asked for by itself and lies in a folder such as ``annotations``, the folders of images
    beside that one count too.
    """

    def __init__(self, tree: Tree, files: Sequence[CocoFile], suffixes: tuple[str, ...] = PICTURES) -> None:
        self._suffixes = suffixes
        self._root, self._above = tree.root, ""
        self._paths: frozenset[str] | set[str] = tree.path_set
        if tree.focus is not None and tree.root.resolve().name.lower() in _ANNOTATION_FOLDERS:
            self._root, self._above = tree.root.resolve().parent, f"{tree.root.resolve().name}/"
            self._paths = {self._above + path for path in tree.paths}
            tokens = dict.fromkeys([*(file.token for file in files), *_IMAGE_FOLDERS])
            for name in (each for each in tokens if each and "/" not in each and each not in (".", "..")):
                if (self._root / name).is_dir():
                    self._paths |= {f"{name}/{path}" for path in Tree(self._root / name).paths}

    def folders(self, file: CocoFile, further: Iterable[str] = ()) -> list[str]:
        """Folders in which the files that ``file`` names may lie, the likeliest first, each with a slash."""
        own = self._above + file.folder
        above = own[:-1].rpartition("/")[0] + "/" if "/" in own[:-1] else ""
        tokens = [each for each in (file.token, file.split) if each]
        near = [f"{each}/" for each in tokens] + [
            f"{folder}/{each}/" for folder in _IMAGE_FOLDERS for each in tokens
        ]
        near += [f"{folder}/" for folder in _IMAGE_FOLDERS]
        around = [above, "", own]
        return list(
            dict.fromkeys([*further, *(place + each for place in around for each in near), own, above, ""])
        )

    def find(self, name: str, folders: Sequence[str]) -> str | None:
        """Path of the file called ``name`` (may have folders itself) in the first of ``folders`` that has it.

        Else the only file of that name anywhere. Raises ``ReadError`` for names that lead outside.
        """
        for folder in folders:
            if folder + name in self._paths:
                return folder + name
        plain = inside(name)
        if plain != name:
            return self.find(plain, folders)
        same = self._by_name.get(posixpath.basename(name), ())
        ending = [path for path in same if path.endswith(f"/{name}")] or same
        return ending[0] if len(ending) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._paths:
            if path.lower().endswith(self._suffixes):
                found.setdefault(posixpath.basename(path), []).append(path)
        return found

    def path(self, path: str) -> str:
        """The place of a file that was found."""
        return f"{self._root}/{path}"


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
) -> dict[Any, Picture]:
    """The images of one JSON by their ids. Records that lie are left out and become problems."""
    found: dict[Any, Picture] = {}
    names: set[str] = set()
    folders = places.folders(file)
    missing: list[Problem] = []
    records = file.table("images")
    for index, record in enumerate(records):
        name = f"image {record.get('id') if isinstance(record, dict) else index}"
        try:
            picture = _picture(record, places, folders)
            key = record["id"]
            if key in found:
                raise InputError("its id is another image's already; give each its own")
            if picture.file_name in names:
                raise InputError(f"the file {picture.file_name} is another image's already; keep one record")
            if picture.path is None and need_images and picture.extra.get("image") is not False:
                missing.append(
                    Problem(
                        file.path,
                        name,
                        f"its file {picture.file_name} is not there; add it, or take need_images=False",
                        posixpath.splitext(picture.file_name)[0],
                    )
                )
                continue
            found[key] = picture
            names.add(picture.file_name)
        except (InputError, ReadError) as error:
            problems.append(Problem(file.path, name, str(error)))
    if len(missing) == len(records) > 1:
        first = missing[0].message.partition(";")[0]
        advice = "name the folder that has both, or take need_images=False"
        missing = [Problem(file.path, "", f"none of its {len(records)} images is there ({first}); {advice}")]
    problems += missing
    return found


def _picture(record: Any, places: Places, folders: Sequence[str]) -> Picture:
    if not isinstance(record, dict):
        raise InputError(f"wanted an object with id and file_name, got {record!r:.60}")
    key, file_name = record.get("id"), record.get("file_name")
    if not (type(key) is int and key >= 0) and not (isinstance(key, str) and key):
        raise InputError(f"the id of an image is a whole number from 0 or a text, got {key!r:.60}")
    if not isinstance(file_name, str) or not file_name:
        raise InputError(f"wanted the name of its file under file_name, got {file_name!r:.60}")
    path = places.find(file_name, folders)
    if "./" in file_name or "\\" in file_name:
        file_name = inside(file_name)
    height, width = record.get("height"), record.get("width")
    size: Size | None = None
    if type(height) is int and type(width) is int and height > 0 < width and height * width <= MAX_PIXELS:
        size = height, width
    elif height is not None or width is not None:
        if not all(isinstance(side, int | float) and 0 < side <= MAX_PIXELS for side in (height, width)):
            raise InputError(f"height and width are whole numbers of pixels, got {height!r} and {width!r}")
        size = int(height), int(width)
        if size != (height, width) or size[0] * size[1] > MAX_PIXELS:
            raise InputError(
                f"height and width are whole numbers, {MAX_PIXELS} pixels at most, got {height} and {width}"
            )
    if size is None and path is None:
        raise InputError("it says no height and width, and its file, which would tell, is not there")
    extra = record.get(EXTRA)
    if not isinstance(extra, Mapping):
        return Picture(record, file_name, path, size, {}, {})
    geometry_of(extra)
    return Picture(record, file_name, path, size, from_about(extra), extra)


def sample_names(pictures: Sequence[tuple[CocoFile, Picture]], problems: list[Problem]) -> list[str | None]:
    """A name for each image, by its ``file_name`` without suffix; None for what another file lists too.

    Where two would have one name, both get their path below the folder, then the suffix as well.
    """
    names = [
        picture.file_name if picture.extra.get("image") is False else posixpath.splitext(picture.file_name)[0]
        for _, picture in pictures
    ]
    owners: dict[str, str] = {}
    doubles: Counter[tuple[str, str]] = Counter()
    chosen: list[str | None] = []
    for (file, picture), name in zip(pictures, names, strict=True):
        place = picture.path or f"{file.path}/{name}"
        owner = owners.setdefault(place, file.path)
        if owner != file.path:
            doubles[file.path, owner] += 1
        chosen.append(name if owner == file.path else None)
    for (path, owner), count in doubles.items():
        problems.append(Problem(path, "", f"{count} of its images are in {owner} too; name the JSON to open"))
    for ending in (False, True):
        counts = Counter(name for name in chosen if name is not None)
        if counts and counts.most_common(1)[0][1] == 1:
            break
        for index, (file, picture) in enumerate(pictures):
            name = chosen[index]
            if name is not None and counts[name] > 1:
                whole = picture.path or posixpath.join(file.split or file.token, picture.file_name)
                chosen[index] = whole if ending else posixpath.splitext(whole)[0]
    return chosen


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
