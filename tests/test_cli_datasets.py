"""The commands on datasets: what they print, what they write, what they answer to bad input."""

from __future__ import annotations

import json

import pytest
from command_line import done, refused, smalti


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``cells``: eight small scenes."""
    folder = tmp_path_factory.mktemp("datasets")
    done("scenes", "--kind", "cells", "--task", "instance", "-n", 8, "--set", "size_hw=[96,96]", "--out", "cells",
         cwd=folder)  # fmt: skip
    return folder


def test_a_dataset_is_described(folder):
    text = done("dataset", "cells", cwd=folder)
    assert text.startswith("cells: smalti (there is a smalti.json)\n8 samples, 8 annotated: ")
    content = json.loads(done("dataset", "cells", "--json", cwd=folder))
    assert content["samples"] == 8
    assert sum(content["splits"].values()) == 8
    assert [entry["name"] for entry in content["classes"]] == ["nucleus"]


def test_scenes_are_the_same_again(folder):
    done("scenes", "--kind", "cells", "--task", "instance", "-n", 8, "--set", "size_hw=[96,96]", "--out", "again",
         cwd=folder)  # fmt: skip
    for path in (folder / "cells").rglob("*"):
        twin = folder / "again" / path.relative_to(folder / "cells")
        assert path.is_dir() or twin.read_bytes() == path.read_bytes()


def test_conversion_says_what_is_lost(folder):
    text = done("convert", "cells", "as-coco", "--to", "coco", cwd=folder)
    assert "8 samples as coco" in text
    assert "written: as-coco" in text
    text = done("convert", "cells", "as-maps", "--to", "label-maps", cwd=folder)
    assert "segments merged" in text
    content = json.loads(done("convert", "as-maps", "as-maps-2", "--to", "label-maps", "--json", cwd=folder))
    assert content["samples_with_loss"] == 0
    assert (folder / "as-maps-2" / "smalti-loss.json").is_file()


def test_strict_conversion_writes_nothing(folder):
    line = refused("convert", "cells", "strict", "--to", "label-maps", "--strict", cwd=folder)
    assert "segments merged" in line
    assert not (folder / "strict").exists()


def test_conversion_overwrites_nothing(folder):
    assert "not empty" in refused("convert", "cells", "cells", "--to", "coco", cwd=folder)


def test_a_part_is_converted(folder):
    done("split", "cells", "--shares", "train=0.5,test=0.5", "--out", "halves.json", cwd=folder)
    done("convert", "cells", "half", "--to", "yolo", "--splits", "halves.json", "--split", "test", cwd=folder)
    assert json.loads(done("dataset", "half", "--json", cwd=folder))["samples"] == 4


def test_folds(folder):
    done("split", "cells", "--folds", 4, "--by", "none", "--out", "folds.json", cwd=folder)
    assert len(json.loads((folder / "folds.json").read_text())["splits"]) == 4
    chosen = "--splits", "folds.json", "--fold", "fold-2"
    assert json.loads(done("dataset", "cells", *chosen, "--json", cwd=folder))["splits"] == {
        "train": 6,
        "val": 2,
    }
    part = json.loads(done("dataset", "cells", *chosen, "--split", "train", "--json", cwd=folder))
    assert part["samples"] == 6


def test_kinds_of_scenes_are_listed(folder):
    assert "crop-rows" in done("scenes", cwd=folder)
    shown = json.loads(done("scenes", "cells", "--json", cwd=folder))
    assert "density" in {parameter["name"] for parameter in shown["parameters"]}


def test_formats_are_listed(folder):
    entries = json.loads(done("formats", "--json", cwd=folder))
    assert {"coco", "yolo", "nifti", "smalti"} <= {entry["name"] for entry in entries}
    assert "only read" in done("formats", cwd=folder)
    assert "segmentation" in done("formats", "coco", cwd=folder)


def test_licences(folder):
    content = json.loads(done("licences", "cells", "--json", "--credits", "credits.csv", cwd=folder))
    assert content["commercial"] == {"yes": 8, "ask": 0, "no": 0}
    assert (folder / "credits.csv").is_file()
    assert "is not legal advice" in done("licences", "cells", cwd=folder)


def test_a_licence_that_no_file_states_is_stated_when_converting(folder):
    done("convert", "cells", "coco-stated", "--to", "coco", cwd=folder)
    done("convert", "coco-stated", "stated", "--to", "smalti", "--origin", "author=us", cwd=folder)
    found = smalti("licences", "stated", "--credits", "who.csv", cwd=folder)
    assert "without author" not in found.stdout
    assert "provenance" in refused("convert", "cells", "o", "--to", "coco", "--origin", "who=us", cwd=folder)


def test_check_of_a_clean_set_and_of_one_with_an_error(folder):
    content = json.loads(done("check", "cells", "--out", "clean", "--json", cwd=folder))
    assert content["counts"]["error"] == 0
    assert (folder / "clean" / "report.html").is_file()
    done("convert", "cells", "broken", "--to", "smalti", cwd=folder)
    image = next((folder / "broken" / "images").rglob("*.*"))
    image.write_bytes(image.read_bytes()[:100])
    found = smalti("check", "broken", "--out", "bad", cwd=folder)
    assert found.returncode == 1, found.stderr
    assert "unreadable" in found.stdout
    assert json.loads((folder / "bad" / "report.json").read_text())["counts"]["error"] >= 1


def test_augmentation_is_previewed(folder):
    done(
        "augment",
        "cells",
        "--step",
        "microscopy",
        "--preview",
        "sheet.png",
        "--rows",
        2,
        "--columns",
        2,
        cwd=folder,
    )
    assert (folder / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert done("augment", "cells", "--preview", "own.png", cwd=folder).startswith("microscopy: written")
    assert "nearest: rotate" in refused(
        "augment", "cells", "--step", "rotat", "--preview", "x.png", cwd=folder
    )


def test_public_datasets_are_listed(folder):
    assert "coco-val2017" in done("download", cwd=folder)
    assert "nearest" in refused("download", "coco-val201", "--out", "d", cwd=folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dataset", "nothing"], "no file or folder"),
        (["dataset", "cells", "--format", "coc"], "nearest: coco"),
        (["dataset", "cells", "--format", "coco"], "COCO"),
        (["dataset", "cells", "--set", "x=1"], "no annotation format has the options x"),
        (["convert", "cells", "o", "--to", "yollo"], "nearest: yolo"),
        (["convert", "cells", "o", "--to", "yolo", "--split", "tets"], "no split"),
        (["split", "cells", "--shares", "train", "--out", "s.json"], "shares are written"),
        (["split", "cells", "--shares", "a=0.5,b=0.6", "--out", "s.json"], "sum to 1"),
        (["agreement", "cells"], "several truths"),
        (["scenes", "--kind", "cell", "--out", "o"], "nearest: cells"),
        (["scenes", "--kind", "cells", "--out", "o", "--set", "seed=1"], "--seed"),
        (
            ["split", "cells", "--folds", "2", "--shares", "a=1", "--out", "s.json"],
            "either --folds or --shares",
        ),
        (["split", "cells", "--seed", "-1", "--out", "s.json"], "seed is 0 or more"),
        (["split", "cells", "--out", "cells/s.json"], "lies in the dataset"),
        (["convert", "cells", "cells/coco", "--to", "coco"], "lies in the dataset"),
        (["augment", "cells", "--preview", "sheet.txt"], "contact sheet is written as"),
        (["augment", "cells", "--step", "rotate:degrees=400", "--preview", "s.png"], "two numbers from -180"),
        (["dataset", "cells", "--fold", "fold-1"], "--splits"),
    ],
)
def test_bad_input_is_one_line(folder, arguments, message):
    assert message in refused(*arguments, cwd=folder)
