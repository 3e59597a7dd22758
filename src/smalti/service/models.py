"""Actions on fitted models in the user's words: fit one to a dataset, say what a file holds, use it as a method."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from pydantic import Field

from ..data.dataset import Dataset, check_outside
from ..errors import InputError, ReadError, SmaltiError
from ..image import Image
from ..io.bundle import check_name, load, read_bundle, write_bundle
from ..io.starters import model_path
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts, Segmenter, known_segmenters, make_segmenter, segmenter_class
from ..train.distributed import leading
from .actions import check_folder, check_output
from .datasets import Opening, open_dataset
from .training import Training, fit_arguments

if TYPE_CHECKING:
    from ..runtime.fitted import FittedNetwork

TRAIN = "train"
"""The split that is learned from where nobody says another one."""
VALIDATION = "val"
"""The split that a training is judged by where there is one."""


class Model(Method):
    """A fitted model in a ``.smalti`` file, loaded when it is first used and once in a process.

    It is in no table of methods, as what it does is said by the file. Sent to another process it goes as the path,
    the digest and the runtime; a file that has changed since raises ``ReadError``.
    """

    name: ClassVar[str] = "model"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "the file names its method"

    path: Path = Field(description="The file.")
    sha256: str = Field(description="SHA-256 of the file.")
    runtime: str | None = Field(
        None, description="What carries it out, where that is not for the file to say."
    )

    @classmethod
    def of(cls, path: str | Path, runtime: str | None = None) -> Self:
        """The model in a file, carried out by another ``runtime`` than the file says where one is named.

        Raises ``ReadError`` as ``load`` does, ``UnknownName`` for a runtime nobody knows, ``MissingExtra`` for one
        that is not installed, and ``InputError`` where the model is none that a runtime carries out.
        """
        path = model_path(path)
        model = cls(path=path, sha256=_digest(path), runtime=runtime)
        _ = model.loaded
        return model

    @property
    def loaded(self) -> Segmenter:
        """The fitted model itself."""
        return _loaded(self.path, self.sha256, self.runtime)

    @property
    def takes(self) -> tuple[str, ...]:
        """What the fitted model takes."""
        return tuple(getattr(self.loaded, "takes", ()))

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """The fitted model's segments of ``image``, with how unsure it is of each where it can say so."""
        to_model = (prompts,) if prompts else ()
        predict = getattr(self.loaded, "predict_with_uncertainty", self.loaded.predict)
        return predict(image, *to_model)


@lru_cache(maxsize=2)
def _loaded(path: Path, sha256: str, runtime: str | None) -> Segmenter:
    if _digest(path) != sha256:
        raise ReadError(f"{path} has changed since it was asked for; start again")
    model = load(path)
    if runtime is None:
        return model
    return network_in(path, model).with_runtime(runtime)


def network_in(path: Path, model: Segmenter) -> FittedNetwork:
    """The model, which is a network that runtimes carry out. Raises ``InputError`` for one that is none."""
    if not hasattr(model, "with_runtime"):
        name = getattr(model, "name", type(model).__name__)
        raise InputError(
            f"{path} is a model of the method {name}, no network, so there are no runtimes for it; leave --runtime out"
        )
    return cast("FittedNetwork", model)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ReadError(f"no file {path}; check the name, or make it with smalti fit") from None
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class Fitted:
    """What came of a fit: the file, what was learned from, and what the method tells of it."""

    path: Path
    bytes: int
    method: str
    split: str | None
    images: int
    samples: int
    classes: tuple[str, ...]
    seconds: float
    report: Mapping[str, Any]

    @property
    def source(self) -> str:
        """Which images it learned from, in words."""
        part = f"split {self.split}" if self.split else "all samples"
        left_out = self.samples - self.images
        without = f"; {left_out} of them without annotation left out" if left_out else ""
        return f"{self.images} {'image' if self.images == 1 else 'images'} ({part}{without})"

    def to_json(self) -> dict[str, Any]:
        """The part that programs read."""
        return {
            "model": str(self.path),
            "bytes": self.bytes,
            "method": self.method,
            "split": self.split,
            "images": self.images,
            "classes": list(self.classes),
            "seconds": round(self.seconds, 4),
            "report": dict(self.report),
        }


def fit_model(
    source: Path,
    out: Path,
    method: str = "forest",
    settings: Mapping[str, Any] | None = None,
    opening: Opening | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    training: Training | None = None,
) -> Fitted:
    """Fit a method to the annotated samples of a dataset and write the model to ``out``.

    ``progress`` is told by methods that learn in one go, ``training`` is for those that take a while; these judge
    themselves by the split ``val`` where there is one.

    It learns from the split of ``opening``, else from ``train`` where there is one, else from all samples. Whatever
    can be found wrong is raised before the fit: ``InputError`` for a method that learns nothing, a dataset without
    annotations and a name that is no ``.smalti`` or an input, ``WriteError`` for a place that cannot be written.
    """
    opening = opening or Opening()
    settings, training = dict(settings or {}), training or Training()
    if training.budget_s is not None:
        settings["budget_s"] = training.budget_s
    if training.said and not getattr(segmenter_class(method), "learns_in_runs", False):
        raise InputError(f"{method} learns in one go, so there is no {' and no '.join(training.said)} for it")
    chosen = make_segmenter(method, **settings)
    if not hasattr(chosen, "fit"):
        names = ", ".join(trainable_methods()) or "none that is installed"
        raise InputError(f"{method} learns nothing from images; methods that can be fitted: {names}")
    check_name(out)
    check_output(out, [source, opening.splits])
    dataset = open_dataset(source, opening)
    check_outside(out, dataset.path)
    if out.is_dir():
        raise InputError(f"{out} is a folder; give --out the name of a file")
    split, validation = opening.split, dataset.with_samples(())
    if split is None and TRAIN in dataset.splits:
        if VALIDATION in dataset.splits:
            validation = _annotated(dataset.split(VALIDATION))
        split, dataset = TRAIN, dataset.split(TRAIN)
    annotated = _annotated(dataset)
    if not annotated:
        where = f"split {split} of {source}" if split else str(source)
        raise InputError(
            f"none of the {len(dataset)} samples of {where} has an image and an annotation; there is nothing to "
            "learn from (smalti dataset shows what was found)"
        )
    check_folder(out.parent)
    start = time.perf_counter()
    if getattr(chosen, "learns_in_runs", False):
        more = fit_arguments(out, training, validation)
    else:
        more = {"progress": progress}
    fitted = chosen.fit(annotated, classes=dataset.classes, **more)
    seconds = time.perf_counter() - start
    if not hasattr(fitted, "to_bundle"):
        raise InputError(f"what {method} learns cannot be kept in a file, as it has no to_bundle")
    bundle = fitted.to_bundle()
    made = _made(annotated, source, split)
    if leading():
        write_bundle(out, replace(bundle, manifest={**bundle.manifest, "made": made}))
    return Fitted(
        out,
        out.stat().st_size if leading() else 0,
        method,
        split,
        len(annotated),
        len(dataset),
        tuple(dataset.classes.names),
        seconds,
        dict(getattr(fitted, "report", {})),
    )


def _annotated(dataset: Dataset) -> Dataset:
    return dataset.filter(lambda sample: sample.annotated and sample.load_image is not None)


def _made(dataset: Dataset, source: Path, split: str | None) -> dict[str, Any]:
    """When and from what a model was made; of places only the last part, as the file may be given away."""
    made = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": source.resolve().name,
        "format": dataset.format,
        "images": len(dataset),
        "licences": sorted({sample.provenance.licence or "not stated" for sample in dataset}),
    }
    return made | ({"split": split} if split else {})


def trainable_methods() -> list[str]:
    """The methods that can be fitted, of those that can be loaded."""
    names = []
    for name in sorted(known_segmenters()):
        try:
            if hasattr(segmenter_class(name), "fit"):
                names.append(name)
        except SmaltiError:  # a broken package of somebody's
            continue
    return names


def describe_model(path: Path) -> dict[str, Any]:
    """What a ``.smalti`` file holds: its bytes, its manifest once all parts were compared with it, and its card.

    The method need not be installed. Raises ``ReadError`` as ``read_bundle`` does.
    """
    path = model_path(path)
    bundle = read_bundle(path)
    return {
        "model": str(path),
        "bytes": path.stat().st_size,
        "manifest": dict(bundle.manifest),
        "card": bundle.card,
    }
