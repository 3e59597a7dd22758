"""A table of named columns with units, as measurements come."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, TextIO

import numpy as np

from .errors import InputError, WriteError, unknown_name

ROWS_SHOWN = 20


class Table:
    """Columns of equal length by name, and the unit of those that have one. Immutable.

    A column is found by its name or by its name in ``header``, which carries the unit: ``table["area"]`` and
    ``table["area_um2"]`` are the same numbers, and the second fails where areas came out in other units.
    ``pandas.DataFrame(dict(table.columns))`` makes a data frame of it. Raises ``InputError`` for columns that
    are not one-dimensional, differ in length or share a header, and for units of no column.
    """

    columns: Mapping[str, np.ndarray]
    units: Mapping[str, str]

    def __init__(self, columns: Mapping[str, np.ndarray], units: Mapping[str, str] | None = None) -> None:
        kept = {name: np.array(values) for name, values in columns.items()}
        units = {name: unit for name, unit in (units or {}).items() if unit}
        shapes = {values.shape for values in kept.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise InputError(f"columns must be one-dimensional and equally long, got shapes {sorted(shapes)}")
        if set(units) - set(kept):
            raise InputError(f"units of no column: {', '.join(sorted(set(units) - set(kept)))}")
        for values in kept.values():
            values.flags.writeable = False
        self.__dict__.update(columns=MappingProxyType(kept), units=MappingProxyType(units))
        repeated = sorted(name for name in kept if self.header.count(self._heading(name)) > 1)
        if repeated:
            raise InputError(f"columns {', '.join(repeated)} have the same name once their unit is added")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a Table is immutable; make another")

    def _heading(self, name: str) -> str:
        return f"{name}_{self.units[name]}" if name in self.units else name

    @property
    def header(self) -> list[str]:
        """Column names with their unit: ``area_um2``, ``centroid_y_px``, ``solidity``."""
        return [self._heading(name) for name in self.columns]

    def __getitem__(self, name: str) -> np.ndarray:
        """The column of this name or heading, read-only. Raises ``UnknownName``."""
        if name in self.columns:
            return self.columns[name]
        for column in self.columns:
            if self._heading(column) == name:
                return self.columns[column]
        raise unknown_name("column", name, {*self.columns, *self.header})

    def __contains__(self, name: object) -> bool:
        return name in self.columns or name in self.header

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows in order, as plain Python values by column name."""
        for values in zip(*(column.tolist() for column in self.columns.values()), strict=True):
            yield dict(zip(self.columns, values, strict=True))

    def to_csv(self, file: str | os.PathLike[str] | TextIO) -> None:
        """Write as comma-separated text with the units in the header row, to a path or an open text file.

        Floats are written with as many digits as bring back the same float and no more (0.1, not
        0.1000000001): a table that is read again gives the same numbers, and rounding is for the reader to
        choose. A number that does not exist is written ``nan``. ``WriteError`` where a path cannot be written.
        """
        if not isinstance(file, (str, os.PathLike)):
            self._write_rows(file)
            return
        try:
            with Path(file).open("w", encoding="utf-8", newline="") as stream:
                self._write_rows(stream)
        except OSError as error:
            raise WriteError(
                f"cannot write the table to {file}: {error.strerror}; choose another place"
            ) from error

    def _write_rows(self, stream: TextIO) -> None:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.header)
        columns = [
            column.astype(str).tolist() if column.dtype.kind == "f" else column.tolist()
            for column in self.columns.values()
        ]
        writer.writerows(zip(*columns, strict=True))

    def __str__(self) -> str:
        """The table as text, numbers to four digits; of a long one the first rows and how many follow."""
        cells = [
            [heading, *(_cell(value) for value in column[:ROWS_SHOWN].tolist())]
            for heading, column in zip(self.header, self.columns.values(), strict=True)
        ]
        widths = [max(map(len, column)) for column in cells]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in zip(*cells, strict=True)
        ]
        if len(self) > ROWS_SHOWN:
            lines.append(f"... {len(self) - ROWS_SHOWN} more of {len(self)} rows")
        return "\n".join(lines)

    __repr__ = __str__


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
