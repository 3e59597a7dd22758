"""What a forest is asked for."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from ..segmenter import Method
from .calibration import Kind
from .features import FeatureBank


class Chosen(NamedTuple):
    """What settings that were left open are for certain annotations."""

    min_leaf: int
    balance: float
    calibration: Kind


class ForestSettings(Method):
    """The parameters of a ``Forest``, which a fitted one keeps."""

    name: ClassVar[str] = "forest"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    prompts: ClassVar[tuple[str, ...]] = ("scribbles",)
    source: ClassVar[str] = (
        "Breiman, Random forests, Machine Learning 45 (2001); Tu and Bai, IEEE PAMI 32 (2010)"
    )

    features: FeatureBank = Field(FeatureBank.make({}), description="The bank of features, and their scales.")
    task: Literal["auto", "semantic", "instance", "panoptic"] = Field(
        "auto", description="What is wanted; auto takes what the annotations are."
    )
    trees: int = Field(100, ge=1, le=2000, description="Trees of the forest.")
    min_leaf: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Fewest pixels in a leaf, more make smaller, smoother trees; unless given 10, for strokes 3.",
    )
    max_depth: int = Field(30, ge=1, le=100, description="Most decisions in a row.")
    pixels: int = Field(200_000, ge=100, description="Most pixels to learn from, of all images together.")
    hard: float = Field(0.3, ge=0, le=0.9, description="Share of them drawn where a first forest was wrong.")
    balance: float | None = Field(
        None,
        ge=0,
        le=1,
        description="0 counts classes as frequent as they are, 1 all alike; unless given 0.5 for objects, "
        "0.25 for classes, 0 for strokes.",
    )
    class_weights: dict[str, float] | None = Field(
        None, description="What pixels of a class count, by its name."
    )
    context_px: tuple[float, ...] = Field(
        (1.0, 4.0, 12.0),
        description="Sigmas by which a second forest sees what the first one said; none for one forest alone.",
    )
    position: bool | None = Field(
        None,
        description="Whether the place in the image is a feature; unless given, where images not seen gain by it.",
    )
    select: int | None = Field(
        None, ge=1, le=256, description="Keep so many features, the most important ones."
    )
    calibration: Kind | None = Field(
        None,
        description="How probabilities are made to mean what they say; unless given isotonic, for strokes of "
        "classes on six images or more shares, which are those of their other pixels, for other strokes none.",
    )
    tuned_by: Literal["iou", "line_f1"] = Field(
        "iou",
        description="What classes are weighed for: mean IoU, or for thin lines F1 within 2 pixels.",
    )
    smoothing_px: int | None = Field(
        None,
        ge=0,
        le=50,
        description="Radius of the guided filter before classes are chosen; tuned unless given.",
    )
    border_px: int = Field(
        2, ge=1, le=30, description="Width of the border that touching objects are parted by."
    )
    seed: int = Field(0, ge=0, description="Seed of every random choice.")

    def chosen(self, *, strokes: bool, objects: bool, few: bool) -> Chosen:
        """What is given, and what is best for the annotations where nothing is.

        They are ``strokes`` or full truth, of ``objects`` or of classes, on ``few`` images or many. A hand makes
        strokes of classes about as long as each other, and they lie far apart: each pixel tells something new, and
        none how frequent its class is. Of few images that would be a guess, and where objects are looked for it makes
        them touch (nuclei, docs/why/forest.md).
        """
        if strokes:
            defaults = Chosen(3, 0.0, "none" if few or objects else "shares")
        else:
            defaults = Chosen(10, 0.5 if objects else 0.25, "isotonic")
        return Chosen(
            defaults.min_leaf if self.min_leaf is None else self.min_leaf,
            defaults.balance if self.balance is None else self.balance,
            defaults.calibration if self.calibration is None else self.calibration,
        )
