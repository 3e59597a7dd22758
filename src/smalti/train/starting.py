"""What a training begins with beside new weights: weights of a file, what of them stays as it is, and a teacher."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..deep.network import Network
from ..deep.weights import LoadedWeights, freeze, load_state, read_state, safetensors_state
from ..errors import InputError
from ..io.bundle import SUFFIX, load
from ..postprocess.planes import Planes
from ..runtime.fitted import WEIGHTS, FittedNetwork
from ..runtime.preparation import Fixed, Preparation
from .plan import Plan


@dataclass(frozen=True)
class Start:
    """What training begins with; ``said`` tells where it is from.

    ``given`` are fields of the plan that follow from it, for the ``reasons`` beside them: whoever goes on with a model
    or asks it sees what the model saw.
    """

    weights: Mapping[str, Tensor] | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    frozen: str | int | tuple[str, ...] | None = None
    teacher: FittedNetwork | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def give(self, network: Network) -> tuple[LoadedWeights | None, nn.Module | None]:
        """Give a new network the weights, and freeze what is to stay; what became of them, and the encoder if it is all
        that they are of: it learns slower."""
        loaded = None
        if self.weights is not None:
            loaded = load_state(network, self.weights, self.said["weights"])
        if self.frozen is not None:
            freeze(network, self.frozen)
        of_encoder = loaded is not None and loaded.part.endswith("encoder")
        return loaded, network.get_submodule(loaded.part) if loaded is not None and of_encoder else None

    def given_for(self, channels: tuple[str, ...]) -> dict[str, Any]:
        """``given``, for images of these channels: a mean of each of others says nothing of them."""
        given = dict(self.given)
        if self.teacher is None and len(given.get("mean") or channels) != len(channels):
            return {"network_settings": given["network_settings"]}
        return given

    def check(self, planes: Planes, preparation: Preparation, channels: tuple[str, ...]) -> None:
        """Raise ``InputError`` unless the teacher tells of the same images the same things."""
        if self.teacher is None:
            return
        wanted: list[tuple[str, Any, Any]] = [
            ("channels", ", ".join(self.teacher.channels), ", ".join(channels)),
            ("spatial axes", self.teacher.planes.ndim, planes.ndim),
            ("planes", ", ".join(self.teacher.planes.names), ", ".join(planes.names)),
            ("classes", self.teacher.targets.class_ids, planes.targets.class_ids),
            ("border or offsets", _small(self.teacher.planes), _small(planes)),
            ("preparation", self.teacher.preparation.described(), preparation.described()),
        ]
        for what, theirs, own in wanted:
            if theirs != own:
                raise InputError(
                    f"the teacher {self.said['teacher']} has other {what}: {theirs}, the student {own}; a student "
                    "learns what its teacher tells, from images that are prepared alike"
                )


NOTHING = Start()


def start_of(network: str, weights: Path | None, freeze: str | None, teacher: Path | None) -> Start:
    """The files read, to train the net of this name.

    Raises ``ReadError``, and ``InputError`` for a bundle of another net or without weights and for a model that is no
    network.
    """
    said: dict[str, str] = {}
    given: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    state: Mapping[str, Tensor] | None = None
    taught_by = None
    if weights is not None and weights.suffix.lower() == SUFFIX:
        model = _network_in(weights, "what training begins with")
        if WEIGHTS not in model.parts:
            raise InputError(
                f"{weights} holds no {WEIGHTS}, so training cannot begin with it; it was exported without"
            )
        net = model.about["net"]
        if net["name"] != network:
            raise InputError(f"{weights} is of the network {net['name']}, not {network}; fit that method")
        state = safetensors_state(model.parts[WEIGHTS])
        given |= {**seen_by(model), "network_settings": net["parameters"]}
        reasons = dict.fromkeys(given, f"as {weights.name}, which training begins with")
    elif weights is not None:
        state = read_state(weights)
    if state is not None:
        state = dict(sorted(state.items()))  # safetensors gives them in another order each time
    if weights is not None:
        said["weights"] = f"{weights.name} {_digest(weights)}"
    if teacher is not None:
        taught_by = _network_in(teacher, "a teacher")
        said["teacher"] = f"{teacher.name} {_digest(teacher)}"
        followed = seen_by(taught_by) | told_by(taught_by)
        given |= followed
        reasons |= dict.fromkeys(followed, f"as {teacher.name}, the teacher")
    if freeze is not None:
        said["freeze"] = freeze
    return Start(state, said, None if freeze is None else _frozen(freeze), taught_by, given, reasons)


def seen_by(model: FittedNetwork) -> dict[str, Any]:
    """The fields of a plan by which images are prepared as the model takes them. Raises ``InputError``."""
    prepared = model.preparation
    if prepared.size is not None:
        raise InputError(
            f"{model.name} takes images of {prepared.size} pixels only, and training takes crops; it cannot be followed"
        )
    fields: dict[str, Any] = {"spacing": prepared.spacing, "scale": prepared.factor}
    if prepared.unit is not None:
        fields["unit"] = prepared.unit
    chosen = prepared.normalization
    if isinstance(chosen, Fixed):
        clip = None
        if chosen.low is not None and chosen.high is not None:
            clip = tuple(zip(chosen.low, chosen.high, strict=True))
        return fields | {"normalise": "fixed", "mean": chosen.mean, "std": chosen.std, "clip": clip}
    if chosen.by == "percentiles":
        return fields | {"normalise": "percentiles", "percentiles": (chosen.low, chosen.high)}
    return fields | {"normalise": "zscore"}


def told_by(model: FittedNetwork) -> dict[str, Any]:
    """The fields of a plan by which a network tells of pixels what the model tells."""
    planes = model.planes
    border = planes.targets.border_px
    objects = "centers" if planes.centers else "border" if border else "none"
    return {
        "task": model.task,
        "objects": objects,
        "border_px": border,
        "distance": planes.distance,
        "offset_unit_px": planes.offset_unit_px,
    }


def described(plan: Plan, start: Start) -> Plan:
    """The plan with the reasons of what follows from the start."""
    said = plan.model_dump(mode="json")
    wanted = json.loads(json.dumps(dict(start.given)))  # lists for tuples, as in a file
    own = {name: reason for name, reason in start.reasons.items() if said[name] == wanted[name]}
    return Plan.make({**dict(plan), "reasons": {**plan.reasons, **own}})


def _network_in(path: Path, what: str) -> FittedNetwork:
    model = load(path)
    if not isinstance(model, FittedNetwork):
        raise InputError(f"{path} is no network, which {what} must be")
    return model


def _frozen(text: str) -> str | int | tuple[str, ...]:
    """``encoder``, a number of stages or patterns of names."""
    text = text.strip()
    if text == "encoder":
        return text
    return int(text) if text.isdigit() else tuple(each.strip() for each in text.split(","))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _small(planes: Planes) -> tuple[int, float]:
    return planes.targets.border_px, planes.offset_unit_px
