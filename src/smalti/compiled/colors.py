"""Colours in other spaces. Roots and powers come from tables: a library's may round otherwise in vectorised loops."""

from __future__ import annotations

import numpy as np

from .jit import compiled

ZERO, ONE, HALF, ROOT = np.float32(0), np.float32(1), np.float32(0.5), np.float32(np.sqrt(0.75))

# Linear sRGB to X, Y, Z over those of white (IEC 61966-2-1, D65): each row sums to 1, so that grey has a = b = 0.
XR, XG, XB = np.float32(0.412453 / 0.950456), np.float32(0.357580 / 0.950456), np.float32(0.180423 / 0.950456)
YR, YG, YB = np.float32(0.212671), np.float32(0.715160), np.float32(0.072169)
ZR, ZG, ZB = np.float32(0.019334 / 1.088754), np.float32(0.119193 / 1.088754), np.float32(0.950227 / 1.088754)
LIGHTNESS, OFFSET, BY_A, BY_B = np.float32(116), np.float32(16), np.float32(500), np.float32(200)


@compiled
def color_planes(red, green, blue, light, root):
    """Lab's lightness, a and b, two coordinates of the hue times the chroma, and HSV's saturation, (6, N).

    ``red``, ``green`` and ``blue`` are (N,) float32, 0 to 1.
    ``light`` and ``root`` are tables from 0 to 1; values beyond count as these.
    """
    result = np.empty((6, red.size), np.float32)
    for pixel in range(red.size):
        r, g, b = red[pixel], green[pixel], blue[pixel]
        result[3, pixel] = r - HALF * (g + b)
        result[4, pixel] = ROOT * (g - b)
        value = max(r, max(g, b))
        result[5, pixel] = (value - min(r, min(g, b))) / value if value > ZERO else ZERO
        r, g, b = _looked_up(light, r), _looked_up(light, g), _looked_up(light, b)
        x = _looked_up(root, XR * r + XG * g + XB * b)
        y = _looked_up(root, YR * r + YG * g + YB * b)
        z = _looked_up(root, ZR * r + ZG * g + ZB * b)
        result[0, pixel] = LIGHTNESS * y - OFFSET
        result[1, pixel] = BY_A * (x - y)
        result[2, pixel] = BY_B * (y - z)
    return result


@compiled
def _looked_up(table, value):
    """The value of a table of equal steps from 0 to 1, on a line between its two nearest entries."""
    place = min(max(value, ZERO), ONE) * np.float32(table.size - 1)
    at = min(int(place), table.size - 2)
    return table[at] + (place - np.float32(at)) * (table[at + 1] - table[at])
