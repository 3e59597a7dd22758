"""Where pixels lie in the world: spacing with its unit, and the affine and reference system where there are any."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from .errors import InputError

LENGTH_UNITS = ("nm", "um", "mm", "cm", "m", "km", "inch", "deg")
METRES = {"nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3, "inch": 0.0254}
"""Length of each unit that has one; a degree has none."""

_UNIT_ALIASES = {"µm": "um", "μm": "um", "micron": "um", "microns": "um", "in": "inch", "degree": "deg"}
_SPACING = re.compile(r"^\s*([0-9.eE+\-]+(?:\s*[x,]\s*[0-9.eE+\-]+)*)\s*([a-zA-Zµμ]+)\s*$")


@dataclass(frozen=True, eq=False)
class Geometry:
    """The world around an array of pixels, shared by an image and its segmentation.

    ``spacing`` is the distance between neighbouring pixels along each spatial axis in array order (z, y, x),
    in ``unit``; ``None`` means unknown, and lengths then come out in pixels. ``affine`` maps homogeneous pixel
    coordinates, as the file's own convention has them, to the world of ``crs``.
    """

    spacing: tuple[float, ...] | None = None
    unit: str = "px"
    affine: np.ndarray | None = None
    crs: str | None = None

    def __post_init__(self) -> None:
        if self.spacing is None:
            if self.unit != "px":
                raise InputError(f"unit {self.unit!r} without a spacing; give both or neither")
        else:
            try:
                spacing = tuple(float(step) for step in self.spacing)
            except TypeError as error:
                raise InputError(f"spacing must be numbers, one per axis, got {self.spacing!r}") from error
            if not all(math.isfinite(step) and step > 0 for step in spacing):
                raise InputError(f"spacing must be positive numbers, one per axis, got {spacing}")
            if self.unit == "px":
                raise InputError("a spacing needs its unit, such as 'um' or 'mm'")
            object.__setattr__(self, "spacing", spacing)
            unit = _UNIT_ALIASES.get(self.unit, self.unit)
            if unit not in LENGTH_UNITS:
                raise InputError(f"unit {self.unit!r} is not one of {', '.join(LENGTH_UNITS)}")
            object.__setattr__(self, "unit", unit)
        if self.affine is not None:
            affine = np.array(self.affine, dtype=np.float64)
            if affine.ndim != 2 or affine.shape[0] != affine.shape[1]:
                raise InputError(f"affine must be square, got shape {affine.shape}")
            if not np.isfinite(affine).all():
                raise InputError("affine must hold finite numbers")
            affine.flags.writeable = False
            object.__setattr__(self, "affine", affine)

    @classmethod
    def parse(cls, text: str, ndim: int = 2) -> Geometry:
        """The geometry a person types: ``0.5um`` for every axis, or one number per axis, ``2x0.5x0.5um``.

        >>> Geometry.parse("0.5um").spacing
        (0.5, 0.5)
        """
        match = _SPACING.match(text)
        wanted = f"write it as 0.5um, or per axis as {'x'.join(['0.5'] * ndim)}um"
        if match is None:
            raise InputError(f"spacing {text!r} is not a length with a unit; {wanted}")
        unit = _UNIT_ALIASES.get(match[2], match[2])
        if unit not in LENGTH_UNITS:
            raise InputError(f"unit {match[2]!r} is not one of {', '.join(LENGTH_UNITS)}; {wanted}")
        try:
            steps = tuple(float(step) for step in re.split(r"[x,]", match[1]))
        except ValueError as error:
            raise InputError(f"spacing {text!r} is not a length with a unit; {wanted}") from error
        if len(steps) == 1:
            steps *= ndim
        if len(steps) != ndim:
            raise InputError(f"spacing {text!r} has {len(steps)} numbers for {ndim} axes; {wanted}")
        return cls(steps, unit)

    @classmethod
    def fits(cls, text: str, ndim: int) -> bool:
        """Whether ``text`` is a spacing for ``ndim`` axes."""
        try:
            cls.parse(text, ndim)
        except InputError:
            return False
        return True

    @property
    def known(self) -> bool:
        """Whether lengths come out in a physical unit."""
        return self.spacing is not None

    def check_ndim(self, ndim: int) -> None:
        """Raise ``InputError`` unless this geometry fits an array of ``ndim`` spatial axes."""
        if self.spacing is not None and len(self.spacing) != ndim:
            raise InputError(f"spacing has {len(self.spacing)} axes for {ndim} spatial axes of pixels")
        if self.affine is not None and self.affine.shape[0] not in (ndim + 1, 4):
            raise InputError(f"affine of shape {self.affine.shape} for {ndim} spatial axes of pixels")

    def __str__(self) -> str:
        if self.spacing is None:
            return "px"
        steps = self.spacing[:1] if len(set(self.spacing)) == 1 else self.spacing
        return "x".join(f"{step:g}" for step in steps) + " " + self.unit


UNKNOWN = Geometry()
