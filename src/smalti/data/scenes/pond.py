"""Fish and lily pads seen from above, as they are drawn in one frame of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SHIFT = 4  # OpenCV draws in sixteenths of a pixel
_ALONG = np.linspace(0, 1, 22)  # of a fish, from its mouth to the root of its tail
_GIRTH = np.sin(np.pi * _ALONG**0.62).clip(0) ** 0.8 * 0.92 + 0.1 * (1 - _ALONG)

Drawn = tuple[np.ndarray, np.ndarray, tuple[slice, slice]]
"""Mask (h, w) bool, light (h, w, 3) float32, and where in the picture they lie."""


def window(middle: np.ndarray, reach: float, size_hw: tuple[int, int]) -> tuple[slice, slice] | None:
    """The part of the picture within ``reach`` of a point (x, y); None where there is none."""
    left, top = np.maximum(0, np.floor(middle - reach).astype(int)).tolist()
    right, bottom = np.minimum(size_hw[::-1], np.ceil(middle + reach).astype(int) + 1).tolist()
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


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

    def drawn(self, size_hw: tuple[int, int], frame: int, shift: np.ndarray) -> Drawn | None:
        """The fish in a frame, moved by ``shift``; None where it is out of the picture."""
        middle = self.middle[frame] + shift
        place = window(middle, self.length * 0.75, size_hw)
        if place is None:
            return None
        shape = (place[0].stop - place[0].start, place[1].stop - place[1].start)
        mask, colors = np.zeros(shape, np.uint8), np.zeros((*shape, 3), np.float32)
        spine, along, aside = self._spine(frame, middle - (place[1].start, place[0].start))

        def fill(points: np.ndarray, color: np.ndarray, grow: bool = True) -> None:
            whole = [np.round(points * 2**_SHIFT).astype(np.int32)]
            if grow:
                cv2.fillPoly(mask, whole, 1, cv2.LINE_8, _SHIFT)
            cv2.fillPoly(colors, whole, tuple(map(float, color)), cv2.LINE_8, _SHIFT)

        def hull(share: float) -> np.ndarray:
            return np.concatenate([spine + share * aside, (spine - share * aside)[::-1]])

        for fin in self._fins(frame, spine, along, aside):
            fill(fin, self.skin * 0.55 + 0.12)
        fill(hull(1.0), self.skin * 0.62)
        fill(hull(0.72), self.skin * 0.9, grow=False)  # the rounded back is brighter
        fill(hull(0.4), self.skin * 1.05, grow=False)
        self._mark(colors, hull(0.97), spine, along, aside)
        if self.length > 30:
            for sign in (-0.75, 0.75):
                eye = np.round(spine[2] + sign * aside[2]).astype(int).tolist()
                cv2.circle(colors, eye, max(1, int(self.length * 0.012)), (0.01, 0.01, 0.01), -1)
        return mask.view(bool), colors, place

    def _spine(self, frame: int, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (22, 2) of the bent spine, the way it runs, and half the width of the body to its right."""
        ahead = np.array([np.cos(self.heading[frame]), np.sin(self.heading[frame])])
        swing = 0.11 * self.length * _ALONG**1.6 * np.sin(2 * np.pi * 0.85 * _ALONG - self.beat[frame])
        across = swing[:, None] * np.array([-ahead[1], ahead[0]])
        spine = middle + self.length * (0.45 - 0.8 * _ALONG)[:, None] * ahead + across
        along = np.gradient(spine, axis=0)
        along /= np.hypot(*along.T)[:, None]
        half = self.girth * self.length * 0.5 * _GIRTH
        return spine, along, np.stack([-along[:, 1], along[:, 0]], 1) * half[:, None]

    def _fins(self, frame: int, spine: np.ndarray, along: np.ndarray, aside: np.ndarray) -> list[np.ndarray]:
        """Outlines of the tail and of two pairs of fins."""
        unit, back = self.length, along[-1]
        side = np.array([-back[1], back[0]])
        flick = 0.05 * np.cos(2 * np.pi * 0.85 - self.beat[frame])
        tip = spine[-1] + unit * (0.24 * back + flick * side)
        tail = np.array(
            [
                spine[-1] - 0.02 * unit * side,
                tip - 0.09 * unit * side,
                tip - 0.06 * unit * back,
                tip + 0.09 * unit * side,
                spine[-1] + 0.02 * unit * side,
            ]
        )
        fins = [tail]
        for sign in (-1, 1):
            for at, size in ((6, 0.17), (14, 0.08)):
                root, reach = spine[at] + sign * 0.8 * aside[at], unit * size
                outward = sign * aside[at] / max(1e-6, float(np.hypot(*aside[at])))
                sweep = 0.65 + 0.15 * np.sin(self.beat[frame])
                end = root + reach * (0.75 * outward + sweep * along[at])
                fins.append(np.array([root - 0.4 * reach * along[at], end, root + 0.35 * reach * along[at]]))
        return fins

    def _mark(
        self, colors: np.ndarray, body: np.ndarray, spine: np.ndarray, along: np.ndarray, aside: np.ndarray
    ) -> None:
        """Colour the spots, which keep to the body and to its shading."""
        if len(self.spots) == 0:
            return
        marks = np.zeros(colors.shape[:2], np.uint8)
        for far, across, radius, which in self.spots.tolist():
            at = int(far * 21)
            x, y = (spine[at] + across * aside[at]).tolist()
            size = (2 * radius * self.length, 1.4 * radius * self.length)
            turn = float(np.rad2deg(np.arctan2(along[at, 1], along[at, 0])))
            cv2.ellipse(marks, ((x, y), size, turn), int(which) + 1, -1)
        inside = np.zeros(marks.shape, np.uint8)
        cv2.fillPoly(inside, [np.round(body * 2**_SHIFT).astype(np.int32)], 1, cv2.LINE_8, _SHIFT)
        marks *= inside
        for which, color in enumerate(self.spot_colors, 1):
            spotted = marks == which
            bright = colors[spotted].mean(-1, keepdims=True) / max(1e-3, float(self.skin.mean()))
            colors[spotted] = color * np.clip(bright, 0.4, 1.2)


@dataclass(frozen=True, eq=False)
class Pad:
    """A lily pad, which floats on the surface and sways a little."""

    middle: np.ndarray
    radius: float
    turn: float
    sway: np.ndarray  # (frames, 2)
    color: np.ndarray

    def drawn(self, size_hw: tuple[int, int], frame: int, shift: np.ndarray) -> Drawn | None:
        """The pad in a frame, moved by ``shift``; None where it is out of the picture."""
        middle = self.middle + self.sway[frame] + shift
        place = window(middle, self.radius + 2, size_hw)
        if place is None:
            return None
        y, x = np.ogrid[place]
        x = ((x - middle[0]) / self.radius).astype(np.float32)
        y = ((y - middle[1]) / self.radius).astype(np.float32)
        away, angle = np.hypot(x, y), np.arctan2(y, x) - np.float32(self.turn)
        angle = (angle + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
        rim = 1 + 0.025 * np.cos(7 * angle) + 0.015 * np.cos(13 * angle)
        mask = (away < rim) & (np.abs(angle) > 0.22 * (1 - 0.3 * away))
        veins = np.clip(1 - np.abs(np.sin(angle * 5.5)) * away * self.radius / 1.6, 0, 1) * (away < 0.9)
        tone = 0.85 + 0.2 * away + 0.25 * veins - 0.12 * (x + y) + 0.2 * (away > 0.93 * rim)
        return mask, (self.color * tone[..., None]).astype(np.float32), place
