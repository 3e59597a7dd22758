"""Clips of fish in a pond seen from above: they bend, turn, cross over and under each other and below lily pads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from .camera import linear, photograph, rgb
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .textures import fractal, noise

FISH, LILY_PAD, WATER = range(1, 4)

_SHIFT = 4
_SKINS = (
    (226, 96, 32),
    (236, 150, 60),
    (232, 226, 214),
    (60, 62, 70),
    (206, 60, 40),
    (214, 186, 110),
    (120, 124, 120),
)


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
        rng = self.rng(seed, clip, frame)  # what differs between frames is the noise of the camera alone
        canvas = Canvas.of(self.size_hw)
        light = np.zeros((*self.size_hw, 3), np.float32)
        shadow = np.zeros(self.size_hw, np.float32)
        pan = pond.pan[frame]
        tint = rgb(0.09, 0.2, 0.19)
        for track_id, pad in enumerate(pond.pads, len(pond.fish) + 1):
            drawn = pad.drawn(self.size_hw, pan + pad.sway[frame])
            if drawn is not None:
                _lay(canvas, light, LILY_PAD, track_id, *drawn)
                _cast(shadow, drawn[0], drawn[2], 0.55)
        for track_id, fish in enumerate(pond.fish, 1):  # the uppermost first
            drawn = fish.drawn(self.size_hw, frame, pan)
            if drawn is not None:
                mask, colors, place = drawn
                sunk = np.float32(fish.depth * 0.6)
                _lay(canvas, light, FISH, track_id, mask, colors * (1 - sunk) + tint * sunk, place)
                _cast(shadow, mask, place, 0.35)
        water = canvas.labels == 0
        bottom = pond.bottom_at(frame, pan, self.size_hw)
        bottom *= (1 - cv2.GaussianBlur(shadow, (0, 0), 2.5))[..., None]
        light[water] = bottom[water]
        glitter = pond.glitter_at(frame, self.size_hw)
        light += np.where(canvas.of_class(LILY_PAD), np.float32(0), glitter)[..., None]
        canvas.claim(WATER, water, stuff=True)
        pixels = photograph(rng, light, blur_px=0.55, noise=pond.noise, vignetting=pond.vignetting)
        return Scene(
            pixels, canvas.labels, np.array(canvas.class_ids), track_ids=np.array(canvas.track_ids, np.int64)
        )


@dataclass(frozen=True, eq=False)
class Fish:
    """One fish: its way through the whole clip, its shape and its colours."""

    middle: np.ndarray  # (frames, 2) x, y
    heading: np.ndarray  # (frames,)
    beat: np.ndarray  # (frames,) phase of the tail
    length: float
    girth: float
    depth: float  # 0 at the surface, 1 at the bottom
    skin: np.ndarray
    spots: np.ndarray  # (S, 4): along, across, radius, which colour
    spot_colors: np.ndarray

    def drawn(
        self, size_hw: tuple[int, int], frame: int, pan: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]] | None:
        """Mask, light and place of the fish in a frame; None where it is out of the picture."""
        middle = self.middle[frame] + pan
        place = _window(middle, self.length * 0.75, size_hw)
        if place is None:
            return None
        corner = np.array([place[1].start, place[0].start])
        shape = (place[0].stop - place[0].start, place[1].stop - place[1].start)
        mask, colors = np.zeros(shape, np.uint8), np.zeros((*shape, 3), np.float32)
        s = np.linspace(0, 1, 22)  # from the mouth to the root of the tail
        swing = 0.11 * self.length * s**1.6 * np.sin(2 * np.pi * 0.85 * s - self.beat[frame])
        ahead = np.array([np.cos(self.heading[frame]), np.sin(self.heading[frame])])
        aside = np.array([-ahead[1], ahead[0]])
        spine = middle + self.length * ((0.45 - 0.8 * s)[:, None] * ahead) + swing[:, None] * aside
        along = np.gradient(spine, axis=0)
        along /= np.hypot(*along.T)[:, None]
        normal = np.stack([-along[:, 1], along[:, 0]], 1)
        half = self.girth * self.length * 0.5 * (np.sin(np.pi * s**0.62) ** 0.8 * 0.92 + 0.1 * (1 - s))

        def fill(points: np.ndarray, color: np.ndarray, grow: bool = True) -> None:
            whole = np.round((points - corner) * 2**_SHIFT).astype(np.int32)
            if grow:
                cv2.fillPoly(mask, [whole], 1, cv2.LINE_8, _SHIFT)
            cv2.fillPoly(colors, [whole], tuple(map(float, color)), cv2.LINE_8, _SHIFT)

        def outline(share: float) -> np.ndarray:
            return np.concatenate(
                [spine + normal * (half * share)[:, None], (spine - normal * (half * share)[:, None])[::-1]]
            )

        fin = self.skin * 0.55 + 0.12
        tail, back = spine[-1], along[-1]
        flick = 0.5 * np.cos(2 * np.pi * 0.85 - self.beat[frame])
        side = np.array([-back[1], back[0]])
        tip = tail + back * self.length * 0.24 + side * flick * self.length * 0.1
        fill(
            np.array(
                [
                    tail - side * self.length * 0.02,
                    tip - side * self.length * 0.09,
                    tip - back * self.length * 0.06,
                    tip + side * self.length * 0.09,
                    tail + side * self.length * 0.02,
                ]
            ),
            fin,
        )
        for sign in (-1, 1):
            for at, size in ((6, 0.17), (14, 0.08)):
                root = spine[at] + sign * normal[at] * half[at] * 0.8
                reach = sign * normal[at] * 0.75 + along[at] * (0.65 + 0.15 * np.sin(self.beat[frame]))
                end = root + reach * self.length * size
                fill(
                    np.array(
                        [
                            root - along[at] * self.length * size * 0.4,
                            end,
                            root + along[at] * self.length * size * 0.35,
                        ]
                    ),
                    fin,
                )
        fill(outline(1.0), self.skin * 0.62)
        body = mask.copy()
        body[:] = 0
        cv2.fillPoly(
            body, [np.round((outline(0.97) - corner) * 2**_SHIFT).astype(np.int32)], 1, cv2.LINE_8, _SHIFT
        )
        fill(outline(0.72), self.skin * 0.9, grow=False)
        fill(outline(0.4), self.skin * 1.05, grow=False)
        marks = np.zeros(shape, np.uint8)
        for place_along, across, radius, which in self.spots:
            at = int(place_along * 21)
            point = spine[at] + normal[at] * across * half[at] - corner
            angle = np.rad2deg(np.arctan2(*along[at][::-1]))
            cv2.ellipse(
                marks,
                (
                    tuple(map(float, point)),
                    (2 * float(radius) * self.length, 1.4 * float(radius) * self.length),
                    float(angle),
                ),
                int(which) + 1,
                -1,
            )
        for which, color in enumerate(self.spot_colors):
            spotted = (marks == which + 1) & body.view(bool)
            bright = colors[spotted].mean(-1, keepdims=True) / max(1e-3, float(self.skin.mean()))
            colors[spotted] = color * np.clip(bright, 0.4, 1.2)
        for sign in (-1, 1):
            eye = spine[2] + sign * normal[2] * half[2] * 0.75 - corner
            if self.length > 30:
                cv2.circle(
                    colors,
                    tuple(map(int, np.round(eye))),
                    max(1, int(self.length * 0.012)),
                    (0.01, 0.01, 0.01),
                    -1,
                )
        return mask.view(bool), colors, place


@dataclass(frozen=True, eq=False)
class Pad:
    """A lily pad, which floats on the surface and sways a little."""

    middle: np.ndarray
    radius: float
    turn: float
    sway: np.ndarray  # (frames, 2)
    color: np.ndarray

    def drawn(
        self, size_hw: tuple[int, int], shift: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]] | None:
        """Mask, light and place of the pad; None where it is out of the picture."""
        middle = self.middle + shift
        place = _window(middle, self.radius + 2, size_hw)
        if place is None:
            return None
        y, x = np.mgrid[place].astype(np.float32)
        x, y = (
            (x - np.float32(middle[0])) / np.float32(self.radius),
            (y - np.float32(middle[1])) / np.float32(self.radius),
        )
        away, angle = np.hypot(x, y), np.arctan2(y, x) - np.float32(self.turn)
        angle = (angle + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
        rim = 1 + 0.025 * np.cos(7 * angle) + 0.015 * np.cos(13 * angle)
        mask = (away < rim) & (np.abs(angle) > 0.22 * (1 - 0.3 * away))
        veins = np.clip(1 - np.abs(np.sin(angle * 5.5)) * away * self.radius / 1.6, 0, 1) * (away < 0.9)
        tone = 0.85 + 0.2 * away + 0.25 * veins - 0.12 * (x + y) + 0.2 * (away > 0.93 * rim)
        return mask, (self.color * tone[..., None]).astype(np.float32), place


@dataclass(frozen=True, eq=False)
class Pond:
    """Everything about a clip that its frames share."""

    fish: list[Fish]
    pads: list[Pad]
    pan: np.ndarray  # (frames, 2) how far the picture has moved
    bottom: np.ndarray  # larger than a frame on every side
    ripples: tuple[np.ndarray, np.ndarray]
    drift: np.ndarray  # (2, 2) pixels a frame
    margin: int
    noise: float
    vignetting: float

    def bottom_at(self, frame: int, pan: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
        """Light (H, W, 3) of the bottom through moving water."""
        moved = _shifted(self.bottom, pan - self.margin, size_hw)
        waves = sum(
            _shifted(ripple, drift * frame - self.margin, size_hw)
            for ripple, drift in zip(self.ripples, self.drift, strict=True)
        )
        caustics = np.exp(-np.abs(waves) * 2.2)
        return moved * (0.8 + 0.55 * caustics)[..., None]

    def glitter_at(self, frame: int, size_hw: tuple[int, int]) -> np.ndarray:
        """Light (H, W) of the sky in the ripples."""
        waves = _shifted(self.ripples[0], self.drift[1] * frame * 1.4 - self.margin, size_hw)
        return np.clip(waves - 1.2, 0, 1).astype(np.float32) * np.float32(0.12) + np.float32(0.012)


@lru_cache(maxsize=2)
def _pond(kind: Moving, seed: int, clip: int) -> Pond:
    """The pond of a clip, kept while its frames are drawn."""
    rng = kind.rng(seed, clip)
    height, width = kind.size_hw
    unit = min(kind.size_hw)
    times = np.arange(kind.frames)
    margin = 24
    speed_px = kind.speed * unit * 0.034

    fish = []
    for _ in range(int(rng.integers(min(3, kind.max_fish), kind.max_fish + 1))):
        length = unit * rng.uniform(0.2, 0.34)
        pace = speed_px * rng.uniform(0.6, 1.4)
        turning = rng.normal(0, 0.016) * kind.speed
        weave, rhythm, phase = rng.uniform(0, 0.2), rng.uniform(0.1, 0.3), rng.uniform(0, 6.3, 2)
        heading = rng.uniform(0, 2 * np.pi) + turning * times + weave * np.sin(rhythm * times + phase[0])
        steps = pace * np.stack([np.cos(heading), np.sin(heading)], 1)
        way = np.cumsum(steps, 0)
        seen = int(rng.integers(kind.frames))  # in this frame it is near the middle
        spot = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height])
        colors = linear(np.array(_SKINS, float)[rng.permutation(len(_SKINS))[:3]])
        spots = [
            (rng.uniform(0.05, 0.9), rng.uniform(-0.6, 0.6), rng.uniform(0.03, 0.09), rng.integers(2))
            for _ in range(int(rng.integers(0, 9)))
        ]
        fish.append(
            Fish(
                middle=way - way[seen] + spot,
                heading=heading,
                beat=phase[1]
                + times * 0.9 * (0.5 + 0.5 * pace / max(speed_px, 1e-6)) * min(1.0, kind.speed + 0.2),
                length=length,
                girth=rng.uniform(0.2, 0.27),
                depth=rng.uniform(0, 0.8),
                skin=colors[0],
                spots=np.array(spots, float).reshape(-1, 4),
                spot_colors=colors[1:],
            )
        )
    fish.sort(key=lambda one: one.depth)
    pads = []
    for _ in range(int(rng.integers(0, 5))):
        radius = unit * rng.uniform(0.07, 0.16)
        middle = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        if any(np.hypot(*(middle - pad.middle)) < (radius + pad.radius) * 0.85 for pad in pads):
            continue
        sway = 1.5 * np.stack(
            [np.sin(0.23 * times + rng.uniform(0, 6)), np.sin(0.19 * times + rng.uniform(0, 6))], 1
        )
        green = linear(((92, 132, 60), (76, 118, 64), (120, 144, 70))[rng.integers(3)])
        pads.append(Pad(middle, radius, rng.uniform(-np.pi, np.pi), sway, green))
    pan = np.stack(
        [np.sin(rng.uniform(0.05, 0.15) * times + p) for p in rng.uniform(0, 6, 2)], 1
    ) * rng.uniform(0, 7)

    large = (height + 2 * margin, width + 2 * margin)
    stones = fractal(rng, large, unit * rng.uniform(0.03, 0.07), octaves=4, gain=0.65)
    deeps = noise(rng, large, unit * 0.5)
    color = linear(((74, 98, 86), (66, 92, 96), (92, 98, 76))[rng.integers(3)])
    bottom = color * np.clip(1 + 0.25 * stones + 0.2 * deeps, 0.2, 2)[..., None].astype(np.float32)
    ripples = tuple(noise(rng, large, unit * grain) for grain in (0.09, 0.07))
    return Pond(
        fish,
        pads,
        pan - pan[0],
        bottom,
        ripples,
        rng.normal(0, 0.5, (2, 2)),
        margin,
        rng.uniform(0.01, 0.025),
        rng.uniform(0.05, 0.25),
    )


def _window(middle: np.ndarray, reach: float, size_hw: tuple[int, int]) -> tuple[slice, slice] | None:
    """The part of the picture within ``reach`` of a point; None where there is none."""
    left, top = np.maximum(0, np.floor(middle - reach).astype(int))
    right, bottom = np.minimum(size_hw[::-1], np.ceil(middle + reach).astype(int) + 1)
    return (
        (slice(int(top), int(bottom)), slice(int(left), int(right)))
        if left < right and top < bottom
        else None
    )


def _lay(
    canvas: Canvas,
    light: np.ndarray,
    class_id: int,
    track_id: int,
    mask: np.ndarray,
    colors: np.ndarray,
    place: tuple[slice, slice],
) -> None:
    visible = canvas.claim(class_id, mask, place, min_px=12, track_id=track_id)
    if visible is not None:
        light[place][visible] = colors[visible]


def _cast(shadow: np.ndarray, mask: np.ndarray, place: tuple[slice, slice], strength: float) -> None:
    """Darken what lies below ``mask``, a little to one side."""
    dy, dx = 6, 5
    height, width = shadow.shape
    rows, columns = place[0].stop + dy, place[1].stop + dx
    part = mask[: mask.shape[0] - max(0, rows - height), : mask.shape[1] - max(0, columns - width)]
    if 0 in part.shape:
        return
    target = shadow[place[0].start + dy :, place[1].start + dx :][: part.shape[0], : part.shape[1]]
    np.maximum(target, part * np.float32(strength), out=target)


def _shifted(texture: np.ndarray, by: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The part of a larger texture that is seen when it has moved ``by`` (x, y) pixels; mirrored beyond its edge."""
    matrix = np.array([[1.0, 0, by[0]], [0, 1.0, by[1]]])
    return cv2.warpAffine(
        texture, matrix, size_hw[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
