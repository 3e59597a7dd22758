"""Zip archives that lie are refused with one line; nothing of them reaches the disk."""

import struct
import zipfile
import zlib

import pytest

from smalti.errors import ReadError
from smalti.io.archives import Archive


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def refused(path, **limits):
    with pytest.raises(ReadError) as error, Archive(path, **limits) as opened:
        for member in opened.members:
            opened.read(member)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_members_come_in_order_with_their_content(tmp_path):
    path = archive(tmp_path / "a.zip", [("b.roi", b"one"), ("sub/a.roi", b""), ("c.roi", b"x" * 5000)])
    with Archive(path) as opened:
        assert [(member.name, opened.read(member)) for member in opened.members] == [
            ("b.roi", b"one"),
            ("sub/a.roi", b""),
            ("c.roi", b"x" * 5000),
        ]


def test_folders_and_hidden_files_are_no_members(tmp_path):
    names = ["sub/", "__MACOSX/._a.roi", ".DS_Store", "sub/.a.roi", "sub/a.roi"]
    with Archive(archive(tmp_path / "a.zip", [(name, b"") for name in names])) as opened:
        assert [member.name for member in opened.members] == ["sub/a.roi"]


@pytest.mark.parametrize("name", ["../a.roi", "/etc/a.roi", "sub/../../a.roi", "..\\a.roi", "C:\\a.roi"])
def test_names_that_lead_outside_are_no_members(tmp_path, name):
    with Archive(archive(tmp_path / "a.zip", [(name, b"x"), ("fine.roi", b"y")])) as opened:
        assert [member.name for member in opened.members] == ["fine.roi"]
        ((refused_name, reason),) = opened.refused
        assert refused_name.replace("\\", "/") == name.replace("\\", "/")
        assert "outside" in reason
    assert not (tmp_path.parent / "a.roi").exists()


def test_a_name_of_nothing_is_no_member(tmp_path):
    path = archive(tmp_path / "a.zip", [("a.roi", b"x"), ("b.roi", b"y")])
    path.write_bytes(path.read_bytes().replace(b"a.roi", b"\0.roi"))
    with Archive(path) as opened:
        assert [member.name for member in opened.members] == ["b.roi"]
        assert "leads outside" in opened.refused[0][1]


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_stream_of_nonsense(tmp_path, kind):
    path = archive(tmp_path / "a.zip", [("a.roi", bytes(range(256)) * 9)], kind)
    content = bytearray(path.read_bytes())
    content[35:60] = b"\xff" * 25  # behind the header of 30 bytes and the name
    path.write_bytes(content)
    assert "damaged" in refused(path)


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path):
    path = archive(tmp_path / "bomb.zip", [("zeros.roi", bytes(50_000_000))])
    assert path.stat().st_size < 60_000
    assert "50000000" in refused(path)


def test_overlapping_members_are_counted_each(tmp_path):
    """A directory that names one stretch of bytes many times over, as the densest bombs do."""
    path = archive(tmp_path / "one.zip", [("a.roi", bytes(3_000_000))])
    content = path.read_bytes()
    end = content.rindex(b"PK\5\6")
    start = struct.unpack_from("<I", content, end + 16)[0]
    entry = content[start:end]
    count = 500
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, count * len(entry), start, 0)
    path.write_bytes(content[:start] + entry * count + tail)
    assert str(1_500_000_000) in refused(path)


def test_many_bytes_are_refused_whatever_their_ratio(tmp_path):
    path = archive(tmp_path / "a.zip", [("a.roi", bytes(2000))], zipfile.ZIP_STORED)
    assert "1000" in refused(path, max_bytes=1000)


def declare(path, size):
    """Write another uncompressed size for the only member, into both of its headers."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 22, size)
    struct.pack_into("<I", content, content.rindex(b"PK\1\2") + 24, size)
    path.write_bytes(content)


@pytest.mark.parametrize("declared", [10, 5000])
def test_a_member_holds_as_many_bytes_as_declared(tmp_path, declared):
    path = archive(tmp_path / "a.zip", [("a.roi", bytes(range(250)) * 4)])
    declare(path, declared)
    assert "member a.roi" in refused(path)


def test_no_more_is_read_than_declared(tmp_path):
    """A stream of many bytes under a small size, with the check sum of as many bytes as are declared."""
    path = archive(tmp_path / "a.zip", [("a.roi", bytes(1_000_000))])
    declare(path, 100)
    content = bytearray(path.read_bytes())
    for place in (14, content.rindex(b"PK\1\2") + 16):
        struct.pack_into("<I", content, place, zlib.crc32(bytes(100)))
    path.write_bytes(content)
    with Archive(path) as opened:
        assert len(opened.read(opened.members[0])) == 100


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_cut_archive(tmp_path, cut):
    path = archive(tmp_path / "a.zip", [("a.roi", bytes(range(250)))])
    path.write_bytes(path.read_bytes()[:-cut])
    assert "cut short" in refused(path)


def test_a_changed_byte_is_seen(tmp_path):
    path = archive(tmp_path / "a.zip", [("a.roi", b"abcdefgh")], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abcdefgX"))
    assert "damaged" in refused(path)


def test_encrypted_members(tmp_path):
    path = archive(tmp_path / "a.zip", [("a.roi", b"abc")])
    content = bytearray(path.read_bytes())
    for place in (6, content.rindex(b"PK\1\2") + 8):
        content[place] |= 1
    path.write_bytes(content)
    assert "encrypted" in refused(path)


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive at all")
    assert "no zip archive" in refused(tmp_path / "a.zip")
    assert "no file" in refused(tmp_path / "b.zip")
