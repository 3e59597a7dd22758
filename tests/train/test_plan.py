"""The plan as a file: the same again from its text, explained in a hundred columns, and no edit that cannot be."""

import json

import pytest

from smalti.errors import InputError, ReadError, UnknownName
from smalti.train.plan import LARGEST_SETTING, Plan


def fields(**changes):
    own = {
        "task": "instance",
        "objects": "border",
        "border_px": 2,
        "normalise": "fixed",
        "mean": [0.4, 0.5, 0.6],
        "std": [0.1, 0.2, 0.3],
        "crop_px": [128, 160],
        "batch_size": 8,
        "focus_share": 0.3,
        "augment": "photo",
        "network": "unet",
        "network_settings": {"width": 16, "strides": [2, [1, 2]]},
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "warmup_share": 0.05,
        "grad_clip": 5.0,
        "epoch_steps": 10,
        "validate_on": "images",
        "validation_share": 0.2,
        "validate_every": 10,
        "flips": ["x"],
        "reasons": {"task": "objects of one class", "crop_px": "as asked", "objects": "30 % of them touch"},
    }
    return {**own, **changes}


def test_a_plan_is_the_same_again_from_its_text():
    plan = Plan.make(
        fields(spacing=[0.5, 0.5], unit="um", clip=[[0, 1]] * 3, loss={"dice": 1.0, "focal": {"gamma": 2}})
    )
    again = Plan.from_json(plan.to_json())
    assert again == plan and again.to_json() == plan.to_json()
    assert again.crop_px == (128, 160) and again.augment.steps[0].name == "flip"


def test_an_edited_number_is_kept_and_all_else_stays():
    said = json.loads(Plan.make(fields()).to_json())
    said["batch_size"] = 3
    said["augment"]["steps"] = [{"name": "flip", "axis": "y"}]
    plan = Plan.from_json(json.dumps(said))
    assert plan.batch_size == 3 and plan.learning_rate == 1e-3
    assert [step.describe()["axis"] for step in plan.augment.steps] == ["y"]


def test_augmentations_may_be_a_preset_a_list_or_a_chain():
    by_name, by_list = Plan.make(fields()), Plan.make(fields(augment=["flip", {"name": "rotate"}]))
    by_chain = Plan.make(fields(augment={"name": "chain", "steps": ["flip"], "border": "mirror"}))
    assert len(by_name.augment.steps) > 2 and [step.name for step in by_list.augment.steps] == [
        "flip",
        "rotate",
    ]
    assert by_chain.augment.border == "mirror"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch_sise": 4}, "nearest: batch_size"),
        ({"batch_size": 0}, "batch_size: .*got 0"),
        ({"batch_size": "many"}, "batch_size: "),
        ({"learning_rate": -1}, "learning_rate: "),
        ({"task": "semantics"}, "task: "),
        ({"task": "semantic"}, "tells no objects apart"),
        ({"objects": "centers"}, "border_px of 1 or more, any other 0"),
        ({"border_px": 0}, "border_px of 1 or more"),
        ({"std": [0.1]}, "as many numbers of mean as of std"),
        ({"std": [0.1, 0.0, 0.1]}, "std"),
        ({"clip": [[1, 0]] * 3}, "a lower and a higher value"),
        ({"clip": [[0, 1]]}, "for each channel"),
        ({"percentiles": [60, 99]}, "below 50"),
        ({"crop_px": [128]}, "crop_px"),
        ({"crop_px": [128, 0]}, "crop_px.1"),
        ({"crop_px": [128, 10**9]}, "crop_px.1"),
        ({"spacing": [0.5, 0.5, 0.5], "unit": "um"}, "spacing is 2 numbers"),
        ({"spacing": [0.5, 0.5]}, "has a unit"),
        ({"flips": ["z"]}, "flips are some of y, x"),
        ({"flips": ["x", "x"]}, "each once"),
        ({"validate_on": "none"}, "validation_share is above 0 where"),
        ({"validate_on": "none", "validation_share": 0, "folds": 3}, "folds need images"),
        ({"steps": 0}, "steps: "),
        ({"version": 2}, "version: "),
        ({"augment": "phoot"}, "nearest: photo"),
        ({"augment": [{"name": "flop"}]}, "nearest: .*flip"),
        ({"augment": 7}, "augment"),
        ({"network_settings": {"width": LARGEST_SETTING + 1}}, "width of the net is a number up to"),
        ({"network_settings": {"strides": [2] * 300}}, "up to 256"),
        ({"network_settings": {"encoder_parameters": {"widths": [1e9]}}}, "encoder_parameters of the net"),
        ({"reasons": {"tasks": "because"}}, "nearest: task"),
        ({"reasons": {"task": 3}}, "reasons.task"),
    ],
)
def test_edits_that_cannot_be_are_refused_by_name(changes, told):
    text = json.dumps(fields(**changes))
    with pytest.raises(InputError, match=told):
        Plan.from_json(text)


def test_a_missing_field_is_named():
    said = fields()
    del said["crop_px"]
    with pytest.raises(InputError, match="crop_px is missing"):
        Plan.from_json(json.dumps(said))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"task": NaN', "\x00"])
def test_text_that_is_no_json_is_a_read_error(text):
    with pytest.raises(ReadError, match="not JSON"):
        Plan.from_json(text)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"plan"'])
def test_json_that_is_no_object_is_refused(text):
    with pytest.raises(InputError, match="JSON object"):
        Plan.from_json(text)


def test_numbers_that_are_none_and_names_that_come_twice_are_refused():
    text = json.dumps(fields())
    with pytest.raises(InputError, match="learning_rate"):
        Plan.from_json(text.replace('"learning_rate": 0.001', '"learning_rate": NaN'))
    with pytest.raises(InputError, match="'task' is there twice"):
        Plan.from_json('{"task": "semantic", ' + text[1:])


def test_augmentations_deep_in_each_other_are_refused():
    step = {"name": "flip"}
    for _ in range(400):
        step = {"name": "one-of", "steps": [step]}
    with pytest.raises(InputError):
        Plan.make(fields(augment=[step]))


def test_a_plan_does_not_change_but_makes_another():
    plan = Plan.make(fields())
    with pytest.raises(ValueError, match="frozen"):
        plan.batch_size = 1
    other = plan.with_changes(batch_size=2)
    assert (plan.batch_size, other.batch_size, other.reasons["batch_size"]) == (8, 2, "as asked")
    assert plan.with_changes("for a test", steps=5).reasons["steps"] == "for a test"
    with pytest.raises(UnknownName):
        plan.with_changes(batchsize=2)


def test_settings_are_checked_one_by_one():
    assert Plan.checked({"crop_px": [64, 64], "flips": ["x"]}) == {"crop_px": (64, 64), "flips": ("x",)}
    with pytest.raises(UnknownName, match="nearest: learning_rate"):
        Plan.checked({"learningrate": 1})
    with pytest.raises(InputError, match=r"plan: crop_px.0"):
        Plan.checked({"crop_px": ["wide", 3]})


def test_the_explanation_has_value_and_reason_of_every_decision_in_a_hundred_columns():
    plan = Plan.make(
        fields(reasons={"augment": "as photo: " + "colour and sky " * 12, "task": "objects of one class"})
    )
    assert plan.rows()[0][:2] == ("task", "instance")
    text = plan.explain()
    assert max(map(len, text.splitlines())) <= 100
    assert "objects of one class" in text and "flip, rotate" in text and text.count("sky") == 12


@pytest.mark.parametrize(
    ("name", "changes", "shown"),
    [
        ("crop_px", {}, "128 x 160"),
        ("objects", {}, "border of 2 px"),
        ("normalise", {}, "fixed: 0.4 ± 0.1, 0.5 ± 0.2, 0.6 ± 0.3"),
        ("normalise", {"normalise": "percentiles"}, "percentiles 0.5 and 99.5"),
        ("spacing", {"spacing": [2, 0.5], "unit": "mm"}, "2 x 0.5 mm"),
        ("network_settings", {}, "width 16, strides 2 1 2"),
        ("loss", {"loss": {"dice": 2.0, "focal": {"gamma": 3}}}, "2 dice + gamma 3 focal"),
        ("validate_on", {}, "20% of the images"),
        ("budget_s", {"budget_s": 90}, "1.5 min"),
        ("ema_decay", {}, "none"),
        ("flips", {"flips": []}, "none"),
    ],
)
def test_values_are_shown_as_a_person_says_them(name, changes, shown):
    plan = Plan.make(fields(**changes, reasons={name: "so"}))
    assert plan.rows() == [(name, shown, "so")]
