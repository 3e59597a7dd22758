"""What a training begins with: weights that help, parts that stay, a teacher that is followed."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load
from safetensors.torch import save_file
from tiny_trainings import TINY, fit, samples, with_void

from smalti.errors import InputError, Interrupted, ReadError
from smalti.io.bundle import read_bundle, write_bundle
from smalti.runtime.fitted import WEIGHTS
from smalti.train.reports import StepReport

TEACHER = {
    "steps": 60,
    "validate_every": 60,
    "learning_rate": 0.02,
    "network_settings": {**TINY, "norm": "batch"},
}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A model of discs that knows them well, and its file."""
    path = tmp_path_factory.mktemp("learned") / "learned.smalti"
    model = fit(samples(count=8), **TEACHER)
    model.save(path)
    return model, path


def losses(data, **settings):
    seen = []
    model = fit(data, seen=seen, **settings)
    return model, [report.loss for report in seen if isinstance(report, StepReport)]


def test_weights_of_a_model_give_a_lower_loss_from_the_start(learned):
    others = samples(count=8, first=20)
    _, high = losses(others)
    tuned, low = losses(others, weights=learned[1], network_settings=None)
    assert np.mean(low) < 0.7 * np.mean(high)
    assert low[0] < min(high)
    assert "tensors loaded into the network" in tuned.report["weights"]


def test_what_is_gone_on_with_sees_images_as_the_model_did(learned):
    model, path = learned
    dark = samples(count=4, first=30)
    told = []
    tuned = fit(dark, weights=path, network_settings=None, told=told.append, steps=1)
    assert tuned.preparation == model.preparation
    assert tuned.about["net"] == model.about["net"]
    assert told[0].reasons["network_settings"] == "as learned.smalti, which training begins with"


def test_weights_fit_other_classes_but_for_the_head(learned):
    tuned = fit(samples("instance"), weights=learned[1], network_settings=None, steps=1)
    assert "of another shape, left as they were: heads.0.bias" in tuned.report["weights"]


def test_frozen_weights_stay_bit_for_bit(learned):
    before = load(learned[0].parts[WEIGHTS])
    tuned = fit(
        samples(),
        weights=learned[1],
        network_settings=None,
        freeze="net.down.0.*, net.down.1.*",
        learning_rate=0.1,
    )
    after = load(tuned.parts[WEIGHTS])
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert {name for name in before if name.startswith("net.down.0.")} <= same
    assert not {name for name in before if name.startswith("net.up.") and name.endswith("weight")} & same


def test_the_encoder_can_be_frozen_by_its_name():
    tuned = fit(samples(), freeze="encoder")
    assert tuned.report["freeze"] == "encoder"


def divergence(model, teacher, data):
    pairs = [(model.predict_scores(each.image), teacher.predict_scores(each.image)) for each in data]
    return float(np.mean([np.abs(own - theirs).mean() for own, theirs in pairs]))


def test_a_student_comes_closer_to_its_teacher(learned):
    model, path = learned
    strips = [
        with_void(each, slice(3, None)) for each in samples(count=6, first=40)
    ]  # three rows are labelled
    data, others = strips, samples(count=4, first=60)
    settings = {"steps": 60, "validate_on": "none", "learning_rate": 0.02, "task": "semantic"}
    alone = fit(data, **settings)
    parts = []
    taught = fit(data, teacher=path, seen=parts, **settings)
    assert "teacher classes" in parts[0].parts
    assert divergence(taught, model, others) < 0.8 * divergence(alone, model, others)
    assert taught.preparation == model.preparation


class TestRefused:
    def test_a_teacher_of_other_classes(self, learned):
        with pytest.raises(InputError, match="teacher learned.smalti .* has other"):
            fit(samples("instance"), teacher=learned[1])

    def test_a_teacher_of_other_channels(self, learned):
        with pytest.raises(InputError, match="has other channels: grey, the student red, green, blue"):
            fit(samples(channels=3), teacher=learned[1])

    def test_a_student_that_prepares_images_otherwise(self, learned):
        with pytest.raises(InputError, match="has other preparation"):
            fit(samples(), teacher=learned[1], normalise="percentiles")

    def test_weights_of_another_network(self, learned):
        with pytest.raises(InputError, match="is of the network unet, not fcn"):
            fit(samples(), method="fcn", weights=learned[1], network_settings=None)

    def test_a_checkpoint_of_which_nothing_fits(self, tmp_path):
        save_file({"other.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
        with pytest.raises(InputError, match="checkpoint of another network"):
            fit(samples(), weights=tmp_path / "other.safetensors")

    def test_a_model_that_was_exported_without_its_weights(self, learned, tmp_path):
        bundle = read_bundle(learned[1])
        files = {name: content for name, content in bundle.files.items() if name != WEIGHTS}
        write_bundle(
            tmp_path / "bare.smalti", type(bundle)(bundle.manifest, bundle.arrays, files, bundle.card)
        )
        with pytest.raises(InputError, match="holds no weights"):
            fit(samples(), weights=tmp_path / "bare.smalti")

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(ReadError, match="none.smalti"):
            fit(samples(), teacher=tmp_path / "none.smalti")

    def test_going_on_with_another_teacher(self, learned, tmp_path):
        with pytest.raises(Interrupted):
            fit(samples(), tmp_path, teacher=learned[1], stop_after=2)
        with pytest.raises(InputError, match="differs"):
            fit(samples(), tmp_path, resume=True)
