"""What a model looks at and where it finds each class."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nearest_mean import NAME, nearest_mean  # noqa: F401  # a fixture
from two_tones import CLASSES, forest, model, tones, tones_truth  # noqa: F401  # fixtures

from smalti import Dataset, Image, Sample, write_image
from smalti.errors import InputError, ReadError
from smalti.page.scale import UNSAID, colored, palette
from smalti.pixel.explain import family_table, feature_table
from smalti.service.explaining import explain
from smalti.service.models import fit_model
from smalti.table import Table

# ruff: noqa: F811


class TestImportances:
    def test_features_have_a_family_and_sum_to_one(self, forest):
        table = feature_table(forest)
        assert len(table) == len(forest.importances)
        assert table["importance"].sum() == pytest.approx(1)
        assert set(table["family"].tolist()) == {"gaussian", "std", "context"}
        order = table["importance"].tolist()
        assert order == sorted(order, reverse=True)

    def test_what_the_first_trees_said_is_named_by_its_class(self, forest):
        table = feature_table(forest)
        context = table["feature"][table["family"] == "context"].tolist()
        assert sorted(context) == ["nearby bright at 2 px", "nearby dark at 2 px"]
        assert not any("target" in name for name in table["feature"].tolist())

    def test_families_are_summed(self):
        table = Table(
            {
                "feature": np.array(["a", "b", "c"]),
                "family": np.array(["x", "y", "x"]),
                "importance": np.array([0.5, 0.2, 0.3]),
            }
        )
        assert list(family_table(table).rows()) == [
            {"family": "x", "features": 2, "importance": 0.8},
            {"family": "y", "features": 1, "importance": 0.2},
        ]


class TestExplaining:
    def test_without_images_it_says_what_is_known(self, model):
        told = explain(model)
        content = json.loads(json.dumps(told.to_json()))
        assert (content["method"], content["task"]) == ("forest", "semantic")
        assert content["classes"] == ["dark", "bright"]
        assert content["report"]["images"] == 1
        assert sum(each["importance"] for each in content["families"]) == pytest.approx(1)
        assert content["images"] == []
        assert "page" not in content

    def test_the_page_has_a_picture_of_each_class(self, model, tmp_path):
        write_image(tmp_path / "a.png", Image.from_array(tones(3)))
        told = explain(model, [str(tmp_path / "a.png")], tmp_path / "out")
        page = (tmp_path / "out" / "explain.html").read_text()
        assert told.images == (str(tmp_path / "a.png"),)
        assert page.count("<img") == 5  # image, segments, uncertainty, dark, bright
        assert page.count('src="data:image/') == 5
        assert "<script" not in page
        for text in ("nearby", "gaussian", "out-of-bag", "dark, 5", "bright, 5"):
            assert text in page

    def test_a_class_that_is_nowhere_has_only_its_name(self, model, tmp_path):
        dark = np.random.default_rng(0).normal(60, 12, (64, 64)).clip(0, 255).astype(np.uint8)
        write_image(tmp_path / "a.png", Image.from_array(dark))
        explain(model, [str(tmp_path / "a.png")], tmp_path / "out")
        page = (tmp_path / "out" / "explain.html").read_text()
        assert page.count("<img") == 4
        assert "Hardly anywhere: bright." in page

    def test_without_images_the_page_has_the_importances(self, model, tmp_path):
        explain(model, out=tmp_path / "out")
        page = (tmp_path / "out" / "explain.html").read_text()
        assert "By family" in page
        assert "<img" not in page

    def test_an_image_that_cannot_be_used_is_told(self, model, tmp_path):
        write_image(tmp_path / "a.png", Image.from_array(tones(3)))
        write_image(tmp_path / "b.tif", Image(np.zeros((20, 20, 5), np.uint8)))
        told = explain(model, [str(tmp_path)], tmp_path / "out")
        assert told.images == (str(tmp_path / "a.png"),)
        assert [name for name, _ in told.failed] == [str(tmp_path / "b.tif")]
        assert "b.tif could not be used" in (tmp_path / "out" / "explain.html").read_text()

    def test_text_of_a_stranger_is_text(self, forest, tmp_path):
        from dataclasses import replace

        hostile = "<script>alert(1)</script>"
        replace(forest, report={hostile: hostile, "oob_iou": {hostile: 0.5}}).save(tmp_path / "h.smalti")
        explain(tmp_path / "h.smalti", out=tmp_path / "out")
        assert "<script" not in (tmp_path / "out" / "explain.html").read_text()

    def test_images_need_a_folder(self, model):
        with pytest.raises(InputError, match="--out"):
            explain(model, ["a.png"])
        with pytest.raises(ReadError, match="no file"):
            explain(model.with_name("none.smalti"))

    @pytest.mark.usefixtures("nearest_mean")
    def test_a_model_that_tells_nothing_is_refused(self, tmp_path):
        Dataset([Sample.of("a", Image.from_array(tones()), tones_truth())], CLASSES).write(tmp_path / "plate")
        fit_model(tmp_path / "plate", tmp_path / "mean.smalti", NAME)
        with pytest.raises(InputError, match="smalti info"):
            explain(tmp_path / "mean.smalti")


class TestTheScale:
    def test_it_gets_lighter_all_the_way(self):
        light = palette().astype(float) @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(light) > -0.5).all()
        assert light[-1] - light[0] > 150

    def test_values_become_colours_and_what_is_left_out_grey(self):
        left_out = np.array([[False, False, True]])
        shown = colored(np.array([[0.0, 1.0, 0.5]]), 100, left_out)
        assert shown[0].tolist() == [palette()[0].tolist(), palette()[255].tolist(), list(UNSAID)]

    def test_large_maps_are_averaged_before_they_are_coloured(self):
        values = np.indices((64, 64)).sum(0) % 2
        assert np.abs(colored(values, 16).astype(int) - palette()[128]).max() <= 4
