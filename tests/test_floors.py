"""The code is held to the drawing of its floors: imports only go down, and rooms on one floor are strangers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "smalti"

# A room is a file or a folder of the package. The files of floor 0 are one vocabulary and may know each other.
FLOORS: dict[int, tuple[str, ...]] = {
    7: ("__main__",),
    6: ("cli", "web"),
    5: ("service",),
    4: ("train", "race"),
    3: ("runtime", "evaluation"),
    2: ("classical", "pixel", "deep", "data", "monitor"),
    1: ("io", "metrics", "postprocess", "tiling", "video", "pipeline", "page", "prompts"),
    0: (
        "geometry",
        "image",
        "runs",
        "segmentation",
        "classes",
        "masks",
        "overlaps",
        "measurements",
        "table",
        "segmenter",
        "errors",
        "provenance",
        "sample",
        "optional",
        "quiet",
        "values",
    ),
    -1: ("compiled",),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

# Slow to import; floors 0 and 1 import them inside the function that uses them.
HEAVY = {"numba", "skimage", "scipy", "sklearn", "torch", "pandas", "matplotlib"}


@dataclass(frozen=True)
class Import:
    """One import: who asks for which module, where, whether when loaded, and whether for types only."""

    module: str
    line: int
    at_load: bool
    for_types: bool


def imports_of(source: str, module: str, is_package: bool) -> Iterator[Import]:
    """Every import in ``source``, inside functions too, with relative names made whole.

    ``from a.b import c`` is given as ``a.b.c``: whether ``c`` is a module or a name does not matter here.
    """
    package = module if is_package else module.rpartition(".")[0]

    def visit(node: ast.AST, at_load: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_load, for_types)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            parent = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(f"{parent}.{alias.name}", node.lineno, at_load, for_types)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from visit(child, False, True)
            for child in node.orelse:
                yield from visit(child, at_load, for_types)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, at_load and not function, for_types)

    yield from visit(ast.parse(source), True, False)


def modules_of(package: Path) -> dict[str, Path]:
    """Every module below ``package`` by its whole name."""
    modules = {}
    for file in sorted(package.rglob("*.py")):
        parts = (package.name, *file.relative_to(package).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return modules


def room_of(module: str) -> str:
    """``smalti.io.raster`` is in the room ``io``."""
    return module.split(".")[1]


def all_imports(package: Path) -> Iterator[tuple[str, Path, Import]]:
    """Every import of every module but the package's own ``__init__``, whose lazy names reach everywhere."""
    for module, file in modules_of(package).items():
        if module != package.name:
            for each in imports_of(file.read_text(), module, file.name == "__init__.py"):
                yield module, file, each


def unknown_rooms(package: Path) -> list[str]:
    """Files and folders that the drawing does not have."""
    rooms = {room_of(module) for module in modules_of(package) if module != package.name}
    return [
        f"{room} is on no floor; add it to FLOORS in {Path(__file__).name}, as low as its imports allow"
        for room in sorted(rooms - FLOOR_OF.keys())
    ]


def broken_floors(package: Path) -> list[str]:
    """Imports that go up, or from one room to another on the same floor."""
    broken = []
    for module, file, each in all_imports(package):
        parts = each.module.split(".")
        here, there = room_of(module), parts[1] if len(parts) > 1 else ""
        if parts[0] != package.name or here not in FLOOR_OF or there == "__version__":
            continue
        where = f"{file.relative_to(package.parent)}:{each.line}"
        if there not in FLOOR_OF:
            broken.append(
                f"{where}: imports {each.module}; inside the package, import from the defining file"
            )
        elif FLOOR_OF[there] > FLOOR_OF[here]:
            broken.append(
                f"{where}: {here} (floor {FLOOR_OF[here]}) imports up from {there} (floor {FLOOR_OF[there]})"
            )
        elif FLOOR_OF[there] == FLOOR_OF[here] != 0 and there != here:
            broken.append(f"{where}: {here} and {there} are rooms of one floor and must not know each other")
    return broken


def import_cycles(package: Path) -> list[str]:
    """Modules that need each other to run, each cycle once. Imports for types only do not count."""
    modules = modules_of(package)
    needs: dict[str, set[str]] = {module: set() for module in modules}
    for module, _, each in all_imports(package):
        if not each.for_types:
            target = each.module if each.module in modules else each.module.rpartition(".")[0]
            if target in modules and target not in (package.name, module):
                needs[module].add(target)
    cycles: list[str] = []
    done: set[str] = set()

    def follow(module: str, path: list[str]) -> None:
        if module in path:
            cycles.append(" -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for target in sorted(needs[module]):
                follow(target, [*path, module])
            done.add(module)

    for module in needs:
        follow(module, [])
    return cycles


def heavy_at_load(package: Path) -> list[str]:
    """Imports on floors 0 and 1 that cost time before anything is used.

    ``compiled`` is where numba is at home; a module of it is as heavy as numba, the room's door is not.
    """
    heavy = []
    for module, file, each in all_imports(package):
        if (
            not each.at_load
            or FLOOR_OF.get(room_of(module), 0) > 1
            or module.startswith(f"{package.name}.compiled.")
        ):
            continue
        inside = each.module.startswith(f"{package.name}.compiled.")
        if inside or each.module.split(".")[0] in HEAVY:
            heavy.append(
                f"{file.relative_to(package.parent)}:{each.line}: {each.module} is slow to import; "
                "import it inside the function that uses it"
                + (", or: from smalti import compiled" if inside else "")
            )
    return heavy


def test_every_file_is_on_a_floor() -> None:
    assert unknown_rooms(PACKAGE) == []


def test_imports_only_go_down() -> None:
    assert broken_floors(PACKAGE) == []


def test_no_modules_need_each_other() -> None:
    assert import_cycles(PACKAGE) == []


def test_lower_floors_load_nothing_heavy() -> None:
    assert heavy_at_load(PACKAGE) == []


@pytest.mark.parametrize(
    ("check", "file", "source", "told"),
    [
        (broken_floors, "image.py", "from .io import raster", "imports up"),
        (broken_floors, "image.py", "def read():\n    from smalti.io.raster import read", "imports up"),
        (broken_floors, "io/raster.py", "import smalti.classical", "imports up"),
        (broken_floors, "io/raster.py", "from ..metrics import pq", "must not know"),
        (broken_floors, "io/__init__.py", "from ..metrics import pq", "must not know"),
        (broken_floors, "compiled/runs.py", "from ..image import Image", "imports up"),
        (broken_floors, "io/raster.py", "from smalti import Image", "defining file"),
        (
            import_cycles,
            "image.py",
            "def mask():\n    from .masks import Mask",
            "smalti.image -> smalti.masks",
        ),
        (unknown_rooms, "helpers.py", "", "helpers is on no floor"),
        (heavy_at_load, "image.py", "try:\n    import scipy.ndimage\nexcept ImportError: pass", "scipy"),
        (heavy_at_load, "image.py", "from .compiled.runs import find", "compiled.runs"),
        (heavy_at_load, "compiled/__init__.py", "import numba", "numba"),
    ],
)
def test_a_breach_is_told(check, file, source, told, tmp_path) -> None:
    package = make_package(tmp_path, {file: source})
    (message,) = check(package)
    assert told in message


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("image.py", "def area():\n    import scipy.ndimage"),
        ("image.py", "from . import compiled"),
        ("io/raster.py", "from ..image import Image\nfrom . import raster"),
        ("compiled/runs.py", "import numba"),
        ("errors.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .masks import Mask"),
        ("classical/threshold.py", "from skimage import filters"),
    ],
)
def test_what_keeps_to_the_drawing_passes(file, source, tmp_path) -> None:
    package = make_package(tmp_path, {file: source})
    for check in (unknown_rooms, broken_floors, import_cycles, heavy_at_load):
        assert check(package) == []


def make_package(folder: Path, files: dict[str, str]) -> Path:
    """A package called smalti with a few files on several floors, and ``files``."""
    package = folder / "smalti"
    sources = {"__init__.py": "from .cli import main", "masks.py": "from .image import Image", "image.py": ""}
    for name, source in (sources | files).items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source)
    return package
