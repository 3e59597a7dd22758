"""What kinds of segment there are: ids, names, colours, thing or stuff."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .errors import InputError, unknown_name

# Okabe and Ito (2008), "Color Universal Design": eight colours told apart with any common colour vision;
# black is left out (it is the background of most views) and the rest ordered so that neighbours differ most.
OKABE_ITO = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def segment_colors(count: int) -> np.ndarray:
    """Colours for segments 1..count, ``(count, 3)`` uint8 RGB.

    The seven Okabe-Ito colours first; each further round of seven is the same hues lighter or darker, so that
    ids that follow each other stay apart for colour-blind readers too.
    """
    hues = np.array(OKABE_ITO, dtype=np.float64)
    index = np.arange(count)
    base = hues[index % len(hues)]
    shift = np.array([0.0, 0.35, -0.3, 0.6, -0.5])[(index // len(hues)) % 5, np.newaxis]
    shaded = np.where(shift >= 0, base + (255 - base) * shift, base * (1 + shift))
    return np.round(shaded).astype(np.uint8)


@dataclass(frozen=True)
class Class:
    """One kind of segment. A *thing* is countable (a cell), *stuff* is not (sky)."""

    id: int
    name: str
    color: tuple[int, int, int]
    thing: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.id, int | np.integer) or not 1 <= self.id < 2**31:
            raise InputError(
                f"class ids are whole numbers from 1 (0 means no segment), got {self.id} for {self.name!r}"
            )
        object.__setattr__(self, "id", int(self.id))
        if not self.name:
            raise InputError(f"class {self.id} needs a name")
        color = tuple(int(value) for value in self.color)
        if color != tuple(self.color) or len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise InputError(f"a colour is three whole numbers 0..255, got {self.color} for {self.name!r}")
        object.__setattr__(self, "color", color)


class ClassSet(Sequence[Class]):
    """The classes a segmentation may use, in a fixed order, with unique ids and names. Immutable.

    ``class_set.of(3)`` is the class with id 3 and ``class_set.named("cell")`` the one called so; indexing and
    iterating go by position. Raises ``InputError`` for repeated ids or names.
    """

    def __init__(self, classes: Iterable[Class]) -> None:
        self._classes = tuple(classes)
        for what, values in (("id", self.ids.tolist()), ("name", list(self.names))):
            repeated = sorted({str(value) for value in values if values.count(value) > 1})
            if repeated:
                raise InputError(f"class {what}s must be unique, repeated: {', '.join(repeated)}")

    @classmethod
    def from_names(cls, names: Iterable[str], thing: bool = True) -> ClassSet:
        """Classes 1..K of the given names, coloured by the colour-blind-safe palette."""
        names = list(names)
        colors = segment_colors(len(names)).tolist()
        return cls(
            Class(index, name, tuple(color), thing)
            for index, (name, color) in enumerate(zip(names, colors, strict=True), 1)
        )

    @classmethod
    def from_json(cls, text: str) -> ClassSet:
        """The class set that ``to_json`` wrote."""
        try:
            return cls.restored(json.loads(text))
        except ValueError as error:
            raise InputError(
                f"not a class set: wanted a list of id, name, color, thing; {error!r}"
            ) from error

    def to_json(self) -> str:
        """A JSON list of ``{id, name, color, thing}``."""
        return json.dumps(self.described())

    @classmethod
    def restored(cls, said: Any) -> ClassSet:
        """From ``described``. Raises ``InputError`` for what cannot be."""
        try:
            return cls(
                Class(entry["id"], str(entry["name"]), tuple(entry["color"]), entry["thing"] is True)
                for entry in said
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                f"not a class set: wanted a list of id, name, color, thing; {error!r}"
            ) from error

    def described(self) -> list[dict[str, Any]]:
        """As plain values: ``{id, name, color, thing}`` of each."""
        return [asdict(entry) | {"color": list(entry.color)} for entry in self._classes]

    @cached_property
    def ids(self) -> np.ndarray:
        """Class ids in order, ``(K,)`` int32."""
        return np.array([entry.id for entry in self._classes], dtype=np.int32)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in order."""
        return tuple(entry.name for entry in self._classes)

    @cached_property
    def _by_id(self) -> dict[int, Class]:
        return {entry.id: entry for entry in self._classes}

    def places(self, class_ids: np.ndarray) -> np.ndarray:
        """The place in the set, 0..K - 1, of each class id, (N,); every one must be an id of the set."""
        order = np.argsort(self.ids)
        return order[np.searchsorted(self.ids, class_ids, sorter=order)]

    def of(self, class_id: int) -> Class:
        """The class with this id."""
        try:
            return self._by_id[int(class_id)]
        except KeyError:
            raise InputError(f"no class with id {class_id}; ids are {self.ids.tolist()}") from None

    def named(self, name: str) -> Class:
        """The class with this name."""
        for entry in self._classes:
            if entry.name == name:
                return entry
        raise unknown_name("class", name, self.names)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # Sequence's overloads add nothing here
        return self._classes[index]

    def __len__(self) -> int:
        return len(self._classes)

    def __iter__(self) -> Iterator[Class]:
        return iter(self._classes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassSet) and self._classes == other._classes

    def __hash__(self) -> int:
        return hash(self._classes)

    def __repr__(self) -> str:
        return f"ClassSet({', '.join(f'{entry.id}: {entry.name}' for entry in self._classes)})"


OBJECT = ClassSet.from_names(["object"])
"""What a method gives that knows pieces but no kinds: one class of things, called "object"."""
