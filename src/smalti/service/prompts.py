"""From prompts as a person types them to ``Prompts``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..segmenter import GROUND, Prompts

MOST_NUMBERS = 100
"""Different numbers in a file that has more of them than a hand writes."""


def read_prompts(boxes: Sequence[str], points: Sequence[str], scribbles: Path | None) -> Prompts | None:
    """Prompts from texts ``ymin,xmin,ymax,xmax`` and ``y,x[,label]`` and a label map on disk; None for none.

    Volumes take ``zmin,ymin,xmin,zmax,ymax,xmax`` and ``z,y,x,label``, the label then not left out.
    Raises ``InputError`` naming the text that cannot be read.
    """
    if not boxes and not points and scribbles is None:
        return None
    corners = [_numbers(text, (4, 6), "ymin,xmin,ymax,xmax") for text in boxes]
    places = [_numbers(text, (2, 3, 4), "y,x or y,x,LABEL") for text in points]
    labels = [int(place[-1]) if len(place) > 2 else 1 for place in places]
    spots = [place[:-1] if len(place) > 2 else place for place in places]
    for what, rows in (("boxes", corners), ("points", spots)):
        if len({len(row) for row in rows}) > 1:
            raise InputError(f"{what} must all have the same number of coordinates")
    drawn = None
    if scribbles is not None:
        from ..io.labels import read_labels

        if scribbles.suffix.lower() in (".jpg", ".jpeg"):
            raise InputError(f"{scribbles}: JPEG changes numbers a little everywhere; save scribbles as PNG")
        drawn = read_labels(scribbles).astype(np.int32)
        if len(np.unique(drawn)) > MOST_NUMBERS and (drawn != 0).mean() > 0.5:
            raise InputError(
                f"{scribbles} looks like a photograph; scribbles are 0 where nothing is said, 255 on the ground "
                "and 1, 2, ... on what is marked"
            )
        drawn[drawn == GROUND] = -1
    return Prompts(
        points_yx=np.array(spots) if spots else None,
        point_labels=np.array(labels) if spots else None,
        boxes=np.array(corners, dtype=np.int64) if corners else None,
        scribbles=drawn,
    )


def _numbers(text: str, lengths: tuple[int, ...], wanted: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in lengths:
        raise InputError(f"prompt {text!r} is not {wanted}")
    return numbers
