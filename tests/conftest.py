"""What every test may ask for, and how properties are tried."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# No deadline: the first example of a property compiles. Where CI is set the examples are the same every time.
settings.register_profile("local", deadline=None, max_examples=40, print_blob=True)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of annotated real images; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("SMALTI_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no annotated images at {folder}; set SMALTI_DATA to the folder that has them")
    return folder


@pytest.fixture(scope="session")
def sample_path() -> Callable[[str], Path]:
    """A function from a name such as ``coins.png`` to the photograph in scikit-image's wheel."""
    spec = find_spec("skimage")  # finds the package without importing it
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "data"

    def path(name: str) -> Path:
        assert (folder / name).is_file(), f"no {name} in scikit-image's wheel"
        return folder / name

    return path
