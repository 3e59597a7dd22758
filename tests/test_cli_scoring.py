"""Predictions scored and models compared from the command line."""

import json

import pytest
from command_line import done, refused, smalti


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("scoring")
    size = "size_hw=[96,96]"
    done("scenes", "cells", "--task", "instance", "--n", 6, "--set", size, "--out", "truth", cwd=place)
    for method in ("otsu", "watershed"):
        done("predict", "truth/images", "--method", method, "--formats", "labels", "--out", method, cwd=place)
        done("evaluate", "truth", method, "--out", f"report-{method}", "--resamples", 200, cwd=place)
    return place


def test_an_evaluation_is_printed_and_written(folder):
    said = done("evaluate", "truth", "watershed", "--resamples", 200, cwd=folder)
    assert said.startswith("6 images, instance: ")
    assert "PQ gained if mended" in said
    for name in ("report.html", "report.json", "statistics.npz"):
        assert (folder / "report-otsu" / name).is_file()


def test_the_json_is_json(folder):
    content = json.loads(done("evaluate", "truth", "otsu", "--json", "--resamples", 200, cwd=folder))
    assert content["task"] == "instance"
    assert content["images"] == 6
    again = json.loads(done("compare", "report-otsu", "report-watershed", "--json", cwd=folder))
    (first,) = (row for row in again["scores"] if row["name"] == content["headline"]["name"])
    assert first["first"] == pytest.approx(content["headline"]["value"])


def test_a_comparison_says_which_is_better(folder):
    said = done("compare", "report-otsu", "report-watershed", "--resamples", 200, cwd=folder)
    assert "difference" in said
    assert "images that changed most" in said


def test_metrics_are_listed_and_chosen(folder):
    names = {entry["name"] for entry in json.loads(done("metrics", "--json", cwd=folder))}
    assert {"panoptic", "surface", "cldice", "hota"} <= names
    assert "panoptic" in done("metrics", cwd=folder)
    said = done("evaluate", "truth", "otsu", "--metrics", "surface", "--resamples", 100, cwd=folder)
    assert "Hausdorff" in said


def test_missing_predictions_are_said(folder):
    (folder / "some").mkdir()
    for path in sorted((folder / "otsu").glob("*.png"))[:2]:
        (folder / "some" / path.name).write_bytes(path.read_bytes())
    found = smalti("evaluate", "truth", "some", "--resamples", 100, cwd=folder)
    assert found.returncode == 0
    assert "4 of 6 images have no prediction" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "truth", "nothing"], "no file or folder"),
        (["evaluate", "nothing", "otsu"], "no file or folder"),
        (["evaluate", "truth", "otsu", "--task", "objects"], "task is one of"),
        (["evaluate", "truth", "otsu", "--metrics", "panoptik"], "nearest: panoptic"),
        (["evaluate", "truth", "otsu", "--by", "sight"], "no column"),
        (["evaluate", "truth", "otsu", "--out", "truth/report"], "lies in the dataset"),
        (["compare", "report-otsu", "otsu"], "give the folder of a report"),
    ],
)
def test_bad_input_is_one_line(folder, arguments, message):
    assert message in refused(*arguments, cwd=folder)
