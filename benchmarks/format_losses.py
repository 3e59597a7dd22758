"""What each annotation format loses of eight kinds of truth: the table of docs/formats.md.

    python benchmarks/format_losses.py          # prints it
    python benchmarks/format_losses.py --write  # puts it into the page

The truths are those of tests/test_every_format.py. A dot is no loss; else what the loss report says of the pixels.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from pages import put_table

from smalti.errors import InputError
from smalti.io.formats import ANNOTATION_FORMATS
from smalti.io.formats.loss import Loss

ROOT = Path(__file__).resolve().parents[1]


def contract() -> Any:
    """The tests every format passes, as a module."""
    spec = spec_from_file_location("test_every_format", ROOT / "tests" / "test_every_format.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(loss: Loss, total_px: int) -> str:
    """A cell of the table."""
    parts = []
    if loss.segments_lost and not loss.pixels_changed:
        parts.append("segments lost")
    if loss.pixels_changed:
        parts.append(f"{loss.pixels_changed} of {total_px} px")
    if loss.void_changed:
        parts.append("void")
    if loss.holes_lost:
        parts.append(f"{loss.holes_lost} holes")
    if loss.segments_merged:
        parts.append("objects merge")
    if loss.segments_split or loss.segments_added:
        parts.append("pieces part")
    if loss.classes_changed:
        parts.append("classes")
    return ", ".join(parts) or "·"


def table() -> str:
    tests = contract()
    lines = ["| format | " + " | ".join(name.replace("_", " ") for name in tests.CASES) + " |"]
    lines.append("|" + "---|" * (len(tests.CASES) + 1))
    for name in ANNOTATION_FORMATS:
        if not tests.writes(name):
            continue
        cells = []
        for case in tests.CASES:
            dataset = tests.dataset_of(case)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    (loss,) = dataset.write(Path(folder) / "out", name).losses.values()
                    cells.append(told(loss, int(dataset[0].truth.areas_px.sum())))
                except InputError:
                    cells.append("refused")
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    made = table()
    if "--write" in sys.argv:
        put_table("formats.md", "losses", made)
    print(made)


if __name__ == "__main__":
    main()
