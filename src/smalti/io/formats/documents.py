"""JSON, XML and YAML of strangers, read whole or refused with a line that says where."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...errors import ReadError

MAX_BYTES = 2_000_000_000


def read_json(path: Path, wanted: type | tuple[type, ...] = dict) -> Any:
    """The content of a JSON file whose top is ``wanted``. Raises ``ReadError``."""
    text = _text(path)
    try:
        with without_collecting():
            content = json.loads(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1
        what = "it ends too early, it is cut short" if cut else error.msg
        raise ReadError(f"{path} is no JSON: {what} (line {error.lineno}, column {error.colno})") from error
    except RecursionError:
        raise ReadError(f"{path} is no JSON that can be read: it is nested too deep") from None
    except ValueError as error:  # a number of thousands of digits
        raise ReadError(f"{path} is no JSON that can be read: {error}") from error
    if not isinstance(content, wanted):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        names: dict[type, str] = {dict: "an object {...}", list: "a list [...]"}
        shown = " or ".join(names.get(kind, kind.__name__) for kind in kinds)
        raise ReadError(f"{path}: wanted {shown} at the top, got {type(content).__name__}")
    return content


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file. Raises ``ReadError``; document types are refused, as entities can grow endlessly."""
    text = _text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ReadError(
            f"{path} declares a document type or entities, which annotations need not; remove them"
        )
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise ReadError(f"{path} is no XML: {error}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ``ReadError``, also for aliases: a few lines of them stand for gigabytes."""
    import yaml

    text = _text(path)
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)):
            raise ReadError(f"{path} has aliases (*name), which are not read; write out what they stand for")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        first = str(error).splitlines()[0]
        raise ReadError(f"{path} is no YAML: {first}") from error
    if not isinstance(content, dict):
        raise ReadError(f"{path}: wanted names with values at the top, got {type(content).__name__}")
    return content


@contextmanager
def without_collecting() -> Iterator[None]:
    """No search for garbage while data is read: none of it is, and looking takes a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ReadError(f"{path} has {size} bytes, more than the {MAX_BYTES} that are read; split it")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError(f"{path} is no text in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except FileNotFoundError:
        raise ReadError(f"no file {path}; check the name") from None
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
