"""Probabilities that mean what they say, and what to choose by them: both learned from pixels trees have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..errors import InputError

Kind = Literal["none", "temperature", "isotonic", "shares"]

MOST_SHIFTED = 10.0
"""How many times more or less frequent a class may become by ``shares``: beyond that it is a guess."""
FEWEST_UNITS = 3
EM_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Calibration:
    """A change of probabilities (K, *S) that keeps them summing to 1.

    ``temperature``: each to the power of 1 / T (Guo et al. 2017). ``isotonic``: each class along its own rising curve
    through ``knots`` (Zadrozny and Elkan 2002), then made to sum to 1. ``shares``: each class times its factor, then
    made to sum to 1: what was learned from strokes, seen as frequent as the class is in the images.
    """

    kind: Kind = "none"
    temperature: float = 1.0
    knots: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    factors: tuple[float, ...] = ()

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """The calibrated probabilities, float32, of the same shape (K, *S)."""
        if self.kind == "none":
            return probabilities
        if self.kind == "temperature":
            changed = np.maximum(probabilities, np.float32(1e-7)) ** np.float32(1 / self.temperature)
        elif self.kind == "shares":
            factors = np.array(self.factors, np.float32)
            changed = probabilities * factors.reshape(-1, *(1,) * (probabilities.ndim - 1))
        else:
            planes = [np.interp(plane, x, y) for plane, (x, y) in zip(probabilities, self.knots, strict=True)]
            changed = np.stack(planes).astype(np.float32)
        total = changed.sum(0)
        nothing = total <= 0
        if nothing.any():  # every curve says no: as before
            changed[:, nothing] = probabilities[:, nothing]
            total = np.where(nothing, 1, total)
        return changed / total

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        knots = [[x.tolist(), y.tolist()] for x, y in self.knots]
        return {
            "kind": self.kind,
            "temperature": self.temperature,
            "knots": knots,
            "factors": [float(factor) for factor in self.factors],
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Calibration:
        """What ``to_json`` gave. Raises ``ValueError``, ``TypeError`` or ``KeyError`` for anything else."""
        kind = said["kind"]
        if kind not in get_args(Kind):
            raise ValueError(f"no calibration {kind!r}")
        knots = tuple((np.array(x, np.float64), np.array(y, np.float64)) for x, y in said["knots"])
        for x, y in knots:
            if x.ndim != 1 or x.shape != y.shape or not len(x) or (np.diff(x) < 0).any():
                raise ValueError("the knots do not rise")
            if not (np.isfinite(x).all() and (y >= 0).all() and (y <= 1).all()):
                raise ValueError("the knots are no probabilities")
        temperature = float(said["temperature"])
        if not 0 < temperature < 1e6:
            raise ValueError(f"a temperature is above 0, got {temperature}")
        factors = tuple(float(factor) for factor in said["factors"])
        if not all(0 < factor < 1e6 for factor in factors):
            raise ValueError(f"factors are above 0, got {factors}")
        return cls(kind, temperature, knots, factors)

    def fits(self, kinds: int) -> bool:
        """Whether it is for so many classes."""
        knots, factors = (kinds if self.kind == name else 0 for name in ("isotonic", "shares"))
        return len(self.knots) == knots and len(self.factors) == factors


def calibrate(
    kind: Kind,
    probabilities: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    units: np.ndarray | None = None,
) -> Calibration:
    """What makes ``probabilities`` (N, K) fit ``targets`` (N,), each counting its weight (N,).

    ``units`` (N,) are what trees left out together. A class of fewer than three of them is hardly known to the trees
    that judge it here, and a curve learned from that would say it is nowhere: the temperature is taken for all then.
    """
    if kind == "shares":
        raise InputError("shares are those of pixels nobody labelled; see calibrate_shares")
    if kind == "none" or len(targets) < 20:
        return Calibration()
    if kind == "isotonic" and units is not None:
        seen_in = [len(np.unique(units[targets == k])) for k in range(probabilities.shape[1])]
        if min((count for count in seen_in if count), default=0) < FEWEST_UNITS:
            kind = "temperature"
    if kind == "temperature":
        return Calibration("temperature", _temperature(probabilities, targets, weights))
    from scipy.optimize import isotonic_regression

    knots = []
    for number in range(probabilities.shape[1]):
        order = np.argsort(probabilities[:, number], kind="stable")
        x = probabilities[order, number].astype(np.float64)
        # rows of one probability are one point of the curve
        first = np.flatnonzero(np.diff(x, prepend=-1.0))
        mass = np.add.reduceat(weights[order], first)
        hits = np.add.reduceat(weights[order] * (targets[order] == number), first)
        curve = isotonic_regression(hits / mass, weights=mass).x
        ends = np.flatnonzero((np.diff(curve, prepend=-1.0) > 0) | (np.diff(curve, append=2.0) > 0))
        at, to = x[first][ends], curve[ends]
        knots.append((np.concatenate([[0.0], at, [1.0]]), np.concatenate([to[:1], to, to[-1:]])))
    return Calibration("isotonic", 1.0, tuple(knots))


def calibrate_shares(probabilities: np.ndarray, shown: np.ndarray) -> Calibration:
    """What makes classes as frequent as they are among pixels (N,) whose ``probabilities`` (N, K) were learned from
    others, where the classes had the shares ``shown`` (K,).

    By expectation and maximisation: pixels weighed by the shares so far give the next ones. Saerens, Latinne and
    Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation 14 (2002).
    """
    shown = shown / shown.sum()
    shares = shown
    for _ in range(EM_ROUNDS):
        weighed = probabilities * (shares / shown)
        weighed /= np.maximum(weighed.sum(1, keepdims=True), 1e-30)
        shares = weighed.mean(0)
    factors = np.clip(shares / shown, 1 / MOST_SHIFTED, MOST_SHIFTED)
    return Calibration("shares", factors=tuple((factors / factors.max()).tolist()))


def evened(shares: Calibration) -> np.ndarray:
    """Factors (K,) by which the largest probability is chosen after ``calibrate_shares``, as mean IoU likes it.

    Shares make rare classes so improbable that they are hardly ever chosen, which is right for pixel accuracy. Chosen
    is by the K-th root of the shares, a rule between what was measured: on parts of the training images of five sets
    strokes gave, by the shares / a root of them / without, mean IoU of 0.218 / 0.299 (4th root) / 0.310 (CamVid, 11
    classes), 0.069 / 0.137 (2nd) / 0.146 (magnetic tiles, 5), 0.435 / 0.484 (4th) / 0.493 (Dubai, 5), 0.731 / 0.728
    (2nd) / 0.719 (ISBI 2012, 2), and F1 of cracks of 0.710 / 0.744 (2nd) / 0.686 (2026-11): of two classes the root is
    worth it, of more the shares hardly are.
    """
    factors = np.array(shares.factors) ** (1 / len(shares.factors) - 1)
    return factors / factors.max()


def _temperature(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """The temperature of the smallest log loss, to a percent."""
    from scipy.optimize import minimize_scalar

    logs = np.log(np.maximum(probabilities, 1e-7).astype(np.float64))

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        top = scaled.max(1, keepdims=True)
        total = np.log(np.exp(scaled - top).sum(1)) + top[:, 0]
        return float(np.average(total - scaled[np.arange(len(targets)), targets], weights=weights))

    found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x))


def target_ious(chosen: np.ndarray, targets: np.ndarray, weights: np.ndarray, kinds: int) -> np.ndarray:
    """IoU of each target (K,) over pixels (N,) that count ``weights`` (N,); NaN for one that is not there."""
    hit = chosen == targets
    inside = np.bincount(targets[hit], weights[hit], kinds)
    there = np.bincount(targets, weights, kinds)
    union = there + np.bincount(chosen, weights, kinds) - inside
    return np.divide(inside, union, out=np.full(kinds, np.nan), where=there > 0)


def mean_iou(chosen: np.ndarray, targets: np.ndarray, weights: np.ndarray, kinds: int) -> float:
    """The mean of ``target_ious`` over the targets that are there."""
    return float(np.nanmean(target_ious(chosen, targets, weights, kinds)))


def decision_weights(probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Factors (K,) by which the largest probability (N, K) is chosen so that mean IoU is highest.

    The most probable class is best for pixel accuracy, not for the mean of IoUs, where a rare class counts as much as
    a frequent one. One factor after the other is moved along a grid, three times over.
    """
    kinds = probabilities.shape[1]
    factors = np.ones(kinds)
    best = mean_iou(probabilities.argmax(1), targets, weights, kinds)
    for grid in (np.geomspace(0.25, 4, 9), np.geomspace(0.5, 2, 9), np.geomspace(0.8, 1.25, 7)):
        for number in range(kinds):
            others = probabilities * factors
            others[:, number] = -1
            rival, rival_value = others.argmax(1), others.max(1)
            tried = [factors[number] * step for step in grid]
            scores = [
                mean_iou(
                    np.where(probabilities[:, number] * factor > rival_value, number, rival),
                    targets,
                    weights,
                    kinds,
                )
                for factor in tried
            ]
            if max(scores) > best + 1e-6:
                best = max(scores)
                factors[number] = tried[int(np.argmax(scores))]
    return factors / factors.max()
