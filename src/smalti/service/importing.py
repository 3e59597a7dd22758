"""Networks that others exported become models of smalti."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, ReadError
from ..io.bundle import check_name, write_bundle
from .actions import check_folder, check_output

if TYPE_CHECKING:
    from ..runtime.foreign import Foreign


@dataclass(frozen=True)
class Imported:
    """What came of an import: the file, and what was found in the graph."""

    path: Path
    bytes: int
    planes: tuple[str, ...]
    channels: tuple[str, ...]
    task: str
    report: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The part that programs read."""
        return {
            "model": str(self.path),
            "bytes": self.bytes,
            "planes": list(self.planes),
            "channels": list(self.channels),
            "task": self.task,
            "report": self.report,
        }


def import_network(source: Path, out: Path, foreign: Foreign, licence: str | None = None) -> Imported:
    """Make the model ``out`` of the ONNX file ``source`` and what is said of it.

    Raises what ``runtime.foreign.import_onnx`` does, ``ReadError`` for a file that cannot be read, ``InputError`` for
    a name that is no ``.smalti`` and ``WriteError`` for a place that cannot be written.
    """
    from ..runtime.foreign import import_onnx

    check_name(out)
    check_output(out, [source])
    if out.is_dir():
        raise InputError(f"{out} is a folder; give --out the name of a file")
    content = _content(source)
    try:
        bundle = import_onnx(content, foreign)
    except ReadError as error:
        raise ReadError(f"{source}: {error}") from error
    check_folder(out.parent)
    made = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "imported": source.name,
        "licences": [licence or "not stated"],
    }
    manifest = bundle.manifest
    write_bundle(out, replace(bundle, manifest={**manifest, "made": made}))
    return Imported(
        out,
        out.stat().st_size,
        tuple(manifest["planes"]["targets"]["names"]),
        tuple(manifest["channels"]),
        manifest["task"],
        dict(manifest["report"]),
    )


def _content(source: Path) -> bytes:
    from ..runtime.graph import MAX_BYTES

    try:
        if source.is_dir():
            raise ReadError(f"{source} is a folder, wanted an ONNX file")
        if source.stat().st_size > MAX_BYTES:
            raise ReadError(f"{source} has more than {MAX_BYTES} bytes; it is refused")
        return source.read_bytes()
    except FileNotFoundError:
        raise ReadError(f"no file {source}; check the name") from None
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(f"{source} cannot be read: {error.strerror or error}") from error
