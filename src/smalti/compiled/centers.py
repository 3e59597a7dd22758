"""Centres of objects: where they are, what points to them, and which of them a place belongs to."""

from __future__ import annotations

import math

import numpy as np

from .jit import compiled


@compiled
def sum_places(labels, count):
    """Pixels of the objects 1..count of ``labels`` (D, H, W), (count + 1,) int64, and the sums of their z, y, x,
    (count + 1, 3); labels <= 0 are none."""
    pixels = np.zeros(count + 1, np.int64)
    sums = np.zeros((count + 1, 3))
    depth, height, width = labels.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                label = labels[z, y, x]
                if label > 0:
                    pixels[label] += 1
                    sums[label, 0] += z
                    sums[label, 1] += y
                    sums[label, 2] += x
    return pixels, sums


@compiled
def move_onto_objects(labels, centers, wanted, steps):
    """Move the centres (count + 1, 3) of the objects ``wanted`` (count + 1,) bool, in place, to their nearest pixel.

    ``steps`` (3,) are the lengths of a pixel along the axes; of equally near ones the first in scan order.
    """
    least = np.full(wanted.size, np.inf)
    found = centers.copy()
    depth, height, width = labels.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                label = labels[z, y, x]
                if label > 0 and wanted[label]:
                    apart = ((z - centers[label, 0]) * steps[0]) ** 2
                    apart += ((y - centers[label, 1]) * steps[1]) ** 2
                    apart += ((x - centers[label, 2]) * steps[2]) ** 2
                    if apart < least[label]:
                        least[label] = apart
                        found[label, 0], found[label, 1], found[label, 2] = z, y, x
    centers[:] = found


@compiled
def paint_heat(heat, centers, sigmas, steps, reach):
    """Raise ``heat`` (D, H, W), in place, to the Gaussian around each of ``centers`` (N, 3), of ``sigmas`` (N,).

    It is 1 at the pixel nearest to the centre, and left out beyond ``reach`` sigmas along an axis.
    """
    longest = max(heat.shape)
    along = np.empty((3, longest), np.float32)
    firsts = np.empty(3, np.int64)
    lasts = np.empty(3, np.int64)
    for k in range(centers.shape[0]):
        for axis in range(3):
            at = centers[k, axis]
            far = reach * sigmas[k] / steps[axis]
            first = max(0, math.ceil(at - far))
            last = min(heat.shape[axis] - 1, math.floor(at + far))
            nearest = math.floor(at + 0.5)
            first, last = min(first, nearest), max(last, nearest)
            lowest = (nearest - at) ** 2
            for place in range(first, last + 1):
                beyond = ((place - at) ** 2 - lowest) * (steps[axis] / sigmas[k]) ** 2
                along[axis, place] = math.exp(-0.5 * beyond)
            firsts[axis], lasts[axis] = first, last
        for z in range(firsts[0], lasts[0] + 1):
            for y in range(firsts[1], lasts[1] + 1):
                row = along[0, z] * along[1, y]
                for x in range(firsts[2], lasts[2] + 1):
                    heat[z, y, x] = max(heat[z, y, x], row * along[2, x])


@compiled
def point_to_centers(labels, centers, unit, offsets):
    """Write the way from each pixel of an object to its centre into ``offsets`` (ndim, D, H, W), in units."""
    depth, height, width = labels.shape
    ndim = offsets.shape[0]
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                label = labels[z, y, x]
                if label > 0:
                    offsets[ndim - 1, z, y, x] = (centers[label, 2] - x) / unit
                    offsets[ndim - 2, z, y, x] = (centers[label, 1] - y) / unit
                    if ndim == 3:
                        offsets[0, z, y, x] = (centers[label, 0] - z) / unit


@compiled
def find_peaks(heat, threshold, steps):
    """Places (N, 3) of ``heat`` (D, H, W) of at least ``threshold`` with nothing higher within ``steps`` (M, 3), in
    scan order; of equally high ones the first stands for the others."""
    depth, height, width = heat.shape
    found = np.empty((64, 3), np.int64)
    count = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                here = heat[z, y, x]
                if not here >= threshold:
                    continue
                highest = True
                for k in range(steps.shape[0]):
                    to_z, to_y, to_x = z + steps[k, 0], y + steps[k, 1], x + steps[k, 2]
                    if not (0 <= to_z < depth and 0 <= to_y < height and 0 <= to_x < width):
                        continue
                    other = heat[to_z, to_y, to_x]
                    if other > here or (
                        other == here
                        and (
                            steps[k, 0] < 0
                            or (
                                steps[k, 0] == 0
                                and (steps[k, 1] < 0 or (steps[k, 1] == 0 and steps[k, 2] < 0))
                            )
                        )
                    ):
                        highest = False
                        break
                if highest:
                    if count == found.shape[0]:
                        longer = np.empty((2 * count, 3), np.int64)
                        longer[:count] = found
                        found = longer
                    found[count, 0], found[count, 1], found[count, 2] = z, y, x
                    count += 1
    return found[:count]


@compiled
def nearest_of_votes(offsets, mask, centers, gaps, steps, reach, labels):
    """Number from 1 of the centre (N, 3) nearest to where each pixel of the ``mask`` (D, H, W) points, into
    ``labels`` (D, H, W); 0 where none lies within ``reach``.

    A pixel points to its place plus ``offsets`` (ndim, D, H, W), or the end of the image on the way out. ``steps`` (3,)
    are the lengths of a pixel, ``centers`` and ``reach`` are such lengths, as are ``gaps`` (N,), from each centre to
    the next: what points nearer to a centre than half of that can have no other, so the centre of the pixel before is
    tried first. Else centres lie in buckets, about one in each, and those around the vote are looked at ring by ring
    until no nearer one can follow. Of centres equally near the first.
    """
    depth, height, width = labels.shape
    ndim = offsets.shape[0]
    count = centers.shape[0]
    if count == 0:
        return
    lengths = np.array([depth, height, width])
    volume = 1.0
    for axis in range(3):
        volume *= lengths[axis] * steps[axis] if lengths[axis] > 1 else 1.0
    axes = max(1, (depth > 1) + (height > 1) + (width > 1))
    side = max(1.0, (volume / count) ** (1 / axes))
    across = np.empty(3, np.int64)
    for axis in range(3):
        across[axis] = int(lengths[axis] * steps[axis] / side) + 1
    home = np.empty(count, np.int64)
    firsts = np.zeros(across[0] * across[1] * across[2] + 1, np.int64)
    for k in range(count):
        bucket = 0
        for axis in range(3):
            at = min(max(int(centers[k, axis] / side), 0), across[axis] - 1)
            bucket = bucket * across[axis] + at
        home[k] = bucket
        firsts[bucket + 1] += 1
    for bucket in range(firsts.size - 1):
        firsts[bucket + 1] += firsts[bucket]
    filled = firsts.copy()
    members = np.empty(count, np.int64)
    for k in range(count):
        members[filled[home[k]]] = k
        filled[home[k]] += 1
    farthest = reach * reach
    last = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if not mask[z, y, x]:
                    continue
                to_z = min(max(z + float(offsets[0, z, y, x]), 0.0), depth - 1.0) if ndim == 3 else float(z)
                to_y = min(max(y + float(offsets[ndim - 2, z, y, x]), 0.0), height - 1.0)
                to_x = min(max(x + float(offsets[ndim - 1, z, y, x]), 0.0), width - 1.0)
                to_z, to_y, to_x = to_z * steps[0], to_y * steps[1], to_x * steps[2]
                apart = (centers[last, 0] - to_z) ** 2
                apart += (centers[last, 1] - to_y) ** 2
                apart += (centers[last, 2] - to_x) ** 2
                if 4 * apart < gaps[last] * gaps[last]:
                    if apart <= farthest:
                        labels[z, y, x] = last + 1
                    continue
                at_z = min(int(to_z / side), across[0] - 1)
                at_y = min(int(to_y / side), across[1] - 1)
                at_x = min(int(to_x / side), across[2] - 1)
                best, least = -1, np.inf
                ring = 0
                while True:
                    for b_z in range(max(at_z - ring, 0), min(at_z + ring, across[0] - 1) + 1):
                        for b_y in range(max(at_y - ring, 0), min(at_y + ring, across[1] - 1) + 1):
                            whole = abs(b_z - at_z) == ring or abs(b_y - at_y) == ring
                            stride = 1 if whole or ring == 0 else 2 * ring
                            b_x = at_x - ring
                            while b_x <= at_x + ring:
                                if 0 <= b_x < across[2]:
                                    bucket = (b_z * across[1] + b_y) * across[2] + b_x
                                    for place in range(firsts[bucket], firsts[bucket + 1]):
                                        k = members[place]
                                        apart = (centers[k, 0] - to_z) ** 2
                                        apart += (centers[k, 1] - to_y) ** 2
                                        apart += (centers[k, 2] - to_x) ** 2
                                        if apart < least or (apart == least and k < best):
                                            best, least = k, apart
                                b_x += stride
                    sight = np.inf
                    if at_z - ring > 0:
                        sight = min(sight, to_z - (at_z - ring) * side)
                    if at_z + ring + 1 < across[0]:
                        sight = min(sight, (at_z + ring + 1) * side - to_z)
                    if at_y - ring > 0:
                        sight = min(sight, to_y - (at_y - ring) * side)
                    if at_y + ring + 1 < across[1]:
                        sight = min(sight, (at_y + ring + 1) * side - to_y)
                    if at_x - ring > 0:
                        sight = min(sight, to_x - (at_x - ring) * side)
                    if at_x + ring + 1 < across[2]:
                        sight = min(sight, (at_x + ring + 1) * side - to_x)
                    if sight == np.inf or sight > reach or least < sight * sight:
                        break
                    ring += 1
                if least <= farthest:
                    labels[z, y, x] = best + 1
                    last = best
