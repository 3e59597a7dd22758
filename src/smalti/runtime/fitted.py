"""A network that has learned, with all that is around it: from an image to its segments, on any runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, count, takewhile
from typing import Any, ClassVar, Self

import numpy as np

from ..classes import ClassSet
from ..errors import InputError, ReadError
from ..geometry import Geometry
from ..image import Image
from ..io.bundle import Bundle, write_bundle
from ..postprocess.decoding import Decoding, decoding_from, segments
from ..postprocess.planes import Planes
from ..postprocess.targets import TASKS, Targets, Task
from ..postprocess.uncertainty import entropy, margin, of_segments
from ..postprocess.winning import Winners
from ..segmentation import Segmentation
from ..tiling.tiles import Tile, tiles
from ..values import ImageKind
from .card import card_of
from .engines import DEFAULT, INT8_BIN, INT8_XML, NETWORK, RUNTIMES, Runtime, load_runtime
from .preparation import Preparation

WEIGHTS = "weights.safetensors"
PLAN = "plan.json"

WHOLE_PX = {2: 2_500_000, 3: 5_000_000}
"""Images of up to so many pixels are not tiled: planes and features of a U-Net of them fit into about 2 GB."""


@dataclass(frozen=True)
class Tiling:
    """``tile_px`` is the length of a tile along each axis, ``halo_px`` how much is seen around it and cut off again.

    Both are multiples of the strides of the net, so that every tile is seen on the grid that the whole would be.
    """

    tile_px: tuple[int, ...]
    halo_px: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.tile_px) != len(self.halo_px) or min(self.tile_px) < 1 or min(self.halo_px) < 0:
            raise InputError(f"a tile and a halo need a length per axis, got {self.tile_px}, {self.halo_px}")


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A network that has learned. Immutable but for the engine, which is loaded when it is first asked; keeps no image.

    ``parts`` are the files of its bundle, of which ``network.onnx`` maps normalised images to the activated ``planes``;
    several networks (``network-2.onnx``, ...) are averaged. ``factors`` (K,) are what the targets' probabilities are
    multiplied by before the largest wins, ``decoding`` how objects are found. ``flips`` are the axes along which an
    image is mirrored, in all combinations, to average what is said. The planes that networks give are ``activated``, or
    are logits, as imported ones may be. ``about`` is the rest of its manifest: the net,
    the report of the fit, the plan.
    """

    name: str
    classes: ClassSet
    task: Task
    kind: ImageKind
    planes: Planes
    preparation: Preparation
    decoding: Decoding | None
    factors: np.ndarray
    tiling: Tiling
    parts: Mapping[str, bytes]
    runtime: str = DEFAULT
    activated: bool = True
    flips: tuple[int, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    loaded: tuple[Runtime, ...] | None = None

    takes: ClassVar[tuple[str, ...]] = ()

    @property
    def targets(self) -> Targets:
        """What pixels are told apart as."""
        return self.planes.targets

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the images it learned from."""
        return self.kind.channels

    @property
    def report(self) -> Mapping[str, Any]:
        """What is known of the fit, as plain values."""
        return self.about.get("report", {})

    def __repr__(self) -> str:
        kinds = ", ".join(self.targets.names[:10]) + (", ..." if len(self.targets) > 10 else "")
        return f"FittedNetwork({self.name}, {self.task}: {kinds}; {self.runtime})"

    def describe(self) -> dict[str, Any]:
        """Name, settings and what was learned from, as plain values."""
        about = {key: value for key, value in self.about.items() if key != "report"}
        return {
            "name": self.name,
            "task": self.task,
            "runtime": self.runtime,
            **about,
            "learned": dict(self.report),
        }

    @property
    def networks(self) -> tuple[str, ...]:
        """The parts that are networks."""
        names = (part_name(NETWORK, number) for number in count())
        return tuple(takewhile(lambda name: name in self.parts, names))

    def with_runtime(self, runtime: str, threads: int | None = None) -> Self:
        """The same, carried out by another of ``RUNTIMES``, on so many cores.

        Raises ``UnknownName``, ``MissingExtra`` for a missing library, and ``ReadError`` where the bundle has no
        network for it.
        """
        made = tuple(
            load_runtime(runtime, self._parts_of(number), threads, self._module_of(number))
            for number in range(len(self.networks))
        )
        return replace(self, runtime=runtime, loaded=made)

    def _parts_of(self, number: int) -> dict[str, bytes]:
        """The parts of network 0, 1, ... under the names that a runtime looks for."""
        named = {name: part_name(name, number) for name in (NETWORK, INT8_XML, INT8_BIN)}
        return {name: self.parts[own] for name, own in named.items() if own in self.parts}

    def _module_of(self, number: int) -> Callable[[], Any] | None:
        """What makes the torch module of a network, where the bundle says how; it gives activated planes."""
        name = part_name(WEIGHTS, number)
        if "net" not in self.about or name not in self.parts:
            return None

        def make() -> Any:
            from ..deep.nets import restored_network
            from ..deep.network import Activated

            network = restored_network(
                self.about["net"], len(self.kind.channels), self.planes, self.parts[name]
            )
            return Activated(network, self.planes)

        return make

    @cached_property
    def _runtimes(self) -> tuple[Runtime, ...]:
        return self.loaded or self.with_runtime(self.runtime).loaded or ()

    # ------------------------------------------------------------------------------------------------------------------
    # Predicting

    def predict(self, image: Image) -> Segmentation:
        """The segments of an image; raises ``InputError`` for other channels or axes than were learned from."""
        return self._predicted(self.kind.taken(image))

    def predict_with_uncertainty(self, image: Image) -> Segmentation:
        """As ``predict``, each segment with the attributes ``margin`` and ``entropy``: their means over its pixels."""
        return self._predicted(self.kind.taken(image), unsure=True)

    def predict_scores(self, image: Image) -> np.ndarray:
        """Probability of each target, (K, *S) float32, summing to 1; the names are ``targets.names``."""
        return self.predict_planes(image)[self.planes.classes]

    def predict_planes(self, image: Image) -> np.ndarray:
        """All activated planes, (P, *S) float32; see ``Planes.activated``."""
        image = self.kind.taken(image)
        found = np.empty((len(self.planes), *image.shape), np.float32)
        for tile, planes in self._tiles(image):
            found[(slice(None), *tile.inner)] = planes
        return found

    def decode(self, planes: np.ndarray, geometry: Geometry) -> Segmentation:
        """The segments in activated planes (P, *S) of one whole image."""
        return segments(planes, self.planes, self.task, self.classes, self.decoding, geometry, self.factors)

    def _predicted(self, image: Image, unsure: bool = False) -> Segmentation:
        if self.task == "semantic":
            winners = Winners(image.shape, self.targets, self.factors, unsure)
            for tile, planes in self._tiles(image):
                winners.add(tile.inner, planes[self.planes.classes])
            return winners.segments(self.classes, image.geometry)
        planes = self.predict_planes(image)
        found = self.decode(planes, image.geometry)
        if not unsure:
            return found
        scores = planes[self.planes.classes]
        means = (of_segments(found, margin(scores)), of_segments(found, entropy(scores)))
        return found.replace(attributes={"margin": means[0], "entropy": means[1]})

    def _tiles(self, image: Image) -> Iterator[tuple[Tile, np.ndarray]]:
        """Each tile with the activated planes (P, *S) of its inner part."""
        statistics = self.preparation.statistics(image)
        pixels = self.preparation.resampled(image)
        if pixels.shape[:-1] != image.shape:  # seen at another size, as a whole
            planes = self._averaged(self.preparation.prepared(pixels, statistics))
            whole = next(tiles(image.shape, image.shape, (0,) * image.ndim))
            yield whole, self.preparation.restored_planes(planes, image.shape)
            return
        tile_px, halo_px = self.tiling.tile_px, self.tiling.halo_px
        if np.prod(image.shape) <= WHOLE_PX[image.ndim]:
            tile_px, halo_px = image.shape, (0,) * image.ndim
        for tile in tiles(image.shape, tile_px, halo_px):
            planes = self._averaged(self.preparation.prepared(pixels[tile.outer], statistics))
            yield tile, planes[(slice(None), *tile.inside)]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Activated planes (B, P, *S) of normalised images (B, C, *S) float32, as a student asks for them."""
        return np.stack([self._averaged(image) for image in batch])

    def _averaged(self, image: np.ndarray) -> np.ndarray:
        """Activated planes (P, *S) of a normalised image (C, *S), the mean over networks and mirrored views."""
        views = [axes for count in range(len(self.flips) + 1) for axes in combinations(self.flips, count)]
        total: np.ndarray | None = None
        for axes in views:
            batch = np.flip(image, tuple(axis + 1 for axis in axes))[np.newaxis]
            for runtime in self._runtimes:
                planes = runtime.run(np.ascontiguousarray(batch))[0]
                if not self.activated:
                    planes = self.planes.activated(planes)
                planes = self._unflipped(np.flip(planes, tuple(axis + 1 for axis in axes)), axes)
                total = planes if total is None else total + planes
        assert total is not None
        count = len(views) * len(self._runtimes)
        return total if count == 1 else total / np.float32(count)

    def _unflipped(self, planes: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """Offsets point the other way along a mirrored axis."""
        if self.planes.offsets is None or not axes:
            return planes
        planes = planes.copy()
        for axis in axes:
            planes[self.planes.offsets.start + axis] *= -1
        return planes

    # ------------------------------------------------------------------------------------------------------------------
    # Keeping

    def to_bundle(self) -> Bundle:
        """All of it as plain values and parts."""
        manifest = {
            **self.about,
            "method": self.name,
            "task": self.task,
            "classes": self.classes.described(),
            "channels": list(self.channels),
            "kind": self.kind.described(),
            "planes": self.planes.described(),
            "preparation": self.preparation.described(),
            "decoding": None if self.decoding is None else self.decoding.describe(),
            "factors": [float(value) for value in self.factors],
            "tiling": {"tile_px": list(self.tiling.tile_px), "halo_px": list(self.tiling.halo_px)},
            "runtime": self.runtime,
            "flips": list(self.flips),
            "activated": self.activated,
        }
        return Bundle(manifest, files=dict(self.parts), card=card_of(manifest))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a ``.smalti`` bundle; ``smalti.load`` reads it. Raises ``WriteError``."""
        write_bundle(path, self.to_bundle())

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> FittedNetwork:
        """What ``to_bundle`` made, checked. Raises ``ReadError``."""
        said = dict(bundle.manifest)
        try:
            classes = ClassSet.restored(said["classes"])
            kind = ImageKind.restored(said["kind"])
            planes = Planes.restored(said["planes"], classes)
            factors = np.array(said["factors"], np.float64)
            if factors.shape != (len(planes.targets),) or not (np.isfinite(factors) & (factors >= 0)).all():
                raise ReadError(
                    f"wanted {len(planes.targets)} factors of 0 or more, one per target, got {factors}"
                )
            if said["task"] not in TASKS:
                raise ReadError(f"a network is for {', '.join(TASKS)} segmentation, not {said['task']!r}")
            if kind.ndim != planes.ndim:
                raise ReadError(f"images of {kind.ndim} axes have no planes of {planes.ndim}")
            flips = tuple(int(axis) for axis in said["flips"])
            if len(set(flips)) != len(flips) or not all(0 <= axis < kind.ndim for axis in flips):
                raise ReadError(f"flips are along axes 0 to {kind.ndim - 1}, got {flips}")
            tiling = Tiling(*(tuple(map(int, said["tiling"][key])) for key in ("tile_px", "halo_px")))
            if len(tiling.tile_px) != kind.ndim or NETWORK not in bundle.files:
                raise ReadError(f"wanted {NETWORK} and tiles of {kind.ndim} axes")
            if said["runtime"] not in RUNTIMES:
                raise ReadError(f"no runtime called {said['runtime']!r}; there are {', '.join(RUNTIMES)}")
            own = {
                "method",
                "task",
                "classes",
                "channels",
                "kind",
                "planes",
                "preparation",
                "decoding",
                "factors",
            }
            own |= {"tiling", "runtime", "activated", "flips", "format", "smalti", "parts", "package"}
            return cls(
                str(said["method"]),
                classes,
                said["task"],
                kind,
                planes,
                Preparation.restored(said["preparation"]),
                decoding_from(said["decoding"]),
                factors,
                tiling,
                dict(bundle.files),
                said["runtime"],
                said["activated"] is True,
                flips,
                {key: value for key, value in said.items() if key not in own},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ReadError(f"the bundle's network is damaged or not of this kind ({reason})") from error


def part_name(name: str, number: int) -> str:
    """The part of network 0, 1, ... of several: ``network.onnx``, ``network-2.onnx``."""
    stem, _, suffix = name.rpartition(".")
    return name if number == 0 else f"{stem}-{number + 1}.{suffix}"
