"""The pixel forest from outside: what it learns from, what it finds, how it is kept, and what it refuses."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import smalti
from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.data.scenes import make_scene, scene_classes
from smalti.data.strokes import scribbled, strokes
from smalti.errors import InputError, ReadError, SmaltiError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io.bundle import Bundle, read_bundle, write_bundle
from smalti.metrics.instance import count_objects
from smalti.pixel import fitted as fitted_module
from smalti.pixel import material as material_module
from smalti.pixel.features import FeatureBank
from smalti.pixel.fitted import FittedForest
from smalti.pixel.forest import Forest
from smalti.sample import Sample
from smalti.segmentation import Segmentation
from smalti.segmenter import Prompts

BANK = FeatureBank(families=("gaussian", "gradient", "hessian"), sigmas_px=(1.0, 3.0))
FOREST = Forest(features=BANK, trees=25, pixels=8000)


def scenes(kind, count, task="semantic", seed=0, **parameters):
    return [make_scene(kind, index, seed, task=task, **parameters) for index in range(count)]


def cells(count, task="semantic", **parameters):
    return scenes("cells", count, task, **{"size_hw": (96, 96), "density": 0.6} | parameters)


def iou(truth, predicted, class_id=1):
    a, b = (each.semantic_map() == class_id for each in (truth, predicted))
    return (a & b).sum() / max((a | b).sum(), 1)


def accuracy(fitted, samples):
    return float(
        np.mean(
            [count_objects(s.truth, fitted.predict(s.image), thresholds=(0.5,)).accuracy[0] for s in samples]
        )
    )


@pytest.fixture(scope="module")
def semantic():
    return FOREST.fit(cells(3))


@pytest.fixture(scope="module")
def instance():
    return FOREST.fit(cells(4, "instance", size_hw=(128, 128)))


@pytest.fixture(scope="module", params=["semantic", "instance", "panoptic", "scribbles"])
def model(request):
    """A small forest of each kind."""
    small = FOREST.model_copy(update={"trees": 8})
    if request.param == "scribbles":
        sample = cells(1, "instance")[0]
        return small.fit(sample.image, marks_on(sample))
    return small.fit(cells(2, request.param))


def marks_on(sample, count=8, seed=1):
    return strokes(sample.truth, count, seed=seed)


def same(one, other, image):
    return one.predict(image) == other.predict(image) and np.array_equal(
        one.predict_scores(image), other.predict_scores(image)
    )


class TestLearning:
    def test_from_scribbles(self):
        sample, fresh = cells(2, "instance")
        fitted = FOREST.fit(sample.image, marks_on(sample))
        assert fitted.task == "semantic"
        assert fitted.targets.names == ("background", "class 1")
        for each in (sample, fresh):
            found = fitted.predict(each.image)
            assert found.shape == each.image.shape and found.geometry is each.image.geometry
            assert iou(each.truth, found) > 0.85

    def test_from_scribbles_on_an_array_with_names(self):
        sample = cells(1, "instance")[0]
        names = ClassSet.from_names(("nucleus", "nothing else"))
        fitted = FOREST.fit(sample.image.pixels[..., 0], marks_on(sample), classes=names)
        assert fitted.classes == names and fitted.targets.names == ("background", "nucleus")
        assert iou(sample.truth, fitted.predict(Image(sample.image.pixels))) > 0.8

    def test_predict_with_scribbles_is_fit_and_predict(self):
        sample = cells(1, "instance")[0]
        marks = marks_on(sample)
        found = FOREST.predict(sample.image, Prompts(scribbles=marks))
        assert found == FOREST.fit(sample.image, marks).predict(sample.image)

    def test_from_samples_and_from_a_dataset(self, semantic):
        samples = cells(3)
        dataset = Dataset(samples, scene_classes("cells", "semantic"))
        fresh = cells(5)[3:]
        assert same(FOREST.fit(dataset), semantic, fresh[0].image)
        assert same(FOREST.fit(iter(samples)), semantic, fresh[0].image)
        assert min(iou(each.truth, semantic.predict(each.image)) for each in fresh) > 0.9

    def test_from_a_dataset_of_scribbles(self):
        dataset = scribbled(Dataset(cells(4), scene_classes("cells", "semantic")), 6)
        fresh = cells(6)[4:]
        fitted = FOREST.fit(dataset)
        assert min(iou(each.truth, fitted.predict(each.image)) for each in fresh) > 0.7

    def test_touching_objects_are_parted(self, instance):
        fresh = cells(8, "instance", size_hw=(128, 128))[4:]
        assert instance.task == "instance"
        assert instance.targets.names == ("background", "nucleus", "border")
        assert accuracy(instance, fresh) > 0.6
        assert 0 < instance.predict(fresh[0].image).scores.min() <= 1

    def test_panoptic(self):
        samples = cells(6, "panoptic")
        fitted = FOREST.fit(samples[:4])
        assert fitted.task == "panoptic"
        for sample in samples[4:]:
            found = fitted.predict(sample.image)
            assert sum(found.class_ids == 2) == 1
            assert found.coverage > 0.95
            assert iou(sample.truth, found, 2) > 0.9
        assert accuracy(fitted, samples[4:]) > 0.6

    def test_many_classes_in_color(self):
        samples = scenes("street", 6, size_hw=(96, 128))
        fitted = FOREST.fit(samples[:4])
        assert len(fitted.targets) > 6
        for sample in samples[4:]:
            found = fitted.predict(sample.image)
            assert iou(sample.truth, found, sample.truth.classes.named("sky").id) > 0.7
            assert (found.semantic_map() == sample.truth.semantic_map()).mean() > 0.45

    def test_volumes_with_slices_farther_apart_than_pixels(self):
        samples = scenes("volume", 4, size_dhw=(12, 32, 32))
        assert len(set(samples[0].image.geometry.spacing)) == 2
        fitted = FOREST.fit(samples[:3])
        assert iou(samples[3].truth, fitted.predict(samples[3].image)) > 0.9
        with pytest.raises(InputError, match="3 axes and 1 channels"):
            fitted.predict(cells(1)[0].image)

    def test_many_images_leave_each_other_out(self):
        samples = cells(8, size_hw=(48, 48))
        fitted = FOREST.fit(samples[:7])
        assert fitted.report["images"] == 7
        assert iou(samples[7].truth, fitted.predict(samples[7].image)) > 0.85

    def test_large_images_by_tiles(self, monkeypatch):
        monkeypatch.setitem(material_module.TILE_PX, 2, 32)
        samples = cells(5, "instance")
        fitted = FOREST.fit(samples[:3])
        assert accuracy(fitted, samples[3:]) > 0.5

    def test_the_estimate_of_pixels_not_seen_is_about_that_of_other_images(self, semantic):
        fresh = cells(13)[3:]
        hits = [(s.truth.semantic_map() == semantic.predict(s.image).semantic_map()).mean() for s in fresh]
        assert semantic.report["oob_accuracy"] == pytest.approx(np.mean(hits), abs=0.03)
        assert set(semantic.report["oob_iou"]) == {"nucleus", "background"}

    def test_without_the_second_forest_or_any_second_pass(self):
        samples = cells(4)
        for changes in ({"context_px": ()}, {"context_px": (), "hard": 0.0}, {"calibration": "none"},
                        {"calibration": "temperature"}, {"position": True}):  # fmt: skip
            fitted = FOREST.model_copy(update=changes).fit(samples[:3])
            assert iou(samples[3].truth, fitted.predict(samples[3].image)) > 0.9, changes
            scores = fitted.predict_scores(samples[3].image)
            assert scores.sum(0) == pytest.approx(1, abs=1e-5), changes

    def test_progress_reaches_its_end(self):
        told = []
        FOREST.fit(cells(2), progress=lambda done, total: told.append((done, total)))
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1] > 50
        assert len({total for _, total in told}) == 1


class TestVoid:
    def nonsense(self, sample, seed):
        """The truth with a third of the pixels void; what it says there is drawn at random."""
        truth = sample.truth.semantic_map()
        void = np.zeros(truth.shape, bool)
        void[:, ::3] = True
        wild = np.random.default_rng(seed).integers(0, 3, truth.shape)
        map = np.where(void, wild, truth)
        found = Segmentation.from_semantic_map(map, sample.truth.classes, geometry=sample.image.geometry)
        return Sample.of(sample.name, sample.image, found.replace(void=void))

    def test_what_is_said_there_changes_nothing(self):
        samples = cells(3)
        one, other = (FOREST.fit([self.nonsense(each, seed) for each in samples[:2]]) for seed in (0, 1))
        assert same(one, other, samples[2].image)
        assert iou(samples[2].truth, one.predict(samples[2].image)) > 0.9


class TestSettings:
    def test_the_seed_decides(self, semantic):
        image = cells(5)[4].image
        assert same(FOREST.fit(cells(3)), semantic, image)
        other = FOREST.model_copy(update={"seed": 1}).fit(cells(3))
        assert not np.array_equal(other.predict_scores(image), semantic.predict_scores(image))

    def test_select_keeps_the_important_features(self, semantic):
        fitted = FOREST.model_copy(update={"select": 3, "context_px": ()}).fit(cells(3))
        assert fitted.importances.columns["feature"].shape == (3,)
        assert fitted.report["features"] == 3
        assert len(fitted.cascade.wanted) == 3
        assert iou(cells(5)[4].truth, fitted.predict(cells(5)[4].image)) > 0.85
        plain = FOREST.model_copy(update={"context_px": ()}).fit(cells(3)).importances.columns["feature"]
        assert len(set(plain[:4]) & set(fitted.importances.columns["feature"])) >= 2

    def test_importances_fall_and_sum_to_one(self, semantic):
        values = semantic.importances.columns["importance"]
        assert (np.diff(values) <= 0).all() and values.sum() == pytest.approx(1)
        assert "gaussian" in semantic.importances.columns["feature"][0] or values[0] < 0.9

    @pytest.mark.parametrize("what", ["class_weights", "balance"])
    def test_classes_can_count_more(self, what):
        """A faint, rare kind of pixel that is often mistaken is found more often."""
        generator = np.random.default_rng(0)
        truth = np.zeros((80, 80), int)
        truth[30:50, 30:50] = 1
        pixels = (100 + 10 * truth + generator.normal(0, 12, truth.shape)).astype(np.uint8)
        sample = Sample.of(
            "a",
            Image(pixels[..., None]),
            Segmentation.from_semantic_map(truth, ClassSet.from_names(["faint"])),
        )
        bank = FeatureBank(families=("gaussian",), sigmas_px=(0.5,))
        plain = Forest(features=bank, trees=20, context_px=(), hard=0, calibration="none", smoothing_px=0)
        more = {"class_weights": {"faint": 8.0}, "balance": 1.0}[what]
        one, other = (each.fit([sample]) for each in (plain, plain.model_copy(update={what: more})))
        means = [fitted.predict_scores(sample.image)[1].mean() for fitted in (one, other)]
        assert means[1] > 1.5 * means[0]

    def test_class_weights_of_an_unknown_class_are_refused(self):
        for weights, said in (
            ({"cell": 2.0}, "names 'cell'; there are"),
            ({"nucleus": 0.0}, "are above 0, got 0"),
        ):
            with pytest.raises(InputError, match=said):
                FOREST.model_copy(update={"class_weights": weights}).fit(cells(1))

    def test_smoothing_as_asked(self):
        samples = cells(3)
        found = [FOREST.model_copy(update={"smoothing_px": radius}).fit(samples[:2]) for radius in (0, 8)]
        assert [each.smoothing_px for each in found] == [0, 8]
        assert found[0].predict(samples[2].image) != found[1].predict(samples[2].image)

    def test_more_features_than_trees_take(self):
        bank = FeatureBank(
            families=("gaussian", "dog", "gradient"), sigmas_px=(1.0, 2.0, 4.0), detail_of="channels"
        )
        generator = np.random.default_rng(0)
        truth = np.zeros((24, 24), int)
        truth[6:18, 6:18] = 1
        pixels = generator.random((24, 24, 30)).astype(np.float32)
        pixels[truth == 1, 17] += 1
        sample = Sample.of(
            "a", Image(pixels), Segmentation.from_semantic_map(truth, ClassSet.from_names(["one"]))
        )
        fitted = Forest(features=bank, trees=10).fit([sample])
        assert len(fitted.cascade.wanted) < 256
        assert iou(sample.truth, fitted.predict(sample.image)) > 0.9


class TestTiles:
    """Tiles are the whole, bit for bit."""

    @pytest.mark.parametrize("smoothing_px", [0, 4])
    def test_semantic(self, monkeypatch, smoothing_px):
        fitted = FOREST.model_copy(update={"smoothing_px": smoothing_px}).fit(cells(2))
        image = make_scene("cells", 9, size_hw=(150, 130)).image
        whole, scores = fitted.predict(image), fitted.predict_scores(image)
        monkeypatch.setitem(material_module.TILE_PX, 2, 41)
        assert fitted_module.TILE_PX is material_module.TILE_PX
        tiled = fitted.predict(image)
        assert np.array_equal(fitted.predict_scores(image), scores)
        assert np.array_equal(tiled.labels, whole.labels)
        assert tiled.class_ids.tolist() == whole.class_ids.tolist()
        assert tiled.scores == pytest.approx(whole.scores, abs=1e-6)

    def test_objects(self, monkeypatch, instance):
        image = make_scene("cells", 9, size_hw=(150, 130), task="instance").image
        whole = instance.predict(image)
        monkeypatch.setitem(material_module.TILE_PX, 2, 41)
        assert instance.predict(image) == whole

    def test_every_family_and_color(self, monkeypatch):
        bank = FeatureBank(
            families=("gaussian", "structure", "median", "entropy", "color", "position", "superpixel"),
            sigmas_px=(1.0, 2.0),
        )
        sample, fresh = scenes("street", 2, size_hw=(64, 96))
        fitted = Forest(features=bank, trees=10, pixels=2000, context_px=(2.0,)).fit([sample])
        whole = fitted.predict_scores(fresh.image)
        monkeypatch.setitem(material_module.TILE_PX, 2, 37)
        assert np.array_equal(fitted.predict_scores(fresh.image), whole)

    def test_volumes(self, monkeypatch):
        sample, fresh = scenes("volume", 2, size_dhw=(12, 32, 32))
        fitted = FOREST.model_copy(update={"context_px": (2.0,), "trees": 10}).fit([sample])
        whole, scores = fitted.predict(fresh.image), fitted.predict_scores(fresh.image)
        monkeypatch.setitem(material_module.TILE_PX, 3, 11)
        assert np.array_equal(fitted.predict_scores(fresh.image), scores)
        assert np.array_equal(fitted.predict(fresh.image).labels, whole.labels)


class TestSpacing:
    def at_half(self, sample):
        """The same scene with four pixels for one."""
        geometry = Geometry(tuple(step / 2 for step in sample.image.geometry.spacing), "um")
        return Image(sample.image.pixels.repeat(2, 0).repeat(2, 1), geometry=geometry)

    @pytest.mark.parametrize("context_px", [(), (1.0, 4.0)])
    def test_half_the_spacing_gives_about_the_same(self, context_px):
        """Of two textures that differ in their scale alone: what is fine to one who counts pixels is coarse by half."""

        def scene(seed):
            generator = np.random.default_rng(seed)
            y, x = np.mgrid[:96, :96]
            truth = (x > 48).astype(int)
            waves = np.where(truth, np.sin(2 * np.pi * x / 6), np.sin(2 * np.pi * x / 12))
            pixels = 128 + 70 * waves * np.sin(2 * np.pi * y / 9) + generator.normal(0, 4, truth.shape)
            marked = Segmentation.from_semantic_map(truth + 1, ClassSet.from_names(("wide", "fine")))
            return Sample.of(
                f"{seed}",
                Image(pixels.astype(np.uint8)[..., None], geometry=Geometry((1.0, 1.0), "um")),
                marked,
            )

        fitted = FOREST.model_copy(update={"context_px": context_px, "position": False}).fit(
            [scene(0), scene(1)]
        )
        fresh = scene(2)
        assert iou(fresh.truth, fitted.predict(fresh.image)) > 0.9
        half = fitted.predict(self.at_half(fresh)).semantic_map()[::2, ::2]
        assert (half == fresh.truth.semantic_map()).mean() > 0.85
        assert fitted.cascade.bank.sigmas == (1.0, 3.0)

    def test_one_without_spacing_has_scales_in_pixels(self):
        samples = [Sample.of(s.name, Image(s.image.pixels), s.truth) for s in cells(2)]
        fitted = FOREST.fit(samples)
        assert fitted.cascade.bank.sigmas is None
        assert fitted.predict(samples[0].image).geometry.spacing is None


class TestBundle:
    def test_it_comes_back_the_same(self, model, tmp_path):
        model.save(tmp_path / "m.smalti")
        again = smalti.load(tmp_path / "m.smalti")
        assert isinstance(again, FittedForest)
        image = cells(4)[3].image
        assert same(again, model, image)
        for name in ("classes", "task", "targets", "smoothing_px", "decoding", "channels"):
            assert getattr(again, name) == getattr(model, name), name
        assert again.describe() == model.describe()
        assert again.importances.columns["feature"].tolist() == model.importances.columns["feature"].tolist()
        again.save(tmp_path / "again.smalti")
        assert (tmp_path / "again.smalti").read_bytes() == (tmp_path / "m.smalti").read_bytes()

    def test_the_card_tells_what_it_is(self, model):
        card = model.to_bundle().card
        assert f"Task: {model.task}" in card and "nan" not in card
        assert all(name in card for name in model.targets.names)

    def test_a_fit_in_which_no_pixel_is_left_out_is_kept_too(self, tmp_path):
        pixels = np.zeros((20, 20), np.uint8)
        pixels[5:15, 5:15] = 200
        marks = np.where(pixels > 0, 1, -1)
        marks[::2] = 0  # all in one cell
        fitted = FOREST.fit(pixels, marks)
        assert fitted.report["oob_accuracy"] is None
        fitted.save(tmp_path / "m.smalti")
        assert "unknown" in read_bundle(tmp_path / "m.smalti").card

    def test_it_predicts_without_scikit_learn(self, semantic, instance, tmp_path):
        image = cells(4)[3].image
        np.save(tmp_path / "image.npy", image.pixels)
        for name, fitted in (("semantic", semantic), ("instance", instance)):
            np.save(tmp_path / f"{name}.npy", fitted.predict_scores(Image(image.pixels)))
            fitted.save(tmp_path / f"{name}.smalti")
        code = """
            import sys

            class Blocker:
                def find_spec(self, name, path=None, target=None):
                    if name.partition(".")[0] in ("sklearn", "joblib"):
                        raise ImportError("no scikit-learn here")

            sys.meta_path.insert(0, Blocker())
            import numpy as np
            import smalti
            from smalti.image import Image

            image = Image(np.load("image.npy"))
            for name in ("semantic", "instance"):
                model = smalti.load(f"{name}.smalti")
                assert np.array_equal(model.predict_scores(image), np.load(f"{name}.npy"))
                model.predict(image)
            assert "sklearn" not in sys.modules
            print("done")
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.stdout == "done\n", done.stderr

    def refused(self, bundle):
        with pytest.raises(ReadError) as error:
            Forest.from_bundle(bundle)
        assert "\n" not in str(error.value)

    def test_every_array_cut_short_gone_or_of_another_kind_is_refused(self, model):
        bundle = model.to_bundle()
        for name, array in bundle.arrays.items():
            flat = array.reshape(-1)
            changes = [
                array.astype(np.float64 if array.dtype.kind == "f" else np.int8),
                array[..., np.newaxis],
                flat[: flat.size // 2],
                array[:0],
            ]
            changes += [array[:-1]] if len(array) > 1 else []
            for wrong in changes:
                self.refused(Bundle(bundle.manifest, dict(bundle.arrays) | {name: wrong}))
            self.refused(
                Bundle(bundle.manifest, {key: each for key, each in bundle.arrays.items() if key != name})
            )
            if array.dtype.kind == "f":
                wild = array.copy()
                wild.reshape(-1)[wild.size // 2] = np.nan
                self.refused(Bundle(bundle.manifest, dict(bundle.arrays) | {name: wild}))

    @pytest.mark.parametrize(
        ("at", "value"),
        [
            ("task", "matting"),
            ("task", None),
            ("classes", []),
            ("classes", [{"id": 1}]),
            ("settings", {"trees": -1}),
            ("settings", None),
            ("targets", {"names": ["a"], "class_ids": [1], "border_px": 0}),
            ("targets", {}),
            ("calibration", {"kind": "isotonic", "temperature": 1.0, "knots": []}),
            ("calibration", {"kind": "none", "temperature": "hot", "knots": []}),
            ("factors", [1.0]),
            ("factors", ["a", "b"]),
            ("factors", None),
            ("smoothing_px", -1),
            ("smoothing_px", 10**9),
            ("smoothing_px", None),
            ("importances", 5),
            ("cascade", {}),
        ],
    )
    def test_a_manifest_that_says_something_else_is_refused(self, semantic, at, value):
        bundle = semantic.to_bundle()
        self.refused(Bundle({**bundle.manifest, at: value}, bundle.arrays))
        self.refused(Bundle({key: each for key, each in bundle.manifest.items() if key != at}, bundle.arrays))

    @pytest.mark.parametrize(
        ("at", "value"),
        [
            ("ndim", 4),
            ("channels", []),
            ("wanted", [0, 0, 1]),
            ("wanted", [10**6]),
            ("wanted", []),
            ("bank", {"families": ["smell"]}),
            ("bank", {"sigmas_px": [1e9]}),
            ("context", {"families": ["gaussian"], "sigmas_px": [1.0]}),
        ],
    )
    def test_a_cascade_that_does_not_fit_its_arrays_is_refused(self, semantic, at, value):
        bundle = semantic.to_bundle()
        cascade = dict(bundle.manifest["cascade"]) | {at: value}
        self.refused(Bundle({**bundle.manifest, "cascade": cascade}, bundle.arrays))

    def test_a_newer_bundle_says_so(self, semantic, tmp_path, monkeypatch):
        monkeypatch.setattr("smalti.io.bundle.FORMAT", 99)
        semantic.save(tmp_path / "m.smalti")
        monkeypatch.undo()
        with pytest.raises(ReadError, match="newer smalti") as error:
            smalti.load(tmp_path / "m.smalti")
        assert "\n" not in str(error.value)

    def test_a_damaged_file_says_so(self, semantic, tmp_path):
        path = tmp_path / "m.smalti"
        write_bundle(path, semantic.to_bundle())
        content = path.read_bytes()
        for damaged in (content[: len(content) // 2], content[:100] + b"\0" * 40 + content[140:], b""):
            path.write_bytes(damaged)
            with pytest.raises(ReadError) as error:
                smalti.load(path)
            assert "\n" not in str(error.value)


class TestBadInput:
    def said(self, call, match):
        with pytest.raises(InputError, match=match) as error:
            call()
        assert "\n" not in str(error.value)

    def marks(self, *values, shape=(40, 40)):
        found = np.zeros(shape, np.int32)
        for row, value in enumerate(values):
            found[4 * row + 2, 2:38] = value
        return found

    pixels = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)

    def test_one_class_only(self):
        self.said(
            lambda: FOREST.fit(self.pixels, self.marks(1)), "only 'class 1' is labelled; label a second class"
        )
        alone = Segmentation.from_semantic_map(np.ones((40, 40), int), ClassSet.from_names(["all"]))
        sample = Sample.of("a", Image.from_array(self.pixels), alone)
        self.said(lambda: FOREST.fit([sample]), "at least two classes")

    def test_scribbles_of_another_size(self):
        self.said(lambda: FOREST.fit(self.pixels, self.marks(1, -1, shape=(40, 41))), "must cover the image")
        self.said(
            lambda: FOREST.predict(
                Image.from_array(self.pixels), Prompts(scribbles=self.marks(1, -1, shape=(39, 40)))
            ),
            "must cover",
        )

    def test_scribbles_without_a_class_or_of_one_that_is_not_there(self):
        self.said(lambda: FOREST.fit(self.pixels, self.marks(-1)), "mark no class")
        self.said(lambda: FOREST.fit(self.pixels, self.marks()), "mark no class")
        names = ClassSet.from_names(["one"])
        self.said(
            lambda: FOREST.fit(self.pixels, self.marks(1, 2, -1), classes=names), "mark class 2, which is not"
        )
        self.said(lambda: FOREST.fit(self.pixels, self.marks(1, 70_000)), "up to 30000")

    def test_scribbles_that_are_no_numbers_of_classes(self):
        self.said(lambda: FOREST.fit(self.pixels, self.marks(1, -1) * 1.0), "must be integers")

    def test_nan(self):
        pixels = self.pixels / np.float32(255)
        pixels[3, 3] = np.nan
        self.said(lambda: FOREST.fit(pixels, self.marks(1, -1)), "NaN")
        fitted = FOREST.fit(self.pixels / np.float32(255), self.marks(1, -1))
        self.said(lambda: fitted.predict(Image.from_array(pixels)), "NaN")
        self.said(lambda: fitted.predict_scores(Image.from_array(pixels)), "NaN")

    def test_other_channels_and_axes_when_predicting(self, semantic):
        image = Image.from_array(np.zeros((30, 30, 3), np.uint8))
        for predict in (semantic.predict, semantic.predict_scores):
            self.said(
                lambda predict=predict: predict(image), "2 axes and 1 channels .*, this one has 2 axes and 3"
            )
        self.said(lambda: semantic.predict(Image(np.zeros((5, 9, 9, 1), np.uint8))), "this one has 3 axes")

    def test_images_that_differ(self):
        samples = cells(1)
        odd = Sample.of(
            "odd", Image(np.zeros((9, 9, 3), np.uint8)), Segmentation.from_labels(np.eye(9, dtype=int))
        )
        self.said(lambda: FOREST.fit([*samples, odd]), "'odd' has 2 axes and 3 channels")

    def test_fewer_labelled_pixels_than_classes(self):
        truth = np.arange(4).reshape(2, 2)
        classes = ClassSet.from_names(("one", "two", "three"))
        found = Segmentation.from_semantic_map(truth, classes)
        sample = Sample.of("a", Image(np.zeros((2, 2, 1), np.uint8)), found)
        FOREST.fit([sample])
        marks = self.marks()
        marks[2, 2] = 1
        self.said(lambda: FOREST.fit(self.pixels, marks), "only 'class 1' is labelled")

    def test_what_goes_together(self):
        image = Image.from_array(self.pixels)
        self.said(lambda: FOREST.fit(image), "give its scribbles or truth, or samples")
        self.said(lambda: FOREST.fit(cells(1), self.marks(1, -1)), "scribbles go with one image")
        self.said(lambda: FOREST.predict(image), "needs scribbles")
        self.said(lambda: FOREST.predict(image, Prompts(boxes=np.array([[0, 0, 5, 5]]))), "takes no boxes")
        self.said(lambda: FOREST.fit([]), "none of 0 samples")

    def test_all_is_void(self):
        void = Segmentation.from_labels(np.zeros((9, 9), int)).replace(void=np.ones((9, 9), bool))
        with pytest.raises(SmaltiError, match="labelled"):
            FOREST.fit([Sample.of("a", Image(np.zeros((9, 9, 1), np.uint8)), void)])
