from __future__ import annotations

import json
import math

import pytest

torch = pytest.importorskip("torch")

from smalti.errors import InputError, UnknownName  # noqa: E402
from smalti.train.optimizer import (  # noqa: E402
    Ema,
    learning_rate_at,
    make_optimizer,
    optimizer_state,
    restore_optimizer,
)


def network(seed=0, width=3):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, width, 3), torch.nn.BatchNorm2d(width), torch.nn.Conv2d(width, 2, 1)
    )


def learn(model, optimizer, steps, first=0):
    for step in range(first, first + steps):
        image = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, 20, 0.1, 3) * group["rate_factor"]
        optimizer.zero_grad()
        model(image).square().mean().backward()
        optimizer.step()


def groups_of(optimizer, model):
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[each]: (group["weight_decay"], group["rate_factor"])
        for group in optimizer.param_groups
        for each in group["params"]
    }


def test_norms_and_biases_do_not_decay_and_frozen_ones_are_left_out():
    model = network()
    model[2].weight.requires_grad_(False)
    found = groups_of(make_optimizer(model, learning_rate=0.1, weight_decay=0.5), model)
    assert found == {
        "0.weight": (0.5, 1),
        "0.bias": (0, 1),
        "1.weight": (0, 1),
        "1.bias": (0, 1),
        "2.bias": (0, 1),
    }


def test_what_was_pretrained_learns_slower():
    model = network()
    optimizer = make_optimizer(model, learning_rate=0.1, pretrained=model[0], pretrained_factor=0.2)
    found = groups_of(optimizer, model)
    assert {name: factor for name, (_, factor) in found.items()} == {
        "0.weight": 0.2, "0.bias": 0.2, "1.weight": 1, "1.bias": 1, "2.weight": 1, "2.bias": 1,
    }  # fmt: skip
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.02, 0.1])


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
@pytest.mark.parametrize("before", [0, 4])
def test_a_restored_optimizer_goes_on_bit_for_bit(kind, before):
    model = network()
    optimizer = make_optimizer(model, kind, learning_rate=0.1, pretrained=model[0])
    learn(model, optimizer, before)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    tensors, plain = optimizer_state(optimizer, model)
    said = json.loads(json.dumps(plain))
    learn(model, optimizer, 5, before)

    other = network(seed=9)
    other.load_state_dict(weights)
    resumed = make_optimizer(other, kind, learning_rate=0.3, pretrained=other[0])
    restore_optimizer(resumed, other, tensors, said)
    again, plain_again = optimizer_state(resumed, other)
    assert plain_again == plain
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)
    learn(other, resumed, 5, before)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert any((a != b).any() for a, b in zip(weights.values(), model.state_dict().values(), strict=True))


def test_stored_tensors_are_named_and_stay_as_they_were():
    model = network()
    optimizer = make_optimizer(model, learning_rate=0.1)
    learn(model, optimizer, 1)
    tensors, _ = optimizer_state(optimizer, model)
    assert {"exp_avg/0.weight", "exp_avg_sq/1.bias", "step/2.bias"} <= tensors.keys()
    before = tensors["exp_avg/0.weight"].clone()
    learn(model, optimizer, 1, 1)
    assert torch.equal(tensors["exp_avg/0.weight"], before)


def test_what_belongs_to_another_training_is_refused():
    model = network()
    optimizer = make_optimizer(model, learning_rate=0.1)
    learn(model, optimizer, 1)
    tensors, plain = optimizer_state(optimizer, model)
    with pytest.raises(InputError, match="AdamW, this one SGD"):
        restore_optimizer(make_optimizer(model, "sgd", learning_rate=0.1), model, tensors, plain)
    wider = network(width=4)
    with pytest.raises(InputError, match="not \\(4"):
        restore_optimizer(make_optimizer(wider, learning_rate=0.1), wider, tensors, plain)
    model[0].requires_grad_(False)
    with pytest.raises(InputError, match="only there 0.bias, 0.weight"):
        restore_optimizer(make_optimizer(model, learning_rate=0.1), model, tensors, plain)
    with pytest.raises(InputError, match="another network"):
        optimizer_state(optimizer, wider)


def test_numbers_that_cannot_be_are_refused():
    model = network()
    with pytest.raises(UnknownName, match="nearest: adamw"):
        make_optimizer(model, "adam", learning_rate=0.1)
    for bad in ({"learning_rate": 0}, {"weight_decay": -1}, {"momentum": 1}, {"pretrained_factor": 0}):
        with pytest.raises(InputError):
            make_optimizer(model, **({"learning_rate": 0.1} | bad))
    with pytest.raises(InputError, match="frozen"):
        make_optimizer(model.requires_grad_(False), learning_rate=0.1)


def test_the_rate_rises_to_its_peak_and_falls_to_the_floor():
    rates = [learning_rate_at(step, 100, 2.0, 9, "cosine", 0.5) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[9] == max(rates)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0.5 < rates[-1] < 0.501
    assert learning_rate_at(50, 100, 2.0) == pytest.approx(1.0)


def test_poly_is_that_of_deeplab():
    assert learning_rate_at(25, 100, 2.0, kind="poly") == pytest.approx(2 * 0.75**0.9)
    assert 0 < learning_rate_at(99, 100, 2.0, kind="poly") < 0.04


def test_one_cycle_rises_and_falls_by_half_cosines():
    rates = [learning_rate_at(step, 100, 2.0, kind="one-cycle") for step in range(100)]
    assert rates[0] == pytest.approx(2 / 25) and rates[30] == 2.0 == max(rates)
    assert rates[15] == pytest.approx((2 + 2 / 25) / 2) and rates[65] == pytest.approx(1.0)
    warmed = [learning_rate_at(step, 100, 2.0, 10, kind="one-cycle") for step in range(100)]
    assert warmed[10] == 2.0


@pytest.mark.parametrize("kind", ["cosine", "poly", "one-cycle"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_rates_above_zero(kind, steps):
    rates = [learning_rate_at(step, steps, 1.0, min(1, steps - 1), kind) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)


def test_steps_that_are_not_there_are_refused():
    for step, steps, warmup in [(5, 5, 0), (-1, 5, 0), (0, 5, 5), (0, 5, -1)]:
        with pytest.raises(InputError):
            learning_rate_at(step, steps, 1.0, warmup)
    with pytest.raises(InputError, match="floor"):
        learning_rate_at(0, 5, 1.0, floor=2.0)
    with pytest.raises(UnknownName, match="cosine"):
        learning_rate_at(0, 5, 1.0, kind="cosin")


def test_the_mean_of_weights_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    values, mean = [3.0, 5.0, -2.0], 1.0
    torch.nn.init.constant_(model.weight, mean)
    ema = Ema(model, decay=0.2)
    for step, value in enumerate(values, 1):
        torch.nn.init.constant_(model.weight, value)
        ema.update(model, step)
        kept = min(0.2, (1 + step) / (10 + step))
        mean = kept * mean + (1 - kept) * value
    assert ema.state["weight"].item() == pytest.approx(mean)
    early = Ema(model, decay=0.999)
    torch.nn.init.constant_(model.weight, 0.0)
    early.update(model, 1)
    assert early.state["weight"].item() == pytest.approx(-2 * 2 / 11)


def test_statistics_of_norms_are_averaged_and_counts_copied():
    model = network()
    ema = Ema(model, decay=0.5)
    model[1].running_mean.fill_(4.0)
    model[1].num_batches_tracked.fill_(7)
    ema.update(model, 100)
    assert ema.state["1.running_mean"].tolist() == [2.0] * 3
    assert ema.state["1.num_batches_tracked"].item() == 7


def test_what_is_frozen_stays_as_it_is():
    model = network()
    before = model[0].weight.clone()
    ema = Ema(model)
    for step in range(1, 30):
        ema.update(model, step)
    assert torch.equal(ema.state["0.weight"], before)


def test_a_model_has_its_own_weights_again_after_the_mean_was_applied():
    model = network()
    optimizer = make_optimizer(model, learning_rate=0.1)
    ema = Ema(model)
    learn(model, optimizer, 3)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    pointers = [each.data_ptr() for each in model.parameters()]
    with pytest.raises(KeyboardInterrupt), ema.applied_to(model) as averaged:
        assert all(torch.equal(value, ema.state[name]) for name, value in averaged.state_dict().items())
        raise KeyboardInterrupt
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())
    assert pointers == [each.data_ptr() for each in model.parameters()]


def test_a_restored_mean_goes_on_bit_for_bit():
    model = network()
    optimizer, ema = make_optimizer(model, learning_rate=0.1), Ema(model)
    learn(model, optimizer, 1)
    ema.update(model, 1)
    stored = ema.weights()
    again = Ema(network(seed=3))
    again.restore(stored)
    learn(model, optimizer, 1, 1)
    for each in (ema, again):
        each.update(model, 2)
    assert all(torch.equal(ema.state[name], again.state[name]) for name in stored)
    assert not torch.equal(ema.state["0.weight"], stored["0.weight"])
    other = network(seed=5)
    again.copy_to(other)
    assert torch.equal(other[0].weight, again.state["0.weight"])
    with pytest.raises(InputError, match="another network"):
        again.restore(Ema(network(width=4)).state)
    with pytest.raises(InputError, match="another network"):
        again.update(network()[:2], 3)
    with pytest.raises(InputError, match="decay"):
        Ema(model, decay=1.0)


def test_the_mean_of_a_noisy_descent_is_nearer_to_the_bottom():
    torch.manual_seed(0)
    model = torch.nn.Linear(20, 1, bias=False)
    ema, optimizer = Ema(model, 0.98), torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(1, 400):
        optimizer.zero_grad()
        (model.weight.square().sum() / 2 + (torch.randn(1, 20) * model.weight).sum()).backward()
        optimizer.step()
        ema.update(model, step)
    assert ema.state["weight"].norm() < 0.6 * model.weight.norm()
    assert math.isfinite(model.weight.norm().item())
