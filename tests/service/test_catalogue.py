"""Every method and step is described, and has its line in the docs."""

from pathlib import Path

import pytest

from smalti.errors import UnknownName
from smalti.segmenter import SEGMENTERS, STEPS
from smalti.service.catalogue import FAMILIES, list_methods, show_method

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_every_method_has_its_family_and_its_line_in_the_docs():
    page = PAGE.read_text()
    for entry in list_methods():
        assert entry["family"] in FAMILIES.values()
        assert entry["summary"].endswith(".")
        assert f"| `{entry['name']}` |" in page, f"docs/methods.md lacks {entry['name']}"


@pytest.mark.parametrize("name", [*SEGMENTERS, *STEPS])
def test_every_example_and_parameter_is_shown(name):
    entry = show_method(name)
    assert entry["source"]
    assert name in entry["example"]
    for parameter in entry["parameters"]:
        assert parameter["description"]
        assert parameter["allowed"]


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(UnknownName, match="nearest: otsu"):
        show_method("ostu")
