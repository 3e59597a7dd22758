"""Zip archives of strangers: names checked, sizes believed only up to a limit, nothing put on disk."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import ReadError
from .formats.tree import inside

MAX_BYTES = 2_000_000_000
"""Most bytes of all members together once they are inflated."""

MAX_RATIO = 250
"""How many times its size an archive may inflate to. Outlines reach 20; a bomb needs a thousand and more."""

_SMALL = 1 << 20  # bytes that do no harm, whatever their ratio


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name with ``/`` between parts, and its bytes as the archive declares them."""

    name: str
    size: int
    info: zipfile.ZipInfo


class Archive:
    """A zip archive open for reading; a context manager that closes it.

    ``members`` are its files in the order they are stored, without folders and hidden files; of two with one name
    both are there. ``refused`` has the names that lead outside, each with the reason. Raises ``ReadError`` for what
    is no zip archive, is cut short, or would inflate to more than ``max_bytes`` or ``max_ratio`` times its size.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise ReadError(f"no file {path}; check the name") from None
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ReadError(f"{path} is no zip archive, or cut short: {error}") from error
        infos = self._zip.infolist()
        total = sum(info.file_size for info in infos)
        if total > max_bytes or total > max(_SMALL, max_ratio * size):
            self._zip.close()
            raise ReadError(
                f"{path} has {size} bytes and would inflate to {total}, "
                f"more than {max_bytes if total > max_bytes else f'{max_ratio} times as many'}; it is refused"
            )
        self.comment = self._zip.comment
        self.refused: list[tuple[str, str]] = []
        members = []
        for info in infos:
            if info.filename.endswith("/"):  # info.is_dir() fails on a name that begins with a zero byte
                continue
            try:
                name = inside(info.filename)
            except ReadError as error:
                self.refused.append((info.filename, str(error)))
                continue
            if not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
                members.append(Member(name, info.file_size, info))
        self.members = tuple(members)

    def read(self, member: Member) -> bytes:
        """The content of a member, as many bytes as declared. Raises ``ReadError`` where it has more or fewer."""
        what = f"{self.path}, member {member.name}"
        if member.info.flag_bits & 1:
            raise ReadError(f"{what} is encrypted; unpack it with its password first")
        try:
            with self._zip.open(member.info) as file:
                content = file.read(member.size)
                rest = file.read(1)  # reaches the end, where the check sum is compared
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            struct.error,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise ReadError(f"{what} is damaged: {str(error) or 'it ends too early'}") from error
        if len(content) != member.size or rest:
            raise ReadError(f"{what} declares {member.size} bytes and holds {len(content) + len(rest)}")
        return content

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
