"""A volume sampled at the places where the pixels of another come from."""

from __future__ import annotations

import math

import numpy as np

from .jit import compiled


@compiled
def sample_volume(
    volume, matrix, whole, inner, offsets, to_points, out_shape, fill, linear, half, mirror, bent
):
    """``volume`` (D, H, W, C) sampled for a result of ``out_shape``, (*out_shape, C) in the same dtype.

    The pixel p of the result comes from ``matrix(q + offset(q))`` with ``q = inner(p)``, or where nothing is
    ``bent`` from ``whole(p)``, which is both matrices in one; all are (3, 4) of z, y, x. ``offsets`` (*G, 3) are
    read at ``to_points(q)``, linear between them. Values are trilinear (``linear``, with ``half`` float32, 0.5 to
    round whole numbers from 0 up, else 0) or the nearest. Outside is where the nearest pixel does not exist:
    ``fill``, or the volume mirrored.
    """
    depth, height, width, channels = volume.shape
    result = np.empty((out_shape[0], out_shape[1], out_shape[2], channels), volume.dtype)
    rows, flat, bends = result.reshape(-1, out_shape[2] * channels), volume.reshape(-1), offsets.reshape(-1)
    for i in range(out_shape[0]):
        for j in range(out_shape[1]):
            z0 = whole[0, 0] * i + whole[0, 1] * j + whole[0, 3]
            y0 = whole[1, 0] * i + whole[1, 1] * j + whole[1, 3]
            x0 = whole[2, 0] * i + whole[2, 1] * j + whole[2, 3]
            first, last = 0, 0  # where the eight pixels around surely exist
            if not bent:
                first, last = inside(0, out_shape[2], z0, whole[0, 2], depth)
                first, last = inside(first, last, y0, whole[1, 2], height)
                first, last = inside(first, last, x0, whole[2, 2], width)
            if first < last:
                row = rows[i * out_shape[1] + j]
                place = (z0, y0, x0, whole[0, 2], whole[1, 2], whole[2, 2], first, last)
                if linear:
                    blend_row(flat, row, place, height, width, channels, half)
                else:
                    copy_row(flat, row, place, height, width, channels)
            for k in range(out_shape[2]):
                if first <= k < last:
                    continue
                z = z0 + whole[0, 2] * k
                y = y0 + whole[1, 2] * k
                x = x0 + whole[2, 2] * k
                if bent:
                    a, b, c = offset_at(bends, offsets.shape, to_points, inner, i, j, k)
                    z += matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c
                    y += matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c
                    x += matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c
                zn, yn, xn = math.floor(z + 0.5), math.floor(y + 0.5), math.floor(x + 0.5)
                exists = 0 <= zn < depth and 0 <= yn < height and 0 <= xn < width
                if not exists and not mirror:
                    for channel in range(channels):
                        result[i, j, k, channel] = fill
                elif not linear:
                    if not exists:
                        zn, yn, xn = mirrored(zn, depth), mirrored(yn, height), mirrored(xn, width)
                    for channel in range(channels):
                        result[i, j, k, channel] = volume[zn, yn, xn, channel]
                else:
                    za, ya, xa = math.floor(z), math.floor(y), math.floor(x)
                    fz, fy, fx = np.float32(z - za), np.float32(y - ya), np.float32(x - xa)
                    zb, yb, xb = za + 1, ya + 1, xa + 1
                    if za >= 0 and ya >= 0 and xa >= 0 and zb < depth and yb < height and xb < width:
                        at = ((za * height + ya) * width + xa) * channels
                        down, deep = width * channels, height * width * channels
                        for channel in range(channels):
                            value = blended_at(flat, at + channel, channels, down, deep, fz, fy, fx) + half
                            if half == 0:
                                result[i, j, k, channel] = value
                            else:
                                result[i, j, k, channel] = np.int32(value)
                        continue
                    if mirror:
                        za, ya, xa = mirrored(za, depth), mirrored(ya, height), mirrored(xa, width)
                        zb, yb, xb = mirrored(zb, depth), mirrored(yb, height), mirrored(xb, width)
                    else:
                        za, ya, xa = max(za, 0), max(ya, 0), max(xa, 0)
                        zb, yb, xb = min(zb, depth - 1), min(yb, height - 1), min(xb, width - 1)
                    for channel in range(channels):
                        value = blended(volume, channel, za, ya, xa, zb, yb, xb, fz, fy, fx) + half
                        if half == 0:
                            result[i, j, k, channel] = value
                        else:
                            result[i, j, k, channel] = np.int32(value)
    return result


@compiled
def copy_row(flat, row, place, height, width, channels):
    """The nearest pixels of a volume, flattened, along a line inside it, written to a ``row`` of the result.

    ``place`` says where the line begins, z, y, x, how far it goes with each pixel, and from which to which.
    Positions are counted in 2**-32 pixels: whole numbers need no rounding, which takes most of the time otherwise.
    """
    z, dz = np.int64((place[0] + 0.5) * 2.0**32), np.int64(place[3] * 2.0**32)
    y, dy = np.int64((place[1] + 0.5) * 2.0**32), np.int64(place[4] * 2.0**32)
    x, dx = np.int64((place[2] + 0.5) * 2.0**32), np.int64(place[5] * 2.0**32)
    for k in range(place[6], place[7]):
        at = ((z + dz * k >> 32) * height + (y + dy * k >> 32)) * width + (x + dx * k >> 32)
        if channels == 1:
            row[k] = flat[at]
        else:
            for channel in range(channels):
                row[k * channels + channel] = flat[at * channels + channel]


@compiled
def blend_row(flat, row, place, height, width, channels, half):
    """The same with the trilinear mean of the eight pixels around each place."""
    z, dz = np.int64(place[0] * 2.0**32), np.int64(place[3] * 2.0**32)
    y, dy = np.int64(place[1] * 2.0**32), np.int64(place[4] * 2.0**32)
    x, dx = np.int64(place[2] * 2.0**32), np.int64(place[5] * 2.0**32)
    rest, share = np.int64(2**32 - 1), np.float32(2.0**-32)
    down, deep = width * channels, height * width * channels
    for k in range(place[6], place[7]):
        zk, yk, xk = z + dz * k, y + dy * k, x + dx * k
        fz, fy, fx = (
            np.float32(zk & rest) * share,
            np.float32(yk & rest) * share,
            np.float32(xk & rest) * share,
        )
        at = (((zk >> 32) * height + (yk >> 32)) * width + (xk >> 32)) * channels
        if channels == 1:  # a case of its own: the loop below would take as long again
            value = blended_at(flat, at, 1, down, deep, fz, fy, fx) + half
            if half == 0:
                row[k] = value
            else:
                row[k] = np.int32(value)
        else:
            for channel in range(channels):
                value = blended_at(flat, at + channel, channels, down, deep, fz, fy, fx) + half
                row[k * channels + channel] = value if half == 0 else np.int32(value)


@compiled
def blended_at(flat, at, across, down, deep, fz, fy, fx):
    """The trilinear mean of eight pixels, the first of them ``at`` and the others so far from it."""
    p = between(flat, at, across, fx)
    q = between(flat, at + down, across, fx)
    r = between(flat, at + deep, across, fx)
    s = between(flat, at + deep + down, across, fx)
    p += (q - p) * fy
    r += (s - r) * fy
    return p + (r - p) * fz


@compiled
def between(flat, at, step, share):
    """The value ``share`` of the way from one pixel to another ``step`` further on, float32."""
    first = np.float32(flat[at])
    return first + (np.float32(flat[at + step]) - first) * share


@compiled
def inside(first, last, start, step, length):
    """The part of ``first..last`` where ``start + step * k`` lies between the first and last of ``length`` pixels."""
    if step == 0:
        return (first, last) if 0 <= start <= length - 2 else (0, 0)
    low, high = (0.0 - start) / step, (length - 1.0 - start) / step
    if low > high:
        low, high = high, low
    # a pixel less on both sides: these are tried one by one, so that no rounding leads beyond the volume
    low, high = max(low + 1, first + 0.0), min(high - 1, last - 1.0)
    return (math.ceil(low), math.floor(high) + 1) if low <= high else (0, 0)


@compiled
def mirrored(at, length):
    """Index ``at`` reflected about the middles of the first and last pixel until it is inside."""
    if length == 1:
        return 0
    period = 2 * length - 2
    at = abs(at) % period
    return at if at < length else period - at


@compiled
def offset_at(flat, shape, to_points, inner, i, j, k):
    """The displacement z, y, x at ``inner(i, j, k)``, linear between points and constant beyond them.

    ``flat`` are the displacements, flattened, of points in a grid of ``shape``, at least two along each axis.
    """
    z = inner[0, 0] * i + inner[0, 1] * j + inner[0, 2] * k + inner[0, 3]
    y = inner[1, 0] * i + inner[1, 1] * j + inner[1, 2] * k + inner[1, 3]
    x = inner[2, 0] * i + inner[2, 1] * j + inner[2, 2] * k + inner[2, 3]
    z = min(max(to_points[0, 0] * z + to_points[0, 3], 0.0), shape[0] - 1.0)
    y = min(max(to_points[1, 1] * y + to_points[1, 3], 0.0), shape[1] - 1.0)
    x = min(max(to_points[2, 2] * x + to_points[2, 3], 0.0), shape[2] - 1.0)
    za, ya, xa = min(int(z), shape[0] - 2), min(int(y), shape[1] - 2), min(int(x), shape[2] - 2)
    fz, fy, fx = np.float32(z - za), np.float32(y - ya), np.float32(x - xa)
    down, deep = shape[2] * 3, shape[1] * shape[2] * 3
    at = za * deep + ya * down + xa * 3
    return (
        blended_at(flat, at, 3, down, deep, fz, fy, fx),
        blended_at(flat, at + 1, 3, down, deep, fz, fy, fx),
        blended_at(flat, at + 2, 3, down, deep, fz, fy, fx),
    )


@compiled
def blended(volume, channel, za, ya, xa, zb, yb, xb, fz, fy, fx):
    """The trilinear mean of the eight pixels around a place, which lies ``fz, fy, fx`` beyond the first."""
    one = np.float32(1)
    p = volume[za, ya, xa, channel] * (one - fx) + volume[za, ya, xb, channel] * fx
    q = volume[za, yb, xa, channel] * (one - fx) + volume[za, yb, xb, channel] * fx
    r = volume[zb, ya, xa, channel] * (one - fx) + volume[zb, ya, xb, channel] * fx
    s = volume[zb, yb, xa, channel] * (one - fx) + volume[zb, yb, xb, channel] * fx
    p += (q - p) * fy
    r += (s - r) * fy
    return p + (r - p) * fz
