"""Chains to begin with, one for each kind of image. A network needs to see more than these; look at the sheet."""

from __future__ import annotations

from typing import Any

from ...errors import unknown_name
from .augmentation import Chain

_FLIP_X: dict[str, Any] = {"name": "flip"}
_FLIP_Y: dict[str, Any] = {"name": "flip", "axis": "y"}

PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "photo": (
        _FLIP_X,
        {"name": "rotate", "degrees": [-10, 10], "probability": 0.5},
        {"name": "scale", "factor": [0.75, 1.5], "probability": 0.7},
        {"name": "brightness", "shift": [-0.15, 0.15], "probability": 0.5},
        {"name": "contrast", "probability": 0.5},
        {"name": "hue-saturation", "probability": 0.5},
        {"name": "shadow", "probability": 0.15},
        {"name": "one-of", "steps": ["blur", "gaussian-noise", "jpeg", "downscale"], "probability": 0.3},
    ),
    "microscopy": (
        _FLIP_X,
        {"name": "quarter-turn"},
        {"name": "rotate", "degrees": [-45, 45], "probability": 0.5},
        {"name": "scale", "probability": 0.5},
        {"name": "elastic", "probability": 0.3},
        {"name": "brightness", "shift": [-0.1, 0.1], "probability": 0.5},
        {"name": "gamma", "probability": 0.5},
        {"name": "one-of", "steps": ["blur", "poisson-noise", "gaussian-noise"], "probability": 0.5},
    ),
    "aerial": (
        _FLIP_X,
        {"name": "quarter-turn"},
        {"name": "rotate", "degrees": [-45, 45], "probability": 0.3},
        {"name": "scale", "factor": [0.67, 1.5], "probability": 0.7},
        {"name": "perspective", "share": [0, 0.05], "probability": 0.2},
        {"name": "brightness", "shift": [-0.15, 0.15], "probability": 0.5},
        {"name": "contrast", "probability": 0.5},
        {"name": "shadow", "probability": 0.2},
        {"name": "one-of", "steps": ["blur", "gaussian-noise"], "probability": 0.2},
    ),
    "medical": (
        _FLIP_X,
        _FLIP_Y,
        {"name": "rotate", "probability": 0.3},
        {"name": "scale", "factor": [0.7, 1.4], "probability": 0.3},
        {"name": "elastic", "probability": 0.2},
        {"name": "brightness", "shift": [-0.1, 0.1], "probability": 0.3},
        {"name": "contrast", "probability": 0.3},
        {"name": "gamma", "probability": 0.3},
        {"name": "bias-field", "probability": 0.2},
        {"name": "gaussian-noise", "probability": 0.2},
        {"name": "one-of", "steps": ["blur", "downscale"], "probability": 0.2},
    ),
}
"""Steps of each chain as they are described. ``photo`` keeps up and down; the others know no such directions."""


def preset(name: str, **settings: Any) -> Chain:
    """The chain of this name; ``settings`` are those of the chain, such as ``border="mirror"``.

    Raises ``UnknownName``.

    >>> [step.name for step in preset("photo").steps][:3]
    ['flip', 'rotate', 'scale']
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return Chain.make({"steps": PRESETS[name], **settings})
