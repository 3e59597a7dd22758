"""The command line as a process: what it prints, what it writes, what it answers to bad input."""

import csv
import json
import os
import signal
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest


def smalti(*arguments, cwd=None, data=None):
    """Run the command as a user would, and give its result."""
    return subprocess.run(
        [sys.executable, "-m", "smalti", *map(str, arguments)],
        cwd=cwd,
        input=data,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture
def spots(tmp_path):
    """A folder with one picture of three bright squares of 4, 9 and 16 pixels."""
    pixels = np.full((24, 32), 20, np.uint8)
    for size, at in ((2, 3), (3, 10), (4, 18)):
        pixels[5 : 5 + size, at : at + size] = 220
    cv2.imwrite(str(tmp_path / "spots.png"), pixels)
    return tmp_path


def one_line(done):
    """The single line on standard error of a refused command."""
    text = done.stderr.decode()
    assert text.startswith("smalti: "), text
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


def test_predict_writes_what_it_says(spots):
    done = smalti("predict", "spots.png", "--method", "otsu", "--spacing", "0.5um", "--out", "out",
                  "--formats", "labels,overlay,table,coco,geojson", "--json", cwd=spots)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.decode().splitlines()
    answer = json.loads(line)
    assert set(answer) == {"image", "segments", "coverage", "seconds", "outputs"}
    assert answer["segments"] == 3
    assert answer["coverage"] == pytest.approx(29 / (24 * 32), abs=1e-6)
    assert set(answer["outputs"]) == {"labels", "overlay", "table", "coco", "geojson"}
    labels = cv2.imread(str(spots / "out" / "spots.labels.png"), cv2.IMREAD_UNCHANGED)
    assert labels.dtype == np.uint16
    assert np.bincount(labels.ravel()).tolist()[1:] == [4, 9, 16]
    with (spots / "out" / "spots.segments.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["area_um2"]) for row in rows] == [1.0, 2.25, 4.0]
    coco = json.loads((spots / "out" / "spots.coco.json").read_text())
    assert [one["area"] for one in coco["annotations"]] == [4, 9, 16]
    assert coco["images"][0]["file_name"] == "spots.png"
    assert len(json.loads((spots / "out" / "spots.geojson").read_text())["features"]) == 3
    assert sorted(path.name for path in (spots / "out").iterdir()) == [
        "spots.coco.json", "spots.geojson", "spots.labels.png", "spots.overlay.png", "spots.segments.csv",
    ]  # fmt: skip


def test_predict_tells_a_person(spots):
    done = smalti("predict", "spots.png", "-m", "otsu", "--after", "drop-small:min_area_px=5", cwd=spots)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "spots.png" in text
    assert " 2 " in text
    assert "12.5 px" in text
    assert "out/spots.labels.png" in text


def test_standard_input_and_prompts(spots):
    data = (spots / "spots.png").read_bytes()
    done = smalti("predict", "-", "-m", "flood-fill", "--point", "6,11", "--json", cwd=spots, data=data)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["segments"] == 1
    labels = cv2.imread(str(spots / "out" / "stdin.labels.png"), cv2.IMREAD_UNCHANGED)
    assert (labels > 0).sum() == 9


def test_a_batch_goes_on_past_a_bad_image(spots):
    for name in ("b", "c"):
        (spots / f"{name}.png").write_bytes((spots / "spots.png").read_bytes())
    (spots / "bad.png").write_bytes((spots / "spots.png").read_bytes()[:60])
    for jobs in (1, 2):
        done = smalti(
            "predict", ".", "-m", "otsu", "--jobs", jobs, "--json", "--out", f"out{jobs}", cwd=spots
        )
        assert done.returncode == 1
        answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
        assert len(answers) == 4
        assert [one["image"] for one in answers if "error" in one] == ["bad.png"]
        assert "bad.png" in done.stderr.decode()
        assert "1 of 4" in done.stderr.decode()
        assert len(list((spots / f"out{jobs}").glob("*.labels.png"))) == 3


def test_measure_and_view(spots):
    assert smalti("predict", "spots.png", "-m", "otsu", cwd=spots).returncode == 0
    done = smalti("measure", "out/spots.labels.png", "--image", "spots.png", "--spacing", "2mm", cwd=spots)
    rows = list(csv.DictReader(done.stdout.decode().splitlines()))
    assert [float(row["area_mm2"]) for row in rows] == [16, 36, 64]
    assert [float(row["mean_grey"]) for row in rows] == [220, 220, 220]
    assert [row["label"] for row in rows] == ["1", "2", "3"]
    answer = json.loads(
        smalti("measure", "out/spots.labels.png", "--json", "--out", "t.csv", cwd=spots).stdout
    )
    assert (spots / "t.csv").read_text().startswith("label,segment,")
    assert [row["area"] for row in answer["segments"]] == [4, 9, 16]
    done = smalti("view", "spots.png", "out/spots.labels.png", "--out", "view.png", cwd=spots)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(spots / "view.png")).shape[2] == 3


def test_measure_names_the_numbers_of_the_file(tmp_path):
    cv2.imwrite(str(tmp_path / "gaps.png"), np.array([[0, 5, 5, 700]], np.uint16))
    rows = list(csv.DictReader(smalti("measure", "gaps.png", cwd=tmp_path).stdout.decode().splitlines()))
    assert [(row["label"], row["segment"], row["area_px"]) for row in rows] == [
        ("5", "1", "2"),
        ("700", "2", "1"),
    ]


def test_brackets_in_names_and_globs(spots):
    (spots / "a[1].png").write_bytes((spots / "spots.png").read_bytes())
    done = smalti("predict", "a[1].png", "-m", "otsu", cwd=spots)
    assert "a[1].png" in done.stdout.decode()
    done = smalti("predict", "s*.png", "-m", "otsu", "--json", "--max-pixels", 10_000, cwd=spots)
    assert [json.loads(line)["image"] for line in done.stdout.decode().splitlines()] == ["spots.png"]


def test_an_interrupted_run_says_so_and_leaves_no_half_file(spots):
    for index in range(40):
        (spots / f"copy{index}.png").write_bytes((spots / "spots.png").read_bytes())
    run = subprocess.Popen(
        [sys.executable, "-m", "smalti", "predict", ".", "-m", "gaussian-mixture", "--json"],
        cwd=spots, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    run.stdout.readline()  # the first image is done
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert b"interrupted" in errors
    assert b"Traceback" not in errors
    assert [path.name for path in (spots / "out").glob(".*")] == []


def test_methods_lists_all_and_shows_one():
    from smalti.segmenter import SEGMENTERS, STEPS

    entries = json.loads(smalti("methods", "--json").stdout)
    assert {entry["name"] for entry in entries} == {*SEGMENTERS, *STEPS}
    assert {"family", "name", "summary", "takes"} == set(entries[0])
    entry = json.loads(smalti("methods", "otsu", "--json").stdout)
    (bins,) = [one for one in entry["parameters"] if one["name"] == "bins"]
    assert bins["default"] == 256
    assert bins["allowed"] == "2 to 65536"
    assert "--method otsu" in entry["example"]
    text = smalti("methods", "otsu").stdout.decode()
    assert "Otsu" in text
    assert "2 to 65536" in text


def bomb(path):
    """A PNG whose header says 100,000 x 100,000 pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


BAD = {
    "missing file": (["predict", "none.png", "-m", "otsu"], 2, "no file or folder called none.png"),
    "empty folder": (["predict", "empty", "-m", "otsu"], 2, "no images in folder"),
    "glob of nothing": (["predict", "x*.png", "-m", "otsu"], 2, "no images match"),
    "unknown method": (["predict", "spots.png", "-m", "ostu"], 2, "nearest: otsu"),
    "unknown parameter": (["predict", "spots.png", "-m", "otsu", "--set", "bin=3"], 2, "nearest: bins"),
    "out of bounds": (
        ["predict", "spots.png", "-m", "otsu", "--set", "bins=1"],
        2,
        "greater than or equal to 2, got 1",
    ),
    "no setting": (["predict", "spots.png", "-m", "otsu", "--set", "bins"], 2, "name=value"),
    "unknown step": (["predict", "spots.png", "-m", "otsu", "--before", "gausian"], 2, "nearest: gaussian"),
    "unknown format": (["predict", "spots.png", "-m", "otsu", "--formats", "lables"], 2, "nearest: labels"),
    "bad spacing": (["predict", "spots.png", "-m", "otsu", "--spacing", "0.5"], 2, "0.5um"),
    "bad prompt": (["predict", "spots.png", "-m", "grabcut", "--box", "1,2"], 2, "ymin,xmin,ymax,xmax"),
    "prompt not taken": (
        ["predict", "spots.png", "-m", "otsu", "--box", "1,2,5,6"],
        2,
        "otsu takes no boxes",
    ),
    "prompt missing": (["predict", "spots.png", "-m", "grabcut"], 1, "box"),
    "empty file": (["predict", "empty.png", "-m", "otsu"], 1, "empty"),
    "truncated": (["predict", "cut.png", "-m", "otsu"], 1, "cut"),
    "no image": (["predict", "text.txt", "-m", "otsu"], 1, "text.txt"),
    "bomb": (["predict", "bomb.png", "-m", "otsu"], 1, "--max-pixels"),
    "nan": (["predict", "nan.npy", "-m", "otsu"], 1, "NaN"),
    "seven channels": (["predict", "seven.npy", "-m", "otsu"], 1, "channel="),
    "unwritable": (["predict", "spots.png", "-m", "otsu", "--out", "text.txt/out"], 2, "cannot write"),
    "one name twice": (["predict", "spots.png", "sub/spots.png", "-m", "otsu"], 2, "different folders"),
    "not labels": (["measure", "color.png"], 2, "label map"),
    "sizes differ": (["view", "color.png", "small.png", "--out", "v.png"], 2, "(24, 32)"),
    "a table is csv": (["measure", "small.png", "--out", "x.xlsx"], 2, ".csv"),
    "view over its input": (["view", "color.png", "color.png", "--out", "color.png"], 2, "its own input"),
    "labels of nothing": (["measure", "none.png"], 2, "none.png"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_line(spots, case):
    data = (spots / "spots.png").read_bytes()
    (spots / "empty").mkdir()
    (spots / "sub").mkdir()
    (spots / "sub" / "spots.png").write_bytes(data)
    (spots / "empty.png").touch()
    (spots / "cut.png").write_bytes(data[:70])
    (spots / "text.txt").write_text("hello")
    bomb(spots / "bomb.png")
    np.save(spots / "nan.npy", np.array([[0.0, np.nan], [1.0, 2.0]]))
    np.save(spots / "seven.npy", np.zeros((4, 4, 7), np.uint8))
    cv2.imwrite(
        str(spots / "color.png"), np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    )
    cv2.imwrite(str(spots / "small.png"), np.ones((4, 5), np.uint16))
    arguments, code, words = BAD[case]
    done = smalti(*arguments, cwd=spots)
    assert words in one_line(done)
    assert done.returncode == code
    leftovers = [path.name for path in spots.rglob(".*")]
    assert leftovers == []


def test_debug_shows_the_traceback_wherever_it_stands(spots):
    for arguments in (["--debug", "measure", "none.png"], ["measure", "none.png", "--debug"]):
        done = smalti(*arguments, cwd=spots)
        assert done.returncode != 0
        assert b"Traceback" in done.stderr


def test_more_labels_than_a_png_holds_go_into_tiff(tmp_path):
    """70,225 single bright pixels."""
    pixels = np.zeros((530, 530), np.uint8)
    pixels[::2, ::2] = 255
    cv2.imwrite(str(tmp_path / "many.png"), pixels)
    done = smalti("predict", "many.png", "-m", "otsu", "--formats", "labels", "--json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert answer["segments"] == 70_225
    assert answer["outputs"]["labels"].endswith("many.labels.tif")
    rows = smalti("measure", answer["outputs"]["labels"], cwd=tmp_path).stdout.decode().splitlines()
    assert len(rows) == 70_226


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a POSIX system")
def test_help_and_version_come_without_loading_the_heavy_libraries():
    code = (
        "import sys, smalti.cli; sys.argv = ['smalti', '--help']\n"
        "try: smalti.cli.main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numba', 'skimage', 'scipy', 'cv2', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.stdout.decode().splitlines()[-1] == "[]"
    assert b"smalti 0." in smalti("--version").stdout
