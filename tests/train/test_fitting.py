"""A fit from samples to a model: stopped and gone on with, the same by the same seed, what is wrong said in words."""

import errno

import numpy as np
import pytest
from tiny_trainings import TINY, fit, samples, with_void

from smalti.classes import ClassSet
from smalti.errors import InputError, Interrupted, WriteError
from smalti.runtime.fitted import PLAN, WEIGHTS
from smalti.train import checkpoint, fitting, timing
from smalti.train.loop import Diverged
from smalti.train.plan import Plan


def weights(model):
    return model.parts[WEIGHTS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing stopped."""
    return fit(samples(), tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_a_training_that_was_stopped_ends_as_if_it_never_was(whole, tmp_path, step):
    with pytest.raises(Interrupted, match=f"after step {step} of 6"):
        fit(samples(), tmp_path, stop_after=step)
    again = fit(samples(), tmp_path, resume=True)
    assert weights(again) == weights(whole)
    assert again.report["validation"] == whole.report["validation"]


def test_data_threads_change_nothing(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("smalti.train.fitting.Fitting._threads", lambda self: 4)
    with pytest.raises(Interrupted):
        fit(samples(), tmp_path, stop_after=2)
    assert weights(fit(samples(), tmp_path, resume=True)) == weights(whole)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(whole, tmp_path):
    assert weights(fit(samples())) == weights(whole)
    assert weights(fit(samples(), seed=1)) != weights(whole)


def test_a_finished_training_is_gone_on_with_without_a_step(whole, tmp_path):
    first = fit(samples(), tmp_path)
    seen = []
    assert weights(fit(samples(), tmp_path, resume=True, seen=seen)) == weights(first)
    assert seen == []


def test_steps_of_a_budget_that_are_fixed_are_gone_on_with(whole, tmp_path):
    with pytest.raises(Interrupted):
        fit(samples(), tmp_path, stop_after=4, budget_s=3600.0)
    again = fit(samples(), tmp_path, resume=True, budget_s=3600.0)
    assert again.report["steps"] == 6
    assert weights(again) == weights(whole)


def test_folds_are_gone_on_with_where_they_stopped(tmp_path):
    whole = fit(samples(), tmp_path / "whole", folds=2)
    steps = []
    with pytest.raises(Interrupted):
        fit(samples(), tmp_path / "stopped", folds=2, stop_after=4)
    with pytest.raises(Interrupted):  # in the second one
        fit(samples(), tmp_path / "stopped", folds=2, resume=True, stop_after=2, seen=steps)
    again = fit(samples(), tmp_path / "stopped", folds=2, resume=True)
    assert [again.parts[name] for name in again.parts] == [whole.parts[name] for name in whole.parts]


class TestGoingOn:
    @pytest.fixture
    def stopped(self, tmp_path):
        with pytest.raises(Interrupted):
            fit(samples(), tmp_path, stop_after=2)
        return tmp_path

    def test_there_must_be_something_to_go_on_with(self, tmp_path):
        with pytest.raises(InputError, match="no training to go on with"):
            fit(samples(), tmp_path, resume=True)

    def test_other_settings_are_refused_by_name(self, stopped):
        with pytest.raises(InputError, match="begun with steps 6, not 9"):
            fit(samples(), stopped, resume=True, steps=9)
        with pytest.raises(InputError, match="begun with network_settings"):
            fit(samples(), stopped, resume=True, network_settings={**TINY, "width": 8})

    def test_other_samples_are_refused(self, stopped):
        with pytest.raises(InputError, match="dataset"):
            fit(samples(first=1), stopped, resume=True)

    def test_another_plan_is_refused_and_the_same_one_taken(self, stopped):
        plan = Plan.from_json((stopped / "plan.json").read_text())
        with pytest.raises(InputError, match="begun with learning_rate"):
            fit(samples(), stopped, resume=True, plan=plan.with_changes(learning_rate=0.5))
        assert fit(samples(), stopped, resume=True, plan=plan).report["steps"] == 6


class TestPlanThatIsGiven:
    @pytest.fixture
    def plan(self, whole):
        return Plan.from_json(whole.parts[PLAN].decode())

    def test_it_is_followed(self, plan, whole):
        again = fit(
            samples(),
            plan=plan,
            steps=None,
            crop_px=None,
            batch_size=None,
            network_settings=None,
            validate_every=None,
        )
        assert weights(again) == weights(whole)

    def test_settings_beside_it_stand_in_its_place_and_say_so(self, plan):
        told = []
        fit(
            samples(),
            plan=plan.with_changes("the data", learning_rate=0.5),
            learning_rate=0.01,
            told=told.append,
        )
        assert told[0].learning_rate == 0.01
        assert told[0].reasons["learning_rate"] == "as asked"

    def test_it_must_be_of_the_same_network(self, plan):
        with pytest.raises(InputError, match="plan is for the network unet, not fcn"):
            fit(samples(), method="fcn", plan=plan)


@pytest.mark.parametrize("task", ["semantic", "instance", "panoptic"])
def test_every_task_learns_and_predicts(task):
    found = fit(samples(task), steps=2).predict(samples(task, 1, first=9)[0].image)
    assert found.shape == (32, 32)


def test_objects_by_centres_and_depth():
    model = fit(samples("instance"), objects="centers", distance=True, steps=2)
    assert model.planes.centers and model.planes.distance
    assert model.predict(samples("instance", 1, first=9)[0].image).shape == (32, 32)


def test_volumes():
    shape = (12, 20, 24)
    model = fit(samples("instance", 3, shape), crop_px=(8, 16, 16), steps=2)
    assert model.predict(samples("instance", 1, shape, first=9)[0].image).shape == shape


@pytest.mark.parametrize("task", ["semantic", "instance"])
def test_images_may_be_smaller_than_the_crop(task):
    model = fit(samples(task, 4, (17, 23)), crop_px=(48, 32), steps=2)
    assert model.predict(samples(task, 1, (5, 40), first=9)[0].image).shape == (5, 40)


def test_one_image_is_learned_from_without_a_score():
    model = fit(samples(count=1), steps=2)
    assert "validation" not in model.report


def test_a_class_without_labels_is_left_out_and_said():
    three = ClassSet.from_names(("water", "sand", "ice"), thing=False)
    told = []
    model = fit(samples(), classes=three, steps=2, told=told.append)
    assert model.report["without_labels"] == ["ice"]
    assert "ice" not in model.targets.names
    assert "no label of ice: left out" in told[0].reasons["task"]
    assert model.classes == three


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (list, "no sample"),
        (lambda: [with_void(each, slice(None)) for each in samples(count=3)], "void"),
        (lambda: samples(count=2) + samples(count=2, channels=3, first=5), "channels"),
        (lambda: samples(count=2) + samples(count=2, shape=(8, 9, 10), first=5), "axes"),
    ],
    ids=["nothing", "all void", "channels", "axes"],
)
def test_what_cannot_be_learned_from_is_said(data, told):
    with pytest.raises(InputError, match=told):
        fit(data())


def test_a_grey_model_refuses_colour_in_words():
    model = fit(samples(), steps=1)
    with pytest.raises(InputError, match="channel"):
        model.predict(samples(count=1, channels=3)[0].image)


def test_void_pixels_are_learned_around():
    model = fit([with_void(each, (slice(0, 16),)) for each in samples()], steps=2)
    assert np.isfinite(model.predict_scores(samples(count=1)[0].image)).all()


class TestFolds:
    def test_every_image_is_judged_by_the_network_that_has_not_seen_it(self, tmp_path, monkeypatch):
        judged = []

        def seen(model, unseen, metric, seconds):
            judged.extend(unseen)
            return model

        monkeypatch.setattr(fitting, "tuned", seen)
        data = samples(count=6)
        model = fit(data, tmp_path, folds=3, steps=2)
        assert sorted(each.sample.name for each in judged) == sorted(each.name for each in data)
        assert model.report["networks"] == 3 and model.report["validation"]["images"] == 6
        judges = {id(each.judge): each.judge for each in judged}
        assert len(judges) == 3
        for judge in judges.values():
            assert len(judge.loaded) == 1
        scores = [judge.predict_scores(data[0].image) for judge in judges.values()]
        assert np.allclose(np.mean(scores, axis=0), model.predict_scores(data[0].image), atol=1e-4)

    def test_groups_stay_together(self, tmp_path):
        with pytest.raises(InputError, match="group"):
            fit(
                samples(count=4, group="patient"),
                tmp_path,
                folds=2,
                validate_on="images",
                validation_share=0.5,
            )


class TestDisk:
    def test_a_place_that_cannot_be_written_is_told_before_anything_is_learned(self, tmp_path):
        (tmp_path / "file").write_text("")
        seen = []
        with pytest.raises(WriteError):
            fit(samples(), tmp_path / "file" / "run", seen=seen)
        assert seen == []

    def test_a_disk_that_fills_up_leaves_the_last_whole_checkpoint(self, whole, tmp_path, monkeypatch):
        written = checkpoint._write_tensors
        count = []

        def full(part, flat):
            count.append(part)
            if len(count) == 3:  # at the start, after step 3, after step 6
                part.write_bytes(b"half")
                raise OSError(errno.ENOSPC, "No space left on device")
            written(part, flat)

        monkeypatch.setattr(checkpoint, "_write_tensors", full)
        with pytest.raises(
            WriteError, match="step 6 could not be saved .that of step 3 is kept.*No space left"
        ):
            fit(samples(), tmp_path)
        assert weights(fit(samples(), tmp_path, resume=True)) == weights(whole)


def test_after_a_loss_that_is_no_number_the_last_good_state_is_gone_on_with(whole, tmp_path, monkeypatch):
    plain = fitting.objective

    def broken(*arguments):
        loss_of, calls = plain(*arguments), []

        def bad(image, output, targets):
            calls.append(1)
            loss, parts = loss_of(image, output, targets)
            return (loss * float("nan") if len(calls) == 5 else loss), parts

        return bad

    monkeypatch.setattr(fitting, "objective", broken)
    with pytest.raises(Diverged, match=r"at step 5 of 6 .*images image-\d"):
        fit(samples(), tmp_path)
    monkeypatch.undo()
    seen = []
    assert weights(fit(samples(), tmp_path, resume=True, seen=seen)) == weights(whole)
    assert seen[0].step == 4


def test_a_training_that_is_begun_anew_forgets_the_one_before(whole, tmp_path):
    with pytest.raises(Interrupted):
        fit(samples(), tmp_path, stop_after=4, learning_rate=0.05)
    with pytest.raises(Interrupted):
        fit(samples(), tmp_path, stop_after=1)
    assert weights(fit(samples(), tmp_path, resume=True)) == weights(whole)


def test_a_budget_for_less_than_a_pass_is_said_and_for_a_few_steps_refused(monkeypatch):
    monkeypatch.setattr(timing, "step_seconds", lambda *arguments: 1.0)
    open_steps = {"steps": None, "validate_every": None, "validate_on": "none", "batch_size": 1}
    with pytest.raises(InputError, match="20 are the least; give"):
        fit(samples(), budget_s=15.0, **open_steps)
    told = []

    def stop(plan):
        told.append(plan)
        raise Interrupted("seen enough")

    with pytest.raises(Interrupted):
        fit(samples(count=6) * 20, budget_s=60.0, told=stop, **open_steps)
    assert "of one pass over the images, so most are never seen" in told[0].reasons["steps"]
