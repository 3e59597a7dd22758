"""Images, geometry, classes, errors and optional imports: what they hold and what they refuse."""

import numpy as np
import pytest

from smalti.classes import OBJECT, Class, ClassSet, segment_colors
from smalti.errors import InputError, MissingExtra, UnknownName, unknown_name
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.optional import require


class TestImage:
    def test_pixels_are_kept_as_they_came(self):
        for dtype in (bool, np.uint8, np.uint16, np.int32, np.float32, np.float64):
            pixels = np.ones((2, 3, 1), dtype)
            assert Image(pixels).pixels is pixels

    @pytest.mark.parametrize(
        ("count", "names"),
        [
            (1, ("grey",)),
            (2, ("grey", "alpha")),
            (3, ("red", "green", "blue")),
            (5, ("channel_0", "channel_1", "channel_2", "channel_3", "channel_4")),
        ],
    )
    def test_channels_have_default_names(self, count, names):
        assert Image(np.zeros((2, 2, count))).channels == names

    def test_the_number_of_axes_is_said_not_guessed(self):
        stack = np.zeros((5, 6, 7))
        assert Image.from_array(stack).num_channels == 7
        assert Image.from_array(stack, ndim=3).shape == (5, 6, 7)
        with pytest.raises(InputError, match="ndim=3"):
            Image.from_array(np.zeros((2, 3, 4, 5)))

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: Image(np.zeros((2, 2))), "from_array"),
            (lambda: Image(np.zeros((2, 0, 3))), "at least one pixel"),
            (lambda: Image(np.zeros((2, 2, 1), complex)), "complex"),
            (lambda: Image(np.zeros((2, 2, 1), object)), "object"),
            (lambda: Image(np.zeros((2, 2, 2)), ("a", "a")), "different names"),
            (lambda: Image(np.zeros((2, 2, 2)), ("a",)), "different names"),
            (lambda: Image(np.zeros((2, 2, 1)), geometry=Geometry((1, 1, 1), "mm")), "spatial axes"),
            (lambda: Image(np.zeros((2, 2, 1))).with_pixels(np.zeros((3, 2, 1))), "cover"),
        ],
    )
    def test_bad_input_is_refused_in_words(self, make, words):
        with pytest.raises(InputError, match=words):
            make()

    def test_a_channel_is_found_by_name(self):
        image = Image(np.arange(12).reshape(2, 2, 3))
        assert image.channel("green").tolist() == [[1, 4], [7, 10]]
        with pytest.raises(UnknownName, match="nearest: green"):
            image.channel("gren")

    def test_other_pixels_in_the_same_place(self):
        image = Image(np.zeros((2, 2, 3)), geometry=Geometry.parse("1mm"), source="a.png")
        other = image.with_pixels(np.ones((2, 2, 1)))
        assert other.channels == ("grey",)
        assert other.geometry is image.geometry
        assert other.source == "a.png"


class TestGeometry:
    @pytest.mark.parametrize(
        ("text", "ndim", "spacing", "unit"),
        [
            ("0.5um", 2, (0.5, 0.5), "um"),
            ("0.5 µm", 2, (0.5, 0.5), "um"),
            ("2x0.5x0.5um", 3, (2, 0.5, 0.5), "um"),
            ("1e-3mm", 3, (1e-3,) * 3, "mm"),
            ("2,3m", 2, (2, 3), "m"),
        ],
    )
    def test_what_people_type(self, text, ndim, spacing, unit):
        parsed = Geometry.parse(text, ndim)
        assert parsed.spacing == spacing
        assert parsed.unit == unit
        assert parsed.known

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("0.5", "with a unit"),
            ("um", "with a unit"),
            ("0.5parsec", "not one of"),
            ("-1um", "positive"),
            ("0um", "positive"),
            ("1x2x3um", "3 numbers for 2 axes"),
            ("1e999um", "positive"),
            ("1-2um", "with a unit"),
        ],
    )
    def test_what_is_no_spacing(self, text, words):
        with pytest.raises(InputError, match=words):
            Geometry.parse(text)

    def test_half_a_spacing_is_refused(self):
        with pytest.raises(InputError, match="both or neither"):
            Geometry(unit="um")
        with pytest.raises(InputError, match="needs its unit"):
            Geometry((1, 1))
        with pytest.raises(InputError, match="square"):
            Geometry(affine=np.zeros((3, 4)))

    def test_it_prints_as_people_write(self):
        assert str(Geometry.parse("0.5um")) == "0.5 um"
        assert str(Geometry((2, 1), "mm")) == "2x1 mm"
        assert str(Geometry()) == "px"


class TestClasses:
    def test_json_gives_the_same_classes(self):
        classes = ClassSet([Class(3, "road", (1, 2, 3), thing=False), Class(1, "car", (4, 5, 6))])
        assert ClassSet.from_json(classes.to_json()) == classes
        assert classes.of(3).name == "road"
        assert classes.named("car").id == 1
        assert classes.ids.tolist() == [3, 1]

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: ClassSet.from_names(["a", "a"]), "names must be unique"),
            (lambda: ClassSet([Class(1, "a", (0, 0, 0)), Class(1, "b", (0, 0, 0))]), "ids must be unique"),
            (lambda: Class(0, "a", (0, 0, 0)), "whole numbers from 1"),
            (lambda: Class(1.5, "a", (0, 0, 0)), "whole numbers from 1"),
            (lambda: Class(1, "", (0, 0, 0)), "needs a name"),
            (lambda: Class(1, "a", (0, 0, 300)), "0..255"),
            (lambda: ClassSet.from_json("[{}]"), "not a class set"),
            (lambda: ClassSet.from_json("nonsense"), "not a class set"),
            (lambda: OBJECT.of(7), "no class with id 7"),
            (lambda: OBJECT.named("objct"), "nearest: object"),
        ],
    )
    def test_bad_input_is_refused_in_words(self, make, words):
        with pytest.raises(InputError, match=words):
            make()

    def test_the_first_colours_are_all_different(self):
        assert len(np.unique(segment_colors(35), axis=0)) == 35


def test_the_nearest_known_name_is_named():
    message = str(unknown_name("method", "ostu", ["otsu", "li"]))
    assert message == "no method called 'ostu'; nearest: otsu; there are: li, otsu"


def test_a_missing_extra_says_how_to_install_it():
    with pytest.raises(MissingExtra, match=r"pip install 'smalti\[micro\]'"):
        require("no_such_module_anywhere", "micro")
    assert require("json", "none").dumps([1]) == "[1]"
