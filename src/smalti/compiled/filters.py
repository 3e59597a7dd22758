"""Smoothing by separable kernels, and derivatives and eigenvalues of what is smooth, a pixel at a time.

Volumes are (D, H, W), an image is a volume of one slice. Beyond its edge an image goes on with its outermost pixel.
Each pixel of a result is made by the same operations in the same order wherever in the volume it lies (no fastmath,
no running sums), so that a tile with a margin as wide as the kernel gives the bits that the whole gives.

Smooth volumes come ``padded`` for their differences: with a pixel more on each side, (D + 2, H + 2, W + 2), or
(1, H + 2, W + 2) if ``planar``. These are what the image that goes on is there when smoothed; to repeat the outermost
smooth pixels instead would make a false edge all around it. ``scale`` (3,) float32 are the standard deviations along
z, y, x in pixels: derivatives are multiplied by them once for each order, so that they do not depend on a pixel's size.
"""

from __future__ import annotations

import numpy as np

from .jit import compiled

HALF, QUARTER, TWO = np.float32(0.5), np.float32(0.25), np.float32(2)
COLUMNS = 2048  # of a row at a time, so that the sums of a part stay in the first cache

# cos(2/3 acos(s)) for s from 0 to 1 within 4e-9: its Chebyshev interpolation of degree 8, as a polynomial of s.
C0, C1, C2, C3, C4 = 0.5, 0.5773496627807617, -0.11109448969364166, 0.05327935144305229, -0.03192541375756264
C5, C6, C7, C8 = 0.019600320607423782, -0.010237508453428745, 0.003654119558632374, -0.0006260453374125063


@compiled
def smooth(flat, shape, kernels, pad_z, pad):
    """A volume of ``shape`` weighted along z, y and x with symmetric ``kernels``, given from their middles on.

    ``flat`` are its pixels in scan order; all are of one float dtype, in which it is computed. Kernels have an odd
    number of weights, the last of which may be 0 for that. The result has ``pad_z`` more slices and ``pad`` more rows
    and columns on each side, 0 or 1.
    """
    depth, height, width = shape
    area, slices = height * width, depth + 2 * pad_z
    along_z, along_y, along_x = kernels
    if pad_z or along_z.size > 1:
        weighed = np.empty(slices * area, flat.dtype)
        for at in range(0, weighed.size, width):
            first = at % area
            _weigh(weighed[at : at + width], flat, along_z, at - pad_z * area, area, first, depth)
        flat = weighed
    result = np.empty((slices, height + 2 * pad, width + 2 * pad), flat.dtype)
    radius = along_x.size - 1
    line = np.empty(width + 2 * (radius + pad), flat.dtype)
    middle = line[radius + pad : radius + pad + width]
    for z in range(slices):
        first = z * area
        for y in range(height + 2 * pad):
            _weigh(middle, flat, along_y, first + (y - pad) * width, width, first, height)
            for x in range(radius + pad):
                line[x], line[radius + pad + width + x] = middle[0], middle[width - 1]
            _weigh(result[z, y], line, along_x, radius, 1, 0, 2 * radius + 1)
    return result


@compiled
def _weigh(out, flat, kernel, at, step, first, count):
    """The weighted sum of stretches of ``flat``: that ``at``, then those ``step`` apart on both sides, in pairs.

    There are ``count`` stretches from ``first`` on; for one beyond these the outermost one is taken.
    """
    last = first + (count - 1) * step
    for start in range(0, out.size, COLUMNS):
        part = out[start : start + COLUMNS]
        length = part.size
        low = start + min(max(at, first), last)
        here, weight = flat[low : low + length], kernel[0]
        for x in range(length):
            part[x] = weight * here[x]
        for k in range(1, kernel.size, 2):
            away = k * step
            low, high = start + min(max(at - away, first), last), start + min(max(at + away, first), last)
            a, b = flat[low : low + length], flat[high : high + length]
            away += step
            low, high = start + min(max(at - away, first), last), start + min(max(at + away, first), last)
            c, d = flat[low : low + length], flat[high : high + length]
            near, far = kernel[k], kernel[k + 1]
            for x in range(length):
                part[x] = (part[x] + near * (a[x] + b[x])) + far * (c[x] + d[x])


@compiled
def gradient_magnitude(padded, scale, planar):
    """Length of the gradient, by central differences, (D, H, W)."""
    depth = padded.shape[0] - (0 if planar else 2)
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    result = np.empty((depth, height, width), np.float32)
    by_z, by_y, by_x = HALF * scale[0], HALF * scale[1], HALF * scale[2]
    away = 0 if planar else 1
    for z in range(depth):
        for y in range(height):
            here, up, down = padded[z + away, y + 1], padded[z + away, y], padded[z + away, y + 2]
            below, above, out = padded[z, y + 1], padded[z + 2 * away, y + 1], result[z, y]
            for x in range(width):
                dx = by_x * (here[x + 2] - here[x])
                dy = by_y * (down[x + 1] - up[x + 1])
                dz = by_z * (above[x + 1] - below[x + 1])
                out[x] = np.sqrt((dx * dx + dy * dy) + dz * dz)
    return result


@compiled
def hessian_eigenvalues(padded, scale, planar):
    """Eigenvalues of the second derivatives, the largest first, (2, D, H, W) or not planar (3, D, H, W)."""
    depth = padded.shape[0] - (0 if planar else 2)
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    result = np.empty((2 if planar else 3, depth, height, width), np.float32)
    elements = np.empty((6, width), np.float32)
    yy, yx, xx, zz, zy, zx = elements[0], elements[1], elements[2], elements[3], elements[4], elements[5]
    by_zz, by_yy, by_xx = scale[0] * scale[0], scale[1] * scale[1], scale[2] * scale[2]
    by_zy, by_zx = QUARTER * scale[0] * scale[1], QUARTER * scale[0] * scale[2]
    by_yx = QUARTER * scale[1] * scale[2]
    away = 0 if planar else 1
    for z in range(depth):
        for y in range(height):
            here, up, down = padded[z + away, y + 1], padded[z + away, y], padded[z + away, y + 2]
            for x in range(width):
                twice = TWO * here[x + 1]
                yy[x] = by_yy * ((up[x + 1] + down[x + 1]) - twice)
                xx[x] = by_xx * ((here[x] + here[x + 2]) - twice)
                yx[x] = by_yx * ((down[x + 2] - down[x]) - (up[x + 2] - up[x]))
            if planar:
                _two_eigenvalues(elements, result[0, z, y], result[1, z, y])
                continue
            below, above = padded[z, y + 1], padded[z + 2, y + 1]
            below_up, below_down = padded[z, y], padded[z, y + 2]
            above_up, above_down = padded[z + 2, y], padded[z + 2, y + 2]
            for x in range(width):
                zz[x] = by_zz * ((below[x + 1] + above[x + 1]) - TWO * here[x + 1])
                zx[x] = by_zx * ((above[x + 2] - above[x]) - (below[x + 2] - below[x]))
                zy[x] = by_zy * (
                    (above_down[x + 1] - above_up[x + 1]) - (below_down[x + 1] - below_up[x + 1])
                )
            _three_eigenvalues(elements, result[0, z, y], result[1, z, y], result[2, z, y])
    return result


@compiled
def eigenvalues(matrices):
    """Eigenvalues of symmetric matrices, (3, D, H, W) float32 of yy, yx, xx or (6, ...) of zz, zy, zx too."""
    planar = matrices.shape[0] == 3
    _, depth, height, width = matrices.shape
    result = np.empty((2 if planar else 3, depth, height, width), np.float32)
    elements = np.empty((matrices.shape[0], width), np.float32)
    for z in range(depth):
        for y in range(height):
            for element in range(matrices.shape[0]):
                for x in range(width):
                    elements[element, x] = matrices[element, z, y, x]
            if planar:
                _two_eigenvalues(elements, result[0, z, y], result[1, z, y])
            else:
                _three_eigenvalues(elements, result[0, z, y], result[1, z, y], result[2, z, y])
    return result


@compiled
def _two_eigenvalues(elements, first, second):
    yy, yx, xx = elements[0], elements[1], elements[2]
    for x in range(first.size):
        middle, apart = HALF * (yy[x] + xx[x]), HALF * (yy[x] - xx[x])
        radius = np.sqrt(apart * apart + yx[x] * yx[x])
        first[x], second[x] = middle + radius, middle - radius


@compiled
def _cos_of_two_thirds(s):
    """cos(2/3 acos(s)), by a polynomial: a library's cosine may round otherwise where a row is vectorised."""
    high = C5 + s * (C6 + s * (C7 + s * C8))
    return C0 + s * (C1 + s * (C2 + s * (C3 + s * (C4 + s * high))))


@compiled
def _three_eigenvalues(elements, first, second, third):
    """In closed form (Smith, Communications of the ACM 4, 1961), cos(acos(r) / 3) with s = cos(acos(r) / 2).

    In float64: where two of them are alike, an error in r comes out as its root.
    """
    yy, yx, xx = elements[0], elements[1], elements[2]
    zz, zy, zx = elements[3], elements[4], elements[5]
    for x in range(first.size):
        a, b, c = np.float64(zz[x]), np.float64(yy[x]), np.float64(xx[x])
        d, e, f = np.float64(zy[x]), np.float64(zx[x]), np.float64(yx[x])
        middle = (a + b + c) / 3
        a, b, c = a - middle, b - middle, c - middle
        size = np.sqrt(((a * a + b * b + c * c) + 2 * (d * d + e * e + f * f)) / 6)
        by = 1 / size if size > 0 else 0.0
        a, b, c, d, e, f = a * by, b * by, c * by, d * by, e * by, f * by
        r = 0.5 * (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e))
        r = min(max(r, -1.0), 1.0)
        most = 2 * _cos_of_two_thirds(np.sqrt(0.5 * (1 + r)))
        least = -2 * _cos_of_two_thirds(np.sqrt(0.5 * (1 - r)))
        first[x], third[x] = middle + size * most, middle + size * least
        second[x] = middle - size * (most + least)
