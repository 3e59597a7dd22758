"""The examples run as a reader would run them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SAYS = {
    "01_segment_one_image.py": "Segmentation(303 x 384, 24 segments: object 24, spacing px)",
    "02_measure_in_micrometres.py": "area 132.4 um2",
    "03_compare_two_methods.py": "24 the same at IoU > 0.5",
    "04_augment.py": "11 of 24 coins are left, 4496 pixels are void",
    "05_scenes.py": "24 of 25 nuclei found at IoU > 0.5",
}


def run(*arguments, cwd):
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent / "src")}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tried():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SAYS, "mosaic.py"}


@pytest.mark.parametrize("name", SAYS)
def test_an_example_says_what_it_should(name, tmp_path):
    assert SAYS[name] in run(EXAMPLES / name, cwd=tmp_path)


def test_the_picture_of_the_readme_is_drawn(tmp_path):
    import smalti
    from smalti.service.demo import run_demo

    list(run_demo(tmp_path))
    run(EXAMPLES / "mosaic.py", tmp_path, tmp_path / "mosaic.png", cwd=tmp_path)
    assert smalti.read(tmp_path / "mosaic.png").shape == (854, 1054)
