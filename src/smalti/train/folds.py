"""Images held out of a training, to validate on: those of one group stay together, classes are spread evenly."""

from __future__ import annotations

from collections.abc import Sequence

from ..classes import Class, ClassSet
from ..data.dataset import Dataset
from ..data.splits import Splits, make_folds, make_splits
from ..errors import InputError
from ..sample import Sample


def hold_out(
    samples: Sequence[Sample], share: float = 0.2, seed: int = 0, *, needed: bool = True
) -> tuple[list[Sample], list[Sample]]:
    """The samples to learn from and those to validate on, about ``share`` of them and at least one.

    Groups stay together, and classes are spread as ``smalti.data.splits.make_splits`` does; the same samples and seed
    give the same parts. Where all are of one group nothing can be held out: that raises ``InputError`` if it is
    ``needed``, else the second part is empty. Raises ``InputError`` for a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InputError(f"the share that is held out is between 0 and 1, got {share}")
    if _one_group(samples):
        if needed:
            raise InputError(
                f"{_told(samples)} cannot be parted into some to learn from and some to validate on; "
                "annotate images of another group, or train without validation"
            )
        return list(samples), []
    dataset = _dataset(samples)
    splits = make_splits(dataset, {"train": 1 - share, "val": share}, seed)
    return _parts(dataset, splits)


def folds(samples: Sequence[Sample], k: int = 5, seed: int = 0) -> list[tuple[list[Sample], list[Sample]]]:
    """The samples to learn from and to validate on, ``k`` times: each sample is validated on once.

    Groups stay together and classes are spread, as in ``hold_out``. Raises ``InputError`` for fewer than two folds or
    fewer groups of samples than folds.
    """
    dataset = _dataset(samples)
    made = make_folds(dataset, k, seed)
    return [_parts(dataset, made.fold(name)) for name in made.names]


def _one_group(samples: Sequence[Sample]) -> bool:
    groups = {sample.group for sample in samples}
    return len(samples) < 2 or (len(groups) == 1 and None not in groups)


def _told(samples: Sequence[Sample]) -> str:
    if len(samples) < 2:
        return f"{len(samples)} image" if len(samples) else "no image"
    return f"{len(samples)} images of one group ({samples[0].group})"


def _dataset(samples: Sequence[Sample]) -> Dataset:
    """The samples as a dataset, of the classes that their truths know."""
    if isinstance(samples, Dataset):
        return samples
    known: dict[int, Class] = {}
    for sample in samples:
        if sample.annotated:
            known |= {each.id: each for each in sample.truth.classes if each.id not in known}
    return Dataset(samples, ClassSet(list(known.values())))


def _parts(dataset: Dataset, splits: Splits) -> tuple[list[Sample], list[Sample]]:
    """The samples of ``train`` and of ``val``, each in the order of the dataset."""
    train, val = ([dataset[name] for name in splits.names[part]] for part in ("train", "val"))
    return train, val
