"""Runtimes are measured as they are, and what loses too much is not written."""

import json
import sys
from dataclasses import replace
from functools import cache
from types import ModuleType

import numpy as np
import pytest
from nearest_mean import NAME, nearest_mean  # noqa: F401  # a fixture
from tiny_networks import STUFF, THINGS, discs, fitted

import smalti
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError, UnknownName
from smalti.io.bundle import read_bundle
from smalti.runtime.engines import INT8_BIN, INT8_XML, RUNTIMES
from smalti.segmentation import Segmentation
from smalti.service import calibration, measuring, runtime_table
from smalti.service.calibration import images_of
from smalti.service.datasets import Opening
from smalti.service.exporting import Refused, bench_model, export_model, refusal
from smalti.service.measuring import measure_runtimes
from smalti.service.models import Model
from smalti.service.parity import Agreement

torch = pytest.importorskip("torch")


def samples(count=3, classes=STUFF, annotated=True, splits=(), size=(40, 48)):
    return [
        discs(
            size,
            30 + number,
            classes,
            name=f"s{number}",
            annotated=annotated,
            split=splits[number] if splits else None,
        )
        for number in range(count)
    ]


class Wrong:
    """A runtime that is sure of background everywhere."""

    precision, remark = "f32", "made for a test"

    @classmethod
    def load(cls, parts, threads=None):
        return cls()

    def run(self, batch):
        planes = np.zeros((len(batch), 3, *batch.shape[2:]), np.float32)
        planes[:, 0] = 1
        return planes


@pytest.fixture
def wrong(monkeypatch):
    """The name of a runtime that is in the table, and wrong."""
    place = sys.modules[Wrong.__module__] = sys.modules.get(Wrong.__module__) or ModuleType(Wrong.__module__)
    monkeypatch.setattr(place, "Wrong", Wrong, raising=False)
    monkeypatch.setitem(RUNTIMES, "wrong", f"{Wrong.__module__}:Wrong")
    return "wrong"


@pytest.fixture
def model(tmp_path):
    fitted("semantic").save(tmp_path / "m.smalti")
    return tmp_path / "m.smalti"


@pytest.fixture
def data(tmp_path):
    return written(tmp_path / "data", samples(5, splits=["train", "train", "val", "val", "test"]))


def written(folder, made, classes=STUFF):
    Dataset(made, classes).write(folder)
    return folder


class TestMeasuring:
    def test_each_runtime_is_compared_with_torch(self):
        table = measure_runtimes(fitted("semantic"), samples(), ["onnxruntime"], memory=False, threads=1)
        assert [row.runtime for row in table.rows] == ["torch", "onnxruntime"]
        first, other = table.rows
        assert first.agreement == other.agreement == 1
        assert first.score.value == other.score.value > 0.8
        assert first.score.low <= first.score.value <= first.score.high
        assert 0 < other.run.median <= other.run.p95
        assert other.run.median < other.predict.median
        assert (table.metric, table.images, table.threads) == ("mean_iou", 3, 1)
        assert table.faster["torch"] == 1

    def test_the_score_is_the_evaluators(self):
        from smalti.evaluation.evaluator import evaluate

        made, model = Dataset(samples(), STUFF), fitted("semantic")
        found = evaluate(
            made,
            {each.name: model.predict(each.image) for each in made},
            "semantic",
            metrics=["classes"],
            jobs=1,
        )
        metric, kept = found.metric("classes")
        wanted = metric.score(kept, np.ones((1, len(kept))))["mean_iou"][0]
        table = measure_runtimes(model, made, ["onnxruntime"], memory=False)
        assert table.row("onnxruntime").score.value == pytest.approx(wanted)

    def test_what_cannot_be_had_is_a_row_that_says_why(self):
        model = fitted("semantic")
        parts = {name: part for name, part in model.parts.items() if name != "weights.safetensors"}
        table = measure_runtimes(
            replace(model, parts=parts), samples(1), ["torch", "openvino-int8"], memory=False
        )
        assert table.reference == "onnxruntime"
        assert table.row("torch").missing is not None
        assert (
            "smalti export" in table.row("openvino-int8").missing
            or "openvino" in table.row("openvino-int8").missing
        )
        assert "compared with onnxruntime" in table.notes[0]

    def test_images_without_annotation_are_compared_and_not_scored(self):
        made = samples(2, annotated=False)
        table = measure_runtimes(fitted("semantic"), made, ["onnxruntime"], memory=False)
        assert table.metric is None
        assert table.row("onnxruntime").score is None
        assert table.row("onnxruntime").agreement == 1
        with pytest.raises(InputError, match="without annotations"):
            measure_runtimes(fitted("semantic"), made, ["onnxruntime"], metric="classes")

    def test_few_images_are_run_again_and_many_are_kept_in_parts(self, monkeypatch):
        monkeypatch.setattr(measuring, "TOGETHER_PX", 1)
        table = measure_runtimes(fitted("semantic"), samples(2), ["onnxruntime"], memory=False)
        assert table.images == 2
        assert table.row("onnxruntime").agreement == 1

    def test_memory_is_of_a_fresh_process(self):
        table = measure_runtimes(fitted("semantic"), samples(1), ["onnxruntime"], memory=True, threads=1)
        row = table.row("onnxruntime")
        assert row.memory is None or 1e6 < row.memory < 1e9

    def test_the_cores_of_torch_are_as_before(self):
        before = torch.get_num_threads()
        measure_runtimes(
            fitted("semantic"), samples(1), ["torch"], memory=False, threads=1 if before > 1 else 2
        )
        assert torch.get_num_threads() == before

    def test_a_score_that_is_no_share_is_refused(self):
        with pytest.raises(InputError, match="no score from 0 to 1"):
            measure_runtimes(
                fitted("semantic"), samples(1), ["onnxruntime"], metric="calibration", memory=False
            )

    def test_no_image_is_refused(self):
        with pytest.raises(InputError, match="there is none"):
            measure_runtimes(fitted("semantic"), [])

    def test_plain_values_are_json(self):
        table = measure_runtimes(fitted("semantic"), samples(1), ["onnxruntime"], memory=False)
        told = json.loads(json.dumps(table.to_json(), allow_nan=False))
        assert told["runtimes"][1]["precision"] == "f32"


class TestAgreement:
    def test_pixels_count_for_classes(self):
        agreement = Agreement("semantic")
        maps = np.zeros((2, 10), np.int32), np.zeros((2, 10), np.int32)
        maps[0][0], maps[1][0, :8] = 1, 1
        agreement.add(*(Segmentation.from_semantic_map(each, STUFF) for each in maps))
        assert agreement.value == pytest.approx(0.9)

    def test_objects_count_by_their_iou_and_strangers_on_either_side_as_nothing(self):
        def one(*objects):
            labels = np.zeros((4, 30), np.int32)
            for number, (first, last, _) in enumerate(objects, 1):
                labels[:, first:last] = number
            return Segmentation.from_labels(labels, class_ids=[each[2] for each in objects], classes=THINGS)

        agreement = Agreement("instance")
        agreement.add(one((0, 4, 1), (10, 20, 1)), one((0, 4, 1), (10, 15, 1), (22, 26, 1)))
        assert agreement.value == pytest.approx(2 * (1 + 0.5) / 5)
        other = Agreement("instance")
        other.add(one((0, 4, 1)), one((0, 4, 2)))  # another class
        assert other.value == 0
        assert Agreement("instance").value == 1


class TestExport:
    def test_a_bundle_is_carried_out_by_its_runtime_and_says_what_was_measured(self, model, data, tmp_path):
        out = tmp_path / "x.smalti"
        exported = export_model(model, "onnxruntime", out, data, memory=False, runtimes=["onnxruntime"])
        assert exported.table.source == "2 images of split val"
        manifest = read_bundle(out).manifest
        assert manifest["runtime"] == "onnxruntime"
        assert manifest["export"]["tolerance_points"] == 0.5
        assert [each["runtime"] for each in manifest["export"]["runtimes"]] == ["torch", "onnxruntime"]
        assert "| onnxruntime | f32 | 1.0000 |" in read_bundle(out).card
        assert json.loads(json.dumps(exported.to_json()))["to"] == "onnxruntime"
        assert smalti.load(out).predict(samples(1)[0].image) == smalti.load(model).predict(
            samples(1)[0].image
        )

    def test_what_loses_more_than_tolerated_is_not_written(self, model, data, tmp_path, wrong):
        out = tmp_path / "x.smalti"
        with pytest.raises(Refused, match=r"loses \d+\.\d+ points of mean_iou against torch") as refused:
            export_model(model, wrong, out, data, memory=False, runtimes=[])
        assert not out.exists()
        assert refused.value.table.row(wrong).agreement < 1
        assert refused.value.table.row(wrong).remark == "made for a test"

    def test_without_annotations_agreement_decides(self, model, tmp_path, wrong):
        data = written(tmp_path / "data", samples(2, annotated=False))
        export_model(model, "onnxruntime", tmp_path / "a.smalti", data, memory=False, runtimes=[])
        with pytest.raises(Refused, match="0.98 is asked for where no metric can be measured"):
            export_model(model, wrong, tmp_path / "b.smalti", data, memory=False, runtimes=[])
        assert not (tmp_path / "b.smalti").exists()

    def test_a_score_that_does_not_exist_is_none_to_judge_by(self):
        made = samples(2)
        empty = [
            smalti.Sample.of(
                each.name, each.image, Segmentation.from_semantic_map(np.zeros((40, 48), int), STUFF)
            )
            for each in made
        ]
        table = measure_runtimes(fitted("semantic"), empty, ["onnxruntime"], memory=False)
        nan = replace(table.rows[1], score=runtime_table.Scored(float("nan"), 0, 0))
        both = replace(table, rows=(replace(table.rows[0], score=nan.score), nan))
        assert refusal(both, "onnxruntime", "semantic", 0.5) is None  # the masks are the same
        scored = replace(table.rows[0], score=runtime_table.Scored(0.5, 0.4, 0.6))
        one = replace(table, rows=(scored, nan))
        assert "has no mean_iou" in refusal(one, "onnxruntime", "semantic", 0.5)
        zero = [replace(each, score=runtime_table.Scored(0.0, 0, 0)) for each in table.rows]
        other = replace(table, rows=(zero[0], replace(zero[1], agreement=0.9)))
        assert "agree with those of torch to 0.9000" in refusal(other, "onnxruntime", "semantic", 0.5)

    @pytest.mark.parametrize(
        ("to", "out", "given", "told"),
        [
            ("openvno", "x.smalti", True, "openvino"),
            ("onnxruntime", "x.onnx", True, "name.smalti"),
            ("onnxruntime", "x.smalti", False, "--data"),
            ("onnx", "x.smalti", False, "name.onnx"),
            ("onnxruntime", "m.smalti", True, "own input"),
        ],
    )
    def test_what_cannot_be_done_is_said_before_anything_is_measured(
        self, model, data, tmp_path, to, out, given, told
    ):
        with pytest.raises(InputError, match=told):
            export_model(model, to, tmp_path / out, data if given else None)
        assert not (tmp_path / "x.smalti").exists()

    def test_a_network_without_weights_is_not_written_for_torch(self, model, data, tmp_path):
        network = fitted("semantic")
        parts = {name: part for name, part in network.parts.items() if name != "weights.safetensors"}
        replace(network, parts=parts).save(model)
        with pytest.raises((InputError, ReadError)):
            export_model(model, "torch", tmp_path / "x.smalti", data, memory=False)

    def test_a_plain_file_needs_no_data(self, model, tmp_path):
        exported = export_model(model, "onnx", tmp_path / "x.onnx")
        assert exported.outputs == ("planes", "class_map")
        assert exported.agreement == 1
        assert (tmp_path / "x.onnx").stat().st_size == exported.bytes
        with pytest.raises(UnknownName):
            export_model(model, "onnx", tmp_path / "x.onnx", pixels="uint7")


class TestImages:
    def opened(self, *splits, count=None):
        return Dataset(samples(count or len(splits), splits=splits), STUFF)

    def test_calibration_is_on_train_and_measured_on_others(self):
        chosen = images_of(self.opened("train", "train", "val", "test"), None, True)
        assert chosen.measured.names == ["s2"]
        assert chosen.calibrated.names == ["s0", "s1"]
        assert (chosen.source, chosen.calibration) == ("1 image of split val", "2 of split train")

    def test_a_split_that_is_asked_for_is_never_calibrated_on(self):
        chosen = images_of(self.opened("train", "val", "val"), Opening(split="train"), True)
        assert chosen.measured.names == ["s0"]
        assert chosen.calibrated.names == ["s1", "s2"]

    def test_without_splits_every_second_image_calibrates(self):
        chosen = images_of(self.opened(count=5), None, True)
        assert chosen.measured.names == ["s0", "s2", "s4"]
        assert chosen.calibrated.names == ["s1", "s3"]

    def test_one_image_cannot_be_both(self):
        with pytest.raises(InputError, match="is one image only"):
            images_of(self.opened(count=1), None, True)
        assert len(images_of(self.opened(count=1), None, False).measured) == 1

    def test_no_more_than_asked_are_taken(self):
        assert images_of(self.opened(count=5), None, False, 2).measured.names == ["s0", "s4"]


@cache
def quantized(kind="semantic", networks=1):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    model = fitted(kind) if networks == 1 else fitted(kind, steps=20, networks=networks)
    return calibration.quantized(model, samples(3, model.classes))


class TestInt8:
    def test_it_is_written_with_its_parts_and_runs(self, model, data, tmp_path):
        pytest.importorskip("nncf")
        out = tmp_path / "x.smalti"
        exported = export_model(
            model, "openvino-int8", out, data, tolerance=30, memory=False, runtimes=["openvino-int8"]
        )
        assert exported.calibration == "2 of split train"
        row = exported.table.row("openvino-int8")
        assert row.precision == "int8"
        assert row.agreement > 0.9
        loaded = smalti.load(out)
        assert {INT8_XML, INT8_BIN} <= set(loaded.parts)
        assert loaded.runtime == "openvino-int8"
        assert len(loaded.predict(samples(1)[0].image)) == 2

    def test_a_loss_beyond_the_tolerance_is_refused(self, model, data, tmp_path):
        pytest.importorskip("nncf")
        with pytest.raises(Refused, match="openvino-int8"):
            export_model(
                model, "openvino-int8", tmp_path / "x.smalti", data, tolerance=-50, memory=False, runtimes=[]
            )
        assert not (tmp_path / "x.smalti").exists()

    def test_each_of_several_networks_has_its_own(self):
        model = quantized(networks=2)
        assert {"network-int8.xml", "network-int8-2.xml"} <= set(model.parts)
        assert model.parts["network-int8.bin"] != model.parts["network-int8-2.bin"]
        image = samples(1)[0].image
        planes = model.with_runtime("openvino-int8").predict_planes(image)
        assert np.abs(planes - model.predict_planes(image)).mean() < 0.05

    def test_volumes_are_calibrated_on_parts_of_them(self, monkeypatch):
        pytest.importorskip("nncf")
        monkeypatch.setitem(calibration.CALIBRATION_PX, 3, 16)
        model = fitted("volume")
        volumes = samples(2, model.classes, size=(12, 20, 24))
        assert [batch.shape for batch in calibration._batches(model, volumes)] == [(1, 3, 12, 16, 16)] * 2
        made = calibration.quantized(model, volumes)
        planes = made.with_runtime("openvino-int8").predict_planes(volumes[0].image)
        assert np.abs(planes - model.predict_planes(volumes[0].image))[model.planes.classes].mean() < 0.05


class TestUse:
    def test_bench_makes_up_images_of_the_kind_that_was_learned_from(self, tmp_path):
        fitted("volume").save(tmp_path / "m.smalti")
        table = bench_model(tmp_path / "m.smalti", runtimes=["onnxruntime"], memory=False)
        assert table.source == "4 made-up images of 12 x 24 x 24"
        assert table.metric is None
        assert table.row("onnxruntime").agreement == pytest.approx(1, abs=0.01)

    def test_a_model_is_carried_out_by_the_runtime_that_is_asked_for(self, model):
        asked = Model.of(model, "torch")
        assert asked.loaded.runtime == "torch"
        assert Model.model_validate(asked.model_dump()).loaded.runtime == "torch"
        assert Model.of(model).loaded.runtime == "onnxruntime"
        with pytest.raises(UnknownName, match="torch"):
            Model.of(model, "trch")

    @pytest.mark.usefixtures("nearest_mean")
    def test_a_model_that_is_no_network_has_no_runtimes(self, tmp_path):
        from smalti.service.models import fit_model

        folder = written(tmp_path / "d", samples(2))
        fit_model(folder, tmp_path / "f.smalti", NAME)
        with pytest.raises(InputError, match="no network, so there are no runtimes"):
            Model.of(tmp_path / "f.smalti", "openvino")
        with pytest.raises(InputError, match="no network"):
            bench_model(tmp_path / "f.smalti")
