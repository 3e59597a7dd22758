"""The ``.smalti`` bundle: a fitted model in one zip file of plain parts, which anybody may open safely.

======================  ==============================================================================
``manifest.json``       what it is: method, task, classes, ..., and SHA-256 and size of every other part
``card.md``             the same for a reader
``arrays/NAME.npy``     numbers, never objects
any other name          other files, such as ``model.onnx``
======================  ==============================================================================

A bundle names its method and brings none: the method is looked up in the table of those installed, so opening a
stranger's bundle cannot run code of theirs. The same manifest and arrays make the same bytes (with one version of
zlib); a fit writes its date and seconds, so two of them differ.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import InputError, MissingExtra, ReadError, SmaltiError
from ..segmenter import Segmenter, known_segmenters, segmenter_class
from .archives import MAX_BYTES, MAX_RATIO, Archive, Member
from .formats.tree import inside
from .starters import model_path
from .writing import replacing

FORMAT = 1
"""The format of bundles that this smalti writes, and the newest that it reads."""

SUFFIX = ".smalti"
MANIFEST = "manifest.json"
CARD = "card.md"
ARRAYS = "arrays/"

MAX_MANIFEST = 8_000_000
"""Most bytes of a manifest; what is larger belongs in an array."""

MAX_DEPTH = 32
"""Most lists and objects of a manifest inside each other."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold: the same for every file
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a fitted model is made of.

    ``manifest`` has plain JSON values, of which ``method`` is the name it is loaded by; what a reader does not know it
    keeps and ignores. ``arrays`` are bool, integers or floats of at most 64 bits. ``files`` are other parts by name.
    ``card`` is Markdown.
    """

    manifest: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    card: str = ""


# ----------------------------------------------------------------------------------------------------------------------
# Writing


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise ``InputError`` unless the name of a bundle ends as one does."""
    if Path(path).suffix.lower() != SUFFIX:
        raise InputError(
            f"a model is written as name{SUFFIX}, got {path}; write {Path(path).with_suffix(SUFFIX)}"
        )


def write_bundle(path: str | os.PathLike[str], bundle: Bundle) -> None:
    """Write ``bundle`` to ``path``, which ends in ``.smalti``.

    To the manifest are added ``format``, the version of ``smalti``, the ``package`` that the method comes from where
    it is another one, and ``parts`` with the SHA-256 and bytes of each. Raises ``InputError`` for what a bundle
    cannot hold and ``WriteError`` for a place that cannot be written.
    """
    check_name(path)
    parts = _parts(bundle)
    told = {key: value for key, value in bundle.manifest.items() if key != "package"}
    told |= _package(bundle.manifest) | {
        "format": FORMAT,
        "smalti": __version__,
        "parts": {
            name: {"sha256": _digest(parts[name]), "bytes": len(parts[name])} for name in sorted(parts)
        },
    }
    try:
        told = dict(sorted(told.items()))  # what is inside, such as scores of classes, keeps its order
        text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False).encode()
        if len(text) > MAX_MANIFEST:
            raise ValueError(
                f"{len(text)} bytes, more than {MAX_MANIFEST}; what is large belongs in an array"
            )
        _manifest(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"a manifest holds plain JSON values: {error}") from error
    parts[MANIFEST] = text
    total = sum(map(len, parts.values()))
    if total > MAX_BYTES:
        raise InputError(f"a bundle holds at most {MAX_BYTES} bytes, these parts are {total}")
    with replacing(path) as partial:
        _write_zip(partial, parts, zipfile.ZIP_DEFLATED)
        if total > MAX_RATIO * partial.stat().st_size:  # long constant arrays: it would be taken for a bomb
            _write_zip(partial, parts, zipfile.ZIP_STORED)


def _parts(bundle: Bundle) -> dict[str, bytes]:
    """Name and content of each part but the manifest."""
    parts = {f"{ARRAYS}{name}.npy": _to_npy(name, array) for name, array in bundle.arrays.items()}
    for name, content in bundle.files.items():
        if name in (MANIFEST, CARD) or name.startswith(ARRAYS):
            raise InputError(f"a part of a bundle cannot be called {name}; that name is taken")
        parts[name] = bytes(content)
    parts[CARD] = bundle.card.encode()
    for name in parts:
        try:
            plain = inside(name) == name and name.isprintable()
        except ReadError:
            plain = False
        if not plain or any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
            raise InputError(f"a part of a bundle cannot be called {name!r}; give it a plain name")
    return parts


def _package(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The package that has the method, if it is not smalti; what the manifest says itself goes before."""
    if "package" in manifest:
        return {"package": manifest["package"]}
    target = known_segmenters().get(str(manifest.get("method")), "smalti")
    package = target.partition(":")[0].partition(".")[0]
    return {} if package == "smalti" else {"package": package}


def _to_npy(name: str, array: np.ndarray) -> bytes:
    array = np.asarray(array)
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        raise InputError(f"array {name} of a bundle is bool, integers or floats, got {array.dtype}")
    file = io.BytesIO()
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    np.lib.format.write_array(file, little, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_zip(path: Path, parts: Mapping[str, bytes], compression: int) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name in sorted(parts):
            info = zipfile.ZipInfo(name, _EARLIEST)
            info.create_system = 3  # Unix, wherever it is written
            info.external_attr = 0o644 << 16
            file.writestr(info, parts[name], compression, 6)


# ----------------------------------------------------------------------------------------------------------------------
# Reading


def read_bundle(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Bundle:
    """The bundle in a file, every part of it compared with its size and SHA-256 in the manifest.

    Raises ``ReadError`` for what is no bundle, was changed, or is of a newer format.
    """
    path = Path(path)
    if path.is_dir():
        raise ReadError(f"{path} is a folder, wanted a {SUFFIX} file")
    with Archive(path, max_bytes=max_bytes) as archive:
        members = _members(archive)
        if MANIFEST not in members:
            raise ReadError(f"{path} has no {MANIFEST}, so it is no model of smalti")
        manifest = _read_manifest(archive, members.pop(MANIFEST))
        listed = _listed(path, manifest, members)
        arrays, files, card = {}, {}, ""
        for name, member in members.items():
            content = archive.read(member)
            if _digest(content) != listed[name]:
                raise ReadError(
                    f"{path}: {name} is not what the manifest says (another SHA-256); "
                    "it was changed or damaged, get the file anew"
                )
            if name == CARD:
                card = content.decode("utf-8", "replace")
            elif name.startswith(ARRAYS) and name.endswith(".npy"):
                arrays[name.removeprefix(ARRAYS).removesuffix(".npy")] = _from_npy(content, f"{path}, {name}")
            else:
                files[name] = content
    return Bundle(manifest, arrays, files, card)


def load(path: str | os.PathLike[str]) -> Segmenter:
    """The fitted model in a ``.smalti`` file, or the one that comes with smalti under this name, ready to predict.

    It runs no code but that of the installed method which the file names. Raises ``ReadError`` for a file that is
    damaged, changed or of a newer smalti, and for a method that is not installed.
    """
    path = model_path(path)
    bundle = read_bundle(path)
    name = bundle.manifest.get("method")
    if not isinstance(name, str):
        raise ReadError(f"{path} does not name its method, so it is no model of smalti")
    if name not in known_segmenters():
        raise ReadError(f"{path} is of the method {_short(name)!r}, which is not here; {_where_from(bundle)}")
    made_from = getattr(segmenter_class(name), "from_bundle", None)
    if made_from is None:
        raise ReadError(
            f"{path} is of the method {name}, which learns nothing and has no fitted models here; "
            "another version of it may have written the file"
        )
    try:
        model: Segmenter = made_from(bundle)
    except MissingExtra:
        raise
    except SmaltiError as error:
        raise ReadError(f"{path}: {error}") from error
    except Exception as error:  # what a stranger wrote into the parts may fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ReadError(f"{path} is damaged or no model of {name}: {reason}") from error
    return model


def _where_from(bundle: Bundle) -> str:
    """Where a method that is not known may come from, as far as the manifest tells."""
    written = (
        f"the smalti that wrote the file is {_short(bundle.manifest.get('smalti'))}, this one {__version__}"
    )
    package = bundle.manifest.get("package")
    if isinstance(package, str) and _PACKAGE.fullmatch(package):
        return (
            f"the file says that it comes from the package {package}: install it if you trust it ({written})"
        )
    return f"{written}: upgrade smalti, or install the package that brings the method"


def _short(value: Any) -> str:
    """A stranger's text in a message: one line, not long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _members(archive: Archive) -> dict[str, Member]:
    """The files of the archive by name, every one of them inside of it and there once."""
    if archive.refused:
        raise ReadError(f"{archive.path}: {archive.refused[0][1]}")
    members: dict[str, Member] = {}
    for member in archive.members:
        if member.name in members:
            raise ReadError(f"{archive.path} holds {_short(member.name)} twice; it is refused")
        members[member.name] = member
    return members


def _read_manifest(archive: Archive, member: Member) -> dict[str, Any]:
    path = archive.path
    if member.size > MAX_MANIFEST:
        raise ReadError(
            f"{path}: {MANIFEST} has {member.size} bytes, more than {MAX_MANIFEST}; it is refused"
        )
    try:
        manifest = _manifest(archive.read(member))
    except (ValueError, RecursionError) as error:
        reason = "it is too deep" if isinstance(error, RecursionError) else _short(error)
        raise ReadError(f"{path}: {MANIFEST} is damaged: {reason}") from error
    version = manifest.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ReadError(f"{path}: {MANIFEST} does not say which format it is, so it is no model of smalti")
    if version > FORMAT:
        raise ReadError(
            f"{path} was made by a newer smalti (format {_short(version)}, written by "
            f"{_short(manifest.get('smalti'))}); this one, {__version__}, reads format {FORMAT}; upgrade smalti"
        )
    return manifest


def _manifest(content: bytes) -> dict[str, Any]:
    """The object that JSON text holds. Raises ``ValueError`` or ``RecursionError`` for what is no plain JSON."""
    manifest = json.loads(content.decode(), parse_constant=_number, parse_float=_number)
    if not isinstance(manifest, dict):
        raise ValueError(f"it holds no object but {type(manifest).__name__}")
    level: list[Any] = [manifest]
    for _ in range(MAX_DEPTH):
        inner = [values for values in level if isinstance(values, dict | list)]
        texts = [values for values in level if isinstance(values, str)]
        texts += [key for values in inner if isinstance(values, dict) for key in values]
        "".join(texts).encode()  # half of a surrogate pair, which JSON can write, is no text
        level = [
            each for values in inner for each in (values.values() if isinstance(values, dict) else values)
        ]
        if not level:
            return manifest
    raise ValueError(f"it is deeper than {MAX_DEPTH} levels")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _listed(path: Path, manifest: Mapping[str, Any], members: Mapping[str, Member]) -> dict[str, str]:
    """SHA-256 of each part as the manifest has it, once the parts and their sizes are those of the archive."""
    parts = manifest.get("parts")
    if not isinstance(parts, dict) or not all(
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and isinstance(entry.get("bytes"), int)
        for entry in parts.values()
    ):
        raise ReadError(f"{path}: {MANIFEST} does not list its parts with sha256 and bytes; it is damaged")
    for name in parts.keys() - members.keys():
        raise ReadError(f"{path} lacks {_short(name)}, which its manifest lists; get the file anew")
    for name, member in members.items():
        if name not in parts:
            raise ReadError(f"{path} holds {_short(name)}, which its manifest does not list; it is refused")
        if parts[name]["bytes"] != member.size:
            raise ReadError(
                f"{path}: {_short(name)} has {member.size} bytes, its manifest says "
                f"{_short(parts[name]['bytes'])}; it was changed or damaged, get the file anew"
            )
    return {name: entry["sha256"] for name, entry in parts.items()}


def _from_npy(content: bytes, what: str) -> np.ndarray:
    """The array in the bytes of a ``.npy``. Raises ``ReadError`` unless it holds as many numbers as it promises."""
    file = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("its .npy is of a version that no bundle has")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # numpy raises what Python's own parser makes of a damaged header
        raise ReadError(f"{what} is damaged: {_short(error)}") from error
    if dtype.hasobject or dtype.kind not in "buif" or dtype.itemsize > 8:
        raise ReadError(f"{what} holds {_short(dtype)}, wanted bool, integers or floats; it is refused")
    count = math.prod(shape)
    held = len(content) - file.tell()
    if any(isinstance(length, bool) or length < 0 for length in shape) or count * dtype.itemsize != held:
        raise ReadError(f"{what} promises {_short(shape)} of {dtype} and holds {held} bytes; it is damaged")
    file.seek(0)
    try:
        array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:
        raise ReadError(f"{what} is damaged: {_short(error)}") from error
    if dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise ReadError(f"{what} holds truth values that are neither true nor false; it is damaged")
    return array.astype(dtype.newbyteorder("="), copy=False)
