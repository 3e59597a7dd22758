"""A forest that has learned: it predicts, explains itself by its importances, and is kept in one file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from pydantic import ValidationError

from ..classes import ClassSet
from ..errors import InputError, ReadError
from ..geometry import Geometry
from ..image import Image
from ..io.bundle import Bundle, write_bundle
from ..postprocess.decode import BorderDecoding
from ..postprocess.decoding import segments
from ..postprocess.guided import guided_filter
from ..postprocess.planes import Planes
from ..postprocess.targets import Targets, Task
from ..postprocess.uncertainty import entropy, margin, of_segments
from ..postprocess.winning import Winners
from ..segmentation import Segmentation
from ..table import Table
from ..tiling.tiles import Tile, tiles
from .calibration import Calibration
from .card import card_of
from .cascade import Cascade
from .features import Window
from .material import TILE_PX
from .settings import ForestSettings


@dataclass(frozen=True, eq=False)
class FittedForest:
    """A forest that has learned. Immutable; keeps no image.

    ``targets`` are what pixels are told apart as; ``factors`` (K,) what their probabilities are multiplied by before
    the largest wins; ``decoding`` how borders part objects; ``smoothing_px`` the radius of the guided filter.
    ``importances`` has a row for each feature used, ``report`` what is known of the fit as plain values.
    """

    settings: ForestSettings
    classes: ClassSet
    task: Task
    targets: Targets
    cascade: Cascade
    calibration: Calibration
    factors: np.ndarray
    decoding: BorderDecoding | None
    smoothing_px: int
    importances: Table
    report: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "forest"
    takes: ClassVar[tuple[str, ...]] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the images it learned from."""
        return self.cascade.channels

    def __repr__(self) -> str:
        kinds = ", ".join(self.targets.names[:10]) + (", ..." if len(self.targets) > 10 else "")
        trees = len(self.cascade.context_trees or self.cascade.trees)
        return (
            f"FittedForest({self.task}: {kinds}; {trees} trees, {len(self.cascade.feature_names)} features)"
        )

    def describe(self) -> dict[str, Any]:
        """Name, settings and what was learned from, as plain values."""
        return self.settings.describe() | {"task": self.task, "learned": dict(self.report)}

    def predict(self, image: Image) -> Segmentation:
        """The segments of an image; raises ``InputError`` for other channels or axes than were learned from."""
        image = self.cascade.taken(image)
        if self.task == "semantic":
            return self._semantic(image)
        return self.decode(self.predict_scores(image), image.geometry)

    def predict_with_uncertainty(self, image: Image) -> Segmentation:
        """As ``predict``, each segment with the attributes ``margin`` and ``entropy``: their means over its pixels.

        They are of ``predict_scores``, 0 where all is certain and 1 where nothing is (``postprocess.uncertainty``).
        """
        image = self.cascade.taken(image)
        if self.task == "semantic":
            return self._semantic(image, unsure=True)
        planes = self.predict_scores(image)
        found = self.decode(planes, image.geometry)
        means = (of_segments(found, margin(planes)), of_segments(found, entropy(planes)))
        return found.replace(attributes={"margin": means[0], "entropy": means[1]})

    def decode(self, planes: np.ndarray, geometry: Geometry) -> Segmentation:
        """The objects, and stuff where that is the task, in probabilities (K, *S) as ``predict_scores`` gives them."""
        kinds = Planes(self.targets, planes.ndim - 1)
        return segments(planes, kinds, self.task, self.classes, self.decoding, geometry, self.factors)

    def predict_scores(self, image: Image) -> np.ndarray:
        """Probability of each target, (K, *S) float32, summing to 1; the names are ``targets.names``.

        Worked through in tiles: beyond the result, memory grows with the tile and not with the image.
        """
        image = self.cascade.taken(image)
        planes = np.empty((len(self.targets), *image.shape), np.float32)
        for tile, found in self._tiles(image, 0):
            planes[(slice(None), *tile.inner)] = found[(slice(None), *tile.inside)]
        return planes

    def _tiles(self, image: Image, more: int) -> Iterator[tuple[Tile, np.ndarray]]:
        """Each tile with its probabilities over its outer part, right in its inner part and ``more`` around it."""
        side = TILE_PX[image.ndim]
        halo = tuple(away + more for away in self.cascade.reach(image.geometry))
        if np.prod(image.shape) <= np.prod([side + 2 * around for around in halo]):
            side = max(image.shape)  # the whole is no more than a tile with its halo
        for tile in tiles(image.shape, (side,) * image.ndim, halo):
            part = Image(image.pixels[tile.outer], image.channels, _spacing_only(image.geometry))
            found = self.cascade.probabilities(part, Window(tile.origin, image.shape))
            yield tile, self.calibration.apply(found)

    def _semantic(self, image: Image, unsure: bool = False) -> Segmentation:
        winners = Winners(image.shape, self.targets, self.factors, unsure)
        for tile, found in self._tiles(image, 2 * self.smoothing_px):
            smooth = smoothed(found, image.pixels[tile.outer], self.smoothing_px)
            inside = (slice(None), *tile.inside)
            winners.add(tile.inner, smooth[inside], found[inside])
        return winners.segments(self.classes, image.geometry)

    def to_bundle(self) -> Bundle:
        """All of it as plain values and arrays."""
        manifest = {
            "method": self.name,
            "task": self.task,
            "classes": self.classes.described(),
            "channels": list(self.channels),
            "settings": self.settings.model_dump(mode="json"),
            "targets": self.targets.described(),
            "cascade": self.cascade.described(),
            "calibration": self.calibration.to_json(),
            "factors": [float(value) for value in self.factors],
            "decoding": None if self.decoding is None else self.decoding.model_dump(mode="json"),
            "smoothing_px": self.smoothing_px,
            "importances": {name: list(values) for name, values in _plain(self.importances).items()},
            "report": dict(self.report),
        }
        return Bundle(manifest, self.cascade.arrays(), card=card_of(manifest))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a ``.smalti`` bundle; ``smalti.load`` reads it. Raises ``WriteError``."""
        write_bundle(path, self.to_bundle())

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> FittedForest:
        """What ``to_bundle`` made, checked. Raises ``ReadError``."""
        said = bundle.manifest
        try:
            classes = ClassSet.restored(said["classes"])
            targets = Targets.restored(said["targets"], classes)
            cascade = Cascade.restored(said["cascade"], bundle.arrays)
            calibration = Calibration.from_json(said["calibration"])
            factors = np.array(said["factors"], np.float64)
            decoding = None if said["decoding"] is None else BorderDecoding(**said["decoding"])
            kinds = (cascade.context_trees or cascade.trees).kinds
            if not len(targets) == kinds == len(factors) or not calibration.fits(kinds):
                raise ReadError(f"the forest tells {kinds} targets apart, its lists name others")
            if not (np.isfinite(factors).all() and (factors >= 0).all()):
                raise ReadError("the factors of the targets are no positive numbers")
            if said["task"] not in ("semantic", "instance", "panoptic"):
                raise ReadError(
                    f"a forest is for semantic, instance or panoptic segmentation, not {said['task']!r}"
                )
            columns = {
                "feature": np.array([str(name) for name in said["importances"]["feature"]]),
                "importance": np.array(said["importances"]["importance"], np.float64),
            }
            report = {str(name): value for name, value in dict(said["report"]).items()}
            smoothing = int(said["smoothing_px"])
            if not 0 <= smoothing <= 50:
                raise ReadError(f"smoothing_px is from 0 to 50, got {smoothing}")
            return cls(
                ForestSettings(**said["settings"]),
                classes,
                said["task"],
                targets,
                cascade,
                calibration,
                factors,
                decoding,
                smoothing,
                Table(columns),
                report,
            )
        except (KeyError, TypeError, ValueError, AttributeError, ValidationError, InputError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ReadError(f"the bundle's forest is damaged or not of this kind ({reason})") from error


def smoothed(probabilities: np.ndarray, pixels: np.ndarray, radius_px: int) -> np.ndarray:
    """Probabilities (K, *S) that follow the edges of ``pixels`` (*S, C), by the guided filter; 0 leaves them."""
    if radius_px == 0:
        return probabilities
    guide = pixels.astype(np.float32).mean(-1)
    if pixels.dtype.kind in "bu":
        guide /= np.float32(1 if pixels.dtype.kind == "b" else np.iinfo(pixels.dtype).max)
    return guided_filter(probabilities, guide, radius_px)


def _spacing_only(geometry: Geometry) -> Geometry:
    """The geometry of a part: its place in the world is another one, and does not matter here."""
    return Geometry(geometry.spacing, geometry.unit)


def _plain(table: Table) -> dict[str, list[Any]]:
    return {name: np.asarray(column).tolist() for name, column in table.columns.items()}
