"""The page of an evaluation: complete, by itself, and safe whatever samples are called."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.dataset import Dataset
from smalti.data.scenes import scene_classes, scenes
from smalti.evaluation.evaluator import evaluate
from smalti.evaluation.plots import curve
from smalti.evaluation.report import render, write_report
from smalti.evaluation.summary import summarise
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation


class Balanced(HTMLParser):
    """Collects text, addresses and tags that are not closed."""

    empty = frozenset({"meta", "img", "br", "line", "circle", "polyline", "polygon", "path"})

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.text, self.addresses = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.empty:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.empty:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    found = Balanced()
    found.feed(page)
    return found


def truth_and_predictions(kind, task, n=6):
    made = scenes(kind, n, task=task, size_hw=(64, 96))
    dataset = Dataset(made, scene_classes(kind, task))
    found = {sample.name: sample.truth[: max(1, len(sample.truth) - 2)] for sample in dataset}
    return dataset, found


@pytest.mark.parametrize(
    ("kind", "task"), [("cells", "instance"), ("street", "panoptic"), ("street", "semantic")]
)
def test_the_page_is_whole_and_needs_nothing_else(kind, task):
    dataset, found = truth_and_predictions(kind, task)
    page = parsed(render(summarise(evaluate(dataset, found), count=200)))
    assert not page.wrong
    assert page.open == []
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert sum(address.startswith("data:") for address in page.addresses) == 3 * 6
    text = " ".join(page.text)
    assert "The worst images" in text
    assert ("What goes wrong" in text) == (task != "semantic")


def test_both_files_agree(tmp_path):
    dataset, found = truth_and_predictions("cells", "instance")
    summary = summarise(evaluate(dataset, found), count=200)
    page, data = write_report(summary, tmp_path / "report")
    content = json.loads(data.read_text())
    assert f"{content['headline']['value']:.3f}" in page.read_text()
    assert content["level"] == 0.95
    assert {row["metric"] for row in content["scores"]} == {
        metric.name for metric in summary.evaluation.metrics
    }


def test_names_cannot_break_the_page():
    classes = ClassSet([Class(1, "<script>alert(1)</script>", (1, 2, 3)), Class(2, "a & b", (1, 2, 3))])
    truth = Segmentation.from_labels(
        np.repeat([[1, 2]], 6, axis=0).repeat(3, axis=1), class_ids=[1, 2], classes=classes
    )
    image = Image(np.zeros((6, 6, 1), np.uint8))
    dataset = Dataset(
        [Sample.of(f"<b>{k}</b>", image, truth, metadata={"<i>": "<u>"}) for k in range(8)], classes
    )
    page = render(summarise(evaluate(dataset, dataset), count=200))
    assert "<script" not in page
    assert "<b>0</b>" not in page
    assert "&lt;script&gt;" in page


def test_volumes_show_their_worst_slice():
    labels = np.zeros((4, 16, 16), int)
    labels[1:3, 4:12, 4:12] = 1
    classes = ClassSet.from_names(["organ"])
    truth = Segmentation.from_labels(labels, class_ids=[1], classes=classes)
    moved = Segmentation.from_labels(np.roll(labels, 3, axis=2), class_ids=[1], classes=classes)
    dataset = Dataset([Sample("a", None, lambda: (truth,)), Sample("b", None, lambda: (truth,))], classes)
    page = parsed(render(summarise(evaluate(dataset, {"a": moved, "b": truth}, "semantic"), count=200)))
    assert sum(address.startswith("data:") for address in page.addresses) == 6


def test_a_curve_of_one_point_is_none():
    assert curve([(0.5, 0.5, 0.4, 0.6)], "x", "y") == ""
    assert "polyline" in curve([(0.1, 0.5, 0.4, 0.6), (0.9, 0.7, np.nan, np.nan)], "x", "y", diagonal=True)
