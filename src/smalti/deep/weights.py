"""Weights from elsewhere and from bundles: read without running code, fitted by name, and kept still where wanted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, ReadError
from ..optional import require
from .network import Network

WRAPPERS = ("state_dict", "model_state_dict", "model", "weights")
"""Under which of these names training scripts put the weights among other things."""

PREFIXES = ("module", "model", "net", "backbone", "encoder", "_orig_mod")
"""What wrappers and frameworks put before the names of parameters."""

CLASSIFIER = "fc."
"""How the names begin of what told the classes of ImageNet apart, which segmentation has no place for."""

COUNTER = "num_batches_tracked"
"""A buffer that checkpoints of before 2018 lack and that says nothing at a fixed momentum."""

HEADER_BYTES = 10_000_000
"""Most bytes of names and shapes before the numbers of safetensors."""


@dataclass(frozen=True)
class LoadedWeights:
    """What became of a checkpoint: names as they are in the network, ``unused`` ones as they are in the file.

    ``part`` is what the file was a checkpoint of, such as ``net.encoder`` or, for all, nothing; ``missing`` are of
    that part. ``unfit`` has name, shape wanted and shape found. ``adapted`` were fitted to other channels.
    """

    part: str
    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    missing: tuple[str, ...]
    unfit: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} tensors loaded into {self.part or 'the network'}"]
        if self.adapted:
            lines.append(f"fitted to the channels of the image: {', '.join(self.adapted)}")
        if self.unfit:
            each = (f"{name} (wanted {wanted}, found {found})" for name, wanted, found in self.unfit)
            lines.append(f"of another shape, left as they were: {_some(list(each))}")
        if self.missing:
            lines.append(f"not in the file, left as they were: {_some(self.missing)}")
        if self.unused:
            lines.append(f"in the file, without a place: {_some(self.unused)}")
        return "\n".join(lines)


def _some(names: Sequence[str], most: int = 6) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def load_weights(network: nn.Module, path: str | os.PathLike[str]) -> LoadedWeights:
    """Give ``network`` the weights of a checkpoint (``.safetensors``, or a state dict ``.pth`` or ``.pt``) by name.

    The checkpoint may be of the network, its net or its encoder, with or without usual prefixes. Tensors of another
    shape are left, but a first convolution for other channels is adapted. Raises ``ReadError`` for a file that cannot
    be read and ``InputError`` for a checkpoint of which nothing fits.
    """
    return load_state(network, read_state(path), str(path))


def load_state(network: nn.Module, state: Mapping[str, Tensor], said: str) -> LoadedWeights:
    """As ``load_weights``, of tensors by name that were read from what is ``said``."""
    own = network.state_dict()
    part, source = _matched(state, own)
    first = _first_convolutions(network)
    loaded, fitted, unfit, unused = [], [], [], []
    for name, value in state.items():
        target = part + name.removeprefix(source)
        if not name.startswith(source) or target not in own:
            if not name.removeprefix(source).startswith(CLASSIFIER):
                unused.append(name)
            continue
        wanted = own[target]
        if target in first and value.ndim == wanted.ndim > 1 and value.shape[1] != wanted.shape[1]:
            value = adapted(value, wanted.shape[1])
            fitted.append(target)
        if value.shape != wanted.shape:
            unfit.append((target, tuple(wanted.shape), tuple(value.shape)))
            fitted = [each for each in fitted if each != target]
            continue
        if not torch.isfinite(value).all():
            raise ReadError(f"{said}: {name} has values that are no numbers")
        with torch.no_grad():
            wanted.copy_(value)  # state_dict's tensors are those of the network
        loaded.append(target)
    there = {*loaded, *(name for name, _, _ in unfit)}
    missing = [
        name for name in own if name.startswith(part) and name not in there and not name.endswith(COUNTER)
    ]
    return LoadedWeights(
        part.removesuffix("."), tuple(loaded), tuple(fitted), tuple(missing), tuple(unfit), tuple(unused)
    )


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a checkpoint file by name, out of their wrappers. Raises ``ReadError`` and ``InputError``."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".safetensors", ".pth", ".pt"):
        raise InputError(
            f"weights are read from .safetensors, or from a state dict in .pth or .pt, got {path.name}"
        )
    if not path.is_file():
        raise ReadError(f"there is no file {path}")
    if suffix == ".safetensors":
        safetensors = require("safetensors", "train")
        try:
            return require("safetensors.torch", "train").load_file(path)
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise ReadError(f"{path} is no safetensors file: {error}") from error
    try:
        # weights_only: torch's own reader of the file's pickle, which knows tensors and plain containers and refuses
        # to look up any other class or function, so that a stranger's file cannot run code
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: a broken zip, a class that is refused, a pickle cut short
        raise ReadError(
            f"{path} is no plain state dict: {str(error).splitlines()[0] if str(error) else error!r}; "
            "save model.state_dict() as safetensors where the file comes from"
        ) from error
    while isinstance(found, Mapping):
        inner = next((found[name] for name in WRAPPERS if isinstance(found.get(name), Mapping)), None)
        if inner is None:
            break
        found = inner
    tensors = (
        {name: each for name, each in found.items() if isinstance(name, str) and isinstance(each, Tensor)}
        if isinstance(found, Mapping)
        else {}
    )
    if not tensors:
        raise InputError(f"{path} holds no tensors by name; save model.state_dict()")
    return tensors


def _leads(names: Mapping[str, Any]) -> list[str]:
    """Every beginning of a name that is made of nothing but usual prefixes, shortest first."""
    found = {""}
    for name in names:
        lead = ""
        for word in name.split(".")[:-1]:
            if word not in PREFIXES:
                break
            lead += f"{word}."
            found.add(lead)
    return sorted(found, key=lambda lead: (lead.count("."), lead))


def _matched(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> tuple[str, str]:
    """The part of the network and the beginning of names in the file under which the most tensors agree."""
    best, found = ("", ""), (0, 0, 0)
    for source in _leads(state):
        shapes = {
            name.removeprefix(source): each.shape for name, each in state.items() if name.startswith(source)
        }
        for part in _leads(own):
            both = [name for name in shapes if part + name in own]
            agreeing = sum(shapes[name] == own[part + name].shape and len(shapes[name]) > 0 for name in both)
            # a name that agrees in another shape says more than the narrowest part
            rank = (agreeing, len(both), len(part))
            if rank > found:
                best, found = (part, source), rank
    if not found[0]:
        shared = f"{found[1]} names agree, but no shape" if found[1] else "no name agrees"
        raise InputError(
            f"this is a checkpoint of another network: {shared}; it has {_some(sorted(state), 3)}, "
            f"wanted {_some(sorted(own), 3)}"
        )
    return best


def _first_convolutions(network: nn.Module) -> set[str]:
    """Names of the parameters that look at the channels of the image."""
    return {
        f"{name}." * bool(name) + module.first_convolution
        for name, module in network.named_modules()
        if isinstance(getattr(module, "first_convolution", None), str)
    }


def adapted(weight: Tensor, in_channels: int) -> Tensor:
    """A first convolution (D, C, ...) for another number of channels, which together say as much as before.

    Each channel gets the mean over those that were there, times C / ``in_channels``.
    """
    mean = weight.float().mean(1, keepdim=True) * (weight.shape[1] / in_channels)
    return torch.cat([mean] * in_channels, 1)


def weights_bytes(network: nn.Module) -> bytes:
    """All parameters and buffers as safetensors. The same weights give the same bytes."""
    state = {name: each.detach().cpu().contiguous() for name, each in network.state_dict().items()}
    return require("safetensors.torch", "train").save(state)


def safetensors_state(content: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises ``ReadError``."""
    safetensors = require("safetensors", "train")
    try:
        return require("safetensors.torch", "train").load(content)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ReadError(f"the weights are no safetensors: {error}") from error


def check_size(network: nn.Module, content: bytes) -> None:
    """Raise ``ReadError`` unless ``content`` has as many bytes as the weights of ``network``.

    The network may be on torch's device ``meta``, where it takes no memory.
    """
    size = sum(each.numel() * each.element_size() for each in network.state_dict().values())
    if not size <= len(content) <= size + HEADER_BYTES:
        raise ReadError(f"the weights of this network are {size} bytes, got {len(content)}")


def load_weights_bytes(network: nn.Module, content: bytes) -> None:
    """Give ``network`` exactly the weights of ``weights_bytes``; of the content nothing is believed.

    Raises ``ReadError`` if a name, shape or type is another, a value is no number, or the content is damaged.
    """
    check_size(network, content)
    own = network.state_dict()
    state = safetensors_state(content)
    if state.keys() != own.keys():
        odd = sorted(state.keys() ^ own.keys())
        raise ReadError(f"these are the weights of another network: {_some(odd)} are in one of the two only")
    for name, value in state.items():
        if value.shape != own[name].shape or value.dtype != own[name].dtype:
            raise ReadError(
                f"{name} of these weights is {tuple(value.shape)} {value.dtype}, "
                f"wanted {tuple(own[name].shape)} {own[name].dtype}"
            )
        if not torch.isfinite(value).all():
            raise ReadError(f"{name} of these weights has values that are no numbers")
    network.load_state_dict(state)


def freeze(network: Network, what: str | int | Sequence[str]) -> list[str]:
    """Keep parameters from learning, and statistics of norms and dropout beside them still; gives their names.

    ``what`` is ``"encoder"``, a number of stages from the image on, or patterns of names such as ``net.down.0.*``.
    Raises ``InputError`` for what is not there. ``unfreeze`` lets everything learn again.
    """
    if isinstance(what, str) and what != "encoder":
        what = [what]
    if isinstance(what, str | int):
        stages = getattr(network.net, "stages", [])
        count = len(stages) if what == "encoder" else int(what)
        if not 0 < count <= len(stages):
            raise InputError(f"this network has {len(stages)} stages to freeze, got {what!r}")
        ids = {id(one) for stage in stages[:count] for module in stage for one in module.parameters()}
        names = [name for name, one in network.named_parameters() if id(one) in ids]
    else:
        all_names = [name for name, _ in network.named_parameters()]
        for pattern in what:
            if not any(fnmatchcase(name, pattern) for name in all_names):
                raise InputError(
                    f"no parameter is called {pattern}; there are: {_some(sorted(all_names), 12)}"
                )
        names = [name for name in all_names if any(fnmatchcase(name, pattern) for pattern in what)]
    frozen = set(names)
    for name, one in network.named_parameters():
        if name in frozen:
            one.requires_grad_(False)
    network.still = tuple(
        name
        for name, module in network.named_modules()
        if name  # the network itself would put itself to rest for ever
        and any(True for _ in module.parameters())
        and not any(one.requires_grad for one in module.parameters())
    )
    network.train(network.training)
    return names


def unfreeze(network: Network) -> None:
    """Let every parameter learn."""
    network.still = ()
    network.requires_grad_(True)
    network.train(network.training)
