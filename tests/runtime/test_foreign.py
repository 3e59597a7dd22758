"""Networks of others are understood by trying them, or it is said which option tells what cannot be seen."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_graphs import changed, constant, graph_of, network, node, port

from smalti.errors import InputError, ReadError, UnknownName
from smalti.image import Image
from smalti.io import read
from smalti.io.bundle import write_bundle
from smalti.runtime.engines import DEFAULT, NETWORK, load_runtime
from smalti.runtime.fitted import FittedNetwork
from smalti.runtime.foreign import Foreign, import_onnx
from smalti.runtime.preparation import Preparation
from smalti.service.importing import import_network

RGB = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "scale": 1 / 255}
THREE = ("sky", "road", "car")


def imported(content, *classes, **said):
    return import_onnx(content, Foreign(classes or THREE, **(RGB | said)))


def planes_of(bundle, batch):
    return load_runtime(DEFAULT, bundle.files, threads=1).run(batch)


def original(content, batch):
    """The first output of a graph as its author would run it."""
    from smalti.runtime import telemetry

    session = telemetry.onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def noise(*shape):
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def softmax(logits, axis=1):
    shares = np.exp(logits - logits.max(axis, keepdims=True))
    return shares / shares.sum(axis, keepdims=True)


def refused(content, *classes, error=InputError, **said):
    with pytest.raises(error) as found:
        imported(content, *classes, **said)
    assert str(found.value).isprintable()
    return str(found.value)


class TestWhatIsFound:
    def test_logits_stay_as_they_are(self):
        content = network()
        bundle = imported(content)
        batch = noise(2, 3, 37, 50)
        assert np.abs(planes_of(bundle, batch) - original(content, batch)).max() < 1e-5
        assert bundle.manifest["planes"]["targets"]["names"] == list(THREE)
        assert bundle.manifest["channels"] == ["red", "green", "blue"]

    def test_probabilities_become_logits_of_the_same(self):
        content = network(after=[node("Softmax", "logits", "planes", axis=1)])
        batch = noise(1, 3, 33, 20)
        assert np.abs(softmax(planes_of(imported(content), batch)) - original(content, batch)).max() < 1e-5

    def test_one_plane_more_than_classes_is_the_background(self):
        targets = imported(network(planes=4)).manifest["planes"]["targets"]
        assert targets["names"] == ["background", *THREE]
        assert targets["class_ids"] == [0, 1, 2, 3]

    def test_a_background_among_the_classes_comes_first(self):
        content = network()
        bundle = imported(content, "sky", "road", "nothing", background="nothing")
        assert bundle.manifest["planes"]["targets"]["names"] == ["nothing", "sky", "road"]
        assert [each["name"] for each in bundle.manifest["classes"]] == ["sky", "road"]
        batch = noise(1, 3, 16, 24)
        assert np.allclose(planes_of(bundle, batch), original(content, batch)[:, [2, 0, 1]], atol=1e-5)

    @pytest.mark.parametrize("shares", [False, True])
    def test_one_plane_is_a_class_where_it_is_above_a_half(self, shares):
        after = [node("Sigmoid", "logits", "planes")] if shares else []
        content = network(planes=1, after=after)
        bundle = imported(content, "cell")
        assert bundle.manifest["planes"]["targets"]["names"] == ["background", "cell"]
        batch = noise(1, 3, 16, 24)
        said = original(content, batch)[:, 0]
        wanted = said if shares else 1 / (1 + np.exp(-said))
        assert np.abs(softmax(planes_of(bundle, batch))[:, 1] - wanted).max() < 1e-5

    def test_planes_each_for_itself_leave_what_none_is_sure_of(self):
        content = network(planes=2, after=[node("Sigmoid", "logits", "planes")])
        bundle = imported(content, "cell", "vessel")
        batch = noise(1, 3, 16, 24)
        said = original(content, batch)
        wanted = np.where(said.max(1) > 0.5, said.argmax(1) + 1, 0)
        assert np.array_equal(planes_of(bundle, batch).argmax(1), wanted)

    @pytest.mark.parametrize("keep", [0, 1])
    @pytest.mark.parametrize("names", [("road", "car"), ("background", "road", "car")])
    def test_a_map_of_numbers(self, keep, names):
        dims = [None] * (3 + keep)
        content = graph_of(
            [
                node("Conv", "image k", "a", pads=[1, 1, 1, 1]),
                node("ArgMax", "a", "map", axis=1, keepdims=keep),
            ],
            [port("image", ["b", 3, "h", "w"])],
            [port("map", dims, TensorProto.INT64)],
            [constant("k", noise(3, 3, 3, 3))],
            opset=12,
        )
        bundle = imported(content, *names)
        assert bundle.manifest["planes"]["targets"]["class_ids"] == [0, 1, 2]
        batch = noise(2, 3, 16, 24)
        assert np.array_equal(planes_of(bundle, batch).argmax(1), original(content, batch).reshape(2, 16, 24))

    @pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8, TensorProto.FLOAT16])
    def test_channels_last_and_other_numbers(self, kind):
        nodes = [
            node("Cast", "image", "f", to=TensorProto.FLOAT),
            node("Transpose", "f", "t", perm=[0, 3, 1, 2]),
            node("Conv", "t k", "c", pads=[1, 1, 1, 1]),
            node("Transpose", "c", "out", perm=[0, 2, 3, 1]),
        ]
        content = graph_of(
            nodes,
            [port("image", [1, "h", "w", 3], kind)],
            [port("out", [None] * 4)],
            [constant("k", noise(5, 3, 3, 3))],
        )
        bundle = imported(content, *"abcde", mean=(0,), std=(1,), scale=1)
        batch = np.random.default_rng(0).integers(0, 256, (1, 3, 21, 34)).astype(np.float32)
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
        wanted = np.moveaxis(original(content, np.moveaxis(batch, 1, -1).astype(dtype)), -1, 1)
        assert np.abs(planes_of(bundle, batch) - wanted).max() < 1e-2

    def test_planes_smaller_than_the_image_are_brought_to_its_size(self):
        torch = pytest.importorskip("torch")
        content = network(stride=4)
        batch = noise(1, 3, 64, 96)
        small = original(content, batch)
        assert small.shape == (1, 3, 16, 24)
        wanted = torch.nn.functional.interpolate(torch.from_numpy(small), size=(64, 96), mode="bilinear")
        assert np.abs(planes_of(imported(content), batch) - wanted.numpy()).max() < 1e-5

    def test_sides_that_must_divide_are_padded(self):
        """Down by 8 and up again, and added to what was not: only multiples of 8 fit."""
        nodes = [
            node("AveragePool", "x", "small", kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Resize", ["small", "", "scales"], ["large"], mode="nearest"),
            node("Add", "x large", "sum"),
            node("Conv", "sum k", "y"),
        ]
        content = graph_of(
            nodes,
            [port("x", [1, 3, "h", "w"])],
            [port("y", [None] * 4)],
            [constant("scales", [1, 1, 8, 8]), constant("k", noise(3, 3, 1, 1))],
        )
        bundle = imported(content)
        batch = noise(1, 3, 29, 50)
        padded = np.pad(batch, [(0, 0), (0, 0), (0, 3), (0, 6)], mode="edge")
        wanted = original(content, padded)[:, :, :29, :50]
        assert np.abs(planes_of(bundle, batch) - wanted).max() < 1e-5

    @pytest.mark.parametrize("activation", ["probabilities", "map"])
    def test_every_runtime_runs_what_was_added(self, activation):
        pytest.importorskip("openvino")
        last = node("Softmax", "logits", "planes", axis=1)
        if activation == "map":
            last = node("ArgMax", "logits", "planes", axis=1, keepdims=1)
        content = network(planes=4, stride=8, after=[last])
        if activation == "map":
            content = changed(
                content,
                lambda model: model.graph.output[0].CopyFrom(port("planes", [None] * 4, TensorProto.INT64)),
            )
        files, batch = imported(content).files, noise(2, 3, 61, 85)
        planes = [load_runtime(name, files, threads=1).run(batch) for name in (DEFAULT, "openvino")]
        assert planes[0].shape == (2, 4, 61, 85)
        assert np.abs(planes[0] - planes[1]).max() < 1e-3

    def test_a_network_of_one_size_says_so(self):
        bundle = imported(network(sides=(32, 48), batch=1))
        assert Preparation.restored(bundle.manifest["preparation"]).size == (32, 48)
        assert imported(network(), size=(24, 24)).manifest["preparation"]["size"] == [24, 24]

    def test_volumes(self):
        content = graph_of(
            [node("Conv", "x k", "y", pads=[1] * 6)],
            [port("x", [1, 1, "d", "h", "w"])],
            [port("y", [None] * 5)],
            [constant("k", noise(2, 1, 3, 3, 3))],
        )
        bundle = imported(content, "background", "organ", mean=(0,), std=(100,), scale=1, pixels="int16")
        assert bundle.manifest["kind"]["ndim"] == 3
        batch = noise(1, 1, 9, 10, 11)
        assert np.abs(planes_of(bundle, batch) - original(content, batch)).max() < 1e-5

    def test_names_in_the_graph_do_not_matter(self):
        content = changed(network(output="out"), rename_all)
        batch = noise(1, 3, 16, 24)
        bundle = imported(content)
        assert np.abs(planes_of(bundle, batch) - original(content, batch)).max() < 1e-5

    def test_old_operators_are_brought_up(self):
        content = network(opset=9)
        batch = noise(1, 3, 16, 24)
        assert np.abs(planes_of(imported(content), batch) - original(content, batch)).max() < 1e-5


def rename_all(model):
    """Give the image, a constant and the output the names that are written into graphs."""
    other = {"image": "smalti_1", "c": "planes", "a": "image", "bias": "smalti__2"}
    for each in model.graph.node:
        each.input[:] = [other.get(name, name) for name in each.input]
        each.output[:] = [other.get(name, name) for name in each.output]
    for each in (*model.graph.initializer, *model.graph.input):
        each.name = other.get(each.name, each.name)


class TestPreparing:
    @pytest.mark.parametrize(
        ("said", "dtype"),
        [
            (RGB, np.uint8),
            ({"mean": (120.0, 110.0, 100.0), "std": (60.0, 50.0, 40.0), "scale": 1}, np.uint8),
            ({"mean": (0,), "std": (1000,), "scale": 1, "pixels": "uint16"}, np.uint16),
            ({"mean": (50,), "std": (200,), "scale": 2, "pixels": "int16"}, np.int16),
        ],
    )
    def test_pixels_are_scaled_as_their_author_says(self, said, dtype):
        bundle = imported(network(), **said)
        pixels = np.random.default_rng(0).integers(0, 200, (8, 9, 3)).astype(dtype)
        image, preparation = Image(pixels), Preparation.restored(bundle.manifest["preparation"])
        found = preparation.prepared(pixels, preparation.statistics(image))
        wanted = (pixels * float(said["scale"]) - np.array(said["mean"])) / np.array(said["std"])
        assert np.abs(found - np.moveaxis(wanted, -1, 0)).max() < 1e-4

    def test_the_model_predicts_the_classes_of_the_graph(self, tmp_path):
        content = network(planes=4)
        bundle = imported(content)
        write_bundle(tmp_path / "m.smalti", bundle)
        model = FittedNetwork.from_bundle(bundle)
        image = Image(np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8))
        batch = (
            np.moveaxis(image.pixels, -1, 0)[None] / 255 - np.reshape(RGB["mean"], (1, 3, 1, 1))
        ) / np.reshape(RGB["std"], (1, 3, 1, 1))
        wanted = original(content, batch.astype(np.float32))[0].argmax(0)
        assert (model.predict(image).semantic_map() == wanted).mean() > 0.999


class TestWhatIsAskedFor:
    def test_as_many_classes_as_planes(self):
        message = refused(network(planes=7))
        assert "1 x 7 x" in message
        assert "--classes" in message

    def test_one_of_several_outputs(self):
        content = network(after=[node("Identity", "logits", "planes"), node("Neg", "logits", "aux")])
        both = changed(content, lambda model: model.graph.output.append(port("aux", [None] * 4)))
        message = refused(both)
        assert "--output" in message and "planes" in message and "aux" in message
        batch = noise(1, 3, 16, 24)
        assert np.allclose(
            planes_of(imported(both, output="aux"), batch), -original(content, batch), atol=1e-5
        )
        assert "nearest: aux" in refused(both, output="auxx", error=UnknownName)

    def test_where_channels_are(self):
        content = graph_of([node("Relu", "x", "y")], [port("x", [1, "a", "b", "c"])], [port("y", [None] * 4)])
        assert "--layout" in refused(content)
        assert imported(content, layout="channels-first").manifest["channels"] == ["red", "green", "blue"]

    def test_numbers_for_each_channel(self):
        message = refused(network(), mean=(0.5, 0.5))
        assert "3 channels" in message and "mean are 2" in message
        assert "channels are 2" in refused(network(), channels=("red", "green"))

    def test_the_size_of_a_graph_that_takes_no_other(self):
        content = graph_of(
            [node("Add", "x only", "y")],
            [port("x", [1, 3, "h", "w"])],
            [port("y", [None] * 4)],
            [constant("only", noise(1, 3, 20, 28))],
        )
        assert "--size" in refused(content)
        assert imported(content, size=(20, 28)).manifest["preparation"]["size"] == [20, 28]

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ({"std": (0.0,)}, "above 0"),
            ({"mean": (float("nan"),)}, "finite"),
            ({"mean": ()}, "finite"),
            ({"background": "lamp"}, "lamp"),
            ({"size": (1, 2, 3)}, "2 numbers"),
            ({"activation": "map"}, "does not fit"),
            ({"pixels": "text"}, "kind of pixels"),
        ],
    )
    def test_what_makes_no_sense_is_told(self, said, told):
        assert told in refused(network(), **said)

    def test_graphs_that_take_no_image_alone(self):
        more = changed(network(), lambda model: model.graph.input.append(port("box", [1, 4])))
        assert "2 inputs" in refused(more)
        flat = graph_of([node("Relu", "x", "y")], [port("x", [1, 300])], [port("y", [1, 300])])
        assert "4 axes" in refused(flat)
        assert "batches of 4" in refused(network(batch=4))

    def test_hostile_graphs_are_refused(self):
        operator = helper.make_node("Evil", ["x"], ["y"], domain="evil")
        content = graph_of(
            [operator], [port("x", [1, 3, "h", "w"])], [port("y", [None] * 4)], domains=["evil"]
        )
        assert "Evil" in refused(content, error=ReadError)
        refused(b"nothing", error=ReadError)

    def test_a_graph_that_fails_at_every_size_is_told(self):
        content = graph_of(
            [node("Reshape", "x shape", "y")],
            [port("x", [1, 3, "h", "w"])],
            [port("y", [None] * 4)],
            [constant("shape", [1, 3, 7, 7], np.int64)],
        )
        assert "not images" in refused(content)


@pytest.mark.realdata
def test_a_portrait_network_finds_the_astronaut(data_dir, sample_path, tmp_path):
    """SINet, https://github.com/anilsathyan7/Portrait-Segmentation, MIT: one size, blue first, softmax inside."""
    source = data_dir / "weights" / "portrait_seg" / "SINet_Softmax.onnx"
    if not source.is_file():
        pytest.skip(f"no {source}")
    mean, std = (102.890434, 111.25247, 126.91212), (62.93292, 62.82138, 66.355705)
    foreign = Foreign(
        ["background", "person"], mean, [255 * each for each in std], channels=["blue", "green", "red"]
    )
    made = import_network(source, tmp_path / "portrait.smalti", foreign, "MIT")
    assert made.report["parameters"] == 92821
    model = FittedNetwork.from_bundle(import_onnx(source.read_bytes(), foreign))
    image = read(sample_path("astronaut.png"))
    person = model.predict(image).semantic_map() == 1
    assert person.shape == (512, 512)
    assert person[40:250, 170:280].mean() > 0.9, "her head"
    assert person[:150, 300:].mean() < 0.01, "the wall behind"
    assert (
        onnx.load_from_string(import_onnx(source.read_bytes(), foreign).files[NETWORK]).graph.output[0].name
        == "planes"
    )
