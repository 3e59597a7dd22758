"""The training loop: it learns, looks, keeps, ends early where it should, and says where a loss went wrong."""

import itertools
import math

import pytest
import torch
from tiny_trainings import TINY
from torch.nn import functional

from smalti.deep.nets import make_network
from smalti.errors import Interrupted
from smalti.train.batches import Batch
from smalti.train.loop import Diverged, Schedule, State, better_lately, train
from smalti.train.optimizer import Ema, make_optimizer
from smalti.train.reports import EpochReport, StepReport


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def a_state(steps, seed=0, decay=0.0, learning_rate=1e-2):
    torch.manual_seed(seed)
    network = make_network("unet", 1, 2, 2, TINY)
    return State(network, make_optimizer(network, learning_rate=learning_rate), Ema(network, decay), steps)


def a_batch(number=0):
    generator = torch.Generator().manual_seed(number)
    image = torch.randn(2, 1, 16, 16, generator=generator)
    return Batch(image, {"classes": (image[:, 0] > 0).long()}, (number, number + 1))


def loss_of(image, output, targets):
    loss = functional.cross_entropy(output[0], targets["classes"])
    return loss, {"classes": loss.detach()}


def batches(first=0):
    return map(a_batch, itertools.count(first))


def schedule(**changes):
    return Schedule(**{"epoch_steps": 2, "validate_every": 2, "learning_rate": 1e-2, **changes})


def test_it_learns_one_batch_by_heart():
    state, losses = a_state(150), []
    batch = a_batch()
    train(
        state,
        itertools.repeat(batch),
        loss_of,
        schedule(validate_every=50),
        watch=lambda report: losses.append(report.loss) if isinstance(report, StepReport) else None,
    )
    assert losses[0] > 0.4 and losses[-1] < 0.02
    state.network.load_state_dict(state.best)
    said = state.network.eval()(batch.image).argmax(1)
    assert (said == batch.targets["classes"]).float().mean() > 0.99


def test_reports_tell_of_every_step_and_validation():
    seen = []
    train(
        a_state(5),
        batches(),
        loss_of,
        schedule(),
        watch=seen.append,
        validate=lambda network: {"m": 1.0},
        main="m",
    )
    steps = [report for report in seen if isinstance(report, StepReport)]
    epochs = [report for report in seen if isinstance(report, EpochReport)]
    assert [report.step for report in steps] == [1, 2, 3, 4, 5]
    assert [report.epoch for report in steps] == [1, 1, 2, 2, 3]
    assert [report.step for report in epochs] == [2, 4, 5]
    assert epochs[1].train_loss == pytest.approx((steps[2].loss + steps[3].loss) / 2)
    assert all(0 <= report.waiting_seconds <= report.step_seconds for report in steps)
    assert steps[0].images_per_second == pytest.approx(2 / steps[0].step_seconds)


def test_the_best_weights_are_kept_and_of_equal_ones_the_later():
    scores, looked = iter([0.2, 0.7, 0.7, 0.1]), []

    def validate(network):
        looked.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"m": next(scores)}

    state = a_state(8, decay=0.9)
    train(state, batches(), loss_of, schedule(), validate=validate, main="m")
    assert [report.best for report in state.history] == [True, True, False, False]
    assert all(torch.equal(state.best[name], looked[2][name]) for name in state.best)
    assert not torch.equal(state.best["heads.0.weight"], looked[1]["heads.0.weight"])


def test_validation_sees_the_mean_of_the_weights_and_leaves_the_newest():
    seen = []

    def validate(network):
        seen.append(network.heads[0].weight.detach().clone())
        assert not network.training
        return {"m": 0.0}

    state = a_state(4, decay=0.9)
    train(state, batches(), loss_of, schedule(validate_every=4), validate=validate, main="m")
    assert torch.equal(seen[0], state.ema.state["heads.0.weight"])
    assert not torch.equal(seen[0], state.network.heads[0].weight)


def test_no_better_validation_for_so_long_ends_it():
    scores = iter([0.1, 0.5, 0.4, 0.5, 0.3, 0.9])
    state = a_state(40)
    kept = []
    train(
        state,
        batches(),
        loss_of,
        schedule(patience=3),
        validate=lambda network: {"m": next(scores)},
        main="m",
        keep=lambda state: kept.append((state.step, state.steps)),
    )
    assert state.step == 10
    assert kept[-1] == (10, 10)  # going on later ends here, too


@pytest.mark.parametrize(("best", "goes_on"), [("1", True), ("100", True), ("1000", False), ("10001", True)])
def test_patience_counts_validations_after_the_best(best, goes_on):
    history = [EpochReport(1, 1, 0.0, best=each == "1") for each in best]
    assert better_lately(history, 3) is goes_on
    assert better_lately(history, None)


def test_a_loss_that_is_no_number_is_told_with_step_and_images_and_not_kept():
    def bad(image, output, targets):
        loss, parts = loss_of(image, output, targets)
        return (loss * math.nan if targets["classes"].shape[0] == 1 else loss), parts

    def broken():
        for number in range(4):
            yield a_batch(number)
        last = a_batch(4)
        yield Batch(last.image[:1], {"classes": last.targets["classes"][:1]}, (7,))

    state, kept = a_state(20), []
    with pytest.raises(Diverged, match=r"became nan at step 5 of 20 .*images tile-7\)"):
        train(
            state,
            broken(),
            bad,
            schedule(),
            keep=lambda state: kept.append(state.step),
            names=lambda numbers: ", ".join(f"tile-{number}" for number in numbers),
        )
    assert kept == [2, 4]
    assert all(torch.isfinite(each).all() for each in state.network.parameters())


def test_a_gradient_that_is_no_number_changes_no_weight():
    def steep(image, output, targets):
        value = (output[0] * 0).sum()
        return torch.sqrt(value.abs()), {}  # 0, with the slope of infinity times 0

    state = a_state(3)
    before = {name: value.clone() for name, value in state.network.named_parameters()}
    with pytest.raises(Diverged, match="step 1"):
        train(state, batches(), steep, schedule())
    assert all(torch.equal(value, before[name]) for name, value in state.network.named_parameters())


def test_weights_that_are_no_numbers_are_not_kept():
    state, kept = a_state(2), []

    def ruin(report):
        if report.step == 2:
            with torch.no_grad():
                state.network.heads[0].bias.fill_(math.nan)

    with pytest.raises(Diverged, match="weights"):
        train(state, batches(), loss_of, schedule(), watch=ruin, keep=kept.append)
    assert kept == []


def test_a_stop_keeps_the_state_and_leaves_the_validation_for_later():
    state, kept, looked = a_state(6), [], []

    def validate(network):
        looked.append(state.step)
        return {"m": 0.0}

    with pytest.raises(Interrupted, match="step 4 of 6"):
        train(
            state,
            batches(),
            loss_of,
            schedule(),
            validate=validate,
            main="m",
            keep=lambda state: kept.append((state.step, state.due)),
            stopped=lambda: state.step == 4,
        )
    assert kept == [(2, False), (4, True)]
    train(state, batches(4), loss_of, schedule(), validate=validate, main="m")
    assert looked == [2, 4, 6]


def test_the_number_of_steps_follows_a_budget_by_the_clock():
    now = [0.0]

    def clock():
        now[0] += 0.05  # each look at it
        return now[0]

    state = a_state(10_000)
    state.budget_s = 20.0
    train(state, batches(), loss_of, schedule(validate_every=25), clock=clock)
    assert now[0] == pytest.approx(20, rel=0.1)
    assert state.steps == state.step < 150
