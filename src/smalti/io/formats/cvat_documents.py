"""What a CVAT XML says: its labels, its images with their shapes, or the frames of its tracks."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

from ...errors import InputError, ReadError
from .cvat_shapes import FLAGS, KINDS, THIN, Drawn, parse_shape
from .cvat_tracks import Keyframe, Track
from .format import Problem
from .images import PICTURES
from .outlines import Shape
from .records import checked_size, from_about
from .tree import Tree, inside

IMAGES = "images"
MAX_FRAMES = 1_000_000
OWN = "smalti"
"""Element below ``<meta>`` with what the samples know of themselves, which CVAT has no place for."""

_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video with all its tracks; what they show there is worked out when it is asked for."""

    tracks: tuple[Track, ...]
    number: int

    def drawn(self) -> list[Drawn]:
        """The shapes in this frame, each with its track's id."""
        shapes = ((track.track_id, track.at(self.number)) for track in self.tracks)
        return [
            replace(drawn, attributes={"track_id": track_id, **drawn.attributes})
            for track_id, drawn in shapes
            if drawn is not None
        ]


@dataclass(frozen=True, eq=False)
class Found:
    """An image of a document: where it is, its size, its shapes, and further fields of its sample."""

    name: str
    file: str
    record: str
    image: str | None
    shape: Shape
    drawn: tuple[Drawn, ...] | Frame
    fields: dict[str, Any] = field(default_factory=dict)


class Pictures:
    """The image files of a tree, by path with and without suffix, and by their own name."""

    def __init__(self, tree: Tree) -> None:
        self.paths = tree.with_suffix(*PICTURES)
        self._set = frozenset(self.paths)

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        return {posixpath.splitext(path)[0]: path for path in reversed(self.paths)}

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.paths:
            found.setdefault(posixpath.basename(path), []).append(path)
        return found

    def find(self, folder: str, name: str, subset: str) -> str | None:
        """The file of an image that a document in ``folder`` calls ``name``."""
        for middle in (f"{IMAGES}/{subset}", IMAGES, subset, ""):
            path = posixpath.normpath(posixpath.join(folder, middle, name))
            if path in self._set:
                return path
        alike = self._by_name.get(posixpath.basename(name), [])
        return alike[0] if len(alike) == 1 else None

    def called(self, folder: str, stem: str) -> str | None:
        """The file below ``images/`` that is called ``stem``, whatever its suffix."""
        return self._by_stem.get(posixpath.join(folder, IMAGES, stem))

    def numbered(self, folder: str) -> dict[int, str]:
        """Files by the number their name ends with, where those are all different; else none."""
        found: dict[int, str] = {}
        for path in self.paths:
            number = re.search(r"(\d+)$", posixpath.splitext(path)[0])
            if number is not None and (path.startswith(f"{folder}/") if folder else True):
                if int(number[1]) in found:
                    return {}
                found[int(number[1])] = path
        return found


class Document:
    """One XML with ``annotations`` at its top. Records that lie go into ``problems``."""

    def __init__(
        self,
        tree: Tree,
        path: str,
        root: ElementTree.Element,
        pictures: Pictures,
        problems: list[Problem],
    ) -> None:
        self.path = path
        self.folder = posixpath.dirname(path)
        self.root = root
        self.pictures = pictures
        self.problems = problems
        self.labels: dict[str, tuple[int, int, int] | None] = {}
        self.specs: dict[tuple[str, str], str] = {}
        meta = root.find("meta")
        self.meta = ElementTree.Element("meta") if meta is None else meta
        for label in self.meta.iter("label"):
            name = (label.findtext("name") or "").strip()
            if name:
                self.labels[name] = _color(label.findtext("color") or "")
                for each in label.iterfind("attributes/attribute"):
                    spec = (name, (each.findtext("name") or "").strip())
                    self.specs[spec] = (each.findtext("input_type") or "text").strip()
        self._listed = bool(self.labels)
        self.is_video = root.find("image") is None and (
            root.find("track") is not None or (self.meta.findtext(".//mode") or "") == "interpolation"
        )
        self.told = self._own()

    def found(self) -> Iterator[Found]:
        """The images, or the frames of the video."""
        return self._frames() if self.is_video else self._images()

    def _problem(self, record: str, message: str, name: str = "") -> None:
        self.problems.append(Problem(self.path, record, message, name))

    def _own(self) -> dict[str, Any]:
        text = self.meta.findtext(OWN)
        try:
            told = json.loads(text) if text else {}
        except ValueError:
            told = None
        if not isinstance(told, dict) or not all(isinstance(each, dict) for each in told.values()):
            self._problem(OWN, "wanted JSON with an object for each image")
            return {}
        return told

    def _fields(self, record: str, key: str, subset: str, metadata: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        try:
            fields = from_about(self.told.get(key, {}))
        except InputError as error:
            self._problem(f"{OWN}, {record}", str(error))
        fields["split"] = fields.get("split") or subset or None
        fields["metadata"] = {**metadata, **fields.get("metadata", {})}
        return fields

    # Images

    def _images(self) -> Iterator[Found]:
        for number, element in enumerate(self.root.iterfind("image")):
            record = f"image {element.get('id', number)}"
            try:
                name, image = self._image(element)
                shape = _size(element.get("height"), element.get("width"))
            except (InputError, ReadError) as error:
                self._problem(record, str(error), element.get("name", ""))
                continue
            drawn = []
            metadata: dict[str, Any] = {}
            for index, child in enumerate(element):
                label = child.get("label", "")
                where = f"{record}, {child.tag} {index} ({label})"
                if child.tag == "tag":
                    values = {each.get("name", ""): each.text or "" for each in child.iterfind("attribute")}
                    metadata |= values or {label: "true"}
                    continue
                try:
                    drawn.append(self._drawn(child, label, shape))
                except InputError as error:
                    self._problem(where, str(error), name)
            fields = self._fields(record, name, element.get("subset", ""), metadata)
            yield Found(name, self.path, record, image, shape, tuple(drawn), fields)
            element.clear()

    def _image(self, element: ElementTree.Element) -> tuple[str, str | None]:
        """Name of the sample and path of its image, None where images came without."""
        given = element.get("name", "")
        name = inside(given)
        image = self.pictures.find(self.folder, name, element.get("subset", ""))
        is_file = name.lower().endswith(PICTURES)
        if image is None and is_file and self.pictures.paths:
            raise InputError(f"the image {given!r} is not there; put it into {IMAGES}/ beside the XML")
        return (posixpath.splitext(name)[0] if is_file else name), image

    def _drawn(self, element: ElementTree.Element, label: str, shape: Shape) -> Drawn:
        if element.tag in THIN:
            raise InputError(f"a {element.tag} covers no pixels; it is left out")
        if element.tag not in KINDS:
            raise InputError(f"the element {element.tag!r} is not known; wanted {', '.join(KINDS)}")
        if not label or (self._listed and label not in self.labels):
            raise InputError(f"the label {label!r} is not among those of the task: {', '.join(self.labels)}")
        self.labels.setdefault(label, None)
        return parse_shape(element, label, self.specs, shape)

    # Video

    def _frames(self) -> Iterator[Found]:
        tasks = [*self.meta.iter("task")] or [*self.meta.iter("job")] or [self.meta]
        known = {task.findtext("id") or "": task for task in tasks}
        elements: dict[str, list[ElementTree.Element]] = {each: [] for each in known}
        for element in self.root.iterfind("track"):
            owner = element.get("task_id", "")
            elements[owner if owner in known else next(iter(known))].append(element)
        numbered = self.pictures.numbered(self.folder) if len(tasks) == 1 else {}
        for number, (key, task) in enumerate(known.items()):
            name = (
                task.findtext("name")
                or posixpath.splitext(task.findtext("source") or "")[0]
                or f"video {number}"
            )
            yield from self._video(task, name, elements[key], numbered, len(tasks) > 1)

    def _video(
        self,
        task: ElementTree.Element,
        title: str,
        elements: list[ElementTree.Element],
        numbered: dict[int, str],
        prefixed: bool,
    ) -> Iterator[Found]:
        try:
            shape = _size(task.findtext("original_size/height"), task.findtext("original_size/width"))
        except InputError as error:
            self._problem(f"video {title}", f"original_size: {error}")
            return
        tracks = tuple(track for element in elements if (track := self._track(element, shape)) is not None)
        told = {int(key): each for key, each in self.told.items() if _NUMBER.fullmatch(key)}
        numbers = sorted(told) or _range(task, tracks)
        if len(numbers) > MAX_FRAMES:
            self._problem(
                f"video {title}", f"it says {len(numbers)} frames, more than {MAX_FRAMES}; split it"
            )
            return
        subset = task.findtext("subset") or ""
        for number in numbers:
            record = f"frame {number}"
            name, image = f"frame_{number:06d}", numbered.get(number)
            given = told.get(number, {}).get("name")
            try:
                if isinstance(given, str):
                    name = inside(given)
                    image = self.pictures.called(self.folder, name)
                elif image is not None:
                    name = posixpath.splitext(posixpath.relpath(image, self.folder or "."))[0]
                    name = name.removeprefix(f"{IMAGES}/")
                elif prefixed:
                    name = inside(f"{title}/{name}")
            except ReadError as error:
                self._problem(record, str(error))
                continue
            fields = self._fields(record, str(number), subset, {})
            fields["group"] = fields.get("group") or title
            yield Found(name, self.path, record, image, shape, Frame(tracks, number), fields)

    def _track(self, element: ElementTree.Element, shape: Shape) -> Track | None:
        label = element.get("label", "")
        record = f"track {element.get('id', '')} ({label})"
        keyframes: dict[int, Keyframe] = {}
        said: dict[str, Any] = {}
        try:
            track_id = int(element.get("id", "0"))
        except ValueError:
            self._problem(record, f"its id is a whole number, got {element.get('id')!r}")
            return None
        given = {name: value for name in ("group_id", "source") if (value := element.get(name))}
        for child in element:
            try:
                frame = int(child.get("frame", ""))
                child.attrib.update(given | child.attrib)
                drawn = self._drawn(child, label, shape)
                if frame < 0 or frame in keyframes:
                    raise InputError(f"frames are 0 or more and each once, got {frame}")
            except (InputError, ValueError) as error:
                message = str(error) if isinstance(error, InputError) else f"frame: {error}"
                self._problem(f"{record}, frame {child.get('frame', '')}", message)
                continue
            said |= {name: value for name, value in drawn.attributes.items() if name not in FLAGS}
            drawn = replace(drawn, attributes={**drawn.attributes, **said})  # what is not said again stays
            keyframes[frame] = Keyframe(frame, drawn, child.get("outside") == "1")
        element.clear()
        if not keyframes:
            return None
        return Track(track_id, tuple(keyframes[frame] for frame in sorted(keyframes)))


def _range(task: ElementTree.Element, tracks: tuple[Track, ...]) -> range:
    """Numbers of the frames a task says it has, or from 0 to the last that is drawn in."""
    last = max((track.keyframes[-1].frame for track in tracks), default=-1)
    start, stop, size = (
        int(text) if _NUMBER.fullmatch(text := (task.findtext(name) or "").strip()) else None
        for name in ("start_frame", "stop_frame", "size")
    )
    step = re.search(r"step\s*=\s*([1-9]\d*)", task.findtext("frame_filter") or "")
    by = int(step[1]) if step else 1
    first = start or 0
    if stop is not None:
        return range(first, stop + 1, by)
    return range(first, first + size * by, by) if size is not None else range(last + 1)


def _size(height: str | None, width: str | None) -> Shape:
    def number(text: str | None) -> Any:
        return int(text) if text and _NUMBER.fullmatch(text.strip()) else text

    return checked_size(number(height), number(width))


def _color(text: str) -> tuple[int, int, int] | None:
    match = re.fullmatch(r"\s*#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})\s*", text)
    return (int(match[1], 16), int(match[2], 16), int(match[3], 16)) if match else None
