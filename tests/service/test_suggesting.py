"""Which image and place to annotate next, of files and of datasets."""

from __future__ import annotations

import html.parser
import json
import shutil

import numpy as np
import pytest
import tifffile
from nearest_mean import NAME, nearest_mean  # noqa: F401  # a fixture
from two_tones import CLASSES, forest, model, tones, tones_truth  # noqa: F401  # fixtures

from smalti import Dataset, Image, Sample, read, write_image
from smalti.errors import InputError, ReadError
from smalti.service.actions import Reading
from smalti.service.datasets import Opening
from smalti.service.models import fit_model
from smalti.service.suggesting import suggest

# ruff: noqa: F811

BETWEEN, LESS = np.s_[16:48, 16:48], np.s_[30:40, 4:14]


@pytest.fixture
def folder(tmp_path):
    """One image of what the model knows, ``odd`` with a square of a tone it has never seen, ``b`` with less of it."""
    (tmp_path / "images").mkdir()
    for name, pixels in {
        "a": tones(3),
        "b": tones(4, between=LESS),
        "odd": tones(5, between=BETWEEN),
    }.items():
        write_image(tmp_path / "images" / f"{name}.png", Image.from_array(pixels))
    return tmp_path / "images"


def overlap(box, place):
    """The share of a box (ymin, xmin, ymax, xmax) that lies in ``place``."""
    mask = np.zeros((64, 64), bool)
    mask[place] = True
    return mask[box[0] : box[2], box[1] : box[3]].mean()


class TestOfFiles:
    def test_what_the_model_has_never_seen_comes_first(self, model, folder):
        for by in ("margin", "entropy"):
            told = suggest(model, [str(folder)], size_px=24, by=by)
            first = told.items[0]
            assert first.image == str(folder / "odd.png")
            assert overlap(first.box, BETWEEN) > 0.8
            assert {name for name, _ in first.between} == {"dark", "bright"}
            assert told.looked_at == 3
            assert told.failed == ()

    def test_the_same_image_twice_does_not_take_both_first_places(self, model, folder):
        shutil.copy(folder / "odd.png", folder / "odd-again.png")
        told = suggest(model, [str(folder)], most=4, size_px=24)
        assert "odd" in told.items[0].image
        assert told.items[1].image == str(folder / "b.png")
        odd = [each.box for each in told.items if "odd" in each.image]
        assert len(set(odd)) == len(odd)

    def test_no_more_than_asked_and_none_twice(self, model, folder):
        told = suggest(model, [str(folder / "odd.png")], most=3, size_px=16)
        assert len(told.items) == 3
        assert len({each.box for each in told.items}) == 3

    def test_an_image_that_cannot_be_used_does_not_stop_the_others(self, model, folder):
        (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:50])
        write_image(folder / "five.tif", Image(np.zeros((20, 20, 5), np.uint8)))
        told = suggest(model, [str(folder)], size_px=24)
        assert [name for name, _ in told.failed] == [str(folder / "broken.png"), str(folder / "five.tif")]
        assert "channels" in dict(told.failed)[str(folder / "five.tif")]
        assert told.items[0].image == str(folder / "odd.png")

    def test_progress_reaches_its_total(self, model, folder, tmp_path):
        steps = []
        suggest(
            model,
            [str(folder)],
            2,
            24,
            out=tmp_path / "out",
            progress=lambda done, total: steps.append((done, total)),
        )
        assert steps == [(done, 5) for done in (1, 2, 3, 4, 5)]

    def test_the_json_says_where(self, model, folder):
        told = json.loads(json.dumps(suggest(model, [str(folder)], 1, 24).to_json()))
        (first,) = told["suggestions"]
        assert first["rank"] == 1
        assert (first["height"], first["width"]) == (24, 24)
        assert 0 <= first["y"] <= 40
        assert first["uncertainty"] > 0.05
        assert sum(first["between"].values()) == pytest.approx(1)
        assert "crop" not in first

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"most": 0}, "at least one window"),
            ({"size_px": 0}, "at least one pixel"),
            ({"by": "variance"}, "nearest|there are: entropy, margin"),
            ({"named": ["-"]}, "standard input"),
            ({"opening": Opening(split="train")}, "one dataset"),
        ],
    )
    def test_what_cannot_be_done_is_refused(self, model, folder, change, message):
        with pytest.raises(InputError, match=message):
            suggest(model, **({"named": [str(folder / "a.png")]} | change))

    def test_files_that_are_no_models_are_refused(self, model, folder, tmp_path):
        with pytest.raises(ReadError, match="no file"):
            suggest(tmp_path / "none.smalti", [str(folder)])
        (tmp_path / "bad.smalti").write_bytes(model.read_bytes()[:-100])
        with pytest.raises(ReadError, match=r"bad\.smalti"):
            suggest(tmp_path / "bad.smalti", [str(folder)])

    @pytest.mark.usefixtures("nearest_mean")
    def test_a_model_without_probabilities_is_refused(self, folder, tmp_path):
        Dataset([Sample.of("a", Image.from_array(tones()), tones_truth())], CLASSES).write(tmp_path / "plate")
        fit_model(tmp_path / "plate", tmp_path / "mean.smalti", NAME)
        with pytest.raises(InputError, match="no probabilities"):
            suggest(tmp_path / "mean.smalti", [str(folder)])


class TestOfADataset:
    def write(self, place, *samples):
        Dataset(samples, CLASSES).write(place)
        return [str(place)]

    def test_labelled_places_are_not_suggested(self, model, tmp_path):
        void = np.ones((64, 64), bool)
        void[:, :44] = False  # the odd square is labelled for the most part
        odd = Image.from_array(tones(5, between=np.s_[16:48, 10:42]))
        free = suggest(model, self.write(tmp_path / "free", Sample.of("odd", odd)), 1, 20)
        part = suggest(
            model, self.write(tmp_path / "part", Sample.of("odd", odd, tones_truth(void=void))), 9, 20
        )
        assert overlap(free.items[0].box, np.s_[16:48, 10:42]) > 0.8
        assert all(
            each.box[3] - 44 >= 10 for each in part.items
        )  # at least half of each window is not labelled
        assert part.annotated == 0

    def test_images_without_annotation_and_those_with_one(self, model, tmp_path):
        odd = Image.from_array(tones(5, between=BETWEEN))
        named = self.write(
            tmp_path / "plate",
            Sample.of("done", odd, tones_truth()),
            Sample.of("open", odd, split="val"),
            Sample.of("train", Image.from_array(tones(6)), split="train"),
        )
        told = suggest(model, named, 5, 24)
        assert (told.looked_at, told.annotated) == (3, 1)
        assert told.items[0].image == "open"
        assert "done" not in {each.image for each in told.items}
        split = suggest(model, named, 5, 24, opening=Opening(split="train"))
        assert {each.image for each in split.items} <= {"train"}

    def test_where_all_is_annotated_there_is_nothing_to_suggest(self, model, tmp_path):
        named = self.write(tmp_path / "plate", Sample.of("a", Image.from_array(tones()), tones_truth()))
        told = suggest(model, named, out=tmp_path / "out")
        assert told.items == ()
        assert told.annotated == 1
        page = (tmp_path / "out" / "suggest.html").read_text()
        assert "nothing to suggest: give images that are not annotated yet" in page

    def test_options_of_reading_belong_to_files(self, model, tmp_path):
        named = self.write(tmp_path / "plate", Sample.of("a", Image.from_array(tones())))
        with pytest.raises(InputError, match="dataset"):
            suggest(model, named, reading=Reading(spacing="1um"))


class Links(html.parser.HTMLParser):
    """What a page asks for from elsewhere, and its pictures."""

    def __init__(self):
        super().__init__()
        self.sources = []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]


class TestThePage:
    def test_it_needs_nothing_else_and_names_what_it_shows(self, model, folder, tmp_path):
        told = suggest(model, [str(folder)], 2, 24, out=tmp_path / "out")
        page = (tmp_path / "out" / "suggest.html").read_text()
        links = Links()
        links.feed(page)
        assert len(links.sources) == 6  # window, uncertainty and the whole image, of two
        assert all(source.startswith("data:image/") for source in links.sources)
        assert "odd.png" in page
        assert "bright" in page
        assert told.page == tmp_path / "out" / "suggest.html"

    def test_crops_are_the_windows(self, model, folder, tmp_path):
        told = suggest(model, [str(folder)], 1, 24, out=tmp_path / "out")
        (first,) = told.items
        top, left, bottom, right = first.box
        assert first.crop == str(tmp_path / "out" / "01-odd.png")
        crop, whole = read(first.crop).pixels, read(folder / "odd.png").pixels
        assert np.array_equal(crop[..., 0], whole[top:bottom, left:right, 0])

    def test_names_of_strangers_are_text(self, model, folder, tmp_path):
        hostile = "<script>alert(1)<b>&"
        Dataset([Sample.of("x", Image.from_array(tones(5, between=BETWEEN)))], CLASSES).write(
            tmp_path / "plate"
        )
        shutil.copy(folder / "odd.png", folder / f"{hostile.replace('/', '')}.png")
        suggest(model, [str(folder / f"{hostile}.png")], 1, 24, out=tmp_path / "out")
        page = (tmp_path / "out" / "suggest.html").read_text()
        assert "<script" not in page
        assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["01-_script_alert_1__b__.png"]

    def test_a_volume_is_shown_by_its_slice(self, tmp_path, forest):
        from dataclasses import replace

        from smalti.pixel.forest import Forest

        pixels = np.stack([tones(seed, 32) for seed in range(6)])
        scribbles = np.zeros(pixels.shape, np.int32)
        scribbles[:, 4:28:3, 3:13:3], scribbles[:, 4:28:3, 19:29:3] = 1, 2
        small = Forest(trees=5, features=forest.settings.features)
        fitted = small.fit(Image.from_array(pixels, ndim=3), scribbles, classes=CLASSES)
        replace(fitted, report={}).save(tmp_path / "v.smalti")
        pixels[3:] = [tones(seed, 32, np.s_[6:26, 6:26]) for seed in (9, 10, 11)]
        tifffile.imwrite(tmp_path / "v.tif", pixels)
        told = suggest(tmp_path / "v.smalti", [str(tmp_path / "v.tif")], 1, 12, out=tmp_path / "out")
        place = told.items[0].to_json()
        assert place["z"] >= 3
        assert (place["height"], place["width"]) == (12, 12)
        assert read(place["crop"]).shape == (12, 12)
