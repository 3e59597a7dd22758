"""A fitted model scored on a dataset: it is asked for each annotated image."""

import numpy as np
import pytest

import smalti
from smalti.classes import ClassSet
from smalti.errors import ReadError
from smalti.evaluation.evaluator import evaluate
from smalti.image import Image
from smalti.pixel.features import FeatureBank
from smalti.pixel.forest import Forest
from smalti.sample import Sample
from smalti.segmentation import Segmentation

KINDS = ClassSet.from_names(("dull", "bright"))


def samples(count):
    generator = np.random.default_rng(0)
    for index in range(count):
        semantic = generator.integers(0, 3, (4, 4)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        pixels = generator.normal(np.array([30.0, 110.0, 200.0])[semantic], 4)
        image = Image(np.clip(pixels, 0, 255).astype(np.uint8)[..., np.newaxis])
        yield Sample.of(f"image {index}", image, Segmentation.from_semantic_map(semantic, KINDS))


def test_a_model_is_scored_as_its_predictions_are(tmp_path):
    dataset = smalti.Dataset(samples(7), KINDS)
    bank = FeatureBank(families=("gaussian",), sigmas_px=(1.0,))
    fitted = Forest(features=bank, trees=10, context_px=()).fit(dataset)
    fitted.save(tmp_path / "m.smalti")
    by_file = evaluate(dataset, tmp_path / "m.smalti", metrics=["classes"])
    by_hand = evaluate(
        dataset, {each.name: fitted.predict(each.image) for each in dataset}, metrics=["classes"]
    )
    assert np.array_equal(by_file.confusion, by_hand.confusion)
    assert by_file.predictions.origin == "predictions of a model"
    assert np.trace(by_file.confusion[1:, 1:]) > 0.8 * by_file.confusion[1:, 1:].sum()


def test_a_damaged_model_is_told(tmp_path):
    (tmp_path / "m.smalti").write_bytes(b"no zip")
    with pytest.raises(ReadError, match=r"m\.smalti"):
        evaluate(smalti.Dataset(samples(1), KINDS), tmp_path / "m.smalti")
