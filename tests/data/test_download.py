"""Downloads, tried against a server in a thread of the test: nothing here touches the network."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import re
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from smalti.data import download, transfer, unpacking
from smalti.data.dataset import Dataset
from smalti.data.download import fetch, fetched
from smalti.data.public import PUBLIC_DATASETS, PublicDataset, PublicFile, public_dataset
from smalti.data.unpacking import unpack
from smalti.errors import InputError, ReadError, UnknownName, WriteError
from smalti.io.formats import ANNOTATION_FORMATS

pytest.importorskip("pooch")


class Server:
    """A file server that misbehaves as told: answers it gives first, bytes after which an answer breaks off."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.etag: str | None = "by content"  # or a fixed one, or None
        self.cuts: list[int | None] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.length = True
        self.asked: list[tuple[str, str | None]] = []  # path, Range
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request):
        wanted = request.headers.get("Range")
        self.asked.append((request.path, wanted))
        request.close_connection = True
        status = self.statuses.pop(0) if self.statuses else None
        content = self.files.get(request.path)
        if status or content is None:
            request.send_response(status or 404)
            request.send_header("Retry-After", "0")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        etag = self.etag
        if etag == "by content":
            etag = f'"{hashlib.md5(content).hexdigest()}"'
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        condition = request.headers.get("If-Range")
        if self.ranges and match and (condition is None or condition == etag):
            start = int(match[1])
        if start >= len(content) and start:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
        elif start:
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        if etag:
            request.send_header("ETag", etag)
        body = content[start:]
        if self.length:
            request.send_header("Content-Length", str(len(body)))
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.end_headers()
        cut = self.cuts.pop(0) if self.cuts else None
        request.wfile.write(body if cut is None else body[:cut])


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    server.close()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


NOISE = np.random.default_rng(0).bytes(300_000)
ARCHIVE = zipped({"set/images/a.png": NOISE, "set/labels/a.png": b"label", "__MACOSX/x": b"", "set/.DS": b""})


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def dataset(server, content=ARCHIVE, name="/set.zip", digest="right", **fields):
    server.files[name] = content
    known = sha256(content) if digest == "right" else digest
    file = PublicFile(server.url + name, known, len(content))
    values = {
        "name": "tiny",
        "title": "a tiny set",
        "files": (file,),
        "licence": "CC0-1.0",
        "commercial": "yes",
        "citation": "nobody",
        "homepage": server.url,
        "format": "label-maps",
        "root": "set",
    }
    return PublicDataset(**(values | fields))


def get(entry, folder, **options):
    return fetch(entry, folder, **({"backoff_s": 0.0, "attempts": 4, "timeout_s": 5.0} | options))


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_dataset_is_fetched_checked_and_unpacked(server, tmp_path):
    entry = dataset(server)
    path = get(entry, tmp_path / "new" / "data")
    assert path == tmp_path / "new" / "data" / "tiny" / "set"
    assert files_below(path) == ["images/a.png", "labels/a.png"]
    assert (path / "images/a.png").read_bytes() == NOISE
    assert files_below(tmp_path / "new" / "data") == [
        "tiny.download.json",
        "tiny/set/images/a.png",
        "tiny/set/labels/a.png",
    ]
    (record,) = fetched(entry, tmp_path / "new" / "data")
    assert record.verified and f"sha256:{record.sha256}" == sha256(ARCHIVE) and record.size == len(ARCHIVE)


def test_what_is_there_is_not_asked_for_again(server, tmp_path):
    entry = dataset(server)
    get(entry, tmp_path)
    server.close()
    assert get(entry, tmp_path, offline=True).is_dir()
    assert len(server.asked) == 1


def test_offline_asks_nothing_of_the_network(server, tmp_path):
    with pytest.raises(InputError, match=r"tiny is not in .*; fetch it while there is a network"):
        get(dataset(server), tmp_path, offline=True)
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_progress_is_told_up_to_the_end(server, tmp_path):
    told = []
    get(dataset(server), tmp_path, report=lambda *what: told.append(what))
    downloads = [(done, total) for what, done, total in told if what == "downloading set.zip"]
    assert downloads == sorted(downloads) and downloads[-1] == (len(ARCHIVE), len(ARCHIVE))
    assert any(what == "unpacking set.zip" for what, _, _ in told)


def test_nothing_is_printed(server, tmp_path, capfd):
    get(dataset(server, digest=None), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.cuts = [100_000, 50_000, None]
    get(dataset(server), tmp_path)
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_stopped_program_goes_on_the_next_time(server, tmp_path):
    entry = dataset(server)

    def stop(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(entry, tmp_path, report=stop)
    (part,) = tmp_path.rglob("*.part")
    kept = part.stat().st_size
    assert 0 < kept < len(ARCHIVE) and not (tmp_path / "tiny").exists()
    get(entry, tmp_path)
    assert [wanted for _, wanted in server.asked] == [None, f"bytes={kept}-"]


def test_progress_counts_as_success_so_a_weak_line_gets_there(server, tmp_path):
    server.cuts = [30_000] * 20
    get(dataset(server), tmp_path, attempts=2)
    assert len(server.asked) == 1 + len(ARCHIVE) // 30_000


def test_a_line_that_brings_nothing_is_given_up_and_what_came_is_kept(server, tmp_path):
    server.cuts = [40_000, 0, 0, 0, 0]
    with pytest.raises(
        ReadError, match=r"connection broke.*40000 bytes are kept in .*set\.zip\.part.*run it again"
    ):
        get(dataset(server), tmp_path)
    server.cuts = []
    get(dataset(server), tmp_path)
    assert server.asked[-1][1] == "bytes=40000-"


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges, server.cuts = False, [100_000, None]
    path = get(dataset(server), tmp_path)
    assert (path / "images/a.png").read_bytes() == NOISE
    assert len(server.asked) == 2


def test_a_file_of_unknown_length_is_taken_as_it_comes(server, tmp_path):
    server.length = False
    get(dataset(server), tmp_path / "whole")
    server.cuts = [100_000, None]
    with pytest.raises(ReadError, match="cut short"):
        get(dataset(server, digest=None), tmp_path / "cut")
    get(dataset(server, digest=None), tmp_path / "cut")  # what was cut is not kept for right


def test_a_packed_file_stays_packed_whatever_the_server_calls_it(server, tmp_path):
    server.headers = {"Content-Encoding": "gzip"}
    packed = tarred([(member("set/a.txt"), b"a")])
    get(dataset(server, packed, "/set.tar.gz"), tmp_path)
    assert files_below(tmp_path / "tiny") == ["set/a.txt"]


def test_a_file_that_changed_meanwhile_is_not_glued_to_its_old_beginning(server, tmp_path):
    new = zipped({"set/images/a.png": NOISE[::-1], "set/labels/a.png": b"other"})
    entry = dataset(server, digest=None)
    server.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(ReadError):
        get(entry, tmp_path)
    server.files["/set.zip"] = new
    path = get(entry, tmp_path)
    assert (path / "images/a.png").read_bytes() == NOISE[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_validator_and_digest_it_starts_anew(server, tmp_path, etag):
    server.etag, server.cuts = etag, [100_000, None]
    path = get(dataset(server, digest=None), tmp_path)
    assert [wanted for _, wanted in server.asked] == [None, None]
    assert (path / "images/a.png").read_bytes() == NOISE


def test_without_a_validator_a_digest_vouches_for_the_rest(server, tmp_path):
    server.etag, server.cuts = None, [100_000, None]
    get(dataset(server), tmp_path)
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-"]


def test_a_server_that_sends_another_range_is_not_believed(server, tmp_path):
    entry = dataset(server)
    server.cuts = [100_000, None, None]
    server.headers = {}
    real = server.answer

    def lying(request):
        if request.headers.get("Range") and len(server.asked) == 1:
            server.asked.append((request.path, request.headers["Range"]))
            request.close_connection = True
            request.send_response(206)
            request.send_header("Content-Range", f"bytes 90000-{len(ARCHIVE) - 1}/{len(ARCHIVE)}")
            request.send_header("Content-Length", str(len(ARCHIVE) - 90_000))
            request.end_headers()
            request.wfile.write(ARCHIVE[90_000:])
        else:
            real(request)

    server.answer = lying
    path = get(entry, tmp_path)
    assert (path / "images/a.png").read_bytes() == NOISE


def test_a_whole_part_is_not_fetched_again(server, tmp_path):
    entry = dataset(server)
    part = tmp_path / "tiny.archives" / "set.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(ARCHIVE)
    version = {"url": entry.files[0].url, "total": len(ARCHIVE), "etag": "", "modified": ""}
    part.with_name("set.zip.part.json").write_text(json.dumps(version))
    get(entry, tmp_path)
    assert server.asked == [("/set.zip", f"bytes={len(ARCHIVE)}-")]


def test_a_part_without_its_note_is_not_trusted(server, tmp_path):
    part = tmp_path / "tiny.archives" / "set.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    get(dataset(server), tmp_path)
    assert server.asked == [("/set.zip", None)]


def test_an_overloaded_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429, 500]
    get(dataset(server), tmp_path)
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final_and_told(server, tmp_path, status):
    server.statuses = [status]
    with pytest.raises(ReadError, match=f"answers {status}.*home page"):
        get(dataset(server), tmp_path)
    assert len(server.asked) == 1 and not (tmp_path / "tiny").exists()


@pytest.mark.parametrize("url", ["ftp://data.example/set.zip", "file:///etc/passwd", "http://"])
def test_addresses_of_other_kinds_are_refused(server, tmp_path, url):
    entry = dataset(server, files=(PublicFile(url),))
    with pytest.raises(ReadError, match="no address that can be downloaded"):
        get(entry, tmp_path)


def test_no_server_at_all_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    entry = dataset(server)
    server.close()
    with pytest.raises(ReadError, match=r"no connection to the server.*check the network \(and proxy\)"):
        get(entry, tmp_path, attempts=2)


def test_a_silent_server_times_out(server, tmp_path):
    entry = dataset(server)
    release = threading.Event()
    server.answer = lambda request: release.wait(5)
    try:
        with pytest.raises(ReadError, match="does not answer in time"):
            get(entry, tmp_path, timeout_s=0.2, attempts=1)
    finally:
        release.set()


def test_the_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", server.url)
    entry = dataset(server)
    far = PublicFile("http://data.example/set.zip", sha256(ARCHIVE))
    server.files["http://data.example/set.zip"] = ARCHIVE
    get(PublicDataset(**(entry.__dict__ | {"files": (far,)})), tmp_path)
    assert server.asked == [("http://data.example/set.zip", None)]


def test_a_wrong_digest_is_refused_and_the_file_thrown_away(server, tmp_path):
    with pytest.raises(ReadError, match="not the file it should be.*published.*thrown away"):
        get(dataset(server, digest="sha256:" + "0" * 64), tmp_path)
    assert not (tmp_path / "tiny").exists()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


def test_md5_digests_are_checked_too(server, tmp_path):
    get(dataset(server, digest=f"md5:{hashlib.md5(ARCHIVE).hexdigest()}"), tmp_path / "right")
    with pytest.raises(ReadError, match="digest differs"):
        get(dataset(server, digest="md5:" + "0" * 32), tmp_path / "wrong")


def test_a_file_without_published_digest_must_stay_the_same(server, tmp_path):
    entry = dataset(server, digest=None)
    get(entry, tmp_path)
    (record,) = fetched(entry, tmp_path)
    assert not record.verified and f"sha256:{record.sha256}" == sha256(ARCHIVE)
    (tmp_path / "tiny").rename(tmp_path / "away")
    server.files["/set.zip"] = zipped({"set/images/a.png": b"other"})
    with pytest.raises(
        ReadError, match=r"differs from the one of the first download.*remove the \.download\.json"
    ):
        get(entry, tmp_path)


def test_a_folder_of_the_user_is_left_alone(server, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is there and is no finished download"):
        get(dataset(server), tmp_path)
    assert files_below(tmp_path) == ["tiny/mine.txt"] and server.asked == []


def test_a_full_disk_is_told_before_anything_is_fetched(server, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(WriteError, match=r"0\.00 GB free.*free some space"):
        get(dataset(server), tmp_path)
    assert not list(tmp_path.rglob("*.part"))


def test_an_archive_that_is_another_one_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(ReadError, match="the archive has no elsewhere"):
        get(dataset(server, root="elsewhere"), tmp_path)
    assert not (tmp_path / "tiny").exists()
    assert not list(tmp_path.glob(".tiny*"))


def test_what_a_killed_process_left_is_cleared_away(server, tmp_path):
    (tmp_path / ".tiny.unpacking-0123").mkdir()
    (tmp_path / ".tiny.unpacking-0123" / "half.png").write_bytes(b"half")
    get(dataset(server), tmp_path)
    assert not list(tmp_path.glob(".tiny*"))


def test_several_files_inner_archives_and_plain_files_come_together(server, tmp_path):
    inner = zipped({"panoptic/a.png": b"png"})
    outer = zipped({"annotations/panoptic.zip": inner, "annotations/panoptic.json": b"{}"})
    server.files |= {"/outer.zip": outer, "/classes%20of%20it.json": b"[]"}
    entry = dataset(
        server,
        files=(
            PublicFile(server.url + "/outer.zip", sha256(outer), inner=("annotations/panoptic.zip",)),
            PublicFile(server.url + "/classes%20of%20it.json", sha256(b"[]"), into="more"),
        ),
        root="annotations/panoptic.json",
    )
    path = get(entry, tmp_path, keep_archives=True)
    assert path.name == "panoptic.json"
    assert files_below(tmp_path / "tiny") == [
        "annotations/panoptic.json",
        "annotations/panoptic/a.png",
        "more/classes of it.json",
    ]
    assert (tmp_path / "tiny.archives" / "outer.zip").read_bytes() == outer


def test_two_processes_do_not_fetch_one_dataset(server, tmp_path):
    from filelock import FileLock

    (tmp_path / "tiny.archives").mkdir()
    with (
        FileLock(tmp_path / "tiny.archives" / ".lock"),
        pytest.raises(InputError, match="by another process"),
    ):
        get(dataset(server), tmp_path)


def test_a_damaged_record_is_told(server, tmp_path):
    (tmp_path / "tiny.download.json").write_text("[{")
    with pytest.raises(ReadError, match=r"tiny\.download\.json is damaged"):
        get(dataset(server), tmp_path)


# Unpacking


def tarred(members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_tar_archives_are_unpacked(tmp_path, suffix):
    mode = {"tar": "w", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}.get(suffix, "w:gz")
    files = [(member("./set/a.txt"), b"a"), (member("set/._a.txt"), b"junk"), (member("set/b/c.txt"), b"c")]
    archive = tmp_path / f"x.{suffix}"
    archive.write_bytes(tarred([(member("set", tarfile.DIRTYPE), b""), *files], mode))
    assert unpack(archive, tmp_path / "out") == 2
    assert files_below(tmp_path / "out") == ["set/a.txt", "set/b/c.txt"]


ESCAPES = ["../outside.txt", "/tmp/outside.txt", "a/../../outside.txt", "C:/outside.txt", "..\\outside.txt"]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_outside_are_refused(tmp_path, name, kind):
    archive = tmp_path / "box" / f"x.{kind}"
    archive.parent.mkdir()
    archive.write_bytes(zipped({name: b"x"}) if kind == "zip" else tarred([(member(name), b"x")], "w"))
    with pytest.raises(ReadError, match="leads outside"):
        unpack(archive, tmp_path / "box" / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [archive.name]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = tmp_path / "x.tar"
    archive.write_bytes(tarred([(member("a", kind, link="/etc/passwd"), b"")], "w"))
    with pytest.raises(ReadError, match="link or device"):
        unpack(archive, tmp_path / "out")
    assert files_below(tmp_path / "out") == []


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("a")
    info.external_attr = 0o120777 << 16
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as zipped_file:
        zipped_file.writestr(info, "/etc/passwd")
    with pytest.raises(ReadError, match="link or device"):
        unpack(archive, tmp_path / "out")


def test_bombs_are_refused_by_what_they_declare(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_SMALL", 1000)
    for name, content in (
        ("x.zip", zipped({"zeros": bytes(10_000_000)})),
        ("x.tar.gz", tarred([(member("zeros"), bytes(10_000_000))])),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReadError, match="refused"):
            unpack(tmp_path / name, tmp_path / "out")
    assert files_below(tmp_path / "out") == []


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_FILES", 5)
    (tmp_path / "x.zip").write_bytes(zipped({f"{k}": b"" for k in range(6)}))
    with pytest.raises(ReadError, match="more than 5 files"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_a_name_that_comes_twice_is_refused(tmp_path):
    (tmp_path / "x.tar").write_bytes(tarred([(member("a"), b"1"), (member("./a"), b"2")], "w"))
    with pytest.raises(ReadError, match="twice"):
        unpack(tmp_path / "x.tar", tmp_path / "out")


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz"])
def test_damaged_archives_are_told(tmp_path, name):
    mode = {"x.tar": "w", "x.tar.bz2": "w:bz2", "x.tar.xz": "w:xz"}.get(name, "w:gz")
    whole = zipped({"a": NOISE}) if name == "x.zip" else tarred([(member("a"), NOISE)], mode)
    for content in (whole[: len(whole) // 2], b"", b"<html>not found</html>"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReadError, match=name):
            unpack(tmp_path / name, tmp_path / "out")
        for left in (tmp_path / "out").glob("*"):
            left.unlink()


# The table


def test_every_entry_says_all_there_is_to_say():
    for name, entry in PUBLIC_DATASETS.items():
        assert entry.name == name and entry.title and entry.licence and entry.citation
        assert entry.format in ANNOTATION_FORMATS
        assert entry.homepage.startswith("http")
        assert not Path(entry.root).is_absolute() and ".." not in entry.root
        for file in entry.files:
            assert file.url.startswith("http")
            if file.digest:
                algorithm, _, value = file.digest.partition(":")
                assert re.fullmatch({"sha256": "[0-9a-f]{64}", "md5": "[0-9a-f]{32}"}[algorithm], value)
        if "NC" in entry.licence or "non-commercial" in entry.licence:
            assert entry.commercial == "no"


def test_entries_know_their_size_and_whether_they_can_be_checked():
    pets = public_dataset("oxford-pets")
    assert pets.verified and pets.size == 791_918_971 + 19_173_078
    assert not public_dataset("penn-fudan").verified and public_dataset("penn-fudan").size is None


LABELS = np.zeros((20, 24), np.uint8)
LABELS[2:9, 3:9], LABELS[12:15, 3:9] = 1, 2


def picture(path, pixels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((20, 24, 3), 90, np.uint8) if pixels is None else pixels).save(path)


def lay_out_pets(folder):
    picture(folder / "images/Abyssinian_1.jpg")
    picture(folder / "annotations/trimaps/Abyssinian_1.png", LABELS + 1)
    (folder / "annotations/xmls").mkdir()
    (folder / "annotations/list.txt").write_text("Abyssinian_1 1 1 1\n")


def lay_out_scenes(folder):
    for split in ("training", "validation"):
        picture(folder / f"images/{split}/ADE_{split}_1.jpg")
        picture(folder / f"annotations/{split}/ADE_{split}_1.png", LABELS)
    names = [f"{k}\t0.1\t11\t1\t1\tthing {k}" for k in range(1, 151)]
    (folder / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tStuff\tName", *names]))


def lay_out_aerial(folder):
    picture(folder / "images/M-33-20.tif")
    picture(folder / "masks/M-33-20.tif", LABELS)
    (folder / "train.txt").write_text("M-33-20_0\n")


def lay_out_nuclei(folder):
    for split in ("train", "test"):
        picture(folder / f"{split}/images/{split}.tif", LABELS)
        picture(folder / f"{split}/masks/{split}.tif", LABELS.astype(np.uint16))


def lay_out_clips(folder):
    for clip in ("bear", "camel"):
        picture(folder / f"JPEGImages/480p/{clip}/00000.jpg")
        picture(folder / f"Annotations/480p/{clip}/00000.png", LABELS)
    (folder / "ImageSets/2017").mkdir(parents=True)
    (folder / "ImageSets/2017/train.txt").write_text("bear\n")


def lay_out_pedestrians(folder):
    picture(folder / "PNGImages/FudanPed00001.png")
    picture(folder / "PedMasks/FudanPed00001_mask.png", LABELS)
    (folder / "Annotation").mkdir()


@pytest.mark.parametrize(
    ("name", "lay_out", "samples", "segments"),
    [
        ("oxford-pets", lay_out_pets, 1, 1),
        ("ade20k", lay_out_scenes, 2, 2),
        ("landcover-ai", lay_out_aerial, 1, 2),
        ("dsb2018", lay_out_nuclei, 2, 2),
        ("davis2017", lay_out_clips, 2, 2),
        ("penn-fudan", lay_out_pedestrians, 1, 2),
    ],
)
def test_an_entry_names_the_format_and_options_that_read_its_layout(
    tmp_path, name, lay_out, samples, segments
):
    """Folders as the archives have them, with small pictures of our own."""
    entry = public_dataset(name)
    lay_out(tmp_path / entry.root)
    dataset = Dataset.open(tmp_path / entry.root, entry.format, **entry.options)
    assert len(dataset) == samples
    assert len(dataset[0].truth) == segments
    assert name != "oxford-pets" or dataset[0].truth.void_px == (LABELS == 2).sum()


def test_an_unknown_name_is_told_with_the_nearest(tmp_path):
    with pytest.raises(UnknownName, match="nearest: oxford-pets"):
        fetch("oxford-pet", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_pooch_comes_with_its_extra(server, tmp_path, monkeypatch):
    def missing(module, extra):
        raise download.ReadError(f"{module} from {extra}")

    monkeypatch.setattr(download, "require", missing)
    with pytest.raises(ReadError, match="pooch from download"):
        get(dataset(server), tmp_path)


def test_the_page_has_a_row_for_every_entry_as_the_table_has_it():
    page = (Path(__file__).parents[2] / "docs" / "download.md").read_text("utf-8")
    rows = [
        f"| `{entry.name}` | {entry.title} | {'?' if entry.size is None else f'{entry.size / 1e6:,.0f}'} "
        f"| {entry.licence} | {entry.commercial} | {'yes' if entry.verified else 'no'} |"
        for entry in PUBLIC_DATASETS.values()
    ]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows
