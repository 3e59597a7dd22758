"""What the documentation shows works: its code runs, its commands exit with 0, its links lead somewhere.

The Python blocks of a page share their names, and its commands and blocks run from top to bottom in one folder that
holds the sample images of ``docs_folder``. A block runs unless ``<!-- not run: reason -->`` stands directly above.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    page
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if page.exists()
]
ALL_MARKDOWN = sorted({*ROOT.glob("*.md"), *PAGES, *(ROOT / "examples").rglob("*.md")})

PHOTOGRAPHS = (
    "cell.png",
    "coins.png",
    "retina.jpg",
    "ihc.png",
    "page.png",
    "text.png",
    "brick.png",
    "hubble_deep_field.jpg",
    "coffee.png",
)
SHELLS = ("console", "bash", "sh", "shell")
FENCE = re.compile(r"^(?P<indent>\s*)(?P<ticks>`{3,}|~{3,})\s*(?P<language>[\w+-]*)")
NOT_RUN = re.compile(r"^\s*<!--\s*not run\b:?(?P<reason>.*?)-->\s*$")
RUNS_SMALTI = re.compile(r"(?:^|[|;&]\s*|\w+=\S*\s+)smalti(?=\s|$)")
LINK = re.compile(
    r"""\]\(\s*<?([^)\s>]+)|^\s*\[[^\]]+\]:\s+(\S+)|\b(?:src|href)=["']([^"']+)["']""", re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line its text starts on, why it is not run (None: it is)."""

    language: str
    text: str
    line: int
    not_run: str | None


def blocks_of(markdown: str) -> list[Block]:
    """The fenced blocks of a page, from top to bottom. Raises ``ValueError`` for one that is not closed."""
    blocks = []
    lines = markdown.splitlines()
    number = 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        above = NOT_RUN.match(lines[number - 1]) if number else None
        start = number + 1
        end = start
        while end < len(lines) and lines[end].strip() != fence["ticks"]:
            end += 1
        if end == len(lines):
            raise ValueError(f"the block of line {number + 1} has no end")
        text = textwrap.dedent("\n".join(lines[start:end])) + "\n"
        reason = above["reason"].strip() if above else None
        blocks.append(Block(fence["language"].lower(), text, start + 1, reason))
        number = end + 1
    return blocks


def commands_of(block: Block) -> list[tuple[int, str]]:
    """The commands of a shell block with their lines; where some begin with a prompt, the other lines are output.

    A line that ends with a backslash goes on in the next one.
    """
    prompted = any(line.startswith("$ ") for line in block.text.splitlines())
    commands: list[tuple[int, str]] = []
    goes_on = False
    for number, line in enumerate(block.text.splitlines(), block.line):
        if goes_on:
            start, begun = commands[-1]
            commands[-1] = (start, f"{begun}\n{line.removeprefix('> ')}")
        elif line.startswith("$ ") or (not prompted and line.strip() and not line.startswith("#")):
            commands.append((number, line.removeprefix("$ ").strip()))
        else:
            continue
        goes_on = line.endswith("\\")
    return commands


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def docs_folder(tmp_path: Path, sample_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder a page's code runs in: photographs, two of them also in ``photos/``, and ``cells.tif``."""
    folder = tmp_path / "page"
    (folder / "photos").mkdir(parents=True)
    for name in PHOTOGRAPHS:
        shutil.copy(sample_path(name), folder / name)
    for name in ("coins.png", "text.png"):
        shutil.copy(sample_path(name), folder / "photos" / name)
    write_cells(folder / "cells.tif")

    # `smalti` in a command is this tree's, whatever is installed.
    program = tmp_path / "bin" / "smalti"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m smalti "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.chdir(folder)
    return folder


def write_cells(file: Path) -> None:
    """Twenty-five round cells, 16 bit, 0.5 micrometres a pixel, as a microscope's TIFF says it."""
    y, x = np.mgrid[:200, :200]
    rng = np.random.default_rng(0)
    pixels = rng.normal(400, 20, (200, 200))
    for cy in range(20, 200, 40):
        for cx in range(20, 200, 40):
            pixels += 9000 * (np.hypot(y - cy, x - cx) < rng.uniform(7, 14))
    tifffile.imwrite(
        file, pixels.astype(np.uint16), imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"}
    )


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_code_of_the_page_runs(page: Path, docs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module of its own, known to Python, so that classes defined in the blocks can look up their annotations.
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks_of(page.read_text()):
        if block.not_run is not None:
            continue
        if block.language == "python":
            place = f"{page_name(page)}:{block.line}"
            code = compile("\n" * (block.line - 1) + block.text, page_name(page), "exec", dont_inherit=True)
            try:
                exec(code, module.__dict__)
            except Exception as error:
                raise AssertionError(f"the code of {place} fails: {error!r}") from error
        elif block.language in SHELLS:
            for line, command in commands_of(block):
                if RUNS_SMALTI.search(command):
                    run_command(command, f"{page_name(page)}:{line}", docs_folder)


def run_command(command: str, place: str, folder: Path) -> None:
    """Run a command as typed, pipes and redirections included."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (
        f"{place}: `{command}` exits with {done.returncode}\n{done.stdout}\n{done.stderr}"
    )


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    unsaid = [block.line for block in blocks_of(page.read_text()) if block.not_run == ""]
    assert unsaid == [], "write <!-- not run: reason --> above the blocks that start at these lines"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_and_scripts_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in blocks_of(page.read_text()):
        for line, command in commands_of(block) if block.language in SHELLS else []:
            for asked in re.findall(r"(?:^|&&\s*)make\s+(?:-C\s+\S+\s+)?([a-z][\w-]*)(?:\s|$)", command):
                assert asked in targets, f"{page_name(page)}:{line}: the Makefile has no target {asked!r}"
            for script in re.findall(r"^python3?\s+([\w./-]+\.py)", command):
                assert (ROOT / script).is_file(), f"{page_name(page)}:{line}: there is no {script}"


@pytest.mark.parametrize("page", ALL_MARKDOWN, ids=page_name)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text()
    for block in blocks_of(text):
        text = text.replace(block.text, "")
    text = re.sub(r"`[^`\n]*`", "", text)
    for match in LINK.finditer(text):
        link = next(group for group in match.groups() if group)
        if re.match(r"[a-z][a-z0-9+.-]*:|//|#", link):
            continue
        target = page.parent / unquote(link.partition("#")[0])
        assert target.exists(), f"{page_name(page)}: the link to {link} leads nowhere"


def test_blocks_and_commands_are_found() -> None:
    page = textwrap.dedent("""\
        <!-- not run: needs a server -->
        ```python
        serve()
        ```
        1. An item:

           ```console
           $ smalti predict coins.png \\
               --method otsu
           24 segments
           $ cat coins.png | smalti predict - > out.json
           ```

        ```bash
        # a comment
        make test
        smalti demo
        ```
        """)
    first, second, third = blocks_of(page)
    assert (first.language, first.line, first.not_run) == ("python", 3, "needs a server")
    assert [line for line, _ in commands_of(second)] == [8, 11]
    assert commands_of(second)[0][1].split() == ["smalti", "predict", "coins.png", "\\", "--method", "otsu"]
    assert [command for _, command in commands_of(third)] == ["make test", "smalti demo"]
    assert [bool(RUNS_SMALTI.search(command)) for _, command in commands_of(second) + commands_of(third)] == [
        True,
        True,
        False,
        True,
    ]
    assert not RUNS_SMALTI.search("pip install smalti")


def test_an_open_block_is_told() -> None:
    with pytest.raises(ValueError, match="line 2"):
        blocks_of("text\n```python\nprint(1)\n")
