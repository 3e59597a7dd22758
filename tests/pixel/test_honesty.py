"""What a forest says of itself and of images unlike its own, and that what it is told has an effect."""

import numpy as np
import pytest

import smalti
from smalti.classes import ClassSet
from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.pixel.calibration import Calibration, calibrate_shares, evened
from smalti.pixel.features import FeatureBank
from smalti.pixel.forest import Forest
from smalti.pixel.trees import Trees
from smalti.sample import Sample
from smalti.segmentation import Segmentation

SMALL = FeatureBank(families=("gaussian",), sigmas_px=(1.0, 2.0))
FOREST = Forest(features=SMALL, trees=15, context_px=(), pixels=20_000)
KINDS = ClassSet.from_names(("a", "b"))


def plane(generator, level=40.0, size=48):
    return generator.normal(level, 2, (size, size))


def sample(pixels, semantic, name, geometry=None, **fields):
    image = Image(np.clip(pixels, 0, 255).astype(np.uint8)[..., np.newaxis], geometry=geometry or Geometry())
    return Sample.of(name, image, Segmentation.from_semantic_map(semantic, KINDS), **fields)


def patches(generator):
    """Classes 1 and 2 in patches of 12 pixels."""
    return (1 + (generator.random((4, 4)) < 0.5)).repeat(12, 0).repeat(12, 1).astype(np.uint8)


def with_one_rare_class(count=8):
    """Images of class a on a ground; the last one has a square of class b, which is much brighter."""
    generator = np.random.default_rng(0)
    samples = []
    for index in range(count):
        pixels, semantic = plane(generator), np.zeros((48, 48), np.uint8)
        pixels[:20, :20] += 60
        semantic[:20, :20] = 1
        if index == count - 1:
            pixels[24:44, 24:44] += 150
            semantic[24:44, 24:44] = 2
        samples.append(sample(pixels, semantic, f"image {index}"))
    return samples


def test_a_class_that_is_in_one_image_only_is_found_there():
    samples = with_one_rare_class()
    found = FOREST.fit(samples, classes=KINDS).predict(samples[-1].image)
    assert (found.semantic_map()[26:42, 26:42] == 2).mean() > 0.9


def test_groups_are_left_out_however_few_they_are():
    generator = np.random.default_rng(1)
    samples = []
    for group, (dark, bright) in enumerate([(40, 90), (90, 140), (140, 190), (190, 240), (240, 40)]):
        for index in range(4):
            semantic = patches(generator)  # not always in the same place, which would tell them
            pixels = generator.normal(np.where(semantic == 2, bright, dark), 2)
            samples.append(sample(pixels, semantic, f"{group}/{index}", group=f"patient {group}"))
    fitted = FOREST.fit(samples, classes=KINDS)
    alone = [Sample.of(each.name, each.image, each.truth) for each in samples]
    by_image = FOREST.fit(alone, classes=KINDS).report["oob_accuracy"]
    assert fitted.report["oob_accuracy"] < by_image - 0.1  # what is bright in one patient is dark in another


def test_class_weights_are_seen_in_what_is_predicted():
    generator = np.random.default_rng(2)

    def mixed(name):
        semantic = patches(generator)
        pixels = generator.normal(np.where(semantic == 2, 112, 100), 14)
        return sample(pixels, semantic, name)

    samples = [mixed(f"image {index}") for index in range(7)]
    counts = []
    for weight in (0.1, 1.0, 10.0):
        settings = FOREST.model_copy(update={"class_weights": {"b": weight}, "smoothing_px": 0})
        fitted = settings.fit(samples, classes=KINDS)
        counts.append(int((fitted.predict(samples[0].image).semantic_map() == 2).sum()))
    assert counts[0] < 0.95 * counts[1] and counts[1] < 0.95 * counts[2]


def test_objects_of_strokes_are_kept_and_found_again(tmp_path):
    labels, strokes = np.zeros((64, 64), np.int32), np.zeros((64, 64), np.int32)
    pixels = np.random.default_rng(3).normal(40, 4, (64, 64))
    for number, (y, x) in enumerate([(6, 6), (6, 40), (40, 6), (40, 40)], start=1):
        labels[y : y + 14, x : x + 14] = number
        pixels[y : y + 14, x : x + 14] += 120
        strokes[y + 6, x + 3 : x + 11] = number
    known = strokes > 0
    known[32, 4:60] = known[2, 4:60] = True
    truth = Segmentation.from_labels(strokes, void=~known)
    image = Image(np.clip(pixels, 0, 255).astype(np.uint8)[..., np.newaxis])
    fitted = FOREST.fit([Sample.of("dish", image, truth)])
    assert fitted.task == "instance" and not fitted.targets.bordered
    found = fitted.predict(image)
    assert len(found) == 4
    fitted.save(tmp_path / "m.smalti")
    assert smalti.load(tmp_path / "m.smalti").predict(image) == found


def test_objects_that_come_late_make_it_a_task_of_objects():
    generator = np.random.default_rng(4)
    samples = []
    for index in range(26):
        labels = np.zeros((24, 24), np.int32)
        labels[2:8, 2:8] = 1
        if index == 25:
            labels[12:20, 12:20] = 2
        image = Image(generator.integers(0, 255, (24, 24, 1)).astype(np.uint8))
        samples.append(Sample.of(f"{index:02}", image, Segmentation.from_labels(labels)))
    assert FOREST.model_copy(update={"trees": 2, "hard": 0.0}).fit(samples).task == "instance"


def test_scales_are_lengths_in_whatever_unit():
    bank = FeatureBank(families=("gaussian",), sigmas_px=(2.0,), sigmas=(1.0,), sigmas_unit="um")
    (fine,) = bank.sigmas_in(Geometry((0.5, 0.5), "um"), 2)
    (same,) = bank.sigmas_in(Geometry((500.0, 500.0), "nm"), 2)
    assert fine == pytest.approx((2.0, 2.0)) and same == pytest.approx((2.0, 2.0))
    with pytest.raises(InputError, match="cannot be converted"):
        bank.sigmas_in(Geometry((0.5, 0.5), "deg"), 2)


def test_a_spaced_image_is_learned_with_scales_that_have_a_unit():
    geometry = Geometry((0.5, 0.5), "um")
    spaced = [
        sample(each.image.pixels[..., 0], each.truth.semantic_map(), each.name, geometry)
        for each in with_one_rare_class()
    ]
    fitted = Forest(features=SMALL, trees=5, pixels=5000).fit(spaced, classes=KINDS)
    assert fitted.cascade.bank.sigmas_unit == "um"
    assert fitted.cascade.context.sigmas == pytest.approx((0.5, 2.0, 6.0))
    in_nanometres = Image(spaced[-1].image.pixels, geometry=Geometry((500.0, 500.0), "nm"))
    assert np.array_equal(fitted.predict_scores(in_nanometres), fitted.predict_scores(spaced[-1].image))


def test_shares_are_those_of_the_other_pixels():
    generator = np.random.default_rng(5)
    truth = generator.random(20_000) < 0.1
    seen = generator.normal(truth * 2.0, 1.0)
    odds = np.exp(2.0 * seen - 2.0)  # of classes that are equally frequent
    even = np.stack([1 / (1 + odds), odds / (1 + odds)], 1).astype(np.float32)
    right = calibrate_shares(even, np.array([1.0, 1.0])).apply(even.T)
    assert right[1].mean() == pytest.approx(0.1, abs=0.02)
    assert even[:, 1].mean() > 0.15
    assert right.sum(0) == pytest.approx(1, abs=1e-5)


def test_classes_are_chosen_by_a_root_of_their_shares():
    for factors in ((1.0, 0.04), (0.3, 1.0, 0.01, 0.5)):
        shares = Calibration("shares", factors=factors)
        by = evened(shares) * np.array(factors)
        kinds = len(factors)
        assert by / by.max() == pytest.approx(np.array(factors) ** (1 / kinds))
        assert evened(shares).max() == 1


def test_what_is_left_open_depends_on_the_annotations():
    open_ = Forest()
    assert open_.chosen(strokes=True, objects=False, few=False) == (3, 0.0, "shares")
    assert open_.chosen(strokes=True, few=False, objects=True) == (3, 0.0, "none")
    assert open_.chosen(strokes=True, objects=False, few=True) == (3, 0.0, "none")
    assert open_.chosen(strokes=False, objects=False, few=False) == (10, 0.25, "isotonic")
    assert open_.chosen(strokes=False, objects=True, few=True) == (10, 0.5, "isotonic")
    given = Forest(min_leaf=7, balance=0.0, calibration="temperature")
    assert given.chosen(strokes=False, objects=False, few=True) == (7, 0.0, "temperature")


def strokes_above_and_below(count):
    """Images of noise whose upper half is one class and lower half the other, two strokes on each."""
    generator = np.random.default_rng(8)
    samples = []
    for index in range(count):
        semantic, void = np.repeat([1, 2], 24)[:, np.newaxis] * np.ones((1, 48), int), np.ones((48, 48), bool)
        for row in (4, 18, 30, 43):
            void[row + index % 3] = False
        made = sample(plane(generator), semantic, f"image {index}")
        samples.append(Sample.of(made.name, made.image, made.truth.replace(void=void)))
    return samples


def test_strokes_on_many_images_tell_whether_the_place_helps():
    fitted = FOREST.fit(strokes_above_and_below(10))
    assert fitted.calibration.kind == "shares"
    assert fitted.factors == pytest.approx(evened(fitted.calibration))
    assert any(name.startswith("position") for name in fitted.cascade.feature_names)
    few = FOREST.fit(strokes_above_and_below(3))
    assert not any(name.startswith("position") for name in few.cascade.feature_names)
    found = fitted.predict(strokes_above_and_below(1)[0].image).semantic_map()
    assert (found == np.repeat([1, 2], 24)[:, np.newaxis]).mean() > 0.95


def test_a_dot_beside_a_broad_stroke_is_not_overlooked():
    pixels = np.random.default_rng(3).integers(0, 50, (1024, 1024)).astype(np.uint8)
    marks = np.zeros(pixels.shape, int)
    marks[:180], marks[530, 529:532] = -1, 1
    for seed in range(5):
        fitted = Forest(features=SMALL, trees=3, seed=seed).fit(pixels, marks)
        assert fitted.targets.names == ("background", "class 1")
        assert fitted.report["pixels"] > 10_000


def test_a_bank_without_a_feature_is_refused():
    image = Image(np.zeros((8, 8, 1), np.uint8))
    marks = np.zeros((8, 8), int)
    marks[0], marks[-1] = 1, -1
    bank = FeatureBank(families=("color",))
    with pytest.raises(InputError, match="no feature of images with the channels grey"):
        Forest(features=bank).fit(image, marks)


def test_scribbles_do_not_show_objects():
    marks = np.zeros((8, 8), int)
    marks[0], marks[-1] = 1, -1
    with pytest.raises(InputError, match="not the objects"):
        Forest(task="instance").fit(Image(np.zeros((8, 8, 1), np.uint8)), marks)


def test_high_numbers_of_scribbles_take_no_longer():
    generator = np.random.default_rng(6)
    marks = np.zeros((30, 30), int)
    marks[2:5, 2:28], marks[20:24, 2:28] = 30_000, -1
    image = Image(generator.integers(0, 255, (30, 30, 1)).astype(np.uint8))
    assert FOREST.fit(image, marks).targets.class_ids == (0, 30_000)


@pytest.mark.parametrize(
    "children",
    [
        pytest.param([1, 2, 3, 4, 5], id="a chain that shares children"),
        pytest.param([1, 1, 3, 5, 7], id="a node of two parents"),
        pytest.param([3, 1, 5, 7, 9], id="another order"),
    ],
)
def test_nodes_that_are_no_tree_are_refused(children):
    count = 2 * len(children) + 1
    inner = [child << 16 | 5 for child in children]
    ends = [place << 16 | 0xFF | 1 << 31 for place in range(len(children), count)]
    nodes = np.array(inner + ends, np.uint32)
    arrays = {
        "nodes": nodes,
        "leaf_of": np.where(nodes >> 31, 0, -1).astype(np.int32),
        "leaves": np.array([[0.5, 0.5]], np.float32),
        "roots": np.zeros(1, np.int64),
    }
    with pytest.raises(ReadError, match="lead nowhere"):
        Trees.from_arrays(arrays, 3)
    nodes[: len(children)] = [2 * place + 1 << 16 | 5 for place in range(len(children))]
    assert len(Trees.from_arrays(arrays, 3)) == 1


def test_channels_are_known_by_their_names():
    generator = np.random.default_rng(7)
    pixels = generator.integers(0, 60, (40, 40, 3)).astype(np.uint8)
    pixels[:, 20:, 0] += 150
    marks = np.zeros((40, 40), int)
    marks[5:35, 4:8], marks[5:35, 30:34] = -1, 1
    image = Image(pixels, ("red", "green", "blue"))
    fitted = FOREST.fit(image, marks)
    turned = Image(pixels[..., ::-1], ("blue", "green", "red"))
    assert fitted.predict(turned) == fitted.predict(image)


def test_the_right_ones_of_many_channels_are_selected():
    generator = np.random.default_rng(8)
    samples = []
    for index in range(6):
        semantic = patches(generator)
        pixels = generator.normal(100, 20, (48, 48, 300))
        for channel in (5, 120, 290):
            pixels[..., channel] += 60 * (semantic == 2)
        image = Image(np.clip(pixels, 0, 255).astype(np.uint8))
        samples.append(Sample.of(str(index), image, Segmentation.from_semantic_map(semantic, KINDS)))
    bank = FeatureBank(families=("gaussian",), sigmas_px=(1.0,))
    settings = Forest(features=bank, trees=5, pixels=3000, context_px=(), select=3, smoothing_px=0)
    fitted = settings.fit(samples, classes=KINDS)
    named = [name.split()[2] for name in fitted.cascade.feature_names]
    assert named == ["channel_5", "channel_120", "channel_290"]
