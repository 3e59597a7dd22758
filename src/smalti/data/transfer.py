"""A download that goes on where it stopped, and never glues two versions of a file together.

Ranges and validators as in RFC 9110: a request for the rest names the version it belongs to (If-Range), and what
comes is believed only where Content-Range fits.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ReadError, WriteError

CHUNK_BYTES = 1 << 18
LONGEST_WAIT_S = 60.0
FREE_BYTES = 1 << 26
"""Room that a download leaves on the disk."""

_PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that may be another one a moment later
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-(\d+)/(\d+|\*)$")

Report = Callable[[str, int, int | None], None]
"""Told of progress: what is being done in words, how many bytes are done, and how many there are if known."""


@dataclass(frozen=True)
class Version:
    """Which file on the server the beginning of a download belongs to."""

    url: str
    total: int | None = None
    etag: str = ""
    modified: str = ""

    @property
    def validator(self) -> str:
        """What If-Range may hold: a strong entity tag, else the date of the last change; empty for neither."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def agrees(self, other: Version) -> bool:
        """Whether nothing that both know differs."""
        pairs = ((self.total, other.total), (self.etag, other.etag), (self.modified, other.modified))
        return all(one == two for one, two in pairs if one and two)


class Transfer:
    """A downloader for pooch that keeps ``part`` until the file is whole and asks for the rest of it.

    Beside ``part`` a small JSON file remembers which version it is the beginning of. ``trusted`` says that a digest
    will tell whether the whole is right, so that a server without validators may be asked for the rest as well.
    Proxies are those of the environment. Raises ``ReadError`` for what the server refuses or when ``attempts`` in
    a row bring nothing more, and ``WriteError`` where the disk is full; what has come is kept for the next time.
    """

    def __init__(
        self,
        part: Path,
        *,
        trusted: bool,
        size: int | None = None,
        report: Report | None = None,
        timeout_s: float = 30.0,
        attempts: int = 6,
        backoff_s: float = 1.0,
    ) -> None:
        self.part = part
        self.remembered = part.with_name(part.name + ".json")
        self.trusted = trusted
        self.size = size
        self.report = report or (lambda what, done, total: None)
        self.timeout_s = timeout_s
        self.attempts = attempts
        self.backoff_s = backoff_s

    def __call__(self, url: str, output_file: str, pooch: Any = None, check_only: bool = False) -> None:
        """Put what is at ``url`` into ``output_file``, as pooch asks for it."""
        import requests

        failures = 0
        with requests.Session() as session:
            while True:
                before = self._have()
                try:
                    self._attempt(session, url)
                    break
                except _Again as problem:
                    failures = 1 if self._have() > before else failures + 1
                    if failures >= self.attempts:
                        raise ReadError(
                            f"{url} could not be downloaded: {problem}; {self._have()} bytes are kept in "
                            f"{self.part}: check the network (and proxy) and run it again to go on from there"
                        ) from problem.__cause__
                    time.sleep(self._pause(failures, problem.wait_s))
        os.replace(self.part, output_file)  # noqa: PTH105  # pooch gives text
        self.remembered.unlink(missing_ok=True)

    def _pause(self, failures: int, asked_s: float | None) -> float:
        if asked_s is not None:
            return min(asked_s, LONGEST_WAIT_S)
        return min(self.backoff_s * 2 ** (failures - 1), LONGEST_WAIT_S) * random.uniform(0.6, 1.0)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _begun(self, url: str) -> Version | None:
        """The version that ``part`` is the beginning of, if the rest of it may be asked for."""
        try:
            known = Version(**json.loads(self.remembered.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        usable = known.url == url and self._have() > 0 and (known.validator or self.trusted)
        return known if usable else None

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.remembered.unlink(missing_ok=True)

    def _attempt(self, session: Any, url: str) -> None:
        """One request, until the file is whole. Raises ``_Again`` for what may go better the next time."""
        import requests
        import urllib3

        begun = self._begun(url)
        if begun is None:
            self._forget()
        have = self._have()
        headers = {"Accept-Encoding": "identity", "User-Agent": "smalti (https://pypi.org/project/smalti)"}
        if begun is not None:
            headers["Range"] = f"bytes={have}-"
            if begun.validator:
                headers["If-Range"] = begun.validator
        try:
            with session.get(url, headers=headers, stream=True, timeout=self.timeout_s) as response:
                self._take(response, url, begun, have)
        except requests.exceptions.RequestException as error:
            if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
                raise ReadError(f"{url} is no address that can be downloaded: {error}") from error
            raise _Again(_in_words(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise _Again("the server stopped sending") from error
        except urllib3.exceptions.HTTPError as error:
            raise _Again("the connection broke") from error

    def _take(self, response: Any, url: str, begun: Version | None, have: int) -> None:
        """Write the body of an answer to its place."""
        if urlsplit(url).scheme == "https" and urlsplit(response.url).scheme != "https":
            raise ReadError(f"{url} leads on to {response.url}, which is not encrypted; it is refused")
        status = response.status_code
        if status in _PASSING:
            raise _Again(f"the server answers {status} {response.reason}", _asked_to_wait(response))
        found = self._version(response, url)
        if status == 416 and begun is not None:
            if found.total == have and begun.agrees(found):
                return  # it was whole already
            self._forget()
            raise _Again("the file has changed on the server; it is fetched anew", 0.0)
        if status not in (200, 206):
            raise ReadError(
                f"{url}: the server answers {status} {response.reason}; "
                "the file may have moved or need a registration: see the dataset's home page"
            )
        if status == 206:
            start = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if begun is None or start is None or int(start[1]) != have or not begun.agrees(found):
                self._forget()
                raise _Again("the file has changed on the server; it is fetched anew", 0.0)
        else:
            have = 0
        self.part.parent.mkdir(parents=True, exist_ok=True)
        self._check_room(found.total, have)
        self.remembered.write_text(json.dumps(found.__dict__), "utf-8")
        done = have
        try:
            with self.part.open("ab" if have else "wb") as file:
                # As it comes, so that nothing is lost when it stops, and as it is: what is called .tar.gz stays packed.
                while chunk := response.raw.read1(CHUNK_BYTES):
                    file.write(chunk)
                    done += len(chunk)
                    self.report(f"downloading {_file_name(url)}", done, found.total or self.size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise WriteError(
                    f"the disk of {self.part} is full after {done} bytes; free some space"
                ) from error
            raise
        if found.total is not None and done != found.total:
            if done > found.total:
                self._forget()
            raise _Again(f"{done} of {found.total} bytes came")

    def _version(self, response: Any, url: str) -> Version:
        """What an answer tells about the file it is of."""
        headers = response.headers
        total: int | None = None
        if "Content-Range" in headers:
            stated = headers["Content-Range"].rpartition("/")[2].strip()
            total = int(stated) if stated.isdigit() else None
        elif headers.get("Content-Length", "").isdigit() and response.status_code == 200:
            total = int(headers["Content-Length"])
        return Version(url, total, headers.get("ETag", ""), headers.get("Last-Modified", ""))

    def _check_room(self, total: int | None, have: int) -> None:
        wanted = (total or self.size or 0) - have
        free = shutil.disk_usage(self.part.parent).free
        if wanted + FREE_BYTES > free:
            raise WriteError(
                f"{self.part.parent} has {free / 1e9:.2f} GB free and {wanted / 1e9:.2f} GB are to come; "
                "free some space or choose a folder on another disk"
            )


class _Again(Exception):
    """An attempt that may go better the next time, after ``wait_s`` seconds if the server said so."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.wait_s = wait_s


def _asked_to_wait(response: Any) -> float | None:
    stated = response.headers.get("Retry-After", "")
    return float(stated) if stated.isdigit() else None


def _in_words(error: Exception) -> str:
    """What went wrong, for people: requests wraps the reason several times."""
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the server's certificate is not accepted ({error})"
    if isinstance(error, requests.exceptions.Timeout):
        return "the server does not answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "there is no connection to the server"
    return str(error)


def _file_name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2] or urlsplit(url).netloc
