"""Models are fitted to datasets, kept in files, and used as methods are."""

import pickle

import numpy as np
import pytest
from nearest_mean import NAME, FittedMean, nearest_mean  # noqa: F401  # a fixture

import smalti
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError, UnknownName, WriteError
from smalti.service.actions import predict_files
from smalti.service.datasets import Opening
from smalti.service.models import Model, describe_model, fit_model, trainable_methods

pytestmark = pytest.mark.usefixtures("nearest_mean")

CLASSES = smalti.ClassSet.from_names(["dark", "bright"], thing=False)


def a_sample(name, seed, split=None, annotated=True):
    """Two kinds of stuff, of which the values 100 and 200 are noisy, on a ground of 20."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.repeat(rng.integers(0, 3, (4, 5)), 8, 0), 8, 1)
    pixels = np.array([20, 100, 200])[truth] + rng.integers(-9, 10, truth.shape)
    segmentation = smalti.Segmentation.from_semantic_map(truth, CLASSES)
    image = smalti.Image.from_array(pixels.astype(np.uint8))
    return smalti.Sample.of(name, image, segmentation if annotated else None, split=split)


def a_dataset(folder, splits, annotated=True):
    samples = [a_sample(f"s{seed}", seed, split, annotated) for seed, split in enumerate(splits)]
    Dataset(samples, CLASSES).write(folder)
    return folder


@pytest.fixture
def plate(tmp_path):
    return a_dataset(tmp_path / "plate", ["train", "train", "train", "test"])


@pytest.fixture
def model(plate, tmp_path):
    fit_model(plate, tmp_path / "m.smalti", NAME)
    return tmp_path / "m.smalti"


class TestFitting:
    def test_a_fitted_model_predicts_what_it_has_not_seen(self, model):
        other = a_sample("other", 77)
        found = smalti.predict(other.image, model)
        assert np.array_equal(found.semantic_map(), other.truth.semantic_map())

    def test_the_train_split_is_learned_from(self, plate, tmp_path):
        fitted = fit_model(plate, tmp_path / "m.smalti", NAME)
        assert (fitted.split, fitted.images, fitted.samples) == ("train", 3, 3)
        assert fitted.source == "3 images (split train)"
        assert fitted.report["images"] == 3
        assert fitted.bytes == (tmp_path / "m.smalti").stat().st_size
        assert fitted.classes == ("dark", "bright")

    def test_another_split_where_it_is_named(self, plate, tmp_path):
        fitted = fit_model(plate, tmp_path / "m.smalti", NAME, opening=Opening(split="test"))
        assert fitted.source == "1 image (split test)"
        with pytest.raises(UnknownName, match="split"):
            fit_model(plate, tmp_path / "n.smalti", NAME, opening=Opening(split="dev"))

    def test_all_samples_where_there_are_no_splits(self, tmp_path):
        place = a_dataset(tmp_path / "plate", [None, None])
        fitted = fit_model(place, tmp_path / "m.smalti", NAME)
        assert fitted.source == "2 images (all samples)"

    def test_only_annotated_samples_are_learned_from(self, tmp_path):
        samples = [a_sample("a", 0), a_sample("b", 1), a_sample("c", 2, annotated=False)]
        Dataset(samples, CLASSES).write(tmp_path / "plate")
        fitted = fit_model(tmp_path / "plate", tmp_path / "m.smalti", NAME)
        assert (fitted.images, fitted.samples) == (2, 3)
        assert "1 of them without annotation" in fitted.source

    def test_without_annotations_there_is_nothing_to_learn(self, tmp_path):
        place = a_dataset(tmp_path / "plate", [None, None], annotated=False)
        with pytest.raises(InputError, match="none of the 2 samples"):
            fit_model(place, tmp_path / "new" / "m.smalti", NAME)
        assert not (tmp_path / "new").exists()

    def test_settings_reach_the_method_and_stay_with_the_model(self, plate, tmp_path):
        fit_model(plate, tmp_path / "m.smalti", NAME, {"power": 2.5})
        fitted = smalti.load(tmp_path / "m.smalti")
        assert isinstance(fitted, FittedMean)
        assert fitted.settings.power == 2.5
        with pytest.raises(UnknownName, match="nearest: power"):
            fit_model(plate, tmp_path / "n.smalti", NAME, {"powr": 2})

    def test_progress_is_told(self, plate, tmp_path):
        told = []
        fit_model(plate, tmp_path / "m.smalti", NAME, progress=lambda *done: told.append(done))
        assert told == [(1, 3), (2, 3), (3, 3)]

    def test_a_method_that_learns_nothing(self, plate, tmp_path):
        with pytest.raises(InputError, match=f"otsu learns nothing.*{NAME}"):
            fit_model(plate, tmp_path / "m.smalti", "otsu")
        assert NAME in trainable_methods()
        assert "otsu" not in trainable_methods()

    def test_inputs_are_not_written_over(self, plate, tmp_path):
        (tmp_path / "splits.smalti").write_text("{}")
        for out in ("plate/m.smalti", "plate/new/m.smalti"):
            with pytest.raises(WriteError, match="lies in the dataset"):
                fit_model(plate, tmp_path / out, NAME)
        with pytest.raises(InputError, match="its own input"):
            opening = Opening(splits=tmp_path / "splits.smalti")
            fit_model(plate, tmp_path / "splits.smalti", NAME, opening=opening)
        assert (tmp_path / "splits.smalti").read_text() == "{}"

    @pytest.mark.parametrize("name", ["m", "m.zip", "m.smalti.png"])
    def test_a_model_has_its_suffix(self, plate, tmp_path, name):
        with pytest.raises(InputError, match=r"name\.smalti"):
            fit_model(plate, tmp_path / name, NAME)

    def test_places_that_cannot_be_written_are_told_before_the_fit(self, plate, tmp_path):
        told = []
        (tmp_path / "file").touch()
        (tmp_path / "folder.smalti").mkdir()
        for out in ("file/m.smalti", "folder.smalti"):
            with pytest.raises((WriteError, InputError), match="folder"):
                fit_model(plate, tmp_path / out, NAME, progress=lambda *done: told.append(done))
        assert told == []

    def test_a_model_may_be_fitted_again(self, model, plate):
        before = smalti.load(model).settings.power
        fit_model(plate, model, NAME, {"power": before + 1})
        assert smalti.load(model).settings.power == before + 1


class TestDescribing:
    def test_the_file_says_what_it_is_and_from_what(self, model):
        content = describe_model(model)
        assert content["bytes"] == model.stat().st_size
        assert content["card"] == "# Means\n"
        manifest = content["manifest"]
        assert manifest["method"] == NAME
        made = manifest["made"]
        assert made["dataset"] == "plate"
        assert (made["format"], made["images"], made["split"]) == ("smalti", 3, "train")
        assert made["licences"] == ["not stated"]
        assert made["date"].endswith("+00:00")

    def test_no_place_of_this_machine_is_in_the_file(self, model, tmp_path):
        assert str(tmp_path) not in str(describe_model(model)["manifest"])


class TestPredicting:
    def test_a_path_or_a_loaded_model_is_a_method(self, model):
        image = a_sample("other", 5).image
        found = smalti.predict(image, smalti.load(model))
        assert found == smalti.predict(image, str(model))
        assert found == smalti.predict(image, model)
        assert len(found) == 2

    def test_parameters_belong_to_the_fit(self, model):
        image = a_sample("other", 5).image
        with pytest.raises(InputError, match="power when fitting it"):
            smalti.predict(image, model, power=2)
        with pytest.raises(InputError, match="made already"):
            smalti.predict(image, smalti.load(model), power=2)
        with pytest.raises(InputError, match="takes no points"):
            smalti.predict(image, model, prompts=smalti.Prompts(points_yx=np.array([[1, 1]])))

    def test_a_model_stands_in_a_pipeline(self, model):
        image = a_sample("other", 5).image
        pipeline = smalti.make_segmenter(
            "pipeline", method=Model.of(model), after=["drop-small:min_area_px=1"]
        )
        assert pipeline.predict(image) == smalti.predict(image, model)
        described = pipeline.describe()["method"]
        assert described["name"] == "model"
        assert described["path"] == str(model)
        assert len(described["sha256"]) == 64

    def test_it_travels_as_a_path(self, model):
        asked = Model.of(model)
        content = pickle.dumps(asked)
        assert len(content) < 2000
        assert pickle.loads(content).predict(a_sample("o", 5).image) == asked.predict(a_sample("o", 5).image)

    def test_it_is_read_once(self, model, monkeypatch):
        read = []
        load = FittedMean.__init__
        monkeypatch.setattr(FittedMean, "__init__", lambda *all, **more: read.append(1) or load(*all, **more))
        asked = Model.of(model)
        for _ in range(3):
            Model.of(model).predict(a_sample("o", 5).image)
            asked.predict(a_sample("o", 5).image)
        assert len(read) == 1

    def test_a_file_that_changes_on_the_way_is_told(self, model, plate):
        asked = pickle.dumps(Model.of(model))
        fit_model(plate, model, NAME, {"power": 3.0})
        for power in (4.0, 5.0):  # the loaded ones are forgotten
            other = model.with_name(f"{power}.smalti")
            fit_model(plate, other, NAME, {"power": power})
            Model.of(other)
        with pytest.raises(ReadError, match="has changed"):
            pickle.loads(asked).predict(a_sample("o", 5).image)

    def test_files_are_predicted(self, model, tmp_path):
        sample = a_sample("other", 9)
        smalti.write_image(tmp_path / "a.png", sample.image)
        (outcome,) = predict_files(
            [tmp_path / "a.png"], Model.of(model), tmp_path / "out", ("labels", "coco")
        )
        assert outcome.error is None
        assert outcome.segments == len(sample.truth)
        assert '"sha256"' in (tmp_path / "out" / "a.coco.json").read_text()

    def test_what_is_no_model(self, tmp_path):
        with pytest.raises(ReadError, match="no file"):
            Model.of(tmp_path / "m.smalti")
        (tmp_path / "m.smalti").write_bytes(b"no model")
        with pytest.raises(ReadError, match="no zip archive"):
            Model.of(tmp_path / "m.smalti")
        with pytest.raises(ReadError, match="cannot be read"):
            Model.of(tmp_path)
