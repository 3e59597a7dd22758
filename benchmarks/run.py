"""Measure the rows of this folder and write ``results.json`` and the table in ``docs/results.md``.

    python benchmarks/run.py               # all rows
    python benchmarks/run.py measure-1024  # one row, as JSON on the last line

Ratios are peer / ours: 20 means twenty times faster, or a twentieth of the memory. Peer and ours run in turn in
one process, so that both meet the same machine; each round gives one ratio and the table shows the median with
the smallest and the largest. Everything runs on one thread.
"""

from __future__ import annotations

import os

# Read when the libraries are loaded, so this stands before every import that brings them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import ctypes
import gc
import json
import math
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
from harness import ROWS, Comparison, Row
from pages import put_table

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"

ROUNDS, SLOW_ROUNDS, MOST_ROUNDS = 7, 3, 200
SLOW_SECONDS = 5.0  # a round longer than this is repeated SLOW_ROUNDS times only
TOTAL_SECONDS = 3.0
SHORTEST_SECONDS = (
    0.01  # calls shorter than this are timed in a loop; the clock and the caches are noisy below
)
LEAST_BYTES = 1 << 16  # less extra memory than this is taken for this much: it is a few pages of noise


def import_rows() -> None:
    """Import every module beside this one; each enters its rows."""
    for file in sorted(HERE.glob("*.py")):
        if file.stem not in ("harness", "pages", "run"):
            import_module(file.stem)


def seconds_a_call(function: Callable[[], Any], calls: int) -> float:
    """Mean seconds of ``calls`` calls in a row."""
    start = perf_counter()
    for _ in range(calls):
        function()
    return (perf_counter() - start) / calls


def calls_for(function: Callable[[], Any]) -> int:
    """How many calls together take long enough to be timed."""
    return max(1, math.ceil(SHORTEST_SECONDS / max(seconds_a_call(function, 1), 1e-7)))


def measure_time(row: Row, comparison: Comparison) -> list[tuple[float, float]]:
    """Seconds of (peer, ours) in each round. Both have been called before, so nothing is loaded or compiled."""
    peer_calls, our_calls = calls_for(comparison.peer), calls_for(comparison.ours)
    rounds: list[tuple[float, float]] = []
    start = perf_counter()
    while True:
        gc.collect()
        rounds.append(
            (seconds_a_call(comparison.peer, peer_calls), seconds_a_call(comparison.ours, our_calls))
        )
        spent = perf_counter() - start
        slow = spent / len(rounds) > SLOW_SECONDS
        wanted = row.repeats or (SLOW_ROUNDS if slow else ROUNDS)
        enough = row.repeats or slow or spent >= TOTAL_SECONDS or len(rounds) >= MOST_ROUNDS
        if len(rounds) >= wanted and enough:
            return rounds


def status_kib(field: str) -> int:
    """A number of kibibytes from this process's status, such as VmRSS or VmHWM (its peak)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise RuntimeError(f"the system does not tell {field}")


def extra_bytes(function: Callable[[], Any]) -> int:
    """Peak memory of one call above what the process held before it, in bytes.

    The first call loads and compiles and is not counted. What it left to the allocator is given back, and the
    peak, which making the input has raised, is set back to what is held now (Linux, proc(5), clear_refs).
    """
    function()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = status_kib("VmRSS")
    result = function()  # kept until the peak is read: the result is part of what a call needs
    peak = status_kib("VmHWM")
    del result
    return 1024 * max(0, peak - before)


def in_fresh_process(row: Row, what: str, side: str, **environment: str) -> float:
    """What ``report`` prints for one side of a row, run in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), row.name, "--report", what, "--side", side]
    done = subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def measure_memory(row: Row) -> list[tuple[float, float]]:
    """Extra bytes of (peer, ours) in each round, every one in a fresh process."""
    if not Path("/proc/self/clear_refs").exists():
        raise SystemExit(f"row {row.name} measures memory, which needs Linux (/proc/self/clear_refs)")
    # Fixed thresholds: otherwise glibc, after its first large free, keeps freed blocks of up to 32 MiB, and a
    # second call takes them without the process growing.
    fixed = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return [
        (
            max(LEAST_BYTES, in_fresh_process(row, "memory", "peer", **fixed)),
            max(LEAST_BYTES, in_fresh_process(row, "memory", "ours", **fixed)),
        )
        for _ in range(row.repeats or SLOW_ROUNDS)
    ]


def report(row: Row, what: str, side: str) -> float:
    """Measured in this fresh process: extra bytes, or the seconds of the first call."""
    comparison = row.prepare()
    function = comparison.peer if side == "peer" else comparison.ours
    return extra_bytes(function) if what == "memory" else seconds_a_call(function, 1)


def first_use_seconds(row: Row) -> float:
    """Seconds of our first call on a machine that has no compiled code cached."""
    with tempfile.TemporaryDirectory() as empty:
        return in_fresh_process(row, "first-use", "ours", NUMBA_CACHE_DIR=empty)


def machine() -> str:
    """Processor, number of cores and Python, so that a number can be judged later."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}"


def run(row: Row) -> dict[str, Any]:
    """Measure one row: its entry in ``results.json``."""
    comparison = row.prepare()
    agrees = bool(comparison.agree(comparison.peer(), comparison.ours()))
    rounds = measure_time(row, comparison) if row.what == "time" else measure_memory(row)
    ratios = [peer / ours for peer, ours in rounds]
    peers, ours = (median(values) for values in zip(*rounds, strict=True))
    entry: dict[str, Any] = {
        "name": row.name,
        "peer": row.peer,
        "what": row.what,
        "ratio_median": round(median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "agrees": agrees,
        "note": comparison.note,
        "rounds": len(rounds),
    }
    if row.what == "time":
        entry |= {"peer_seconds": float(f"{peers:.4g}"), "our_seconds": float(f"{ours:.4g}")}
        entry["first_use_seconds"] = round(first_use_seconds(row), 2)
    else:
        entry |= {"peer_mb": round(peers / 1e6, 2), "our_mb": round(ours / 1e6, 2)}
    if row.target is not None:
        entry["target"] = row.target
    if row.limit_mb is not None:
        entry["limit_mb"] = row.limit_mb
    return entry | {"machine": machine(), "measured": date.today().isoformat()}


def target_cell(entry: dict[str, Any]) -> str:
    """What the row was to reach, and whether it did."""
    targets = []
    if "target" in entry:
        met = entry["ratio_median"] >= entry["target"]
        targets.append(f"≥ {entry['target']:g}: {'met' if met else '**missed**'}")
    if "limit_mb" in entry:
        met = entry["our_mb"] <= entry["limit_mb"]
        targets.append(f"≤ {entry['limit_mb']:g} MB: {'met' if met else '**missed**'}")
    return ", ".join(targets)


def in_seconds(seconds: float) -> str:
    """A length of time in the unit it is read in."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def as_table(entries: list[dict[str, Any]]) -> str:
    """The entries as a Markdown table."""
    lines = [
        "| row | what | peer | peer's | ours | first use | ratio | target | agrees | note |",
        "|---|---|---|---:|---:|---:|---:|---|---|---|",
    ]
    for entry in entries:
        if entry["what"] == "time":
            sizes = [in_seconds(entry[key]) for key in ("peer_seconds", "our_seconds", "first_use_seconds")]
        else:
            sizes = [f"{entry['peer_mb']:g} MB", f"{entry['our_mb']:g} MB", ""]
        ratio = f"**{entry['ratio_median']:.3g}** ({entry['ratio_min']:.3g} to {entry['ratio_max']:.3g})"
        agrees = "yes" if entry["agrees"] else "**no**"
        note = entry["note"].replace("|", "\\|").replace("\n", " ")
        cells = [f"`{entry['name']}`", entry["what"], entry["peer"], *sizes, ratio, target_cell(entry)]
        lines.append("| " + " | ".join([*cells, agrees, note]) + " |")
    for place, day in sorted({(entry["machine"], entry["measured"]) for entry in entries}):
        lines.append(f"\nMeasured on {day}: {place}.")
    return "\n".join(lines)


def store(measured: list[dict[str, Any]], whole: bool) -> None:
    """Write ``results.json`` and the page: new entries over old ones, in the order of the names.

    Rows that did not run keep their old entry; a run of all rows drops entries whose row is gone.
    """
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    entries = {entry["name"]: entry for entry in old if not whole or entry["name"] in ROWS}
    entries |= {entry["name"]: entry for entry in measured}
    ordered = [entries[name] for name in sorted(entries)]
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    put_table("results.md", "bench", as_table(ordered))


def main() -> int:
    """Run the rows asked for; 1 when a result did not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("only", nargs="?", help="name of the one row to run; all when left out")
    parser.add_argument("--report", choices=["memory", "first-use"], help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=["peer", "ours"], help=argparse.SUPPRESS)
    asked = parser.parse_args()

    cv2.setNumThreads(1)
    import_rows()
    if asked.only is not None and asked.only not in ROWS:
        raise SystemExit(f"no row called {asked.only!r}; there are: {', '.join(sorted(ROWS))}")
    if asked.report:
        print(report(ROWS[asked.only], asked.report, asked.side))
        return 0
    measured = []
    for row in [ROWS[asked.only]] if asked.only else ROWS.values():
        print(f"{row.name}: against {row.peer} ...", file=sys.stderr, flush=True)
        measured.append(run(row))
        store(measured[-1:], whole=False)  # at once, so that an interrupted run keeps what it has
        print(json.dumps(measured[-1], ensure_ascii=False), flush=True)
    if not asked.only:
        store(measured, whole=True)
    return 0 if all(entry["agrees"] for entry in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
