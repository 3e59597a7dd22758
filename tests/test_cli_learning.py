"""Models fitted, told of and used from the command line."""

import json
import re
import zipfile

import numpy as np
import pytest
from command_line import done, refused, smalti
from nearest_mean import NAME, nearest_mean  # noqa: F401  # a fixture

from smalti.io.bundle import read_bundle, write_bundle


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    place = tmp_path_factory.mktemp("learning")
    size = "size_hw=[64,64]"
    done("scenes", "cells", "--task", "semantic", "--n", 6, "--set", size, "--out", "plate", cwd=place)
    done("split", "plate", "--shares", "train=0.5,test=0.5", "--out", "splits.json", cwd=place)
    return place


@pytest.mark.usefixtures("nearest_mean")
class TestOfTheSmallestMethod:
    @pytest.fixture
    def folder(self, scenes):
        if not (scenes / "m.smalti").exists():
            done("fit", "plate", "-m", NAME, "--out", "m.smalti", cwd=scenes)
        return scenes

    def test_a_fit_says_what_was_learned_and_what_to_do_next(self, folder):
        said = done("fit", "plate", "-m", NAME, "--splits", "splits.json", "--out", "n.smalti", cwd=folder)
        assert said.startswith(f"{NAME} learned from 3 images (split train) in ")
        assert re.search(r"out-of-bag accuracy +87\.5%", said)
        assert "smalti predict IMAGES --model n.smalti" in said
        assert read_bundle(folder / "n.smalti").manifest["made"]["split"] == "train"

    def test_the_split_that_is_learned_from_is_said(self, folder):
        given = ("-m", NAME, "--splits", "splits.json", "--split", "test", "--out", "t.smalti")
        assert "(split test)" in done("fit", "plate", *given, cwd=folder)

    def test_the_json_of_a_fit(self, folder):
        given = ("-m", NAME, "--set", "power=2", "--format", "smalti", "--out", "j.smalti", "--json")
        content = json.loads(done("fit", "plate", *given, cwd=folder))
        assert content["model"] == "j.smalti"
        assert content["bytes"] == (folder / "j.smalti").stat().st_size
        assert content["images"] == content["report"]["images"]
        assert read_bundle(folder / "j.smalti").manifest["settings"] == {"power": 2.0}

    def test_a_model_segments_as_a_method_does(self, folder):
        done("predict", "plate/images", "--model", "m.smalti", "--out", "found", cwd=folder)
        labels = sorted((folder / "found").glob("*.labels.png"))
        assert len(labels) == 6

    def test_steps_stand_before_and_after_a_model(self, folder):
        given = ("plate/images", "--model", "m.smalti", "--json")
        steps = ("--before", "gaussian:sigma_px=2", "--after", "drop-small:min_area_px=100000")
        plain = done("predict", *given, "--out", "plain", cwd=folder).splitlines()
        stepped = done("predict", *given, *steps, "--out", "stepped", cwd=folder).splitlines()
        assert all(json.loads(line)["segments"] > 0 for line in plain)
        assert all(json.loads(line)["segments"] == 0 for line in stepped)

    def test_info_says_what_the_file_holds(self, folder):
        said = done("info", "m.smalti", cwd=folder)
        for part in (NAME, "semantic", "plate", "87.5%", "arrays/means.npy", "grey", "out-of-bag IoU"):
            assert part in said
        content = json.loads(done("info", "m.smalti", "--json", cwd=folder))
        assert content["manifest"]["method"] == NAME
        assert content["bytes"] == (folder / "m.smalti").stat().st_size

    def test_text_of_strangers_gives_the_terminal_no_commands(self, folder):
        bundle = read_bundle(folder / "m.smalti")
        hostile = "\x1b[2J\nall is well"
        bundle.manifest.update(
            task=hostile, channels=[hostile, {"name": hostile}], made={hostile: {hostile: 1}}, report=hostile
        )
        write_bundle(folder / "h.smalti", bundle)
        said = done("info", "h.smalti", cwd=folder)
        assert "\x1b" not in said
        assert "\nall" not in said

    def test_a_file_with_the_barest_manifest_is_told_of(self, folder):
        bundle = read_bundle(folder / "m.smalti")
        bundle.manifest.clear()
        write_bundle(folder / "bare.smalti", bundle)
        assert "no method named" in done("info", "bare.smalti", cwd=folder)

    def test_a_newer_or_changed_model_is_one_line(self, folder):
        with zipfile.ZipFile(folder / "m.smalti") as old, zipfile.ZipFile(folder / "new.smalti", "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "manifest.json":
                    content = json.dumps(json.loads(content) | {"format": 2, "smalti": "9.9"}).encode()
                new.writestr(name, content)
        content = bytearray((folder / "m.smalti").read_bytes())
        content[len(content) // 3] ^= 255
        (folder / "changed.smalti").write_bytes(content)
        assert "newer smalti (format 2, written by 9.9)" in refused("info", "new.smalti", cwd=folder)
        for command in (("info", "changed.smalti"), ("predict", "plate/images", "--model", "changed.smalti")):
            assert "changed.smalti" in refused(*command, cwd=folder)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["fit", "plate", "-m", "otsu", "--out", "x.smalti"], f"methods that can be fitted: .*{NAME}"),
            (["fit", "plate", "-m", "forst", "--out", "x.smalti"], "no method called 'forst'"),
            (["fit", "plate", "-m", NAME, "--out", "x.zip"], "x.smalti"),
            (["fit", "nothing", "-m", NAME, "--out", "x.smalti"], "no file or folder"),
            (["fit", "plate", "-m", NAME, "--out", "plate/x.smalti"], "lies in the dataset"),
            (["fit", "plate", "-m", NAME, "--set", "powr=2", "--out", "x.smalti"], "nearest: power"),
            (["fit", "plate", "-m", NAME, "--split", "dev", "--out", "x.smalti"], "no split called 'dev'"),
            (["fit", "plate", "-m", NAME, "--format-set", "a=1", "--out", "x.smalti"], "a"),
            (["info", "nothing.smalti"], "no file"),
            (["info", "plate"], "folder"),
            (["info", "splits.json"], "no zip archive"),
            (["predict", "plate/images"], "--method NAME .* or --model FILE"),
            (["predict", "plate/images", "-m", "otsu", "--model", "m.smalti"], "give one of them"),
            (["predict", "plate/images", "--model", "m.smalti", "--set", "power=2"], "keeps its parameters"),
            (["predict", "plate/images", "--model", "m.smalti", "--box", "1,1,9,9"], "takes no prompts"),
            (["predict", "plate/images", "--model", "m.smalti", "--point", "1,1"], "leave --point out"),
            (["predict", "plate/images", "--model", "nothing.smalti"], "no file"),
            (["predict", "plate/images", "--model", "m.smalti", "--after", "gaussian"], "before the method"),
        ],
    )
    def test_bad_input_is_one_line(self, folder, arguments, message):
        assert re.search(message, refused(*arguments, cwd=folder))
        assert not (folder / "x.smalti").exists()


@pytest.fixture(scope="module")
def forest(scenes):
    small = ("--set", "trees=10", "--set", "pixels=4000")
    done("fit", "plate", "--splits", "splits.json", *small, "--out", "forest.smalti", cwd=scenes)
    return scenes


class TestOfTheForest:
    def test_it_is_what_is_fitted_where_nothing_is_said(self, forest):
        said = done("info", "forest.smalti", cwd=forest)
        assert said.startswith("forest.smalti: forest")
        assert "out-of-bag" in said

    def test_processes_find_what_one_process_finds(self, forest):
        for jobs, out in ((1, "alone"), (2, "together")):
            given = ("--model", "forest.smalti", "--after", "drop-small:min_area_px=9", "--formats", "labels")
            done("predict", "plate/images", *given, "--jobs", jobs, "--out", out, cwd=forest)
        names = sorted(path.name for path in (forest / "alone").iterdir())
        assert len(names) == 6
        for name in names:
            assert (forest / "together" / name).read_bytes() == (forest / "alone" / name).read_bytes()

    def test_other_channels_than_it_was_fitted_with_are_one_line(self, forest):
        from smalti import Image, write_image

        write_image(forest / "five.tif", Image(np.zeros((20, 20, 5), np.uint8)))
        found = smalti("predict", "five.tif", "--model", "forest.smalti", "--out", "five", cwd=forest)
        assert found.returncode == 1
        assert found.stderr.count("\n") == 1
        assert "channel" in found.stderr
        assert "unexpected" not in found.stderr
