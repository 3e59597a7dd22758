"""Every runtime gives the same planes, for any size and any number of threads, and says what it cannot do."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from onnx import TensorProto
from onnx_graphs import constant, graph_of, network, node, port, weights

from smalti.errors import InputError, MissingExtra, ReadError, UnknownName
from smalti.runtime import engines
from smalti.runtime.engines import (
    DEFAULT,
    INT8_BIN,
    INT8_XML,
    NETWORK,
    RUNTIMES,
    default_threads,
    load_runtime,
)
from smalti.runtime.quantize import quantize

EXACT = ("onnxruntime", "openvino", "torch")
QUICK = ("onnxruntime", "openvino")


def make_module():
    torch = pytest.importorskip("torch")
    first = torch.nn.Conv2d(3, 6, 3, padding=1, bias=False)
    last = torch.nn.Conv2d(6, 3, 1)
    with torch.no_grad():
        for parameter, values in zip((first.weight, last.weight, last.bias), weights().values(), strict=True):
            parameter.copy_(torch.from_numpy(values))
    return torch.nn.Sequential(first, torch.nn.ReLU(), last)


def batch_of(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


@cache
def parts():
    return {NETWORK: network()}


@cache
def loaded(name):
    if name.startswith("openvino"):
        pytest.importorskip("openvino")
    return load_runtime(name, parts(), threads=1, make_module=make_module)


@cache
def quantized():
    pytest.importorskip("nncf")
    return quantize(network(), [batch_of(1, 3, 32, 40, seed=seed) for seed in range(3)])


class TestPlanes:
    @pytest.mark.parametrize("name", EXACT)
    @pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 33, 17), (3, 3, 20, 64)])
    def test_any_size_and_batch_gives_what_the_arithmetic_says(self, name, shape):
        from scipy.signal import correlate

        batch, numbers = batch_of(*shape), weights()
        padded = np.pad(batch, [(0, 0), (0, 0), (1, 1), (1, 1)])
        hidden = np.stack(
            [[correlate(image, kernel, "valid")[0] for kernel in numbers["first"]] for image in padded]
        )
        wanted = np.einsum("pk,bkhw->bphw", numbers["last"][:, :, 0, 0], np.maximum(hidden, 0))
        wanted += numbers["bias"][:, None, None]
        planes = loaded(name).run(batch)
        assert planes.dtype == np.float32
        assert planes.shape == (len(batch), 3, *shape[2:])
        assert np.abs(planes - wanted).max() < 1e-4

    def test_bfloat16_is_near_and_says_what_it_is(self):
        planes = loaded("openvino-bf16").run(batch_of(1, 3, 32, 48))
        exact = loaded("onnxruntime").run(batch_of(1, 3, 32, 48))
        assert np.abs(planes - exact).max() < 0.05 * np.abs(exact).max()
        assert (loaded("openvino-bf16").precision == "bf16") == (loaded("openvino-bf16").remark is None)

    @pytest.mark.parametrize(
        ("capabilities", "precision"), [(["FP32", "BF16"], "bf16"), (["FP32", "INT8"], "f32")]
    )
    def test_a_cpu_without_bfloat16_is_told(self, capabilities, precision):
        found, remark = engines.OpenVinoBf16._precision(capabilities)
        assert found == precision
        assert (remark is None) == (found == "bf16")

    def test_eight_bits_are_near(self):
        runtime = load_runtime("openvino-int8", quantized(), threads=1)
        batch = batch_of(2, 3, 48, 40, seed=9)
        exact = loaded("onnxruntime").run(batch)
        planes = runtime.run(batch)
        assert runtime.precision == "int8"
        assert np.abs(planes - exact).mean() < 0.05 * exact.std()
        assert (planes.argmax(1) == exact.argmax(1)).mean() > 0.95

    @pytest.mark.parametrize("name", QUICK)
    def test_a_graph_for_one_image_takes_batches(self, name):
        runtime = load_runtime(name, {NETWORK: network(batch=1)}, threads=1)
        batch = batch_of(3, 3, 16, 16)
        assert np.allclose(runtime.run(batch), loaded(name).run(batch), atol=1e-5)

    @pytest.mark.parametrize("name", QUICK)
    def test_the_output_called_planes_is_run_for(self, name):
        nodes = [node("Relu", "x", "other"), node("Neg", "x", "planes")]
        both = [port("other", [None] * 4), port("planes", [None] * 4)]
        content = graph_of(nodes, [port("x", [1, 1, "h", "w"])], both)
        batch = batch_of(1, 1, 4, 5)
        assert np.array_equal(load_runtime(name, {NETWORK: content}).run(batch), -batch)


class TestUse:
    @pytest.mark.parametrize("name", EXACT)
    def test_threads_do_not_disturb_each_other(self, name):
        runtime = loaded(name)
        batches = [batch_of(1, 3, 16 + 3 * place, 40, seed=place) for place in range(12)]
        alone = [runtime.run(batch) for batch in batches]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(runtime.run, batches))
        for one, other in zip(alone, together, strict=True):
            assert np.array_equal(one, other)

    @pytest.mark.parametrize("name", EXACT)
    def test_planes_are_the_callers_and_the_batch_stays(self, name):
        batch = batch_of(1, 3, 12, 12)
        given = batch.copy()
        given.flags.writeable = False
        first = loaded(name).run(given)
        kept = first.copy()
        loaded(name).run(batch_of(1, 3, 12, 12, seed=5))
        assert np.array_equal(first, kept)
        assert np.array_equal(given, batch)

    def test_a_process_that_another_started_takes_one_core(self, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        assert default_threads() >= 1
        monkeypatch.setattr(engines, "parent_process", lambda: object())
        assert default_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert default_threads() == 3


class TestRefusals:
    def test_unknown_runtimes_and_threads(self):
        with pytest.raises(UnknownName, match="onnxruntime"):
            load_runtime("onxruntime", parts())
        with pytest.raises(InputError, match="at least 1"):
            load_runtime(DEFAULT, parts(), threads=0)

    @pytest.mark.parametrize("name", [name for name in RUNTIMES if name not in ("torch", "openvino-int8")])
    def test_a_bundle_without_the_network(self, name):
        with pytest.raises(ReadError, match=r"network\.onnx"):
            load_runtime(name, {"notes.txt": b""})

    @pytest.mark.parametrize(
        "inputs",
        [
            [port("x", [1, 1, "h", "w"]), port("box", [4])],
            [port("x", [1, 1, "h", "w"], TensorProto.DOUBLE)],
            [port("x", [1, 9])],
        ],
    )
    def test_a_graph_that_does_not_take_images_alone(self, inputs):
        tensor = inputs[0].type.tensor_type
        planes = port("planes", [None] * len(tensor.shape.dim), tensor.elem_type)
        content = graph_of([node("Identity", "x", "planes")], inputs, [planes])
        with pytest.raises(ReadError, match="wanted one batch"):
            load_runtime(DEFAULT, {NETWORK: content})

    def test_a_bundle_without_eight_bits(self):
        with pytest.raises(ReadError, match="smalti export"):
            load_runtime("openvino-int8", parts())

    def test_a_module_that_nobody_can_make(self):
        with pytest.raises(InputError, match="onnxruntime"):
            load_runtime("torch", parts())

    @pytest.mark.parametrize("name", QUICK)
    def test_hostile_graphs_are_not_loaded(self, name):
        huge = constant("huge", [2**20, 2**20], np.int64)
        nodes = [
            node("ConstantOfShape", "huge", "c"),
            node("ReduceMax", "c", "m"),
            node("Add", "x m", "planes"),
        ]
        content = graph_of(nodes, [port("x", [1, 1, "h", "w"])], [port("planes", [None] * 4)], [huge])
        with pytest.raises(ReadError, match="numbers"):
            load_runtime(name, {NETWORK: content})

    def test_hostile_eight_bits_are_not_loaded(self):
        made = quantized()
        with pytest.raises(ReadError, match="damaged"):
            load_runtime("openvino-int8", {INT8_XML: made[INT8_XML], INT8_BIN: made[INT8_BIN][:-9]})

    @pytest.mark.parametrize("name", EXACT)
    @pytest.mark.parametrize("shape", [(1, 2, 8, 8), (3, 8, 8)])
    def test_a_batch_that_does_not_fit_is_told_in_one_line(self, name, shape):
        if name == "torch" and len(shape) == 3:
            return  # torch takes an image without a batch for what it is
        with pytest.raises(InputError) as error:
            loaded(name).run(batch_of(*shape))
        assert str(shape) in str(error.value)
        assert str(error.value).isprintable()

    @pytest.mark.parametrize(
        ("module", "name", "hint"),
        [
            ("openvino", "openvino", "openvino"),
            ("onnxruntime", "onnxruntime", "pip install"),
            ("torch", "torch", "train"),
        ],
    )
    def test_a_missing_library_is_named(self, module, name, hint, monkeypatch):
        for key in [key for key in sys.modules if key.partition(".")[0] == module]:
            monkeypatch.delitem(sys.modules, key)
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtra, match=hint):
            load_runtime(name, parts(), make_module=make_module)

    def test_quantising_needs_images_that_fit(self):
        pytest.importorskip("nncf")
        with pytest.raises(InputError, match="at least one batch"):
            quantize(network(), [])
        with pytest.raises(ReadError, match=r"\(1, 2, 16, 16\)"):
            quantize(network(), [batch_of(1, 2, 16, 16)])


def test_quantising_prints_nothing(capfd):
    pytest.importorskip("nncf")
    quantize(network(planes=2), [batch_of(1, 3, 16, 16)])
    assert capfd.readouterr().out == ""
