"""Networks as methods: what ``smalti fit --method unet`` makes, with the fields of a plan as its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, create_model

from ..classes import ClassSet
from ..errors import InputError
from ..image import Image
from ..io.bundle import Bundle
from ..optional import require
from ..runtime.fitted import FittedNetwork
from ..sample import Sample
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts, check_prompts
from .plan import Plan

if TYPE_CHECKING:
    from .run import Run

OF_PLAN = [name for name in Plan.model_fields if name not in ("version", "network", "reasons", "augment")]
"""Fields of a plan that are parameters of every network; left open, they are planned from the data."""


def _open(name: str) -> tuple[Any, Any]:
    """The field of a plan, which need not be given."""
    of_plan: Any = Plan.model_fields[name]
    kind = Annotated[of_plan.annotation, *of_plan.metadata] if of_plan.metadata else of_plan.annotation
    return kind | None, Field(None, description=of_plan.description)


_FIELDS: Any = {name: _open(name) for name in OF_PLAN}
PlannedSettings: type[Method] = create_model("PlannedSettings", __base__=Method, **_FIELDS)


class NetworkMethod(PlannedSettings):  # type: ignore[misc, valid-type]  # pydantic makes it of the fields of Plan
    """A network that learns from annotated images. What is left open is planned from them, see ``Plan``.

    What ``fit`` gives predicts, is saved as a bundle, and does not change.
    """

    ndims: ClassVar[tuple[int, ...]] = (2,)
    learns_in_runs: ClassVar[bool] = True

    augment: str | dict[str, Any] | None = Field(
        None, description="How crops are changed at random: a preset's name, or a chain of augmentations."
    )
    metric: str | None = Field(
        None,
        description="Metric that validations are scored and decoding is tuned by; the first of the task.",
    )
    weights: Path | None = Field(
        None,
        description="Weights to begin with, by name: a .smalti bundle, .safetensors, or a torch state dict.",
    )
    freeze: str | None = Field(
        None,
        description="What of the network stays as it is: encoder, a number of stages, or patterns of names such as "
        "net.stem.*,net.down.0.*.",
    )
    teacher: Path | None = Field(
        None, description="A larger model (.smalti) whose answers are learned from, too."
    )

    def fit(
        self,
        data: Iterable[Sample],
        *,
        classes: ClassSet | None = None,
        validation: Sequence[Sample] = (),
        plan: Plan | None = None,
        run: Run | None = None,
        told: Callable[[Plan], None] = lambda plan: None,
    ) -> FittedNetwork:
        """A network that has learned from annotated samples such as a ``Dataset``.

        ``validation`` are samples to judge by; without them some are held out, as the plan says. With ``plan``
        nothing is planned anew, but the parameters that are given stand in place of what it says; ``told`` is given
        the one that is followed. ``run`` says where the training keeps what it has come to and who watches it.
        Raises ``InputError`` where nothing can be learned, ``MissingExtra`` without torch, and ``Diverged`` where the
        loss is no number any more.
        """
        began = perf_counter()
        require("torch", "train")
        require("safetensors", "train")
        from .fitting import fit_network
        from .starting import start_of

        if isinstance(data, str | Path | Image):
            raise InputError(
                f"{self.name} learns from annotated samples, such as Dataset.open gives; got {data!r}"
            )
        samples = list(data)
        classes = classes or getattr(data, "classes", None) or (samples[0].truth.classes if samples else None)
        if classes is None:
            raise InputError("there is no sample to learn from")
        if plan is not None and plan.network != self.name:
            raise InputError(f"the plan is for the network {plan.network}, not {self.name}; fit that method")
        given = {"network": self.name, **self.decided()}
        if plan is None and validation:
            given.setdefault("validate_on", "split")
        return fit_network(
            self.name,
            given,
            samples,
            classes,
            validation=validation,
            plan=plan,
            metric=self.metric,
            start=start_of(self.name, self.weights, self.freeze, self.teacher),
            run=run,
            told=told,
            began=began,
        )

    def decided(self) -> dict[str, Any]:
        """The fields of the plan that are given."""
        given = {name: getattr(self, name) for name in (*OF_PLAN, "augment")}
        return {name: value for name, value in given.items() if value is not None}

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """Raises ``InputError``: a network must learn before it can say anything."""
        check_prompts(self, prompts)
        raise InputError(
            f"{self.name} has to learn first: smalti fit DATASET --method {self.name} --out m.smalti, "
            "then predict with --model m.smalti"
        )

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> FittedNetwork:
        """The fitted network that ``FittedNetwork.to_bundle`` made. Raises ``ReadError``."""
        return FittedNetwork.from_bundle(bundle)


class Unet(NetworkMethod):
    """A contracting and an expanding path that meet at every size: sharp outlines, little data, 2-D and 3-D."""

    name: ClassVar[str] = "unet"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = (
        "Ronneberger et al., MICCAI (2015); Isensee et al., nnU-Net, Nature Methods 18 (2021)"
    )


class Fcn(NetworkMethod):
    """A classification network made to answer for every pixel, with skips from finer maps."""

    name: ClassVar[str] = "fcn"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "Long, Shelhamer, Darrell, CVPR (2015)"


class DeepLab(NetworkMethod):
    """Atrous convolutions that see at several scales at once, and a skip for the outlines."""

    name: ClassVar[str] = "deeplab"
    source: ClassVar[str] = "Chen et al., DeepLabv3+, ECCV (2018)"


class Fast(NetworkMethod):
    """A light network for scenes on a CPU."""

    name: ClassVar[str] = "fast"
    source: ClassVar[str] = "Hong et al., Deep dual-resolution networks (DDRNet), 2021, at half its width"
