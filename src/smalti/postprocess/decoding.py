"""From planes to segments, whatever the task and however objects are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError
from ..geometry import Geometry
from ..segmentation import Segmentation
from . import decode
from .centers import CenterDecoding, Votes
from .decode import BorderDecoding, Landscape
from .planes import Planes
from .targets import Targets, Task, border_plane, object_planes

Decoding = BorderDecoding | CenterDecoding
DECODINGS: dict[str, type[BorderDecoding] | type[CenterDecoding]] = {
    one.name: one for one in (BorderDecoding, CenterDecoding)
}


def segments(
    planes: np.ndarray,
    kinds: Planes,
    task: Task,
    classes: ClassSet,
    decoding: Decoding | None,
    geometry: Geometry | None = None,
    factors: np.ndarray | None = None,
) -> Segmentation:
    """The segments that activated ``planes`` (P, *S) of these ``kinds`` make, whatever the task.

    Semantic segments are those of ``decode.semantic`` with ``factors`` (K,), which the other tasks do not use.
    Objects are those of ``decode.instances`` with a ``BorderDecoding`` and of ``centers.instances_by_centers`` with a
    ``CenterDecoding``; None is the one by centres if the planes have them. Stuff, where that is the task, is
    ``decode.with_stuff``. Raises ``InputError`` for planes of other kinds.
    """
    kinds.check(planes)
    if task == "semantic":
        return decode.semantic(
            planes[kinds.classes], kinds.targets.class_ids, classes, weights=factors, geometry=geometry
        )
    decoding = decoding or (CenterDecoding() if kinds.centers else BorderDecoding())
    undecided, ids = undecided_objects(planes, kinds, task, classes, type(decoding), geometry)
    if not len(ids):
        objects = decode.nothing(planes.shape[1:], classes, geometry)
    else:
        objects = undecided.objects(ids, classes, decoding)  # type: ignore[arg-type]
    if task == "instance":
        return objects
    return decode.with_stuff(objects, *_known(planes, kinds.targets))


def undecided_objects(
    planes: np.ndarray,
    kinds: Planes,
    task: Task,
    classes: ClassSet,
    decoding: type[Decoding],
    geometry: Geometry | None = None,
) -> tuple[Landscape | Votes, np.ndarray]:
    """What is ready to be decoded to objects again and again, as for ``tuning.tune_instances``, and their class ids.

    The arguments are those of ``segments``; ``decoding`` is the kind that it will be decoded with.
    """
    kinds.check(planes)
    if task == "panoptic":
        interior, outside, class_ids = decode.things_and_rest(*_known(planes, kinds.targets), classes)
    else:
        interior, _, outside, every = object_planes(planes[kinds.classes], kinds.targets)
        class_ids = np.array(every)
    if decoding is CenterDecoding:
        if kinds.heat is None or kinds.offsets is None:
            raise InputError(
                f"objects are found by centres where planes have them, got {', '.join(kinds.names)}"
            )
        return Votes(interior, outside, planes[kinds.heat], planes[kinds.offsets], geometry), class_ids
    distance = None if kinds.distance_at is None else planes[kinds.distance_at]
    border = border_plane(planes[kinds.classes], kinds.targets)
    return Landscape(interior, border, outside, geometry, distance), class_ids


def decoding_from(said: Any) -> Decoding | None:
    """From the ``describe()`` of a decoding, or None for none. Raises ``ReadError`` for what cannot be."""
    if said is None:
        return None
    if (
        not isinstance(said, Mapping)
        or not isinstance(said.get("name"), str)
        or said["name"] not in DECODINGS
    ):
        raise ReadError(f"a decoding is one of {', '.join(DECODINGS)}, got {str(said)[:80]}")
    try:
        return DECODINGS[said["name"]].make({str(key): said[key] for key in said if key != "name"})
    except InputError as error:
        raise ReadError(str(error)) from error


def _known(planes: np.ndarray, targets: Targets) -> tuple[np.ndarray, list[int]]:
    """The planes of background and classes, without the border, and their class ids."""
    kept = [number for number, class_id in enumerate(targets.class_ids) if class_id >= 0]
    return planes[kept], [targets.class_ids[number] for number in kept]
