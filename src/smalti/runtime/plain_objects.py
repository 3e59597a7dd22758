"""Objects by their centres as an ONNX graph: what ``postprocess.centers`` and ``postprocess.parts`` do, step by step.

Letters: K classes of objects, *S spatial axes, M pixels that an object can reach, N centres.
"""

from __future__ import annotations

import numpy as np

from ..postprocess.centers import MAX_DISTANCE_PX, CenterDecoding
from ..postprocess.decode import CORE
from .nodes import Nodes, Value

FAR = 1e30


def objects_of(
    graph: Nodes,
    interior: Value,
    foreground: Value,
    heat: Value,
    offsets: Value,
    class_ids: np.ndarray,
    decoding: CenterDecoding,
    lengths: np.ndarray,
) -> tuple[Value, Value, Value]:
    """The numbers of the objects of one image (*S,) int32 from 1, their class ids (n,) int32 and scores (n,) float32.

    ``interior`` (K, *S), ``foreground`` and ``heat`` (*S,) and ``offsets`` (ndim, *S) are float32, ``class_ids`` (K,),
    ``lengths`` (ndim,) those of a pixel in the finest. The arithmetic is that of ``centers.instances_by_centers``: in
    float64 where that is, sums and ties in the same order.
    """
    radius = _radius(graph, offsets, foreground, lengths)
    if decoding.smoothing > 0:
        heat = _blurred(graph, heat, radius * graph.constant(np.float64(decoding.smoothing)), lengths)
    centers = _centers(graph, heat, radius, decoding, lengths)
    floor = np.float32(decoding.min_peak * decoding.extent)
    places = graph.add("Transpose", graph.add("NonZero", foreground > floor), perm=[1, 0])  # M, ndim
    parts = _nearest(graph, places, offsets, centers, radius, decoding, lengths)  # M
    return _finished(graph, parts, places, centers, interior, foreground, class_ids, decoding)


def _radius(graph: Nodes, offsets: Value, foreground: Value, lengths: np.ndarray) -> Value:
    """As ``centers.typical_radius``, float64 of no axes."""
    ndim = len(lengths)
    along = offsets * lengths.astype(np.float32).reshape(-1, *[1] * ndim)
    square = (along * along).reduced("Sum", 0).reshape(-1)
    inside = (foreground > np.float32(CORE)).reshape(-1)
    chosen = graph.add("Compress", square, inside, axis=0)
    many = chosen.size()
    # one more than there is, so that there is one to take where there is none
    longer = graph.add("Concat", chosen, np.array([FAR], np.float32), axis=0)
    half = many / np.array([2], np.int64)
    least, _ = graph.add("TopK", longer, half + np.array([1], np.int64), outputs=2, largest=0, sorted=1)
    below = graph.add(
        "Max", (many - np.array([1], np.int64)) / np.array([2], np.int64), np.array([0], np.int64)
    )
    median = (least.take(below) + least.take(half)) * np.float32(0.5)
    found = graph.add("Sqrt", median).to("float64") * np.float64(2 ** (1 / ndim))
    found = graph.add("Max", found, np.array([1.0]))
    return many.equals(np.array([0], np.int64)).where(np.array([1.0]), found).reshape()


def _blurred(graph: Nodes, heat: Value, sigma: Value, lengths: np.ndarray) -> Value:
    """As ``parts.blurred``."""
    ndim = len(lengths)
    alike = len(set(lengths.tolist())) == 1
    values = heat.shaped(graph.add("Concat", np.array([1, 1], np.int64), heat.shape(), axis=0))
    for axis in range(ndim):
        own = sigma / np.float64(lengths[axis])
        reach = own * np.float64(4)
        reach = (
            graph.add("Ceil", reach) if ndim == 2 and alike else graph.add("Floor", reach + np.float64(0.5))
        )
        whole = reach.to("int64")
        steps = (
            graph.add("Range", graph.add("Neg", whole), whole + np.int64(1), np.int64(1)).to("float64") / own
        )
        weights = graph.add("Exp", steps * steps * np.float64(-0.5))
        weights = (weights / weights.reduced("Sum")).to("float32")
        shape = [1, 1, *[1] * ndim]
        shape[2 + axis] = -1
        reached = whole.reshape(1)
        zero = np.array([0], np.int64)
        side = [reached if each == axis else zero for each in range(ndim)]
        pads = graph.add("Concat", zero, zero, *side, zero, zero, *side, axis=0)
        values = graph.add("Conv", graph.add("Pad", values, pads, mode="edge"), weights.reshape(*shape))
    return values.shaped(heat.shape())


def _centers(
    graph: Nodes, heat: Value, radius: Value, decoding: CenterDecoding, lengths: np.ndarray
) -> Value:
    """As ``centers.Votes.centers``, (N, ndim) float64 in pixels."""
    ndim = len(lengths)
    apart = (radius * np.float64(decoding.min_distance)).clip(np.float64(1), np.float64(MAX_DISTANCE_PX))
    volume = heat.shaped(graph.add("Concat", np.array([1, 1], np.int64), heat.shape(), axis=0))
    highest = graph.add("MaxPool", volume, kernel_shape=[3] * ndim, pads=[1] * 2 * ndim).shaped(heat.shape())
    hot = (heat >= np.float32(decoding.min_heat)) & heat.equals(highest)
    places = graph.add("Transpose", graph.add("NonZero", hot), perm=[1, 0])  # N, ndim
    steps = _ball(graph, apart, lengths)  # W, ndim
    around = graph.add("Unsqueeze", places, np.array([1], np.int64)) + steps  # N, W, ndim
    last = heat.shape() - np.int64(1)
    within = around.clip(np.int64(0), last)
    there = within.equals(around).to("int32").reduced("Min", 2).to("bool")
    others = graph.add("GatherND", heat, within)  # N, W
    here = graph.add("Unsqueeze", graph.add("GatherND", heat, places), np.array([1], np.int64))
    # the first that is not 0 of a step says whether it leads back in scan order
    weight = np.array([16384, 128, 1][-ndim:], np.int64) * np.array([4, 2, 1][-ndim:], np.int64)
    back = (graph.add("Sign", steps) * weight).reduced("Sum", 1) < np.int64(0)  # W
    beaten = there & ((others > here) | (others.equals(here) & back))
    kept = ~beaten.to("int32").reduced("Max", 1).to("bool")
    places = graph.add("Compress", places, kept, axis=0)
    return _topped(graph, heat, places, last, ndim)


def _ball(graph: Nodes, apart: Value, lengths: np.ndarray) -> Value:
    """Steps to the neighbours of a pixel and to all pixels within ``apart``, (W, ndim) int64, itself among them."""
    ndim = len(lengths)
    axes = []
    for axis, length in enumerate(lengths):
        reach = graph.add("Max", graph.add("Floor", apart / np.float64(length)), np.float64(1)).to("int64")
        line = graph.add("Range", graph.add("Neg", reach), reach + np.int64(1), np.int64(1))
        axes.append(line.reshape(*[-1 if each == axis else 1 for each in range(ndim)]))
    zero = axes[0] * np.int64(0)
    for line in axes[1:]:
        zero = zero + line * np.int64(0)
    steps = graph.add("Concat", *((zero + line).reshape(-1, 1) for line in axes), axis=1)
    long = steps.to("float64") * lengths.astype(np.float64)
    near = graph.add("Sqrt", (long * long).reduced("Sum", 1)) <= apart
    beside = graph.add("Abs", steps).reduced("Max", 1) <= np.int64(1)
    return graph.add("Compress", steps, near | beside, axis=0)


def _topped(graph: Nodes, heat: Value, places: Value, last: Value, ndim: int) -> Value:
    """As ``centers._topped``, (N, ndim) float64."""
    here = graph.add("GatherND", heat, places).to("float64")
    shifts = []
    for axis in range(ndim):
        step = np.zeros(ndim, np.int64)
        step[axis] = 1
        at = places.take(np.array(axis, np.int64), axis=1)
        inside = (at > np.int64(0)) & (at < last.take(np.array(axis, np.int64)))
        before, behind = (
            graph.add("GatherND", heat, (places + side * step).clip(np.int64(0), last)) for side in (-1, 1)
        )
        bend = here * np.float64(2) - before.to("float64") - behind.to("float64")
        bent = inside & (bend > np.float64(0))
        shift = (behind - before).to("float64") / bent.where(bend * np.float64(2), np.float64(1))
        shift = shift.clip(np.float64(-0.5), np.float64(0.5))
        shifts.append(bent.where(shift, np.float64(0)).reshape(-1, 1))
    return places.to("float64") + graph.add("Concat", *shifts, axis=1)


def _nearest(
    graph: Nodes,
    places: Value,
    offsets: Value,
    centers: Value,
    radius: Value,
    decoding: CenterDecoding,
    lengths: np.ndarray,
) -> Value:
    """As ``centers.nearest_centers`` of the pixels at ``places`` (M, ndim), (M,) int64."""
    ndim = len(lengths)
    far = offsets.shape(1).to("float64") - np.float64(1)
    moved = graph.add("Transpose", offsets, perm=[*range(1, ndim + 1), 0])  # *S, ndim
    votes = places.to("float64") + graph.add("GatherND", moved, places).to("float64")
    votes = votes.clip(np.float64(0), far) * lengths.astype(np.float64)
    scaled = centers * lengths.astype(np.float64)
    nothing = places.take(np.array(0, np.int64), axis=1) * np.int64(0)

    def nearer(inside: Nodes, number: Value, values: list[Value]) -> tuple[None, list[Value], list]:
        least, best = values
        way = votes.within(inside) - scaled.within(inside).take(number)
        apart = (way * way).reduced("Sum", 1)
        closer = apart < least
        return None, [closer.where(apart, least), closer.where(number + np.int64(1), best)], []

    many = centers.shape(0, 1).reshape()
    least, best = graph.loop(
        many, [(nothing.to("float64") + np.float64(FAR), "float64"), (nothing, "int64")], nearer
    )
    reach = radius * np.float64(decoding.reach)
    return (least <= reach * reach).where(best, np.int64(0))


def _finished(
    graph: Nodes,
    parts: Value,
    places: Value,
    centers: Value,
    interior: Value,
    foreground: Value,
    class_ids: np.ndarray,
    decoding: CenterDecoding,
) -> tuple[Value, Value, Value]:
    """As ``parts.finished``."""
    shape, many = foreground.shape(), centers.shape(0, 1) + np.array([1], np.int64)
    sure = foreground.reshape(-1)
    flat = graph.add("ConstantOfShape", shape, value=_filled(0, np.int64))
    flat = graph.add("ScatterND", flat, places, parts).reshape(-1)
    peaks = _empty(graph, many, np.float32).scattered(flat, sure, "max").take(flat).to("float64")
    cut = (peaks >= np.float64(decoding.min_peak)) & (
        sure.to("float64") >= peaks * np.float64(decoding.extent)
    )
    flat = cut.where(flat, np.int64(0))
    pieces = _pieces(graph, flat, shape)
    size = flat.size()
    ones = flat * np.int64(0) + np.int64(1)
    areas = _empty(graph, size, np.int64).scattered(pieces, ones, "add")
    order = graph.add("Range", np.int64(0), size.reshape(), np.int64(1))
    # the largest piece, and of equally large ones the first
    rank = areas * size + (size - np.int64(1) - order)
    best = _empty(graph, many, np.int64).scattered(flat, rank.take(pieces), "max")
    flat = rank.take(pieces).equals(best.take(flat)).where(flat, np.int64(0))
    area = best / size
    kept = (area >= np.int64(decoding.min_area_px)).to("int64")
    background = graph.add("Range", np.int64(0), many.reshape(), np.int64(1)) > np.int64(0)
    kept = background.where(kept, np.int64(0))
    numbers = graph.add("CumSum", kept, np.int64(0)) * kept
    flat = numbers.take(flat)
    count = kept.reduced("Sum").reshape(1) + np.array([1], np.int64)
    area = graph.add("Compress", area, kept.to("bool"), axis=0).to("float64")
    inside = []
    for number in range(len(class_ids)):
        plane = interior.take(np.array(number, np.int64)).reshape(-1).to("float64")
        inside.append(_sums(graph, count, flat, plane).reshape(1, -1))
    each = graph.add("Concat", *inside, axis=0)  # K, n
    most, every = each.reduced("Max", 0), each.reduced("Sum", 0)
    some = every > np.float64(0)
    share = some.where(most / some.where(every, np.float64(1)), np.float64(1 / len(class_ids)))
    score = _sums(graph, count, flat, sure.to("float64")) / area * share
    classes = graph.constant(class_ids.astype(np.int32)).take(graph.add("ArgMax", each, axis=0, keepdims=0))
    return flat.to("int32").shaped(shape), classes, score.clip(np.float64(0), np.float64(1)).to("float32")


def _pieces(graph: Nodes, labels: Value, shape: Value) -> Value:
    """For each pixel the first in scan order of its piece: pixels of one label whose faces touch, (P,) int64.

    Each takes the least number among its neighbours and then follows where that one points, until nothing changes.
    """
    size = labels.size()
    order = graph.add("Range", np.int64(0), size.reshape(), np.int64(1))
    ndim = 3  # a volume, of one slice where it is an image
    room = graph.add("Concat", np.ones(3, np.int64), shape, axis=0).part(-ndim, 2**31)
    volume = labels.shaped(room)

    def joined(inside: Nodes, number: Value, values: list[Value]) -> tuple[Value, list[Value], list]:
        (first,) = values
        here, own = first.shaped(room.within(inside)), volume.within(inside)
        least = here
        for axis in range(ndim):
            for forth in (True, False):
                moved = [_moved(inside, each, axis, forth) for each in (here, own + np.int64(1))]
                same = moved[1].equals(own + np.int64(1)) & (own > np.int64(0))
                least = same.where(inside.add("Min", least, moved[0]), least)
        found = least.reshape(-1)
        found = found.take(found)
        found = found.take(found)
        changed = (found - first).reduced("Min") < np.int64(0)
        return changed, [found], []

    return graph.loop(None, [(order, "int64")], joined)[0]


def _moved(graph: Nodes, values: Value, axis: int, forth: bool) -> Value:
    """Each value from the pixel before, or behind, along an axis; 0 at the end."""
    pads = np.zeros(6, np.int64)
    pads[axis if forth else 3 + axis] = 1
    rest = values.part(0, -1, axis) if forth else values.part(1, 2**31, axis)
    return graph.add("Pad", rest, pads)


def _sums(graph: Nodes, count: Value, labels: Value, values: Value) -> Value:
    """Sums of ``values`` (P,) float64 over labels 1 to before ``count``."""
    return _empty(graph, count, np.float64).scattered(labels, values, "add").part(1, 2**31)


def _empty(graph: Nodes, size: Value, dtype: type) -> Value:
    return graph.add("ConstantOfShape", size, value=_filled(0, dtype))


def _filled(value: float, dtype: type) -> object:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.array([value], dtype))
