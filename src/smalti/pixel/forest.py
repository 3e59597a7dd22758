"""The pixel forest: a random forest over multi-scale features, from a few scribbles or many images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..classes import ClassSet
from ..errors import InputError
from ..image import Image
from ..io.bundle import Bundle
from ..sample import Sample
from ..segmentation import Segmentation
from ..segmenter import Prompts, check_prompts
from .fitted import FittedForest
from .settings import ForestSettings
from .training import Progress, fit_samples, fit_scribbles, no_progress


class Forest(ForestSettings):
    """Each pixel by a random forest that was shown some: by scribbles, label maps or a dataset.

    Made by scribbles on one image (``predict`` with prompts, or ``fit(image, scribbles)``) or from annotated images
    (``fit(dataset)``). What ``fit`` gives predicts, is saved as a bundle, and does not change.
    """

    def fit(
        self,
        data: Image | np.ndarray | Iterable[Sample],
        scribbles: np.ndarray | Segmentation | None = None,
        *,
        classes: ClassSet | None = None,
        progress: Progress = no_progress,
    ) -> FittedForest:
        """A forest that has learned from scribbles on one image, or from annotated samples such as a ``Dataset``.

        ``scribbles`` (*S,) are 0 where nothing is said, -1 on background and k on class k; the truth of one image is
        taken in their place, and teaches objects, too. Pixels that are void are not learned from. Raises ``InputError``
        where there are not two classes to tell apart, for scribbles of another size than the image and for images that
        differ in channels or axes.
        """
        if classes is not None and not isinstance(classes, ClassSet):
            raise InputError(
                f"classes must be a ClassSet, got {classes!r}; ClassSet.from_names makes one of names"
            )
        if isinstance(data, np.ndarray):
            data = Image.from_array(data)
        if isinstance(data, Image):
            if isinstance(scribbles, Segmentation):
                return fit_samples(self, [Sample.of("image", data, scribbles)], classes, progress)
            if scribbles is None:
                raise InputError(
                    "to learn from one image give its scribbles or truth, or samples with theirs"
                )
            return fit_scribbles(self, data, scribbles, classes, progress)
        if scribbles is not None:
            raise InputError("scribbles go with one image; samples bring their truth")
        if isinstance(data, str | Path):
            raise InputError(
                f"{data} is a name; open it: Dataset.open for a dataset, smalti.read for an image"
            )
        return fit_samples(self, list(data), classes or getattr(data, "classes", None), progress)

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """The classes marked by scribbles (-1 is background), learned from these and found everywhere.

        Raises ``InputError`` without scribbles.
        """
        check_prompts(self, prompts)
        if not prompts or prompts.scribbles is None:
            raise InputError(
                "forest needs scribbles that show each class, or a model fitted before: "
                "smalti fit DATASET --method forest --out m.smalti, then predict with --model"
            )
        prompts.check(image.shape)
        return self.fit(image, prompts.scribbles).predict(image)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> FittedForest:
        """The fitted forest that ``FittedForest.to_bundle`` made. Raises ``ReadError``."""
        return FittedForest.from_bundle(bundle)
