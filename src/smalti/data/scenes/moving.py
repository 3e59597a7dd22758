"""Clips of fish in a pond seen from above: they bend, turn, cross over and under each other and below lily pads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from .camera import linear, photograph, rgb
from .pond import Drawn, Fish, Pad
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .textures import fractal, noise

FISH, LILY_PAD, WATER = range(1, 4)

_MARGIN_PX = 24  # by which what is still is larger than a frame, for the camera and the ripples to move in
_SKINS = (
    (226, 96, 32), (236, 150, 60), (232, 226, 214), (60, 62, 70), (206, 60, 40), (214, 186, 110), (120, 124, 120),
)  # fmt: skip
_PADS = ((92, 132, 60), (76, 118, 64), (120, 144, 70))
_BOTTOMS = ((74, 98, 86), (66, 92, 96), (92, 98, 76))
_MURK = rgb(0.09, 0.2, 0.19)


class Moving(SceneKind):
    """A pond filmed from above. Frame f of clip c is scene ``c * frames + f``; a fish keeps its track_id in a clip."""

    name: ClassVar[str] = "moving"
    title: ClassVar[str] = "video: fish that cross and hide under lily pads; track_id is constant in a clip"
    classes = colored(
        ("fish", True, (213, 94, 0)), ("lily pad", True, (0, 158, 115)), ("water", False, (0, 114, 178))
    )

    size_hw: tuple[int, int] = Field((256, 256), description="Height and width of a frame in pixels.")
    frames: int = Field(16, ge=1, le=10_000, description="Frames of a clip.")
    max_fish: int = Field(7, ge=1, le=100, description="Fish that may swim in a clip.")
    speed: float = Field(
        1.0, ge=0, le=10, description="How fast they swim; 1 is about a body length in 8 frames."
    )

    @field_validator("size_hw")
    @classmethod
    def _check_size(cls, size_hw: tuple[int, int]) -> tuple[int, int]:
        return check_size(size_hw)

    def clip_of(self, index: int) -> tuple[int, int]:
        return divmod(index, self.frames)

    def draw(self, seed: int, index: int) -> Scene:
        clip, frame = self.clip_of(index)
        pond = _pond(self, seed, clip)
        canvas = Canvas.of(self.size_hw)
        light = np.zeros((*self.size_hw, 3), np.float32)
        shadow = np.zeros(self.size_hw, np.float32)
        pan = pond.pan[frame]
        for track_id, pad in enumerate(pond.pads, len(pond.fish) + 1):
            drawn = pad.drawn(self.size_hw, frame, pan)
            _lay(canvas, light, shadow, drawn, LILY_PAD, track_id, depth=0.0)
        for track_id, fish in enumerate(pond.fish, 1):  # the uppermost first
            drawn = fish.drawn(self.size_hw, frame, pan)
            _lay(canvas, light, shadow, drawn, FISH, track_id, depth=fish.depth)
        water = canvas.labels == 0
        bottom = pond.bottom_at(frame, self.size_hw)
        bottom *= (1 - cv2.GaussianBlur(shadow, (0, 0), 2.5))[..., None]
        light[water] = bottom[water]
        below = ~canvas.of_class(LILY_PAD)
        light += (pond.glitter_at(frame, self.size_hw) * below)[..., None]
        canvas.claim(WATER, water, stuff=True)
        rng = self.rng(seed, clip, 1 + frame)  # all that is by chance in a frame is the noise of the camera
        pixels = photograph(rng, light, blur_px=0.55, noise=pond.noise, vignetting=pond.vignetting)
        track_ids = np.array(canvas.track_ids, np.int64)
        return Scene(pixels, canvas.labels, np.array(canvas.class_ids), track_ids=track_ids)


@dataclass(frozen=True, eq=False)
class Pond:
    """Everything about a clip that its frames share."""

    fish: list[Fish]
    pads: list[Pad]
    pan: np.ndarray  # (frames, 2) how far the picture has moved
    bottom: np.ndarray  # light, larger than a frame on every side
    ripples: tuple[np.ndarray, np.ndarray]
    drift: np.ndarray  # (2, 2) pixels a frame
    noise: float
    vignetting: float

    def bottom_at(self, frame: int, size_hw: tuple[int, int]) -> np.ndarray:
        """Light (H, W, 3) of the bottom through moving water."""
        moved = _shifted(self.bottom, self.pan[frame], size_hw)
        waves = _shifted(self.ripples[0], self.drift[0] * frame, size_hw)
        waves += _shifted(self.ripples[1], self.drift[1] * frame, size_hw)
        caustics = np.exp(-np.abs(waves) * 2.2)
        return moved * (0.8 + 0.55 * caustics)[..., None]

    def glitter_at(self, frame: int, size_hw: tuple[int, int]) -> np.ndarray:
        """Light (H, W) of the sky in the ripples."""
        waves = _shifted(self.ripples[0], self.drift[1] * frame * 1.4, size_hw)
        return np.clip(waves - 1.2, 0, 1) * np.float32(0.12) + np.float32(0.012)


@lru_cache(maxsize=2)
def _pond(kind: Moving, seed: int, clip: int) -> Pond:
    """The pond of a clip, kept while its frames are drawn."""
    rng = kind.rng(seed, clip)
    height, width = kind.size_hw
    unit, times = min(kind.size_hw), np.arange(kind.frames)
    count = int(rng.integers(min(3, kind.max_fish), kind.max_fish + 1))
    fish = sorted((_fish(rng, kind) for _ in range(count)), key=lambda one: one.depth)
    phases, slow = rng.uniform(0, 6, 2), rng.uniform(0.05, 0.15)
    pan = np.stack([np.sin(slow * times + phase) - np.sin(phase) for phase in phases], 1) * rng.uniform(0, 7)
    large = (height + 2 * _MARGIN_PX, width + 2 * _MARGIN_PX)
    stones = fractal(rng, large, unit * rng.uniform(0.03, 0.07), octaves=4, gain=0.65)
    deeps = noise(rng, large, unit * 0.5)
    color = linear(_BOTTOMS[rng.integers(3)])
    return Pond(
        fish=fish,
        pads=_pads(rng, kind),
        pan=pan,
        bottom=color * np.clip(1 + 0.25 * stones + 0.2 * deeps, 0.2, 2)[..., None],
        ripples=(noise(rng, large, unit * 0.09), noise(rng, large, unit * 0.07)),
        drift=rng.normal(0, 0.5, (2, 2)),
        noise=rng.uniform(0.01, 0.025),
        vignetting=rng.uniform(0.05, 0.25),
    )


def _fish(rng: np.random.Generator, kind: Moving) -> Fish:
    """A fish that is near the middle of the picture in some frame of the clip."""
    height, width = kind.size_hw
    unit, times = min(kind.size_hw), np.arange(kind.frames)
    pace = rng.uniform(0.6, 1.4)
    weave, rhythm, phase = rng.uniform(0, 0.2), rng.uniform(0.1, 0.3), rng.uniform(0, 6.3, 2)
    heading = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.016) * kind.speed * times
    heading += weave * np.sin(rhythm * kind.speed * times + phase[0])
    step_px = kind.speed * unit * 0.034 * pace
    way = np.cumsum(step_px * np.stack([np.cos(heading), np.sin(heading)], 1), 0)
    seen = int(rng.integers(kind.frames))
    spot = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height])
    colors = linear(np.array(_SKINS, float)[rng.permutation(len(_SKINS))[:3]])
    spots = [
        (rng.uniform(0.05, 0.9), rng.uniform(-0.6, 0.6), rng.uniform(0.03, 0.09), rng.integers(2))
        for _ in range(int(rng.integers(0, 9)))
    ]
    return Fish(
        middle=way - way[seen] + spot,
        heading=heading,
        beat=phase[1] + times * 0.45 * (1 + pace) * min(1.0, kind.speed + 0.2),
        length=unit * rng.uniform(0.2, 0.34),
        girth=rng.uniform(0.2, 0.27),
        depth=rng.uniform(0, 0.8),
        skin=colors[0],
        spots=np.array(spots, float).reshape(-1, 4),
        spot_colors=colors[1:],
    )


def _pads(rng: np.random.Generator, kind: Moving) -> list[Pad]:
    """Some lily pads, none of them upon another."""
    height, width = kind.size_hw
    times = np.arange(kind.frames)
    pads: list[Pad] = []
    for _ in range(int(rng.integers(0, 5))):
        radius = min(kind.size_hw) * rng.uniform(0.07, 0.16)
        middle = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        phases = rng.uniform(0, 6, 2)
        if any(np.hypot(*(middle - pad.middle)) < (radius + pad.radius) * 1.1 for pad in pads):
            continue
        sway = 1.5 * np.stack([np.sin(0.23 * times + phases[0]), np.sin(0.19 * times + phases[1])], 1)
        pads.append(Pad(middle, radius, rng.uniform(-np.pi, np.pi), sway, linear(_PADS[rng.integers(3)])))
    return pads


def _lay(
    canvas: Canvas,
    light: np.ndarray,
    shadow: np.ndarray,
    drawn: Drawn | None,
    class_id: int,
    track_id: int,
    depth: float,
) -> None:
    """Put something into the picture, as far as it can be seen, and its shadow on the bottom."""
    if drawn is None:
        return
    mask, colors, place = drawn
    visible = canvas.claim(class_id, mask, place, min_px=12, track_id=track_id)
    if visible is not None:
        sunk = np.float32(depth * 0.6)  # the deeper, the more water before it
        light[place][visible] = colors[visible] * (1 - sunk) + _MURK * sunk
    below = shadow[place[0].start + 6 :, place[1].start + 5 :][: mask.shape[0], : mask.shape[1]]
    part = mask[: below.shape[0], : below.shape[1]]
    np.maximum(below, part * np.float32(0.55 if class_id == LILY_PAD else 0.35), out=below)


def _shifted(texture: np.ndarray, by: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The part of a larger texture that is seen when it has moved ``by`` (x, y) pixels; mirrored beyond its edge."""
    matrix = np.array([[1.0, 0, by[0] - _MARGIN_PX], [0, 1.0, by[1] - _MARGIN_PX]])
    return cv2.warpAffine(
        texture, matrix, size_hw[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
