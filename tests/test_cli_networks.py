"""The commands on networks: what they print, what they write, what they answer to bad input."""

import json

import pytest
from command_line import done, refused, smalti
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


@pytest.fixture(scope="module")
def fitted_folder(tmp_path_factory):
    """A model, m.smalti, with a dataset, discs, of three annotated images and one that is not."""
    pytest.importorskip("torch")
    from tiny_networks import STUFF, discs, fitted

    from smalti.data.dataset import Dataset

    folder = tmp_path_factory.mktemp("fitted")
    fitted("semantic").save(folder / "m.smalti")
    made = [discs((40, 48), 60 + n, STUFF, name=f"s{n}", split="train" if n < 2 else "val") for n in range(3)]
    Dataset(made, STUFF).write(folder / "discs")
    return folder


class TestBench:
    def test_the_table_has_a_row_for_each_runtime_that_there_is(self, fitted_folder):
        given = ("--runtime", "onnxruntime", "--threads", "1", "--no-memory")
        said = done("bench", "m.smalti", *given, cwd=fitted_folder)
        assert [line.split()[0] for line in said.splitlines()[2:4]] == ["torch", "onnxruntime"]
        assert "4 made-up images of 64 x 64; 1 thread;" in said
        assert "mean_iou" not in said
        assert "mean_iou" in done("bench", "m.smalti", *given, "--data", "discs", cwd=fitted_folder)

    def test_programs_get_json(self, fitted_folder):
        given = ("--runtime", "openvino-int8", "--no-memory", "--json", "--data", "discs", "--split", "train")
        told = json.loads(done("bench", "m.smalti", *given, cwd=fitted_folder))
        assert told["source"] == "2 images of split train"
        assert told["runtimes"][0]["runtime"] == "torch"
        assert set(told["runtimes"][1]) == {"runtime", "missing"}

    def test_a_runtime_nobody_knows_is_told(self, fitted_folder):
        assert "nearest: onnxruntime" in refused(
            "bench", "m.smalti", "--runtime", "onnxrt", cwd=fitted_folder
        )


class TestExport:
    def test_a_model_is_written_for_a_runtime_and_predicts(self, fitted_folder):
        given = ("--to", "torch", "--data", "discs", "--out", "t.smalti", "--no-memory")
        said = done("export", "m.smalti", *given, cwd=fitted_folder)
        assert "written: t.smalti" in said
        assert read_bundle(fitted_folder / "t.smalti").manifest["runtime"] == "torch"
        images = "discs/images/s0.png"
        one = done("predict", images, "--model", "t.smalti", "--out", "a", cwd=fitted_folder)
        other = ("predict", images, "--model", "m.smalti", "--runtime", "torch", "--out", "b")
        assert one.splitlines()[2].split()[:3] == done(*other, cwd=fitted_folder).splitlines()[2].split()[:3]
        found = [(fitted_folder / each / "s0.labels.png").read_bytes() for each in "ab"]
        assert found[0] == found[1]

    def test_a_refusal_shows_what_was_measured_and_writes_nothing(self, fitted_folder):
        given = ("--to", "torch", "--data", "discs", "--out", "r.smalti", "--no-memory", "--tolerance", "-1")
        answer = smalti("export", "m.smalti", *given, cwd=fitted_folder)
        assert answer.returncode == 2
        assert "mean_iou" in answer.stdout
        assert "loses 0.00 points of mean_iou against torch" in answer.stderr
        told = json.loads(smalti("export", "m.smalti", *given, "--json", cwd=fitted_folder).stdout)
        assert told["measured"]["metric"] == "mean_iou"
        assert not (fitted_folder / "r.smalti").exists()

    def test_a_plain_file_is_for_other_programs(self, fitted_folder):
        said = done("export", "m.smalti", "--to", "onnx", "--out", "m.onnx", cwd=fitted_folder)
        assert "it gives planes, class_map" in said
        assert (fitted_folder / "m.onnx").is_file()

    def test_a_runtime_is_only_for_models(self, fitted_folder):
        given = ("predict", "discs/images/s0.png", "--method", "otsu", "--runtime", "torch", "--out", "c")
        assert "--model" in refused(*given, cwd=fitted_folder)
