"""How a forest learns: pixels are drawn, trees grown, pixels drawn anew where they were wrong, trees grown again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from time import perf_counter

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..geometry import Geometry
from ..image import Image
from ..sample import Sample
from ..table import Table
from .calibration import (
    Calibration,
    calibrate,
    calibrate_shares,
    decision_weights,
    evened,
    mean_iou,
    target_ious,
)
from .cascade import Cascade, Walk
from .features import FeatureBank
from .fitted import FittedForest
from .material import Material, Part
from .sampling import Rows, by_class, counted, draw, leaf_size
from .scribbles import check_for_scribbles, scribbled_sample
from .selection import selected
from .settings import ForestSettings
from .trees import MAX_FEATURES, Codes, Grown, Trees, grow, over
from .tuning import SHAPE_ALONE, best_decoding, best_for_lines, best_smoothing

Progress = Callable[[int, int], None]

MOST_OF_ONE = 20_000
"""Most pixels that are drawn of one image, or tile."""
LEAST_OF_STROKES = 10
"""Pixels of a class that are drawn from the strokes on an image, however small its stroke beside others."""
TUNED_ON = 24
"""Images that smoothing and the parting of objects are tuned on."""
FIRST_TREES = 40
"""Trees of a forest whose only use is to say which pixels are hard, or which features matter."""
SHARE_STEP = 37
"""Every so many pixels of an image are asked how frequent the classes are."""
ROOM_FOR_CONTEXT = 64
"""Of the features that trees can take, those that are kept free for the context."""


def no_progress(done: int, total: int) -> None:
    """Nobody watches."""


def fit_scribbles(
    settings: ForestSettings,
    image: Image,
    scribbles: np.ndarray,
    classes: ClassSet | None,
    progress: Progress,
) -> FittedForest:
    """A forest from scribbles (*S,) on one image; see ``Forest.fit``."""
    check_for_scribbles(settings)
    sample = scribbled_sample(image, scribbles, classes)
    wanted = settings.model_copy(update={"task": "semantic"})
    return replace(fit_samples(wanted, [sample], sample.truth.classes, progress), settings=settings)


def fit_samples(
    settings: ForestSettings, samples: Sequence[Sample], classes: ClassSet | None, progress: Progress
) -> FittedForest:
    """A forest from annotated samples; see ``Forest.fit``."""
    return Fitting(settings, Material(settings, samples, classes), progress).done()


@dataclass(frozen=True, eq=False)
class Stage:
    """Trees grown, the rows they grew from, the codes (F, N) of those, and the cascade that ends with them."""

    rows: Rows
    coded: np.ndarray
    grown: Grown
    cascade: Cascade


class Fitting:
    """One fit, from the material to the forest."""

    def __init__(self, settings: ForestSettings, material: Material, progress: Progress) -> None:
        self.start = perf_counter()
        self.settings = settings
        self.material = material
        self.targets = material.targets
        self.chosen = settings.chosen(
            strokes=material.sparse, objects=material.task != "semantic", few=material.few
        )
        self.context: FeatureBank | None = None
        if settings.context_px and not material.sparse:
            around = {"families": ("gaussian",), "sigmas_px": settings.context_px, "detail_of": "channels"}
            self.context = FeatureBank.make(around).in_units(material.geometry)
        self.twice = not material.sparse and (settings.hard > 0 or self.context is not None)
        place = settings.position
        if place is None:  # of few images none could tell whether it helps
            place = not material.few
        self.bank = bank_of(settings, material.channels, material.geometry, material.ndim, place)
        self.per_part = max(1, min(MOST_OF_ONE, settings.pixels // max(1, len(material.parts))))
        self._progress, self._done, self._lock = progress, 0, Lock()
        first = settings.trees if self.context or not self.twice else FIRST_TREES
        rounds = [first, settings.trees] if self.twice else [first]
        self._total = sum(rounds) + len(material.parts) * len(rounds)
        self.seconds: dict[str, float] = {}

    def done(self) -> FittedForest:
        """All of it."""
        settings, material = self.settings, self.material
        first = self._first()
        last = self._again(first) if self.twice else first
        unseen, counts = last.grown.trees.unseen(last.coded, last.rows.units, last.grown.seen)
        judged = counts > 0
        known = last.rows.targets[judged]
        weights = by_class(settings, self.targets.names, known, last.rows.weights[judged])
        if self.chosen.calibration == "shares":
            calibration = self._shares(first, last)
        else:
            units = last.rows.units[judged]
            calibration = calibrate(self.chosen.calibration, unseen[judged], known, weights, units)
        right = calibration.apply(unseen[judged].T).T
        factors = np.ones(len(self.targets))
        if material.task == "semantic" and not material.sparse and len(known):
            factors = decision_weights(right, known, weights)
        elif material.task == "semantic" and calibration.kind == "shares":
            factors = evened(calibration)
        smoothing, decoding = 0, None
        if material.task == "semantic":
            smoothing = settings.smoothing_px or 0
        elif not self.targets.bordered:
            decoding = SHAPE_ALONE
        tunable = (
            material.task != "semantic" or settings.smoothing_px is None or settings.tuned_by == "line_f1"
        )
        if tunable and not material.sparse:
            found = [(part, calibration.apply(planes)) for part, planes in self._unseen_parts(first, last)]
            if material.task != "semantic":
                decoding = best_decoding(found, self.targets, material.classes)
            elif settings.tuned_by == "line_f1":
                smoothing, factors = best_for_lines(found, self.targets, factors, settings.smoothing_px)
            else:
                smoothing = best_smoothing(found, self.targets, factors)
        self._lap("tuning")
        gains = last.grown.gains
        order = np.argsort(-gains, kind="stable")
        names = np.array(last.cascade.feature_names)
        chosen = (right * factors).argmax(1) if len(known) else known
        self._progress(self._total, self._total)
        report = {
            "images": len(material.samples),
            "pixels": len(last.rows),
            "trees": len(last.grown.trees),
            "features": len(names),
            "oob_accuracy": float(np.average(chosen == known, weights=weights)) if len(known) else None,
            "oob_iou": {
                name: float(value)
                if np.isfinite(value)
                else None  # no tree has not seen it: one stroke, one image
                for name, value in zip(
                    self.targets.names, target_ious(chosen, known, weights, len(self.targets)), strict=True
                )
            },
            "seconds": round(perf_counter() - self.start, 3),
            "seconds_of": {name: round(value, 3) for name, value in self.seconds.items()},
        }
        return FittedForest(
            settings,
            material.classes,
            material.task,
            self.targets,
            last.cascade,
            calibration,
            factors,
            decoding,
            smoothing,
            Table({"feature": names[order], "importance": gains[order]}),
            report,
        )

    # The trees

    def _first(self) -> Stage:
        """Pixels drawn by class, and trees on the features of the bank."""
        material = self.material
        bank = self.bank
        there = len(bank.features(material.channels, material.ndim))

        def reach(geometry: Geometry) -> tuple[int, ...]:
            return bank.reach(material.ndim, geometry, None, material.channels)

        def rows_of(number: int, generator: np.random.Generator) -> Rows:
            part = material.load(number, reach)
            power, least = (1.0, LEAST_OF_STROKES) if material.sparse else (0.5, 0)
            places, weights = draw(
                part.targets, self.per_part, len(self.targets), generator, power=power, least=least
            )
            values = np.empty((len(places), there), np.float32)
            if len(places):
                for index, plane in bank.planes(part.image, None, part.window):
                    values[:, index] = plane.reshape(-1)[places]
            return rows_at(part, places, values, weights)

        rows = self._drawn(rows_of, 0)
        self.targets.check(np.bincount(rows.targets, minlength=len(self.targets)).tolist())
        self._lap("features")
        codes = Codes.between(rows.values)
        coded = codes.of(rows.values)
        wanted = self._selected(coded, rows)
        codes, coded = codes[wanted], coded[wanted]
        count = self.settings.trees if self.context or not self.twice else FIRST_TREES
        grown = self._grown(coded, rows, count, 0)
        self._lap("trees")
        cascade = Cascade(
            bank, material.channels, material.ndim, tuple(wanted), codes, grown.trees, values=material.values
        )
        return Stage(rows, coded, grown, cascade)

    def _again(self, first: Stage) -> Stage:
        """Other pixels, more of them where the first trees err, seen with what those say around them."""
        cascade, context = first.cascade, self.context
        width, ndim = len(cascade.codes), self.material.ndim
        names = cascade.target_names
        more = 0 if context is None else len(context.features(names, ndim))

        def reach(geometry: Geometry) -> tuple[int, ...]:
            away = cascade.reach(geometry)
            if context is None:
                return away
            around = context.reach(ndim, geometry, None, names)
            return tuple(a + b for a, b in zip(away, around, strict=True))

        def rows_of(number: int, generator: np.random.Generator) -> Rows:
            part = self.material.load(number, reach)
            coded = cascade.code(part.image, part.window)
            said = unseen_walk(part, first.grown)(cascade.trees, coded)
            flat = part.targets.reshape(-1)
            wrong = np.where(flat >= 0, 1 - said[np.arange(len(flat)), np.maximum(flat, 0)], 0)
            places, weights = draw(
                part.targets, self.per_part, len(self.targets), generator, wrong, self.settings.hard
            )
            values = np.empty((len(places), width + more), np.float32)
            values[:, :width] = coded[:, places].T
            if context is not None and len(places):
                seen = cascade.look_around(said.T.reshape(-1, *part.image.shape), part.image.geometry)
                for index, plane in context.planes(seen, None, part.window):
                    values[:, width + index] = plane.reshape(-1)[places]
            return rows_at(part, places, values, weights)

        rows = self._drawn(rows_of, 1)
        self._lap("second look")
        around_codes = Codes.between(rows.values[:, width:])
        coded = np.concatenate(
            [rows.values[:, :width].T.astype(np.uint8), around_codes.of(rows.values[:, width:])]
        )
        grown = self._grown(coded, rows, self.settings.trees, 1)
        self._lap("trees")
        if context is None:
            return Stage(rows, coded, grown, replace(cascade, trees=grown.trees))
        whole = replace(cascade, context=context, context_codes=around_codes, context_trees=grown.trees)
        return Stage(rows, coded, grown, whole)

    def _drawn(self, rows_of: Callable[[int, np.random.Generator], Rows], stage: int) -> Rows:
        """The rows of all parts, in their order whatever the number of threads."""
        count = len(self.material.parts)
        found: list[Rows | None] = [None] * count

        def one(number: int) -> None:
            found[number] = rows_of(number, np.random.default_rng([self.settings.seed, stage, number]))
            self._step()

        over(one, range(count), None)
        return Rows.joined([rows for rows in found if rows is not None])

    def _selected(self, coded: np.ndarray, rows: Rows) -> list[int]:
        """Which features to keep, by small forests on some of them; see ``selection.selected``."""
        material, settings = self.material, self.settings
        families = [each.family for each in self.bank.features(material.channels, material.ndim)]
        asked = settings.position is not None or "position" in settings.features.families

        def grown_on(wanted: list[int]) -> Grown:
            return self._grown(coded[wanted], rows, FIRST_TREES, 2, step=False)

        def unseen_iou(wanted: list[int]) -> float:
            grown = grown_on(wanted)
            unseen, counts = grown.trees.unseen(coded[wanted], rows.units, grown.seen)
            judged = counts > 0
            known, weights = rows.targets[judged], rows.weights[judged]
            return mean_iou(unseen[judged].argmax(1), known, weights, len(self.targets))

        most = min(settings.select or len(families), MAX_FEATURES - ROOM_FOR_CONTEXT)
        return selected(families, most, not asked, lambda wanted: grown_on(wanted).gains, unseen_iou)

    def _grown(self, coded: np.ndarray, rows: Rows, count: int, stage: int, step: bool = True) -> Grown:
        settings, min_leaf = self.settings, self.chosen.min_leaf
        if self.material.sparse:
            min_leaf = leaf_size(min_leaf, rows.targets)
        return grow(
            coded,
            rows.targets,
            self._counted(rows),
            rows.units,
            len(self.targets),
            count=count,
            min_leaf=min_leaf,
            max_depth=settings.max_depth,
            seed=3 * settings.seed + stage,
            progress=self._step if step else lambda: None,
        )

    def _counted(self, rows: Rows) -> np.ndarray:
        """What each row counts to the trees, (N,): the pixels it stands for, by class as the settings say."""
        return counted(self.settings, self.targets.names, rows.targets, rows.weights, self.chosen.balance)

    def _shares(self, first: Stage, last: Stage) -> Calibration:
        """Classes as frequent as they are in the images, of which strokes do not tell."""
        pixels = [
            planes.reshape(len(self.targets), -1)[:, ::SHARE_STEP].T
            for _, planes in self._unseen_parts(first, last)
        ]
        shown = np.bincount(last.rows.targets, self._counted(last.rows), len(self.targets))
        return calibrate_shares(np.concatenate(pixels), shown)

    # What is tuned, on parts of the material as trees say that have not seen them

    def _unseen_parts(self, first: Stage, last: Stage) -> list[tuple[Part, np.ndarray]]:
        """Some parts, evenly through the material, with the probabilities of trees that have not seen them."""
        count = len(self.material.parts)
        chosen = np.unique(np.linspace(0, count - 1, min(TUNED_ON, count)).round().astype(int)).tolist()
        found: list[tuple[Part, np.ndarray] | None] = [None] * len(chosen)

        def one(at: int) -> None:
            part = self.material.load(chosen[at], last.cascade.reach)
            walks = [unseen_walk(part, stage.grown) for stage in (first, last)]
            if last.cascade.context is None:
                walks[0] = walks[1]
            found[at] = part, last.cascade.probabilities(part.image, part.window, *walks)

        over(one, range(len(chosen)), None)
        return [each for each in found if each is not None]

    def _step(self) -> None:
        with self._lock:
            self._done = min(self._done + 1, self._total)
            self._progress(self._done, self._total)

    def _lap(self, name: str) -> None:
        spent = perf_counter() - self.start
        self.seconds[name] = self.seconds.get(name, 0.0) + spent - sum(self.seconds.values())


def bank_of(
    settings: ForestSettings, channels: tuple[str, ...], geometry: Geometry, ndim: int, place: bool
) -> FeatureBank:
    """The bank, with the position if ``place`` is wanted.

    Its scales are in the unit of the spacing where there is one: images of another are then no harm. Raises
    ``InputError`` where it has no feature of such images.
    """
    bank = settings.features
    if not bank.features(channels, ndim):
        raise InputError(
            f"{', '.join(bank.families)} gives no feature of images with the channels {', '.join(channels)}; "
            "add a family such as gaussian"
        )
    if place and "position" not in bank.families:
        bank = bank.model_copy(update={"families": (*bank.families, "position")})
    return bank.in_units(geometry)


def rows_at(part: Part, places: np.ndarray, values: np.ndarray, weights: np.ndarray) -> Rows:
    """The rows of a part at these pixels."""
    units = part.units
    of_rows = np.full(len(places), units) if isinstance(units, int) else units.reshape(-1)[places]
    return Rows(values, part.targets.reshape(-1)[places].astype(np.int64), weights, of_rows.astype(np.int64))


def unseen_walk(part: Part, grown: Grown) -> Walk:
    """What those of the trees say of a part's pixels that have not learned from them."""
    units = part.units

    def walk(trees: Trees, codes: np.ndarray) -> np.ndarray:
        if isinstance(units, int):
            unseen = ~grown.seen[:, units] if units < grown.seen.shape[1] else np.ones(len(trees), bool)
            return (trees.only(unseen) if unseen.any() else trees).probabilities(codes, jobs=1)
        seen = grown.seen
        known = np.minimum(
            units.reshape(-1), seen.shape[1]
        )  # units beyond the last have no rows: unseen by all
        found, counts = trees.unseen(codes, known, np.pad(seen, ((0, 0), (0, 1))))
        if not counts.all():
            found[counts == 0] = trees.probabilities(codes[:, counts == 0], jobs=1)
        return found

    return walk
