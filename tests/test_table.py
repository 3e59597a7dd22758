"""Tables of measurements: columns, units, text and CSV."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import InputError, UnknownName, WriteError
from smalti.table import Table


@pytest.fixture
def table() -> Table:
    return Table(
        {"segment": np.array([1, 2]), "class": np.array(["cell", "a, b"]), "area": np.array([0.1, np.nan])},
        {"area": "um2"},
    )


def test_columns_are_found_by_name_and_by_heading(table: Table) -> None:
    assert table.header == ["segment", "class", "area_um2"]
    assert table["area"] is table["area_um2"]
    assert "area_um2" in table and "area_px" not in table
    with pytest.raises(UnknownName, match="area_um2"):
        table["area_px"]


def test_rows_are_plain_values(table: Table) -> None:
    rows = list(table.rows())
    assert len(table) == len(rows) == 2
    assert rows[0] == {"segment": 1, "class": "cell", "area": 0.1}
    assert type(rows[0]["segment"]) is int


def test_table_cannot_be_changed(table: Table) -> None:
    with pytest.raises(ValueError, match="read-only"):
        table["area"][0] = 3
    with pytest.raises(AttributeError, match="immutable"):
        table.units = {}
    with pytest.raises(TypeError):
        table.columns["area"] = np.zeros(2)  # type: ignore[index]


def test_table_does_not_follow_the_callers_array() -> None:
    areas = np.array([1.0, 2.0])
    table = Table({"area": areas})
    areas[0] = 9
    assert table["area"][0] == 1


def test_csv_has_units_in_the_header_and_quotes_commas(table: Table) -> None:
    text = io.StringIO()
    table.to_csv(text)
    assert text.getvalue() == 'segment,class,area_um2\n1,cell,0.1\n2,"a, b",nan\n'


@given(st.lists(st.floats(allow_nan=False), max_size=20))
def test_csv_gives_back_the_same_floats(values: list[float]) -> None:
    text = io.StringIO()
    Table({"x": np.array(values, dtype=np.float64)}).to_csv(text)
    assert [float(line) for line in text.getvalue().splitlines()[1:]] == values


def test_csv_to_a_path_leaves_only_the_file(table: Table, tmp_path) -> None:
    path = tmp_path / "segments.csv"
    table.to_csv(path)
    assert path.read_text().startswith("segment,class,area_um2\n")
    assert list(tmp_path.iterdir()) == [path]


def test_csv_that_cannot_be_written_says_where(table: Table, tmp_path) -> None:
    with pytest.raises(WriteError, match="missing"):
        table.to_csv(tmp_path / "missing" / "segments.csv")


def test_text_lines_up_and_stops_after_twenty_rows(table: Table) -> None:
    lines = str(table).splitlines()
    assert lines[0].split() == ["segment", "class", "area_um2"]
    assert len({len(line) for line in lines}) == 1
    lines = str(Table({"segment": np.arange(100)})).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "... 80 more of 100 rows"


def test_table_without_rows_or_columns() -> None:
    assert len(Table({})) == 0
    assert list(Table({"area": np.zeros(0)}).rows()) == []
    assert str(Table({"area": np.zeros(0)}, {"area": "px"})) == "area_px"


@pytest.mark.parametrize(
    ("columns", "units"),
    [
        ({"a": np.zeros(2), "b": np.zeros(3)}, {}),
        ({"a": np.zeros((2, 2))}, {}),
        ({"a": np.zeros(2)}, {"b": "um"}),
        ({"a": np.zeros(2), "a_um": np.zeros(2)}, {"a": "um"}),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: dict, units: dict) -> None:
    with pytest.raises(InputError):
        Table(columns, units)
