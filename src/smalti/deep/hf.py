"""Encoders of the transformers library behind the interface of ours.

Any of its backbones (ConvNeXt, Swin, DINOv2, Hiera, ...), from a folder or a name in its cache, or new from a
configuration. Letters: B images, C channels, H W size of the image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError, MissingExtra, ReadError
from ..optional import require
from .weights import adapted

MAPS = 4
"""How many maps an encoder gives: the last stages of a backbone, or layers of it at even distances."""


class Backbone(nn.Module):
    """Maps of a transformers backbone, finest first; 2-D only.

    Its weights come from the folder or cached name ``source``, or are new ones for ``config``, the plain values of a
    configuration with its ``model_type``. Nothing is downloaded unless ``online``, only safetensors are read, and code
    that comes with a model never runs. Sizes are filled up with zeros to what the backbone divides by, and its maps
    cut to what lies on the image. Raises ``InputError`` and ``ReadError``.
    """

    def __init__(
        self,
        in_channels: int,
        ndim: int = 2,
        output_stride: int | None = None,
        source: str | None = None,
        config: Mapping[str, Any] | None = None,
        online: bool = False,
    ) -> None:
        super().__init__()
        if ndim != 2:
            raise InputError(f"backbones of transformers are for 2-D images, got {ndim} spatial axes")
        if output_stride is not None:
            raise InputError(
                f"a backbone of transformers ends where it ends; give output_stride=None, not {output_stride}"
            )
        if (source is None) == (config is None):
            raise InputError(
                "a backbone comes from a source (folder or name) or from a config, one of the two"
            )
        told = config if config is not None else described(str(source), online=online)
        made = _configuration(told)
        channels = made.num_channels
        made.num_channels = in_channels
        self.model = _new(made)
        if source is not None:
            _fill(self.model, source, told, channels, online)
        self.widths = tuple(self.model.channels)
        self.strides = self._strides(made, in_channels)

    @property
    def stages(self) -> list[list[nn.Module]]:
        """What looks at the image, in its order: the library has no common name for the parts of its backbones."""
        return [[self.model]]

    def forward(self, image: Tensor) -> list[Tensor]:
        """B, C, H, W to the maps, finest first."""
        height, width = image.shape[2:]
        multiple = math.lcm(*self.strides)
        filled = functional.pad(image, (0, -width % multiple, 0, -height % multiple))
        maps = self.model(filled).feature_maps
        return [
            found[..., : -(-height // stride), : -(-width // stride)]
            for found, stride in zip(maps, self.strides, strict=True)
        ]  # B, widths[i], H / strides[i] rounded up

    def _strides(self, config: Any, in_channels: int) -> tuple[int, ...]:
        """How much smaller each map is: the library does not say, so one blank image is looked at."""
        patch = getattr(config, "patch_size", 1)
        patches = [patch] if isinstance(patch, int) else [one for one in patch if isinstance(one, int)]
        side = math.lcm(64, *patches)
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            maps = self.model(torch.zeros(1, in_channels, side, side)).feature_maps
        self.model.train(training)
        if any(found.ndim != 4 or side % found.shape[-1] for found in maps):
            raise InputError(f"the backbone {config.model_type} gives no maps at whole strides")
        return tuple(side // found.shape[-1] for found in maps)


def described(source: str, *, online: bool = False) -> dict[str, Any]:
    """The configuration of the model at ``source`` as plain values, for ``Backbone(config=...)``."""
    transformers = require("transformers", "hf")
    try:
        config = transformers.AutoConfig.from_pretrained(
            source, local_files_only=not online, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ReadError(
            f"no configuration of a model at {source}: {error}; give the folder of a model, or online=True"
        ) from error
    return config.to_dict()


def _configuration(told: Mapping[str, Any]) -> Any:
    """A configuration for a backbone that runs nobody's code."""
    transformers = require("transformers", "hf")
    # each of these names code to fetch: of a model, of a kernel for attention, of a quantiser
    foreign = ("auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_internal")
    values = {name: value for name, value in told.items() if name not in (*foreign, "model_type")}
    kind = told.get("model_type")
    if values.pop("quantization_config", None) is not None:
        raise InputError("the weights of this backbone are quantised; give those it was made of")
    if not isinstance(kind, str) or kind == "timm_backbone":
        raise InputError(f"a configuration says the model_type of a backbone of transformers, got {kind!r}")
    for name in ("out_features", "out_indices"):
        values.pop(name, None)
    try:
        config = transformers.AutoConfig.for_model(kind, **values)
        stages = list(config.stage_names)
        channels = config.num_channels
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{kind} is no backbone of transformers: {error}") from error
    if len(stages) <= MAPS or not isinstance(channels, int):
        raise InputError(f"a backbone of at least {MAPS} stages is needed, {kind} has {len(stages) - 1} here")
    last = len(stages) - 1  # the first of the names is the stem
    config.out_indices = [last * (place + 1) // MAPS for place in range(MAPS)]
    return config


def _new(config: Any) -> nn.Module:
    transformers = require("transformers", "hf")
    try:
        # eager attention: all backbones have it, and it exports
        return transformers.AutoBackbone.from_config(
            config, attn_implementation="eager", trust_remote_code=False
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{config.model_type} is no backbone of transformers: {error}") from error
    except ImportError as error:
        raise MissingExtra(f"{config.model_type} needs more than transformers: {error}") from error


def _fill(model: nn.Module, source: str, told: Mapping[str, Any], channels: int, online: bool) -> None:
    """Give ``model`` the weights at ``source``, its first convolution adapted from ``channels``."""
    try:
        # of the class itself: AutoBackbone asks the hub first whether there is such a model, for a folder, too
        loaded, said = type(model).from_pretrained(
            source,
            config=_configuration(told),
            local_files_only=not online,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ReadError(
            f"no safetensors of this model at {source}: {error}; give its folder, or online=True"
        ) from error
    missing = sorted(said["missing_keys"])
    state = loaded.state_dict()
    if missing and len(missing) >= len(list(loaded.parameters())) // 2:
        raise InputError(
            f"{source} is a checkpoint of another network: it lacks {', '.join(missing[:4])}, ..."
        )
    wanted = model.state_dict()
    for name, value in state.items():
        if value.shape != wanted[name].shape and value.ndim == 4 and value.shape[1] == channels:
            state[name] = adapted(value, wanted[name].shape[1])
    model.load_state_dict(state)
