"""Documents of strangers are read whole or refused by one line that says where."""

import pytest

from smalti.errors import ReadError
from smalti.io.formats.documents import read_json, read_xml, read_yaml


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def test_json_with_and_without_byte_order_mark(written):
    assert read_json(written("a.json", b'{"a": [1]}')) == {"a": [1]}
    assert read_json(written("a.json", b'\xef\xbb\xbf{"a": 1}')) == {"a": 1}
    assert read_json(written("a.json", b"[1]"), list) == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": [1, 2', "cut short"),
        (b'{"a": x}', "line 1, column 7"),
        (b"[1]", "wanted an object"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"[" * 100_000, "nested|cut short"),
        (b"", "cut short|no JSON"),
    ],
)
def test_bad_json(written, content, message):
    with pytest.raises(ReadError, match=message) as raised:
        read_json(written("a.json", content))
    assert "a.json" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_xml(written):
    assert read_xml(written("a.xml", b"<a><b/></a>")).find("b") is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<a><b>", "no XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (b"", "no XML"),
    ],
)
def test_bad_xml(written, content, message):
    with pytest.raises(ReadError, match=message) as raised:
        read_xml(written("a.xml", content))
    assert "\n" not in str(raised.value)


def test_yaml(written):
    assert read_yaml(written("a.yaml", b"names: [a, b]")) == {"names": ["a", "b"]}


@pytest.mark.parametrize("content", [b"a: [", b"- a", b"!!python/object/apply:os.system [ls]", b"\x00"])
def test_bad_yaml(written, content):
    with pytest.raises(ReadError) as raised:
        read_yaml(written("a.yaml", content))
    assert "\n" not in str(raised.value)


def test_yaml_that_stands_for_gigabytes_is_refused(written):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(ReadError, match="aliases"):
        read_yaml(written("a.yaml", "\n".join(lines).encode()))


def test_a_missing_document_is_named(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        read_json(tmp_path / "a.json")
