"""Where the frames of a segmentation object lie on a grid of voxels: on the slices of a series, or on their own."""

from __future__ import annotations

import numpy as np

from ...errors import InputError, ReadError
from ...geometry import UNKNOWN, Geometry
from ...runs import Runs
from ..decoding import check_pixels, damaged
from ..dicom import Series
from ..dicom_files import Frame, Header
from ..medical import RAS
from ..source import MAX_PIXELS

_OFF_GRID = 0.25  # pixels

NO_RUNS = Runs(np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
"""A segment without pixels."""


def own_grid(image: Header) -> Series:
    """The slices that a segmentation object covers itself, for one whose images are not there.

    Raises ``ReadError`` for frames at no common distance. The series has one frame for each slice, none of them to be
    read as an image.
    """
    frames = image.frames
    name = str(image.path)
    if image.tiled:
        raise ReadError(
            f"{name} is of a whole slide in tiles, which is not read here; convert it to a label TIFF"
        )
    if not frames:
        raise damaged(name, "DICOM", "it has no frames")
    if any(frame.position is None or frame.orientation is None for frame in frames):
        if len(frames) > 1:
            raise ReadError(
                f"{name} does not say where its frames lie; put the images it was drawn on beside it"
            )
        return Series(frames, frames[0].size_hw, UNKNOWN, image)
    row, column = np.array(frames[0].orientation).reshape(2, 3)
    normal = np.cross(row, column)
    heights = np.array([normal @ np.array(frame.position) for frame in frames])
    levels = np.unique(np.round(heights, 3))
    step = frames[0].distance or 1.0
    if len(levels) > 1:
        step = min(step, float(np.diff(levels).min())) if frames[0].distance else float(np.diff(levels).min())
    places = (heights - heights.min()) / step
    if np.abs(places - np.round(places)).max() > _OFF_GRID:
        raise ReadError(f"{name} has frames at uneven distances; put the images it was drawn on beside it")
    depth = int(np.round(places).max()) + 1
    check_pixels(name, (depth, *frames[0].size_hw), MAX_PIXELS)
    lowest = frames[int(np.argmin(heights))]
    spacing = lowest.spacing or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacing[1], column * spacing[0]
    affine[:3, 2], affine[:3, 3] = normal * step, lowest.position
    affine = np.diag([-1.0, -1, 1, 1]) @ affine + 0.0
    known = lowest.spacing is not None
    geometry = Geometry((step, *spacing) if known else None, "mm" if known else "px", affine, RAS)
    return Series((lowest,), (depth, *lowest.size_hw), geometry, image)


class Placer:
    """Puts frames onto the voxels of a grid."""

    def __init__(self, name: str, grid: Series) -> None:
        self.name, self.grid = name, grid
        self.shape = grid.shape if len(grid.shape) == 3 else (1, *grid.shape)
        affine = grid.geometry.affine
        self.inverse = None if affine is None else np.linalg.inv(affine)
        self.by_uid = {(frame.uid, frame.index): z for z, frame in enumerate(grid.frames) if frame.uid}

    def runs(self, mask: np.ndarray, frame: Frame, source: tuple[str, int] | None) -> Runs:
        """The runs of a mask (h, w) over the flattened grid. Raises ``ReadError`` where it does not fit."""
        if not mask.any():
            return NO_RUNS
        origin, along, down = self.steps(mask, frame, source)
        _, height, width = self.shape
        if (
            along == (1, 0, 0)
            and down == (0, 1, 0)
            and mask.shape == (height, width)
            and origin[:2] == (0, 0)
        ):
            if not 0 <= origin[2] < self.shape[0]:
                raise self._outside()
            found = Runs.of_masks(np.ascontiguousarray(mask)[None])
            shift = origin[2] * height * width
            return Runs(
                found.offsets, found.start.astype(np.int64) + shift, found.stop.astype(np.int64) + shift
            )
        rows, columns_ = np.nonzero(mask)
        voxels = np.array(origin) + columns_[:, None] * np.array(along) + rows[:, None] * np.array(down)
        if (voxels < 0).any() or (voxels >= self.shape[::-1]).any():
            raise self._outside()
        flat = np.unique((voxels[:, 2] * height + voxels[:, 1]) * width + voxels[:, 0])
        ends = np.flatnonzero((np.diff(flat) != 1) | (flat[1:] % width == 0))
        start, stop = flat[np.concatenate([[0], ends + 1])], flat[np.concatenate([ends, [-1]])] + 1
        return Runs(np.array([0, len(start)]), start, stop)

    def steps(
        self, mask: np.ndarray, frame: Frame, source: tuple[str, int] | None
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Voxel x, y, z of the first pixel, and what one pixel along a row and down a column adds to it."""
        if frame.position is None or frame.orientation is None or self.inverse is None:
            z = self.by_uid.get(source) if source is not None else None
            z = 0 if z is None and self.shape[0] == 1 else z
            if z is None or mask.shape != self.shape[1:]:
                raise ReadError(
                    f"{self.name} has frames of {mask.shape} that do not say where they lie on its images of "
                    f"{self.shape[1:]}"
                )
            return (0, 0, z), (1, 0, 0), (0, 1, 0)
        spacing = frame.spacing or (1.0, 1.0)
        row, column = np.array(frame.orientation).reshape(2, 3)
        flip = np.array([-1.0, -1.0, 1.0])
        vectors = np.array([row * spacing[1], column * spacing[0], np.array(frame.position)]) * flip
        steps = np.column_stack([vectors, [0, 0, 1]]) @ self.inverse.T
        whole = np.round(steps[:, :3]).astype(np.int64)
        off = np.abs(steps[:, :3] - whole) * [[mask.shape[1]], [mask.shape[0]], [1]]
        if off.max() > _OFF_GRID or not (np.abs(whole[:2]).sum(axis=1) == 1).all():
            raise ReadError(
                f"{self.name} has pixels of another grid than its images in {self.grid.files[0].parent.name or '.'} "
                f"({off.max():.2f} pixels off); resample one"
            )
        along, down, origin = (tuple(int(part) for part in each) for each in whole)
        return origin, along, down

    def _outside(self) -> ReadError:
        return ReadError(f"{self.name} has pixels outside of its images; it belongs to other ones")


def fits(image: Header, grid: Series) -> bool:
    """Whether the frames of an object lie on the grid of a series."""
    placer = Placer(str(image.path), grid)
    try:
        for frame in image.frames:
            if frame.position is None:
                return False
            origin, along, down = placer.steps(np.zeros(frame.size_hw, bool), frame, None)
            last = (
                np.array(origin)
                + np.array(along) * (frame.size_hw[1] - 1)
                + np.array(down) * (frame.size_hw[0] - 1)
            )
            corners = np.array([origin, last])
            if (corners < 0).any() or (corners >= placer.shape[::-1]).any():
                return False
    except (ReadError, InputError):
        return False
    return bool(image.frames)
