"""A network as one plain ONNX file gives, by ONNX Runtime alone, the masks that smalti gives, and says what it is."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx_graphs import network as foreign_graph
from onnx_graphs import node
from tiny_networks import CHANNELS, KINDS, NORMALIZATIONS, discs, fitted

from smalti.errors import InputError, UnknownName
from smalti.image import Image
from smalti.runtime.engines import NETWORK
from smalti.runtime.plain import plain_onnx

pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

SIZES = {2: (83, 70), 3: (11, 30, 25)}


def run(plain, *images):
    """What the file gives of images of one size, by name."""
    session = onnxruntime.InferenceSession(plain.graph, providers=["CPUExecutionProvider"])
    batch = np.stack([np.moveaxis(image.pixels, -1, 0) for image in images]).astype(np.float32)
    return dict(zip(plain.outputs, session.run(None, {"image": batch}), strict=True))


def image_of(model, seed=3, size=None):
    return discs(size or SIZES[model.planes.ndim], seed, model.classes).image


class TestMasks:
    @pytest.mark.parametrize("kind", KINDS)
    def test_class_maps_and_objects_are_those_of_the_bundle(self, kind):
        model = fitted(kind)
        if model.planes.centers:  # smoothing sums in another order, so that ties may fall otherwise
            model = replace(model, decoding=model.decoding.model_copy(update={"smoothing": 0.0}))
        images = [image_of(model, seed) for seed in (3, 4)]
        found = run(plain_onnx(model), *images)
        number = 0
        for place, image in enumerate(images):
            wanted = model.predict(image)
            assert np.abs(found["planes"][place] - model.predict_planes(image)).max() < 1e-4
            if model.task == "semantic" or model.planes.centers:
                assert np.array_equal(found["class_map"][place], wanted.semantic_map())
            if not model.planes.centers:
                assert "objects" not in found
                continue
            things = int(sum(model.classes.of(each).thing for each in wanted.class_ids))
            labels = np.where(wanted.labels <= things, wanted.labels, 0)
            assert things > 0
            assert np.array_equal(found["objects"][place], np.where(labels, labels + number, 0))
            own = slice(number, number + things)
            assert np.array_equal(found["object_classes"][own], wanted.class_ids[:things])
            assert np.allclose(found["object_scores"][own], wanted.scores[:things], atol=1e-6)
            number += things

    def test_smoothed_heat_gives_nearly_the_same_objects(self):
        model = fitted("centers")
        decoding = model.decoding.model_copy(update={"smoothing": 0.3, "min_heat": 0.05})
        model = replace(model, decoding=decoding)
        image = image_of(model)
        found = run(plain_onnx(model), image)["objects"][0]
        assert (found == model.predict(image).labels).mean() > 0.99

    def test_an_image_without_objects_has_none(self):
        model = fitted("centers")
        image = Image(np.zeros((20, 30, 3), np.uint8), CHANNELS)
        found = run(plain_onnx(model), image)
        assert not found["objects"].any()
        assert len(found["object_classes"]) == len(model.predict(image)) == 0

    @pytest.mark.parametrize("normalization", NORMALIZATIONS)
    def test_normalisation_is_inside(self, normalization):
        model = fitted("semantic", normalization, 20)
        image = image_of(model)
        found = run(plain_onnx(model), image)
        assert np.abs(found["planes"][0] - model.predict_planes(image)).max() < 1e-4

    def test_an_image_with_its_tail_on_the_dark_side_is_turned_over(self):
        model = fitted("semantic", "bright", 20)
        image = Image(255 - image_of(model).pixels, CHANNELS)
        assert (
            min(model.preparation.statistics(image).scale)
            < 0
            < min(model.preparation.statistics(image_of(model)).scale)
        )
        found = run(plain_onnx(model), image)
        assert np.abs(found["planes"][0] - model.predict_planes(image)).max() < 1e-4

    def test_a_channel_of_one_value_is_normalised_to_zero(self):
        model = fitted("semantic", "mean-std", 20)
        pixels = image_of(model).pixels.copy()
        pixels[..., 1] = 77
        image = Image(pixels, CHANNELS)
        found = run(plain_onnx(model), image)
        assert np.abs(found["planes"][0] - model.predict_planes(image)).max() < 1e-4

    @pytest.mark.parametrize("normalization", ["fixed", "percentiles", "bright"])
    @pytest.mark.parametrize("pixels", ["uint16", "float"])
    def test_pixels_of_other_kinds_are_read_as_smalti_reads_them(self, pixels, normalization):
        model = fitted("semantic", normalization, 20)
        given = image_of(model).pixels
        given = given.astype(np.uint16) * 257 if pixels == "uint16" else given.astype(np.float32) / 255
        image = Image(given, CHANNELS)
        found = run(plain_onnx(model, pixels), image)
        assert np.abs(found["planes"][0] - model.predict_planes(image)).max() < 1e-4

    def test_mirrored_views_and_several_networks_are_inside(self):
        model = replace(fitted("centers", steps=20, networks=2), flips=(0, 1))
        images = [image_of(model, seed) for seed in (3, 4)]
        found = run(plain_onnx(model), *images)
        for place, image in enumerate(images):
            assert np.abs(found["planes"][place] - model.predict_planes(image)).max() < 1e-4

    def test_images_are_resampled_as_the_preparation_says(self):
        model = fitted("semantic")
        preparation = model.preparation.model_copy(update={"factor": 0.6})
        model = replace(model, preparation=preparation)
        image = image_of(model)
        found = run(plain_onnx(model), image)
        assert np.abs(found["planes"][0] - model.predict_planes(image)).max() < 1e-3
        volume = fitted("volume", steps=1)
        with pytest.raises(InputError, match="volumes at another size"):
            plain_onnx(replace(volume, preparation=preparation))

    def test_logits_of_networks_of_others_become_probabilities(self):
        model = fitted("semantic")
        graph = foreign_graph(3, after=[node("Identity", "logits", "planes")], opset=13)
        model = replace(model, parts={NETWORK: graph}, activated=False)
        image = image_of(model)
        found = run(plain_onnx(model), image)
        assert np.allclose(found["planes"].sum(1), 1, atol=1e-5)
        assert np.abs(found["planes"][0] - model.predict_planes(image)).max() < 1e-4


class TestFile:
    def test_it_says_what_it_is(self):
        model = fitted("centers")
        told = {
            each.key: each.value for each in onnx.load_from_string(plain_onnx(model).graph).metadata_props
        }
        assert [each["name"] for each in json.loads(told["smalti.classes"])] == ["pale", "bright"]
        assert json.loads(told["smalti.channels"]) == list(CHANNELS)
        assert json.loads(told["smalti.preparation"])["normalization"]["mean"] == [0.2, 0.25, 0.3]
        assert json.loads(told["smalti.pixels"])["kind"] == "uint8"
        assert json.loads(told["smalti.decoding"])["name"] == "center-decoding"

    def test_sizes_are_open_and_operators_are_those_of_onnx(self):
        model = onnx.load_from_string(plain_onnx(fitted("semantic")).graph)
        (given,) = model.graph.input
        dims = given.type.tensor_type.shape.dim
        assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, "height", "width"]
        assert {each.domain for each in model.opset_import} == {""}

    def test_pixels_of_no_kind_are_refused(self):
        with pytest.raises(UnknownName, match="kind of pixels"):
            plain_onnx(fitted("semantic"), "uint7")
