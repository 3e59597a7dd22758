"""The commands on networks: what they print, what they write, what they answer to bad input."""

import json

import pytest
from command_line import done, refused
from onnx_graphs import network

from smalti.io.bundle import read_bundle
from smalti.runtime.preparation import Preparation

GIVEN = ("--mean", "0.5,0.4,0.3", "--std", "0.25", "--scale", "1/255", "--out", "m.smalti")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.onnx").write_bytes(network(planes=3))
    return tmp_path


class TestImport:
    def test_a_graph_becomes_a_model(self, folder):
        said = done("import", "net.onnx", "--classes", "road, car", *GIVEN, "--licence", "MIT", cwd=folder)
        assert "background, road, car" in said
        assert "written: m.smalti" in said
        manifest = read_bundle(folder / "m.smalti").manifest
        assert manifest["made"]["imported"] == "net.onnx"
        assert manifest["made"]["licences"] == ["MIT"]
        normalization = Preparation.restored(manifest["preparation"]).normalization
        assert normalization.mean == pytest.approx((0.5, 0.4, 0.3))
        assert normalization.std == pytest.approx((0.25, 0.25, 0.25))
        assert "road" in done("info", "m.smalti", cwd=folder)

    def test_programs_get_json(self, folder):
        told = json.loads(done("import", "net.onnx", "--classes", "a,b,c", *GIVEN, "--json", cwd=folder))
        assert told["planes"] == ["a", "b", "c"]
        assert told["bytes"] == (folder / "m.smalti").stat().st_size
        assert told["report"]["size"] == "any"

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["net.onnx", "--classes", "a,,c"], "separated by commas"),
            (["net.onnx", "--classes", "a,b,c", "--size", "axb"], "--size"),
            (["net.onnx", "--classes", "a,b,c", "--scale", "1/0"], "--scale"),
            (["net.onnx", "--classes", "a"], "--classes"),
            (["other.onnx", "--classes", "a"], "no file other.onnx"),
            (["m.onnx", "--classes", "a"], "m.onnx: this is no ONNX graph"),
            ([".", "--classes", "a"], "folder"),
        ],
    )
    def test_what_is_wrong_is_said_in_a_line_and_nothing_written(self, folder, arguments, told):
        (folder / "m.onnx").write_bytes(b"no graph")
        given = [*arguments, *GIVEN]
        if "--scale" in arguments:
            del given[given.index("1/255") - 1 : given.index("1/255") + 1]
        assert told in refused("import", *given, cwd=folder)
        assert not (folder / "m.smalti").exists()

    def test_the_model_is_not_written_over_its_source(self, folder):
        (folder / "net.smalti").write_bytes(network(planes=3))
        given = [*GIVEN[:-1], "net.smalti"]
        assert "own input" in refused("import", "net.smalti", "--classes", "a,b,c", *given, cwd=folder)
        assert "name.smalti" in refused(
            "import", "net.onnx", "--classes", "a", *GIVEN[:-1], "m.zip", cwd=folder
        )
