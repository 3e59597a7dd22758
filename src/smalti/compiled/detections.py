"""Ranked detections: COCO's greedy matching, and precision over recall for many weightings of the images."""

from __future__ import annotations

import numpy as np

from .jit import compiled
from .overlaps import shared_pixels

ONE = np.uint64(1)


@compiled
def rank(order, class_ids, things, most):
    """The detections of ``order`` (D,), by class and the surest first, that are among the ``most`` of their class.

    Returns their places and their ranks. Classes that are not among ``things`` (ascending) are left out.
    """
    ranks = np.zeros(order.size, np.int64)
    kept = np.zeros(order.size, np.bool_)
    for place in range(order.size):
        class_id = class_ids[order[place]]
        if place > 0 and class_ids[order[place - 1]] == class_id:
            ranks[place] = ranks[place - 1] + 1
        slot = np.searchsorted(things, class_id)
        kept[place] = ranks[place] < most and slot < things.size and things[slot] == class_id
    return order[kept], ranks[kept]


@compiled
def areas_of(offsets, starts, stops):
    """Pixels of each segment of a run table, (N,)."""
    areas = np.zeros(offsets.size - 1, np.int64)
    for segment in range(areas.size):
        for run in range(offsets[segment], offsets[segment + 1]):
            areas[segment] += stops[run] - starts[run]
    return areas


@compiled
def candidates(
    order,
    class_ids,
    offsets,
    starts,
    stops,
    areas,
    by_class,
    truth_ids,
    others,
    other_starts,
    other_stops,
    truth_areas,
    crowd,
    least,
):
    """Truths of its class that a detection shares an IoU of ``least`` with: offsets (D + 1,), truths and IoUs (C,).

    Of a ``crowd`` the share of the detection in it. Detections in ``order``, truths in the order ``by_class``.
    """
    found_offsets = np.zeros(order.size + 1, np.int64)
    found_truths = np.empty(64, np.int64)
    found_ious = np.empty(64, np.float64)
    found = 0
    first = 0
    for place in range(order.size):
        detection = order[place]
        begin, end = offsets[detection], offsets[detection + 1]
        while first < by_class.size and truth_ids[by_class[first]] < class_ids[detection]:
            first += 1
        for other in range(first, by_class.size):
            truth = by_class[other]
            if truth_ids[truth] != class_ids[detection]:
                break
            other_begin, other_end = others[truth], others[truth + 1]
            if begin == end or other_begin == other_end:
                continue
            if starts[begin] >= other_stops[other_end - 1] or other_starts[other_begin] >= stops[end - 1]:
                continue
            small, large = areas[detection], truth_areas[truth]
            if not crowd[truth] and min(small, large) < least * max(small, large):
                continue  # even nested in each other they would not reach it
            shared = shared_pixels(
                starts[begin:end],
                stops[begin:end],
                other_starts[other_begin:other_end],
                other_stops[other_begin:other_end],
            )
            iou = shared / (small if crowd[truth] else small + large - shared)
            if iou >= least:
                if found == found_truths.size:
                    found_truths = np.concatenate((found_truths, np.empty(found, np.int64)))
                    found_ious = np.concatenate((found_ious, np.empty(found, np.float64)))
                found_truths[found] = truth
                found_ious[found] = iou
                found += 1
        found_offsets[place + 1] = found
    return found_offsets, found_truths[:found], found_ious[:found]


@compiled
def overlap_ranked(
    by_rank,
    class_ids,
    offsets,
    starts,
    stops,
    by_class,
    truth_ids,
    others,
    other_starts,
    other_stops,
    crowd,
    things,
    least,
    order,
    ranks,
    areas,
    truth_areas,
    found_offsets,
):
    """``rank``, ``areas_of`` both sides and ``candidates`` in one call, into the last five arrays.

    Returns how many detections were kept, and their truths and IoUs (C,). An array handed back costs more than one
    handed over (3 us each, numba 0.68), which shows in images of ten objects. Of a class 100 detections are kept.
    """
    kept_order, kept_ranks = rank(by_rank, class_ids, things, 100)
    kept = kept_order.size
    order[:kept] = kept_order
    ranks[:kept] = kept_ranks
    areas[:] = areas_of(offsets, starts, stops)
    truth_areas[:] = areas_of(others, other_starts, other_stops)
    bounds, truths, ious = candidates(
        kept_order,
        class_ids,
        offsets,
        starts,
        stops,
        areas,
        by_class,
        truth_ids,
        others,
        other_starts,
        other_stops,
        truth_areas,
        crowd,
        least,
    )
    found_offsets[: kept + 1] = bounds
    return kept, truths, ious


@compiled
def truths_to_find(class_ids, things, areas, judged_areas, crowd, ranges, wanted):
    """Set whether each truth is an object to be found, ``wanted`` (A, G), by its area within ``ranges`` (A, 2).

    Neither a crowd is one nor what is more than half outside the judged pixels, nor a class not among ``things``.
    """
    for truth in range(areas.size):
        slot = np.searchsorted(things, class_ids[truth])
        thing = slot < things.size and things[slot] == class_ids[truth]
        excused = not thing or crowd[truth] or 2 * (areas[truth] - judged_areas[truth]) > areas[truth]
        for area in range(len(ranges)):
            inside = ranges[area, 0] <= areas[truth] <= ranges[area, 1]
            wanted[area, truth] = inside and not excused


@compiled
def match_ranked(
    order, offsets, truths, ious, thresholds, crowd, wanted, areas, judged_areas, ranges, right, left_out
):
    """Give each detection, the surest first, the best truth left to it, at every threshold and area range.

    Detection ``order[d]`` may have the ``truths`` (C,) ``offsets[d]:offsets[d + 1]``, ascending, at ``ious`` (C,).
    Truth that is not ``wanted`` (A, G) is taken only where nothing else is left, a ``crowd`` (G,) again and again, and
    makes the detection neither right nor wrong. So does an area outside the range, or mostly not judged, without a
    partner.
    Sets which were ``right`` and which are ``left_out``, (D,) uint64 of noughts, bit ``area range * T + threshold``.
    """
    taken = np.zeros(crowd.size, np.bool_)
    for area in range(len(ranges)):
        for number in range(thresholds.size):
            bit = ONE << np.uint64(area * thresholds.size + number)
            taken[:] = False
            for detection in range(order.size):
                best = -1
                least = min(thresholds[number], 1 - 1e-10)  # so that a threshold of 1 can be reached
                for wanting in (True, False):
                    for place in range(offsets[detection], offsets[detection + 1]):
                        truth = truths[place]
                        if wanted[area, truth] != wanting or (taken[truth] and not crowd[truth]):
                            continue
                        if ious[place] >= least:  # of equals the last
                            least = ious[place]
                            best = truth
                    if best >= 0:
                        break
                if best >= 0:
                    taken[best] = True
                    if wanted[area, best]:
                        right[detection] |= bit
                    else:
                        left_out[detection] |= bit
                else:
                    whole = areas[order[detection]]
                    inside = ranges[area, 0] <= whole <= ranges[area, 1]
                    if not inside or 2 * (whole - judged_areas[order[detection]]) > whole:
                        left_out[detection] |= bit


@compiled
def precision_over_recall(images, right, num_truths, weights, recalls):
    """Mean over ``recalls`` (R,) of the best precision at that recall or above, of B weightings, (B,).

    ``images`` (D,) and ``right`` (D,) of the detections of one class, the surest first; ``num_truths`` (B,), NaN comes
    out where there are none, and ``weights`` (B, n) of the images.
    """
    means = np.zeros(weights.shape[0])
    found = np.zeros(images.size + 1)
    precision = np.zeros(images.size + 1)
    tiny = np.spacing(1.0)
    for draw in range(weights.shape[0]):
        if num_truths[draw] <= 0:
            means[draw] = np.nan
            continue
        # Precision is best where something was found, so only those places are kept.
        hits = 0.0
        misses = 0.0
        kept = 0
        for place in range(images.size):
            weight = weights[draw, images[place]]
            if right[place]:
                if weight > 0:
                    hits += weight
                    kept += 1
                    found[kept] = hits / num_truths[draw]
                    precision[kept] = hits / (misses + hits + tiny)
            else:
                misses += weight
        total = 0.0
        best = 0.0
        recall = recalls.size - 1
        while recall >= 0 and recalls[recall] > found[kept]:
            recall -= 1
        for place in range(kept, 0, -1):
            best = max(best, precision[place])
            while recall >= 0 and (place == 1 or recalls[recall] > found[place - 1]):
                total += best
                recall -= 1
        means[draw] = total / recalls.size
    return means


@compiled
def precision_of_class(images, right, left_out, num_truths, weights, recalls, num_thresholds):
    """Mean precision over ``recalls`` of one class, (B, A, T), NaN where there is nothing to find.

    ``images`` (D,) and the bits of ``match_ranked`` of its detections, the surest first; ``num_truths`` (B, A) and
    ``weights`` (B, n) of the images.
    """
    num_areas = num_truths.shape[1]
    means = np.zeros((len(weights), num_areas, num_thresholds))
    some_images = np.zeros(images.size, np.int64)
    some_right = np.zeros(images.size, np.bool_)
    for area in range(num_areas):
        for number in range(num_thresholds):
            bit = np.uint64(area * num_thresholds + number)
            kept = 0
            for place in range(images.size):
                if not (left_out[place] >> bit) & ONE:
                    some_images[kept] = images[place]
                    some_right[kept] = (right[place] >> bit) & ONE
                    kept += 1
            means[:, area, number] = precision_over_recall(
                some_images[:kept], some_right[:kept], num_truths[:, area], weights, recalls
            )
    return means
