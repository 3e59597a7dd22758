"""The table of nets, and how one is made of a description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..errors import ReadError
from ..postprocess.planes import Planes
from ..segmenter import load_class
from .blocks import made_of
from .network import Network
from .weights import check_size, load_weights_bytes

NETS: dict[str, str] = {
    "deeplab": "smalti.deep.deeplab:DeepLab",
    "fast": "smalti.deep.fast:Fast",
    "fcn": "smalti.deep.fcn:Fcn",
    "unet": "smalti.deep.unet:Unet",
}
"""Name of each net to the ``module:Class`` it is loaded from on first use."""

MOST = 10_000
"""Largest number that a net from a file may be made with: making a billion layers would never end."""


def make_net(name: str, in_channels: int, ndim: int = 2, **parameters: Any) -> nn.Module:
    """A net by name with new weights. Raises ``UnknownName`` and, for parameters it does not have, ``InputError``."""
    return made_of(f"net {name}", load_class("net", name, NETS), in_channels, ndim=ndim, **parameters)


def make_network(
    name: str, in_channels: int, num_planes: int, ndim: int = 2, parameters: Mapping[str, Any] | None = None
) -> Network:
    """A net by name under heads for so many planes; see ``Network``."""
    return Network(make_net(name, in_channels, ndim, **(parameters or {})), num_planes, ndim)


def describe_net(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A net as plain values, from which ``restored_network`` makes it again wherever it is."""
    told = dict(parameters)
    inner = told.get("encoder_parameters") or {}
    if "source" in inner:  # a folder of this machine: what is needed of it is the configuration
        from .hf import described

        told["encoder_parameters"] = {"config": described(inner["source"], online=bool(inner.get("online")))}
    return {"name": name, "parameters": told}


def _largest(value: Any) -> float:
    """The largest number in plain values, lengths of lists among them."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return max(len(value), max(map(_largest, value), default=0))
    return abs(value) if isinstance(value, int | float) else 0


def restored_network(said: Mapping[str, Any], in_channels: int, planes: Planes, weights: bytes) -> Network:
    """The network of ``describe_net`` with its ``weights``, a safetensors file. Raises ``ReadError``."""
    try:
        name, parameters = str(said["name"]), dict(said["parameters"])
        if {"source", "online"} & set(parameters.get("encoder_parameters") or {}):
            raise ReadError("the bundle asks for weights from elsewhere; it has to bring its own")
        if _largest(parameters) > MOST:
            raise ReadError(f"the net of the bundle has a parameter beyond {MOST}")
        with torch.device("meta"):  # takes no memory, whatever sizes are said
            sketch = make_network(name, in_channels, len(planes), planes.ndim, parameters)
        check_size(sketch, weights)
        network = make_network(name, in_channels, len(planes), planes.ndim, parameters)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ReadError(
            f"the bundle does not say which net it is ({type(error).__name__}: {error})"
        ) from error
    load_weights_bytes(network, weights)
    return network
