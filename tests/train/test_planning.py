"""What is planned for which dataset: each rule by two fingerprints that differ in the one number it goes by."""

import math

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.augment.presets import preset
from smalti.data.dataset import Dataset
from smalti.data.scenes import scene_classes, scenes
from smalti.errors import InputError, UnknownName
from smalti.image import Image
from smalti.postprocess.decode import BorderDecoding
from smalti.sample import Sample
from smalti.segmentation import Segmentation
from smalti.train.augmenting import suited
from smalti.train.fingerprint import ClassFound, Fingerprint
from smalti.train.machine import Machine
from smalti.train.model import first_decoding
from smalti.train.plan import Plan
from smalti.train.planning import FEWEST_STEPS, make_plan, steps_for, timed
from smalti.train.survey import survey

GIB = 2**30
LAPTOP = Machine(cores=2, memory_bytes=8 * GIB)
CARD = Machine(cores=16, memory_bytes=64 * GIB, gpu_bytes=24 * GIB, bf16=True)


def a_class(name="cell", **changes):
    fields = {"id": 1, "name": name, "thing": True, "pixel_share": 0.2, "image_share": 1.0, "segments": 900}
    fields |= {"thickness_px": 12.0, "radius_px": {"low": 8, "median": 12, "high": 20}}
    return {**fields, "lean": (0.0, 0.0), "lean_error": (0.01, 0.01), **changes}


def found(**changes):
    """Forty pictures of cells, each of 512 x 512, but for the changes."""
    spread = {"low": 512, "median": 512, "high": 512}
    fields = {
        "num_samples": 40,
        "num_truths": 40,
        "num_images": 40,
        "num_groups": 40,
        "splits": {},
        "task": "instance",
        "ndim": 2,
        "channels": ("grey",),
        "values": {"kinds": ("uint8",), "highest": 1.0},
        "grey": True,
        "sizes": (spread, spread),
        "total_px": 40 * 512**2,
        "intensities": ({"mean": 0.3, "std": 0.2, "low": 0.0, "high": 0.9},),
        "difference": {"between": 0.1, "contrast": 1.5, "tail": 3.0, "brighter": 1.0},
        "classes": (a_class(),),
        "background_share": 0.8,
        "background_images": 1.0,
        "void_share": 0.0,
        "objects": objects(),
    }
    return Fingerprint.model_validate({**fields, **changes})


def objects(low=8, median=12, high=20, touching=0.3, in_pieces=0.0):
    radius = {"low": low, "median": median, "high": high}
    per_image = {"low": 3, "median": 20, "high": 90}
    return {"radius_px": radius, "per_image": per_image, "touching": touching, "in_pieces": in_pieces}


def classes(*shares, lean=(0.0, 0.0), **changes):
    """Stuff that fills the image in these shares, the first leaning."""
    return tuple(
        a_class(
            f"class {number}",
            id=number,
            thing=False,
            pixel_share=share,
            lean=lean if number == 1 else (0.0, 0.0),
            **changes,
        )
        for number, share in enumerate(shares, 1)
    )


def semantic(*shares, **changes):
    lean = changes.pop("lean", (0.0, 0.0))
    filled = {"task": "semantic", "background_share": max(0.0, 1 - sum(shares)), "objects": None}
    return found(**{**filled, "classes": classes(*shares, lean=lean), **changes})


def steps(low, median, high, tenth=None):
    return {"low": low, "tenth": tenth or low, "median": median, "high": high}


def volumes(size=(64, 64, 64), spacing=(1.0, 1.0, 1.0), **changes):
    fields = {
        "ndim": 3,
        "sizes": [{"low": each, "median": each, "high": each} for each in size],
        "spacing": [step if isinstance(step, dict) else steps(step, step, step) for step in spacing],
        "unit": "mm",
        "spacing_known": 1.0,
        "total_px": 40 * math.prod(size),
        "classes": classes(0.05, 0.05, lean=(0.0,) * 3, lean_error=(0.01,) * 3)[:1]
        + tuple({**each, "lean": (0.0,) * 3} for each in classes(0.05, 0.05, lean_error=(0.01,) * 3)[1:]),
    }
    return semantic(0.05, 0.05, **{**fields, **changes})


def plan(fingerprint, machine=LAPTOP, budget_s=600.0, **settings):
    return make_plan(fingerprint, settings, machine, budget_s)


def test_every_decision_of_weight_has_a_reason_with_its_number():
    made = plan(found())
    assert {"task", "objects", "normalise", "crop_px", "batch_size", "network", "network_settings"} <= set(
        made.reasons
    )
    assert "30%" in made.reasons["objects"] and "12 px" in made.reasons["objects"]
    assert "10%" in made.reasons["normalise"] and "as asked" in made.reasons["budget_s"]


def test_what_was_asked_wins_and_what_follows_follows_it():
    made = plan(
        found(), crop_px=[96, 160], learning_rate=0.05, network_settings={"width": 8}, augment="photo"
    )
    assert made.crop_px == (96, 160) and made.learning_rate == 0.05
    assert made.network_settings["width"] == 8 and made.network_settings["block"] == "separable"
    assert [step.name for step in made.augment.steps] == [step.name for step in preset("photo").steps]
    assert made.reasons["crop_px"] == made.reasons["augment"] == "as asked"
    assert "width as asked" in made.reasons["network_settings"]
    one = plan(found(), batch_size=1)
    assert one.network_settings["norm"] == "instance" and one.epoch_steps == 32


def test_settings_that_no_plan_has_are_refused_by_name():
    with pytest.raises(UnknownName, match="nearest: learning_rate"):
        plan(found(), learning_rat=1)
    for name, value in [
        ("batch_size", 0),
        ("crop_px", "large"),
        ("flips", ["w"]),
        ("learning_rate", math.nan),
    ]:
        with pytest.raises(InputError, match=f"plan: {name}"):
            plan(found(), **{name: value})
    for settings in [
        {"width": "x"},
        {"stem_stride": 3},
        {"strides": [[2, 2, 2]]},
        {"strides": [0]},
        {"strides": []},
    ]:
        with pytest.raises(InputError, match="of the net"):
            plan(found(), network_settings=settings)
    with pytest.raises(InputError, match="2 lengths"):
        plan(found(), crop_px=[8, 8, 8])


def test_objects_are_parted_by_borders_and_small_or_hidden_ones_by_their_centres():
    assert plan(found()).objects == "border"
    assert plan(found(objects=objects(low=2, median=4))).objects == "centers"
    hidden = plan(found(objects=objects(in_pieces=0.3)))
    assert (hidden.objects, hidden.border_px, hidden.offset_unit_px) == ("centers", 0, 12)
    assert plan(semantic(0.2)).objects == "none"


def test_borders_are_as_wide_as_objects_allow():
    widths = [plan(found(objects=objects(low=2.8, median=median))).border_px for median in (5, 12, 40)]
    assert widths == [1, 2, 3]
    coarse = plan(found(objects=objects(low=2.8, median=5)), network_settings={"stem_stride": 2})
    assert coarse.border_px == 2  # one pixel of the net's own


def test_depth_is_learned_where_objects_touch_and_says_most_of_where_they_part():
    assert not plan(found(objects=objects(touching=0.05))).distance
    touching = plan(found(objects=objects(touching=0.3)))
    assert touching.distance
    assert first_decoding(touching).distance_weight > BorderDecoding().distance_weight
    assert first_decoding(plan(found(objects=objects(touching=0.05)))) is None
    assert first_decoding(plan(found(), objects="centers")) is None


def test_strokes_show_no_outlines_and_classes_without_labels_are_named():
    strokes = plan(found(void_share=0.95))
    assert (strokes.task, strokes.objects) == ("semantic", "none") and "strokes" in strokes.reasons["task"]
    missing = a_class(
        "dirt", id=2, segments=0, pixel_share=0, image_share=0, thickness_px=None, radius_px=None, lean=()
    )
    made = plan(found(classes=(a_class(), missing)))
    assert "no label of dirt" in made.reasons["task"]


def test_nothing_to_tell_apart_is_an_error():
    with pytest.raises(InputError, match="only 'class 1' is labelled"):
        plan(semantic(1.0))


def test_images_that_differ_are_normalised_one_by_one():
    def difference(**changes):
        fields = {"between": 0.1, "contrast": 1.5, "tail": 3.0, "brighter": None, **changes}
        return plan(found(difference=fields))

    assert difference().normalise == "fixed" and difference().mean == (0.3,)
    assert difference(between=0.5).normalise == "zscore"
    assert difference(contrast=9.0).normalise == "zscore"
    assert difference(between=0.5, tail=9.0).normalise == "percentiles"
    assert (
        difference(between=0.5, brighter=0.5).reasons["normalise"].endswith("50% of the images, else darker")
    )


def test_tomography_keeps_its_scale_and_is_clipped_to_what_is_labelled():
    labelled = {"labelled_mean": 40, "labelled_std": 30, "labelled_low": -60, "labelled_high": 200}
    intensity = {"mean": -500, "std": 500, "low": -1000, "high": 900, **labelled}
    wild = {"between": 0.9, "contrast": 9, "tail": 3, "brighter": None}
    fields = {"intensities": (intensity,), "difference": wild}
    made = plan(volumes(values={"kinds": ("int16",), "highest": 3000}, **fields))
    assert (made.normalise, made.mean, made.std, made.clip) == ("fixed", (40,), (30,), ((-60, 200),))
    assert plan(volumes(values={"kinds": ("float",), "highest": 3000}, **fields)).normalise == "zscore"


def test_volumes_are_brought_to_the_median_spacing_where_it_differs():
    assert plan(volumes()).spacing is None
    made = plan(volumes(spacing=[steps(0.5, 1, 2)] * 3))
    assert made.spacing == (1, 1, 1) and made.unit == "mm"
    coarse = [steps(1.5, 5, 6, tenth=2), steps(0.5, 0.5, 0.6), steps(0.5, 0.5, 0.6)]
    assert plan(volumes(size=(20, 256, 256), spacing=coarse)).spacing == (2, 0.5, 0.5)
    assert plan(volumes(size=(200, 256, 256), spacing=coarse)).spacing == (5, 0.5, 0.5)
    some = plan(volumes(spacing=[steps(0.5, 1, 2)] * 3, spacing_known=0.5))
    assert some.spacing is None and "50%" in some.reasons["spacing"]
    printed = plan(found(spacing=[steps(0.01, 0.02, 0.03)] * 2, unit="inch", spacing_known=1))
    assert printed.spacing is None


def test_a_coarse_axis_is_halved_later():
    strides = plan(volumes(size=(32, 128, 128), spacing=(4, 1, 1))).network_settings["strides"]
    assert strides[:3] == [[1, 2, 2], [1, 2, 2], 2]
    assert plan(volumes()).network_settings["strides"][0] == 2


def test_large_objects_are_looked_at_smaller_unless_small_ones_were_lost():
    assert plan(found()).scale == 1
    assert plan(found(objects=objects(40, 150, 200))).scale == 0.25
    assert plan(found(objects=objects(6, 150, 200))).scale == 1


def test_scenes_are_looked_at_smaller_unless_thin_things_were_lost():
    large = [{"low": 1500, "median": 1500, "high": 1500}] * 2
    thin = classes(0.5, 0.5, lean=(-0.4, 0), thickness_px=4.0)
    assert plan(semantic(0.5, 0.5, lean=(-0.4, 0), sizes=large)).scale == 0.5
    assert plan(semantic(0.5, 0.5, sizes=large, classes=thin)).scale == 1
    assert plan(semantic(0.5, 0.5, sizes=large)).scale == 1  # no fixed up: no scene


def test_crops_follow_objects_scenes_and_images():
    small, large = plan(found(), CARD), plan(found(objects=objects(high=50)), CARD)
    assert max(small.crop_px) < min(large.crop_px)
    assert plan(semantic(0.5, 0.5, lean=(-0.4, 0)), CARD).crop_px == (512, 512)
    assert plan(semantic(0.5, 0.5), CARD).crop_px == (256, 256)
    tiny = [{"low": 20, "median": 50, "high": 90}] * 2
    assert plan(found(sizes=tiny, total_px=40 * 2500), CARD).crop_px == (
        56,
        56,
    )  # padded to what the net divides by


def test_crops_can_be_divided_by_all_that_the_net_does():
    for fingerprint in (
        found(),
        semantic(0.5, 0.5, lean=(-0.4, 0)),
        volumes(size=(30, 50, 70)),
        volumes((9, 90, 80)),
    ):
        for machine in (LAPTOP, CARD):
            made = plan(fingerprint, machine)
            for axis, length in enumerate(made.crop_px):
                along = [
                    step if isinstance(step, int) else step[axis] for step in made.network_settings["strides"]
                ]
                assert length % (made.network_settings["stem_stride"] * math.prod(along)) == 0


def test_a_step_fits_into_memory():
    tight, wide = (
        plan(volumes((160,) * 3), CARD),
        plan(volumes((160,) * 3), CARD.model_copy(update={"gpu_bytes": GIB})),
    )
    assert math.prod(wide.crop_px) * wide.batch_size < math.prod(tight.crop_px) * tight.batch_size
    assert "memory" in wide.reasons["crop_px"] + wide.reasons["batch_size"]


def test_short_budgets_and_processors_get_cheaper_steps():
    def cost(made):
        stem = made.network_settings["stem_stride"]
        return math.prod(made.crop_px) * made.batch_size / stem**2, made.network_settings["width"]

    minute, hour, card = plan(found(), budget_s=60), plan(found(), budget_s=3600), plan(found(), CARD)
    assert cost(minute)[0] < cost(hour)[0] < cost(card)[0]
    assert cost(minute)[1] < cost(hour)[1]


def test_the_net_begins_smaller_only_where_nothing_thin_is_lost():
    def stem(machine=LAPTOP, thickness=12.0, low=8):
        return plan(
            found(classes=(a_class(thickness_px=thickness),), objects=objects(low=low)), machine
        ).network_settings["stem_stride"]

    assert stem() == 2
    assert stem(thickness=3) == stem(low=2.8) == stem(CARD) == 1
    thin = [
        {**each, "thickness_px": 3.0, "lean": (0.0,) * 3, "lean_error": (0.01,) * 3}
        for each in classes(0.05, 0.05)
    ]
    assert plan(volumes(classes=thin)).network_settings["stem_stride"] == 2  # eight times as cheap
    finer = [{**each, "thickness_px": 2.0} for each in thin]
    assert plan(volumes(classes=finer)).network_settings["stem_stride"] == 1


@pytest.mark.parametrize(
    "what", [found, volumes, lambda: semantic(0.3, 0.3)], ids=["objects", "volumes", "texture"]
)
def test_all_but_scenes_are_learned_from_small_crops_in_many_steps_wherever_the_net_begins(what):
    def px(stem):
        made = plan(what(), network_settings={"stem_stride": stem})
        return made.batch_size * math.prod(made.crop_px)

    assert px(1) == px(2)


def test_beyond_an_image_is_its_mirror_image():
    assert plan(found()).augment.border == plan(volumes()).augment.border == "mirror"


def test_images_of_both_polarities_are_turned_to_one_where_their_tail_tells_which():
    def polarity(**changes):
        fields = {"between": 0.9, "contrast": 1.5, "tail": 3.0, "brighter": 0.8, "told": 1.0, **changes}
        return plan(found(difference=fields)).polarity

    assert polarity() == "bright"
    assert polarity(told=0.6) == polarity(brighter=1.0) == polarity(brighter=None, told=None) == "kept"
    assert polarity(between=0.1) == "kept"  # fixed numbers for all images keep theirs
    with pytest.raises(InputError, match="normalise is fixed"):
        plan(found(), polarity="bright")


def test_small_batches_are_normalised_image_by_image():
    assert plan(found()).network_settings["norm"] == "batch"
    assert plan(volumes(), network_settings={"stem_stride": 1}).network_settings["norm"] == "instance"


def test_other_nets_are_made_as_they_are_with_crops_they_divide():
    made = plan(found(), network="fast", network_settings={"width": 8})
    assert made.network_settings == {"width": 8}
    assert all(length % 32 == 0 for length in made.crop_px)


def test_a_batch_is_a_part_of_the_dataset():
    few = plan(found(num_samples=2, num_groups=2, total_px=2 * 256**2))
    assert few.batch_size == 2 < plan(found()).batch_size


def test_rare_classes_are_looked_for():
    assert plan(found()).focus_share == 0.8
    assert plan(semantic(0.3, 0.3)).focus_share == pytest.approx(1 / 3)
    assert plan(found(classes=(a_class(pixel_share=1e-4),), background_share=0.9999)).focus_share == 0.5
    whole = [{"low": 100, "median": 100, "high": 100}] * 2
    assert plan(found(sizes=whole)).focus_share == 0
    seldom = (a_class(), a_class("dirt", id=2, image_share=0.1, pixel_share=0.1))
    assert plan(found()).draw == "evenly" and plan(found(classes=seldom, background_share=0.7)).draw == "rare"

    uneven = [{"low": 100, "median": 200, "high": 500}] * 2
    assert plan(found(sizes=uneven)).draw == "size" == plan(found(), draw="size").draw


def test_the_loss_follows_what_is_measured_and_how_uneven_classes_are():
    assert plan(semantic(0.3, 0.3, 0.2, 0.1, 0.1)).loss == "cross-entropy+lovasz"
    assert plan(semantic(0.3, 0.3)).loss == "cross-entropy+dice"
    assert plan(semantic(0.5, 0.5)).class_weights == "none"
    uneven = plan(semantic(0.99, 0.01))
    assert uneven.class_weights == "sqrt" and "99 times" in uneven.reasons["class_weights"]


@pytest.mark.parametrize(
    ("fingerprint", "name"),
    [
        (volumes(), "medical"),
        (found(mapped=True), "aerial"),
        (
            found(spacing=[{"low": 1, "tenth": 1, "median": 1, "high": 1}] * 2, unit="um", spacing_known=1),
            "microscopy",
        ),
        (semantic(0.5, 0.5, lean=(-0.4, 0), grey=False, channels=("red", "green", "blue")), "photo"),
        (semantic(0.5, 0.5, grey=False, channels=("red", "green", "blue")), "aerial"),
        (semantic(0.5, 0.5, grey=False, num_images=4, channels=("red", "green", "blue")), "photo"),
        (found(), "microscopy"),
    ],
)
def test_augmentation_follows_what_is_known(fingerprint, name):
    assert plan(fingerprint).reasons["augment"].startswith(f"as {name}:")


def test_an_axis_with_a_direction_is_never_turned_over():
    upright = plan(semantic(0.5, 0.5, lean=(-0.4, 0.0)), CARD)
    assert upright.flips == ("x",)
    sideways = plan(semantic(0.5, 0.5, lean=(0.0, 0.4)), CARD)
    names = [step.name for step in sideways.augment.steps]
    assert "flip" not in names and "quarter-turn" not in names and sideways.flips == ("y",)
    assert "without flip x, quarter-turn" in sideways.reasons["augment"]
    assert plan(found(), CARD).flips == ("y", "x") and plan(found()).flips == ()


def test_a_side_that_may_be_chance_gives_no_direction():
    sure, doubtful = (
        semantic(0.5, 0.5, lean=(-0.4, 0), classes=classes(0.5, 0.5, lean=(-0.4, 0), lean_error=error))
        for error in ((0.01, 0.01), (0.1, 0.1))
    )
    assert sure.leaning("y") is not None and doubtful.leaning("y") is None
    slight = (0.0, 0.2)  # enough for up and down, not for left and right
    assert semantic(0.5, 0.5, lean=slight).leaning("x") is None
    assert semantic(0.5, 0.5, lean=slight[::-1]).leaning("y") is not None


def test_volumes_get_no_steps_for_pictures():
    chain, left_out = suited(preset("photo"), volumes())
    assert {"shadow", "jpeg"} <= set(left_out)
    assert all(3 in step.ndims for step in chain.steps)


@pytest.mark.parametrize(
    ("channels", "dtype"),
    [(1, np.uint8), (3, np.uint8), (5, np.uint8), (3, np.uint16), (3, np.float32), (1, bool)],
)
def test_planned_augmentation_takes_the_images_it_is_planned_for(channels, dtype):
    names = ("red", "green", "blue") if channels == 3 else tuple(f"band {k}" for k in range(channels))
    kind = "float" if dtype == np.float32 else np.dtype(dtype).name
    fields = {"channels": names, "values": {"kinds": (kind,), "highest": 1.0}, "grey": False}
    fields["intensities"] = ({"mean": 0, "std": 1, "low": 0, "high": 1},) * channels
    chain = plan(semantic(0.5, 0.5, lean=(-0.4, 0), **fields)).augment
    certain = [step.model_copy(update={"probability": 1.0}) for step in chain.steps]
    pixels = (np.random.default_rng(0).random((32, 32, channels)) * 200).astype(dtype)
    image = Image(pixels, names)
    for seed in range(12):
        chain.model_copy(update={"steps": tuple(certain)}).apply(image, None, np.random.default_rng(seed))


def test_bfloat16_is_used_where_the_machine_has_it():
    assert plan(found()).precision == "float32" and plan(found(), CARD).precision == "bfloat16"


def test_some_images_are_held_out_whole_groups_of_them_or_none():
    assert (plan(found()).validate_on, plan(found()).validation_share) == ("images", 0.2)
    grouped = plan(found(num_groups=5))
    assert "groups of 5" in grouped.reasons["validate_on"]
    assert plan(found(num_samples=2, num_groups=2)).validation_share == 0.5
    own = plan(found(splits={"train": 30, "val": 10}))
    assert (own.validate_on, own.validation_share) == ("split", 0)
    assert own.epoch_steps == math.ceil(30 / own.batch_size)
    one = plan(found(num_samples=1, num_groups=1))
    assert one.validate_on == "none" and "one image only" in one.reasons["validate_on"]
    with pytest.raises(InputError, match="there is one image"):
        plan(found(num_samples=1, num_groups=1), validate_on="images")
    most = plan(found(), validation_share=0.5)
    assert most.epoch_steps == math.ceil(20 / most.batch_size)
    large = plan(found(num_samples=2000, num_groups=2000))
    assert large.validation_share * 2000 == 50


def test_steps_are_what_a_budget_has_room_for():
    assert steps_for(100, 0.5) == 200 and steps_for(100, 0.5, overhead_s=50) == 100
    assert steps_for(math.inf, 1) == 250_000
    with pytest.raises(InputError, match="room for 4 steps of 0.5 s.*give 10 s"):
        steps_for(2, 0.5)
    with pytest.raises(InputError, match="room for 0 steps .*beside 5 s"):
        steps_for(2, 0.5, overhead_s=5)
    for budget, each, overhead in [(0, 1, 0), (math.nan, 1, 0), (9, 0, 0), (9, 1, -1), (9, math.nan, 0)]:
        with pytest.raises(InputError):
            steps_for(budget, each, overhead)


def test_a_plan_is_given_the_steps_of_its_budget_and_says_if_they_are_less_than_an_epoch():
    made = plan(found(num_samples=4000, num_groups=4000), budget_s=100)
    short = timed(made, 0.5, validation_s=1.0)
    assert FEWEST_STEPS <= short.steps < short.epoch_steps
    assert short.steps * 0.5 + 10 * 1.0 <= 100  # validations have their share
    assert "of one pass over the images" in short.reasons["steps"]
    long = timed(plan(found(), budget_s=600), 0.5)
    assert long.steps == 1200 and "300 passes" in long.reasons["steps"]
    assert long.ema_decay == pytest.approx(1 - 1 / 60, abs=1e-6)
    assert long.validate_every == 60 and long.reasons["validate_every"] == "20 validations"


def test_steps_that_were_asked_for_are_kept():
    made = plan(found(), steps=77, validate_every=5, ema_decay=0.5)
    same = timed(made, 0.5)
    assert (same.steps, same.validate_every, same.ema_decay) == (77, 5, 0.5)
    assert timed(plan(found(), budget_s=None), 0.5).steps is None


def test_the_same_data_and_machine_give_the_same_plan():
    assert plan(found()) == plan(found())
    assert plan(found()).seed == 0


@pytest.mark.parametrize(
    ("kind", "task"), [("cells", "instance"), ("street", "panoptic"), ("volume", "semantic")]
)
def test_generated_scenes_are_planned_for_from_end_to_end(kind, task):
    size = {"size_dhw": (32, 32, 32)} if kind == "volume" else {"size_hw": (48, 64)}
    found_here = survey(scenes(kind, 3, task=task, **size), scene_classes(kind, task))
    made = make_plan(found_here, {}, LAPTOP, 30.0)
    assert Plan.from_json(made.to_json()) == made and made.task == found_here.task


def test_one_image_is_planned_for():
    labels = np.zeros((40, 40), np.int32)
    labels[4:12, 4:12], labels[4:12, 12:20] = 1, 2
    truth = Segmentation.from_labels(labels, class_ids=[1, 1], classes=ClassSet.from_names(["cell"]))
    made = make_plan(
        survey([Sample.of("a", Image.from_array(labels.astype(np.uint8)), truth)]), {}, LAPTOP, 60.0
    )
    assert made.validate_on == "none" and made.epoch_steps == 1 and made.crop_px == (40, 40)


def test_class_found_refuses_shares_that_cannot_be():
    with pytest.raises(ValueError, match="pixel_share"):
        ClassFound.model_validate(a_class(pixel_share=2.0))


@pytest.mark.realdata
def test_volumes_of_two_scanners_are_normalised_each_and_keep_their_front(data_dir):
    volumes_here = Dataset.open(data_dir / "msd_hippocampus")[:12]
    made = make_plan(survey(volumes_here, volumes_here.classes), {}, LAPTOP, 600.0)
    assert made.normalise == "zscore" and made.ndim == 3 and made.spacing is None
    assert "flip y" in made.reasons["augment"]  # one part of the hippocampus lies in front of the other


@pytest.mark.realdata
def test_streets_are_scenes_with_an_up_and_a_down(data_dir):
    streets = Dataset.open(data_dir / "camvid", classes="camvid").split("train")[:24]
    made = make_plan(survey(streets, streets.classes), {}, LAPTOP, 600.0)
    assert made.task == "semantic" and "so up is not down" in made.reasons["augment"]
    assert "without" not in made.reasons["augment"]  # left and right may change places
    assert made.crop_px[1] > made.crop_px[0] and "quarter-turn" not in [
        step.name for step in made.augment.steps
    ]


@pytest.mark.parametrize(
    "fingerprint", [found(), volumes((9, 90, 80), spacing=(4, 1, 1)), semantic(0.5, 0.5, lean=(-0.4, 0))]
)
def test_the_planned_net_can_be_made_and_takes_the_crop(fingerprint):
    torch = pytest.importorskip("torch")
    from smalti.deep.nets import make_network

    made = plan(fingerprint, budget_s=60, network_settings={"width": 2})
    network = make_network(made.network, 1, 3, made.ndim, made.network_settings).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, *made.crop_px)).shape == (1, 3, *made.crop_px)
