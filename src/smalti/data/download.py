"""Fetching public datasets: resumed when interrupted, checked, unpacked safely, and there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import InputError, ReadError, WriteError
from ..io.formats.tree import inside
from ..io.writing import replacing
from ..optional import require
from .public import PublicDataset, PublicFile, public_dataset
from .transfer import Report, Transfer
from .unpacking import is_archive, unpack


@dataclass(frozen=True)
class Fetched:
    """What is known of a file that was fetched: where from, its bytes and digest, when, and how it was checked.

    ``verified`` is True where a published digest was met; otherwise ``sha256`` is that of what came the first time,
    and a later download is compared with it.
    """

    url: str
    size: int
    sha256: str
    date: str
    verified: bool


def fetch(
    name: str | PublicDataset,
    folder: str | os.PathLike[str],
    *,
    report: Report | None = None,
    offline: bool = False,
    keep_archives: bool = False,
    timeout_s: float = 30.0,
    attempts: int = 6,
    backoff_s: float = 1.0,
) -> Path:
    """The public dataset ``name`` below ``folder``, downloaded if it is not there; gives what ``Dataset.open`` takes.

    It lies in ``folder/NAME``, with what is known of its files in ``folder/NAME.download.json`` (see ``fetched``).
    An interrupted download goes on where it stopped; ``report`` is told of progress. A file without a published
    digest is taken as it comes the first time and must be the same again later. With ``offline`` nothing is asked of
    the network. Raises ``UnknownName`` for a name not in the table, ``InputError`` where something else stands in
    its place, ``ReadError`` for what cannot be fetched or is not what it should be, ``WriteError`` for a full disk.
    """
    dataset = public_dataset(name) if isinstance(name, str) else name
    report = report or (lambda what, done, total: None)
    folder = Path(folder)
    target = folder / dataset.name
    if _finished(dataset, folder):
        return target / dataset.root
    if target.exists():
        raise InputError(
            f"{target} is there and is no finished download; remove it or choose another folder for {dataset.name}"
        )
    if offline:
        raise InputError(f"{dataset.name} is not in {folder}; fetch it while there is a network")
    archives = folder / f"{dataset.name}.archives"
    archives.mkdir(parents=True, exist_ok=True)
    with _alone(archives / ".lock", dataset.name):
        if not _finished(dataset, folder):  # another process may just have ended
            transfer = {"timeout_s": timeout_s, "attempts": attempts, "backoff_s": backoff_s}
            _complete(dataset, folder, archives, report, transfer)
        if not keep_archives:
            shutil.rmtree(archives, ignore_errors=True)
    return target / dataset.root


def fetched(name: str | PublicDataset, folder: str | os.PathLike[str]) -> tuple[Fetched, ...]:
    """What is remembered of the files of a dataset that were downloaded into ``folder``; empty if there are none."""
    dataset = public_dataset(name) if isinstance(name, str) else name
    try:
        content = json.loads(_record_path(dataset, Path(folder)).read_text("utf-8"))
        return tuple(Fetched(**record) for record in content)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError) as error:
        raise ReadError(
            f"{_record_path(dataset, Path(folder))} is damaged ({error}); remove it, and what it tells of"
        ) from error


def _finished(dataset: PublicDataset, folder: Path) -> bool:
    known = {record.url for record in fetched(dataset, folder)}
    return (folder / dataset.name).is_dir() and all(file.url in known for file in dataset.files)


def _complete(
    dataset: PublicDataset, folder: Path, archives: Path, report: Report, transfer: Mapping[str, Any]
) -> None:
    """Download into ``archives``, unpack beside the place of the dataset, and rename it when all is there."""
    known = {record.url: record for record in fetched(dataset, folder)}
    for left in folder.glob(f".{dataset.name}.unpacking-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    staged = folder / f".{dataset.name}.unpacking-{secrets.token_hex(4)}"
    try:
        paths = [_downloaded(file, archives, known.get(file.url), report, transfer) for file in dataset.files]
        staged.mkdir()
        for file, path in zip(dataset.files, paths, strict=True):
            _put(file, path, staged, report)
        if not (staged / dataset.root).exists():
            raise ReadError(f"{dataset.name}: the archive has no {dataset.root}; it is not what it was")
        # Written down last: what cannot be unpacked must not be taken for right the next time.
        _remember(dataset, folder, [_fetched(*pair) for pair in zip(dataset.files, paths, strict=True)])
        staged.rename(folder / dataset.name)
    except OSError as error:
        if isinstance(error, ReadError | WriteError):
            raise
        reason = error.strerror or error
        raise WriteError(f"{dataset.name} cannot be put into {folder}: {reason}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _record_path(dataset: PublicDataset, folder: Path) -> Path:
    return folder / f"{dataset.name}.download.json"


def _remember(dataset: PublicDataset, folder: Path, records: list[Fetched]) -> None:
    with replacing(_record_path(dataset, folder)) as partial:
        partial.write_text(json.dumps([asdict(record) for record in records], indent=2) + "\n", "utf-8")


def _fetched(file: PublicFile, path: Path) -> Fetched:
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Fetched(file.url, path.stat().st_size, sha256, date, file.digest is not None)


def _downloaded(
    file: PublicFile,
    folder: Path,
    before: Fetched | None,
    report: Report,
    options: Mapping[str, Any],
) -> Path:
    """The file in ``folder``, whole and checked; ``options`` are those of ``Transfer``."""
    pooch = require("pooch", "download")
    name = inside(unquote(urlsplit(file.url).path).rpartition("/")[2] or "download")
    digest = file.digest or (f"sha256:{before.sha256}" if before else None)
    transfer = Transfer(
        folder / f"{name}.part",
        trusted=digest is not None,
        size=file.size,
        report=report,
        **options,
    )
    if digest is None and (folder / name).is_file():
        (
            folder / name
        ).unlink()  # from a run that was stopped before it was written down; nothing vouches for it
    try:
        with _quiet(pooch.get_logger()):
            return Path(pooch.retrieve(file.url, digest, fname=name, path=folder, downloader=transfer))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        if file.digest:
            whose, remedy = "published one", "the file has changed on the server"
        else:
            whose = "one of the first download"
            remedy = "and the change is meant, remove the .download.json beside the dataset"
        raise ReadError(
            f"{file.url} is not the file it should be: its digest differs from the {whose}, {digest}; "
            f"it was thrown away. Try again; if it stays so, {remedy}"
        ) from error


def _put(file: PublicFile, path: Path, staged: Path, report: Report) -> None:
    """Unpack an archive (or copy another file) to its place in the dataset."""
    place = staged / file.into
    place.mkdir(parents=True, exist_ok=True)
    if not is_archive(path):
        shutil.copyfile(path, place / path.name)
        return
    try:
        unpack(path, place, report=report)
    except ReadError:
        if file.digest is None:
            path.unlink()  # cut short, perhaps; it is fetched anew the next time
        raise
    for name in file.inner:
        nested = place / inside(name)
        if not nested.is_file():
            raise ReadError(f"{path.name} has no {name}; it is not what it was")
        unpack(nested, nested.parent, report=report)
        nested.unlink()


@contextmanager
def _alone(lock: Path, name: str) -> Iterator[None]:
    """Hold ``lock``, so that two processes do not write one file."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        where = lock.parent.parent
        raise InputError(
            f"{name} is being downloaded into {where} by another process; wait for it"
        ) from error


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep pooch from printing: it reports every download on standard error."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
