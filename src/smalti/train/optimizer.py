"""Steps downhill: the optimizer and its state by name, the learning rate of a step, and the mean of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import nn

from ..errors import InputError, unknown_name

Kind = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "poly", "one-cycle", "constant"]

ONE_CYCLE_START = 1 / 25
"""Share of the peak that a one-cycle schedule begins with."""
ONE_CYCLE_RISE = 0.3
"""Share of the steps in which it rises, where no warm-up is given."""
_KEPT = ("lr", "betas", "eps", "weight_decay", "momentum", "dampening", "nesterov", "rate_factor")
"""What of a group is stored; how the steps are computed (fused or not) is for the machine that resumes to say."""


def make_optimizer(
    model: nn.Module,
    kind: Kind = "adamw",
    *,
    learning_rate: float,
    weight_decay: float = 0.01,
    momentum: float = 0.9,
    pretrained: nn.Module | None = None,
    pretrained_factor: float = 0.1,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) or SGD with Nesterov's momentum over what of ``model`` is trained.

    Weights of one axis, those of norms and biases, do not decay: nothing but the function itself would shrink. Frozen
    parameters, whose ``requires_grad`` is False, are left out. Those of ``pretrained``, a part of the model such as
    its encoder, learn at ``pretrained_factor`` times the rate: whoever sets the ``lr`` of a group multiplies by its
    ``rate_factor``. ``momentum`` is Adam's first beta, too. Raises ``InputError`` where nothing is
    trained and for numbers that cannot be.
    """
    if not (0 < learning_rate < math.inf and 0 <= weight_decay < math.inf and pretrained_factor > 0):
        raise InputError(
            "learning_rate and pretrained_factor must be above 0 and weight_decay 0 or more, "
            f"got {learning_rate}, {pretrained_factor} and {weight_decay}"
        )
    if not 0 < momentum < 1:
        raise InputError(f"momentum must be between 0 and 1, got {momentum}")
    slow = {id(each) for each in pretrained.parameters()} if pretrained is not None else set()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in slow, parameter.ndim > 1), []).append(parameter)
    if not groups:
        raise InputError("every parameter of the network is frozen; leave some to be trained")
    described = [
        {
            "params": parameters,
            "weight_decay": weight_decay if decays else 0.0,
            "rate_factor": pretrained_factor if is_slow else 1.0,
            "lr": learning_rate * (pretrained_factor if is_slow else 1.0),
        }
        for (is_slow, decays), parameters in sorted(groups.items())
    ]
    # 2.9 ms a step of 3 million AdamW parameters on one core with AVX2, 10.6 ms one by one or by foreach.
    fused = all(each.device.type in ("cpu", "cuda") for each in model.parameters())
    if kind == "adamw":
        return torch.optim.AdamW(described, lr=learning_rate, betas=(momentum, 0.999), fused=fused)
    if kind == "sgd":
        return torch.optim.SGD(described, lr=learning_rate, momentum=momentum, nesterov=True, fused=fused)
    raise unknown_name("optimizer", kind, ["adamw", "sgd"])


def learning_rate_at(
    step: int, steps: int, peak: float, warmup_steps: int = 0, kind: Schedule = "cosine", floor: float = 0.0
) -> float:
    """The learning rate once ``step`` of ``steps`` are done, from nothing else, so that a resumed run has the same.

    The rate rises in equal parts over ``warmup_steps`` and is ``peak`` in the step after them. From there it falls
    to ``floor``, which a step after the last would have: the last still learns. ``cosine`` falls as half a
    cosine (Loshchilov & Hutter 2017), ``poly`` as (1 - t) ** 0.9 (as in DeepLab, Chen et al. 2018). ``one-cycle``
    (Smith & Topin 2018) rises by half a cosine from a 25th of the peak, over the warm-up or the first 30 % of the
    steps if there is none, then falls by one. ``constant`` stays. Raises
    ``InputError`` for a ``step`` that leaves none to take.
    """
    if not 0 <= step < steps or not 0 <= warmup_steps < steps:
        raise InputError(
            f"step and warmup_steps must be from 0 to below steps, got {step} and {warmup_steps} of {steps}"
        )
    if not 0 <= floor <= peak < math.inf:
        raise InputError(f"the floor of the learning rate must be from 0 to its peak {peak}, got {floor}")
    if kind not in get_args(Schedule):
        raise unknown_name("schedule", kind, get_args(Schedule))
    cycle = kind == "one-cycle"
    rising = round(ONE_CYCLE_RISE * steps) if cycle and not warmup_steps else warmup_steps
    if step < rising:
        if cycle:
            low = max(floor, peak * ONE_CYCLE_START)
            return low + (peak - low) * (1 - math.cos(math.pi * step / rising)) / 2
        return peak * (step + 1) / (rising + 1)
    if kind == "constant":
        return peak
    done = (step - rising) / (steps - rising)
    left = (1 - done) ** 0.9 if kind == "poly" else (1 + math.cos(math.pi * done)) / 2
    return floor + (peak - floor) * left


class Ema:
    """The exponential mean of a model's weights over its steps (Polyak & Juditsky 1992): steadier than the last ones.

    ``state`` has a tensor for each entry of the model's state dict. Running means and variances of norms are averaged
    as weights are: those of the newest weights would not fit the mean ones, and unlike fresh statistics they cost no
    pass over the data. Whole numbers, such as how many batches a norm has seen, are those of the model.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"decay must be from 0 to below 1, got {decay}")
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step 1, 2, ...; early ones, still far off, are forgotten sooner.

        The mean keeps min(``decay``, (1 + step) / (10 + step)) of itself.
        """
        kept = min(self.decay, (1 + step) / (10 + step))
        means, values = [], []
        for name, value in self._pairs(model):
            if value.is_floating_point():
                means.append(self.state[name])
                values.append(value)
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(means, values, 1 - kept)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Make the mean the weights of ``model``."""
        for name, value in self._pairs(model):
            value.copy_(self.state[name])

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[nn.Module]:
        """``model`` with the mean for weights, and with its own again, bit for bit, when the block is left."""
        own = {name: value.clone() for name, value in self._pairs(model)}
        self.copy_to(model)
        try:
            yield model
        finally:
            with torch.no_grad():
                for name, value in self._pairs(model):
                    value.copy_(own[name])

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the mean as it is now, by the names of the model's state dict."""
        return {name: value.clone() for name, value in self.state.items()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a stored ``state``. Raises ``InputError`` if it is that of another model."""
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        if shapes != {name: tuple(value.shape) for name, value in self.state.items()}:
            raise InputError("the mean of weights is that of another network; resume with the one it is from")
        for name, value in self.state.items():
            value.copy_(state[name])

    def _pairs(self, model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
        state = model.state_dict()
        if state.keys() != self.state.keys():
            raise InputError("the mean of weights is that of another network")
        yield from state.items()


def optimizer_state(
    optimizer: torch.optim.Optimizer, model: nn.Module
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """All that ``optimizer`` remembers: tensors named ``kind/parameter``, and plain values for JSON.

    The tensors are copies, so that training may go on while they are written. ``restore_optimizer`` takes both.
    """
    names = _names(optimizer, model)
    tensors, plain = {}, {}
    for parameter, state in optimizer.state.items():
        for kind, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{kind}/{names[parameter]}"] = value.detach().clone()
            elif value is not None:
                plain[f"{kind}/{names[parameter]}"] = value
    groups = [
        {
            "parameters": [names[each] for each in group["params"]],
            **{key: _as_plain(group[key]) for key in _KEPT if key in group},
        }
        for group in optimizer.param_groups
    ]
    return tensors, {"optimizer": type(optimizer).__name__, "groups": groups, "values": plain}


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    plain: Mapping[str, Any],
) -> None:
    """Go on with what ``optimizer_state`` gave, bit for bit, on whatever device ``model`` is.

    Raises ``InputError`` if it is that of another optimizer or network, or other parameters were trained.
    """
    names = _names(optimizer, model)
    if plain.get("optimizer") != type(optimizer).__name__:
        raise InputError(
            f"the checkpoint's optimizer is {plain.get('optimizer')}, this one {type(optimizer).__name__}; "
            "resume with the plan it was begun with"
        )
    own = [[names[each] for each in group["params"]] for group in optimizer.param_groups]
    stored = [group["parameters"] for group in plain["groups"]]
    if own != stored:
        raise InputError(f"the checkpoint is that of other trained parameters: {_difference(stored, own)}")
    numbers = {name: number for number, name in enumerate(name for group in own for name in group)}
    trained = {names[each]: each for group in optimizer.param_groups for each in group["params"]}
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *plain["values"].items()]:
        kind, _, name = key.partition("/")
        if name not in numbers:
            raise InputError(f"the checkpoint remembers {key}, and there is no such trained parameter")
        if isinstance(value, torch.Tensor):
            if value.ndim and value.shape != trained[name].shape:
                raise InputError(
                    f"the checkpoint's {key} is {tuple(value.shape)}, not {tuple(trained[name].shape)}"
                )
            # laid out as the parameter is, channels last for one: fused steps read both in the order of memory
            value = (
                torch.empty_like(trained[name], dtype=value.dtype).copy_(value)
                if value.ndim
                else value.clone()
            )
        state.setdefault(numbers[name], {})[kind] = value
    current = optimizer.state_dict()["param_groups"]
    groups = [
        group | {key: tuple(was[key]) if key == "betas" else was[key] for key in _KEPT if key in was}
        for group, was in zip(current, plain["groups"], strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _names(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[torch.Tensor, str]:
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    if not all(each in names for group in optimizer.param_groups for each in group["params"]):
        raise InputError("the optimizer is that of another network")
    return names


def _as_plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _difference(stored: Sequence[Sequence[str]], own: Sequence[Sequence[str]]) -> str:
    there, here = ({name for group in groups for name in group} for groups in (stored, own))
    if there == here:
        return "they are the same, but grouped otherwise (what decays, what learns slower)"
    said = [
        f"{what} {', '.join(sorted(names)[:3])}{' ...' if len(names) > 3 else ''}"
        for what, names in (("only there", there - here), ("only here", here - there))
        if names
    ]
    return "; ".join(said)
