"""What to annotate next, and what a model looks at, from the command line."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from command_line import done, refused, smalti
from two_tones import CLASSES, forest, model, tones, tones_truth  # noqa: F401  # fixtures

from smalti import Dataset, Image, Sample, write_image

# ruff: noqa: F811

BETWEEN = np.s_[16:48, 16:48]


@pytest.fixture(scope="module")
def folder(model):
    place = model.parent
    odd = Image.from_array(tones(5, between=BETWEEN))
    (place / "images").mkdir()
    write_image(place / "images" / "plain.png", Image.from_array(tones(3)))
    write_image(place / "images" / "odd.png", odd)
    Dataset([Sample.of("done", odd, tones_truth()), Sample.of("open", odd)], CLASSES).write(place / "plate")
    return place


class TestSuggest:
    def test_a_table_for_people(self, folder):
        said = done("suggest", "m.smalti", "images", "--size", 24, "--most", 3, cwd=folder)
        assert said.split()[:2] == ["rank", "image"]
        first = next(line for line in said.splitlines() if line.strip().startswith("1 "))
        assert "images/odd.png" in first
        assert " 24 " in first
        assert "dark" in first
        assert "bright" in first

    def test_json_for_programs(self, folder):
        given = ("images/odd.png", "--size", 24, "--by", "entropy", "--most", 1, "--out", "next", "--json")
        told = json.loads(done("suggest", "m.smalti", *given, cwd=folder))
        (first,) = told["suggestions"]
        assert told["by"] == "entropy"
        assert told["page"] == "next/suggest.html"
        assert first["crop"] == "next/01-odd.png"
        assert (folder / first["crop"]).is_file()
        assert (folder / told["page"]).is_file()

    def test_of_a_dataset_only_what_is_not_annotated(self, folder):
        said = done("suggest", "m.smalti", "plate", "--size", 24, cwd=folder)
        assert said.startswith("1 of 2 images are annotated already")
        assert "open" in said
        assert "done" not in said

    def test_where_there_is_nothing_it_says_so(self, folder):
        Dataset([Sample.of("done", Image.from_array(tones()), tones_truth())], CLASSES).write(folder / "all")
        said = done("suggest", "m.smalti", "all", cwd=folder)
        assert "nothing to suggest: give images that are not annotated yet" in said
        assert "is certain" not in said

    def test_where_no_image_can_be_used_nothing_is_said_of_the_model(self, folder):
        write_image(folder / "alone.tif", Image(np.zeros((20, 20, 5), np.uint8)))
        found = smalti("suggest", "m.smalti", "alone.tif", "--out", "none", cwd=folder)
        assert found.returncode == 1
        assert "nothing to suggest: no image could be used" in found.stdout
        page = (folder / "none" / "suggest.html").read_text()
        for told in (found.stdout, page):
            assert "no image could be used" in told and "is certain" not in told

    def test_an_image_that_cannot_be_used_is_told_and_the_others_done(self, folder):
        write_image(folder / "five.tif", Image(np.zeros((20, 20, 5), np.uint8)))
        found = smalti("suggest", "m.smalti", "images/odd.png", "five.tif", "--json", cwd=folder)
        assert found.returncode == 1
        assert json.loads(found.stdout)["suggestions"][0]["image"] == "images/odd.png"
        assert "five.tif" in found.stderr
        assert "1 of 2 images failed" in found.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nothing.smalti", "images"], "no file"),
            (["plate", "images"], "plate"),
            (["damaged.smalti", "images"], "damaged.smalti"),
            (["m.smalti", "nothing"], "no file or folder"),
            (["m.smalti", "empty"], "empty"),
            (["m.smalti", "-"], "standard input"),
            (["m.smalti", "images", "--split", "val"], "none of the annotation formats"),
            (["m.smalti", "images/odd.png", "--split", "val"], "one dataset"),
            (["m.smalti", "plate", "--split", "val"], "no split called 'val'"),
            (["m.smalti", "plate", "--spacing", "1um"], "dataset"),
        ],
    )
    def test_bad_input_is_one_line(self, folder, arguments, message):
        (folder / "empty").mkdir(exist_ok=True)
        content = bytearray((folder / "m.smalti").read_bytes())
        content[len(content) // 2] ^= 255
        (folder / "damaged.smalti").write_bytes(content)
        assert message in refused("suggest", *arguments, cwd=folder)


class TestExplain:
    def test_the_importances_and_what_is_known(self, folder):
        said = done("explain", "m.smalti", cwd=folder)
        for part in (
            "m.smalti: forest, semantic",
            "family",
            "nearby dark at 2 px",
            "█",
            "out-of-bag accuracy",
        ):
            assert part in said

    def test_json_for_programs(self, folder):
        told = json.loads(done("explain", "m.smalti", "images", "--out", "why", "--json", cwd=folder))
        assert told["images"] == ["images/odd.png", "images/plain.png"]
        assert told["page"] == "why/explain.html"
        assert (folder / "why" / "explain.html").is_file()
        assert sum(each["importance"] for each in told["features"]) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nothing.smalti"], "no file"),
            (["plate"], "plate"),
            (["m.smalti", "images"], "--out"),
            (["m.smalti", "nothing", "--out", "why"], "no file or folder"),
        ],
    )
    def test_bad_input_is_one_line(self, folder, arguments, message):
        assert message in refused("explain", *arguments, cwd=folder)


class TestPredict:
    def test_the_table_says_how_unsure_the_model_is_of_each_segment(self, folder):
        steps = ("--after", "drop-small:min_area_px=5")
        for given, out in (((), "plain"), (steps, "stepped")):
            done(
                "predict", "images", "--model", "m.smalti", *given, "--formats", "table,geojson", "--out", out,
                cwd=folder,
            )  # fmt: skip
            rows = {}
            for name in ("odd", "plain"):
                with (folder / out / f"{name}.segments.csv").open() as file:
                    rows[name] = list(csv.DictReader(file))
            assert len(rows["odd"]) == len(rows["plain"]) == 2
            for measure in ("margin", "entropy"):
                unsure = {name: sum(float(row[measure]) for row in rows[name]) for name in rows}
                assert unsure["odd"] > unsure["plain"] >= 0
            content = json.loads((folder / out / "odd.geojson").read_text())
            assert content["features"][0]["properties"]["margin"] == pytest.approx(
                float(rows["odd"][0]["margin"])
            )
