"""What `smalti check` finds of faults planted into made-up sets, and what it tells of that is none: docs/check.md.

    python benchmarks/check_planted.py          # prints the table
    python benchmarks/check_planted.py --write  # puts it into the page

The sets are those of tests/fixtures/planted_sets.py, with another seed than the one by which limits were set.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from itertools import chain
from pathlib import Path

from pages import put_table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))

SEED = 11


def table(seed: int = SEED, size: int = 60, count: int = 5) -> str:
    from planted_sets import Bench, Score, score

    totals: dict[str, Score] = defaultdict(Score)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), seed, size, count)
        for planted in chain(bench.clean_sets(), bench.sets()):
            found = score(bench.check(planted.dataset), planted)
            total = totals[planted.title]
            total.planted += found.planted
            total.found += found.found
            total.false += found.false
            total.images += found.images
    lines = ["| what was planted | planted | found | false alarms | in images |", "|---|---:|---:|---:|---:|"]
    for title, total in totals.items():
        lines.append(f"| {title} | {total.planted} | {total.found} | {len(total.false)} | {total.images} |")
    planted, found = (sum(getattr(each, name) for each in totals.values()) for name in ("planted", "found"))
    false, images = (
        sum(len(each.false) for each in totals.values()),
        sum(each.images for each in totals.values()),
    )
    lines.append(
        f"| **all** | **{planted}** | **{found}** ({found / planted:.1%}) | **{false}** | **{images}** |"
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    made = table()
    if "--write" in sys.argv:
        put_table("check.md", "planted", made)
    print(made)


if __name__ == "__main__":
    main()
