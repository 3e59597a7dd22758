"""The check as a whole: files that lie, several processes, several annotators, and the page it writes."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenery import CELLS, cell_draft

from smalti.classes import ClassSet
from smalti.data.check import KINDS, CheckReport, Finding, check, write_report
from smalti.data.check.files import code_of
from smalti.data.check.thumbnails import thumbnails
from smalti.data.dataset import Dataset
from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io.formats.format import Problem
from smalti.io.labels import write_labels
from smalti.sample import Sample
from smalti.segmentation import Segmentation

ROOT = Path(__file__).resolve().parents[3]
THINGS = ClassSet.from_names(["cell"])


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path_factory.mktemp("cache")))


def cells(count, side=96):
    drafts = [cell_draft(np.random.default_rng([7, i]), f"s{i}", side) for i in range(count)]
    return Dataset([draft.sample() for draft in drafts], CELLS)


def damaged(folder):
    """Six samples on disk: one image cut short, one annotation gone, one of another size."""
    cells(6).write(folder)
    image = folder / "images" / "s0.png"
    image.write_bytes(image.read_bytes()[:500])
    (folder / "truth" / "s2.npz").write_bytes((folder / "truth" / "s1.npz").read_bytes()[:40])
    content = json.loads((folder / "smalti.json").read_text())
    content["samples"][5]["truths"] = ["truth/none.npz"]
    (folder / "smalti.json").write_text(json.dumps(content))
    return Dataset.open(folder, faulty="skip")


def test_files_that_lie_are_told_and_the_others_go_on(tmp_path):
    report = check(damaged(tmp_path / "set"))
    told = {finding.code: finding for finding in report.findings}
    assert {finding.samples for finding in report.of("unreadable")} == {("s0",), ("s2",)}
    assert "truth/none.npz" in told["faulty-record"].message
    assert report.failed and report.counts["error"] == 3
    assert report.samples == 5
    assert sum(row["images"] for row in report.classes if row["name"] == "cell") == 4
    assert json.loads(json.dumps(report.to_json()))["counts"]["error"] == 3


def test_the_source_stays_as_it_is(tmp_path):
    dataset = damaged(tmp_path / "set")
    before = {path: path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file()}
    report = check(dataset)
    write_report(report, tmp_path / "report", dataset.__getitem__)
    assert {path: path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file()} == before


def test_two_processes_find_what_one_finds(tmp_path):
    dataset = damaged(tmp_path / "set")
    one, two = check(dataset), check(dataset, jobs=2)
    assert one.findings == two.findings
    assert one.classes == two.classes


def test_samples_of_this_process_alone_are_not_sent_to_others():
    with pytest.raises(InputError, match="jobs=1"):
        check(cells(2), jobs=2)
    with pytest.raises(InputError, match="jobs must be 1 or more"):
        check(cells(1), jobs=0)


def test_progress_is_told():
    seen = []
    check(cells(3), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_nothing_to_check():
    report = check(Dataset([], THINGS))
    assert (report.findings, report.samples, report.failed) == ((), 0, False)


def test_sizes_that_differ_and_one_that_is_turned():
    truth = Segmentation.from_labels(np.ones((20, 30), int), classes=THINGS)
    image = Image(np.zeros((30, 20, 3), np.uint8))
    sample = Sample("a", lambda: image, lambda: (truth,))
    (finding,) = check(Dataset([sample], THINGS)).of("size-mismatch")
    assert "30 x 20" in finding.message and "turned by 90 degrees" in finding.message


def test_an_unexpected_fault_of_a_reader_is_one_finding():
    def explode():
        raise ZeroDivisionError("in a reader")

    sample = Sample("a", explode, explode)
    findings = check(Dataset([sample], THINGS)).of("unreadable")
    assert len(findings) == 2
    assert all("please report it" in finding.message for finding in findings)


def test_images_without_annotation_and_annotations_without_image():
    image = Image(np.zeros((8, 8, 3), np.uint8))
    truth = Segmentation.from_labels(np.ones((8, 8), int), classes=THINGS)
    samples = [Sample.of("a", image), Sample("b", None, lambda: (truth,))]
    report = check(Dataset(samples, THINGS))
    assert [finding.samples for finding in report.of("no-annotation")] == [("a",)]


def test_each_annotator_is_checked():
    draft = cell_draft(np.random.default_rng(0), "s", 96)
    holed = draft.truth.labels.copy()
    y, x = np.argwhere(holed == 1).mean(axis=0).astype(int)
    holed[y : y + 2, x : x + 2] = 0
    second = Segmentation.from_labels(holed, class_ids=draft.truth.class_ids, classes=CELLS)
    image = Image(draft.pixels)
    sample = Sample("s", lambda: image, lambda: (draft.truth, second))
    (finding,) = check(Dataset([sample], CELLS)).of("island")
    assert (finding.truth, finding.segments) == (2, (1,))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("class_ids [9] are not in the class set [1, 2]", "unknown-class"),
        ("a.png: the number 7 on 20 pixels is not in classes.txt; add it", "unknown-class"),
        ("a.json, annotation 3: there is no category 99; correct it, 99 is unknown", "unknown-class"),
        ("a.xml: it says 10 x 20 pixels, a.png has 20 x 20; is it another image?", "size-mismatch"),
        ("a.json: imageHeight x imageWidth is 5 x 6, the image 8 x 8; correct it", "size-mismatch"),
        ("a.png is a damaged PNG file: it is cut short after 300 bytes", "unreadable"),
    ],
)
def test_messages_of_readers_tell_the_kind_of_fault(message, code):
    assert code_of(message) == code


def test_a_number_of_no_class_in_a_mask(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("background\nleaf\n")
    for index in range(4):
        cv2.imwrite(
            str(tmp_path / "images" / f"{index}.png"), rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
        )
        mask = np.zeros((24, 24), np.uint8)
        mask[4:12, 4:12] = 7 if index == 2 else 1
        write_labels(tmp_path / "masks" / f"{index}.png", mask)
    report = check(Dataset.open(tmp_path, "label-maps", faulty="skip"))
    (finding,) = report.of("unknown-class")
    assert finding.samples == ("2",)


def test_a_file_of_annotations_that_is_cut_short_is_one_finding(tmp_path):
    samples = [replace(sample, split=f"part{i}") for i, sample in enumerate(cells(3).samples)]
    Dataset(samples, CELLS).write(tmp_path / "set", "coco")
    files = sorted((tmp_path / "set" / "annotations").glob("*.json"))
    files[1].write_bytes(files[1].read_bytes()[:300])
    with pytest.raises(ReadError, match="no JSON"):
        Dataset.open(tmp_path / "set")
    report = check(Dataset.open(tmp_path / "set", faulty="skip"))
    (finding,) = report.of("unreadable")
    assert files[1].name in finding.message and report.samples == 2
    for file in files:
        file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ReadError, match="no JSON"):
        Dataset.open(tmp_path / "set", faulty="skip")


# The page


class Page(HTMLParser):
    """What a page would fetch or run, and whether its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.open, self.ids = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        self.ids += [values["id"]] if "id" in values else []
        assert not any(name.startswith("on") for name, _ in attributes), attributes
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def hostile():
    """A set whose names of samples, groups and classes are pieces of HTML."""
    bad = '"><script>alert(1)</script>'
    classes = ClassSet.from_names([f"<b>{bad}", "never</table>"])
    image = Image(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    masks = np.zeros((2, 40, 40), bool)
    masks[:, 5:25, 5:25] = True
    truth = Segmentation.from_masks(masks, class_ids=[1, 1], classes=classes)
    samples = [Sample.of(f"{bad}{i}", image, truth, group=bad, split=f"<i>{i % 2}{bad}") for i in range(4)]
    problems = [Problem(f"{bad}.json", f"line {bad}", bad)]
    return Dataset(samples, classes, problems=problems)


def test_the_page_needs_nothing_else_and_runs_nothing(tmp_path):
    dataset = hostile()
    report = check(dataset)
    page, data = write_report(report, tmp_path, dataset.__getitem__)
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    assert found.open == []
    assert "script" not in found.tags and "link" not in found.tags
    assert all(address.startswith(("data:image/", "#")) for address in found.addresses)
    assert not re.search(r"url\(|@import|http", text)
    assert {address[1:] for address in found.addresses if address.startswith("#")} <= set(found.ids)
    assert json.loads(data.read_text())["codes"] == report.to_json()["codes"]


def test_the_page_shows_places_and_lists_the_rest(tmp_path):
    masks = np.zeros((2, 40, 40), bool)
    masks[:, 5:25, 5:25] = True
    truth = Segmentation.from_masks(masks, class_ids=[1, 1], classes=THINGS)
    rng = np.random.default_rng(0)
    dataset = Dataset(
        [
            Sample.of(f"s{i}", Image(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)), truth)
            for i in range(15)
        ],
        THINGS,
    )
    page, _ = write_report(check(dataset), tmp_path, dataset.__getitem__)
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure") == 12
    assert "3 more" in text
    assert 'class="meant" d="M' in text
    assert '<meta name="viewport"' in text and "prefers-color-scheme:dark" in text


def card_of(finding, tmp_path):
    """The page's text for one finding of a set of cells."""
    dataset = cells(2)
    report = CheckReport("x", "", 2, (finding,))
    page, _ = write_report(report, tmp_path, dataset.__getitem__)
    return page.read_text(encoding="utf-8")


def test_what_is_estimated_says_how_surely(tmp_path):
    for sure, shown in ((0.93, "93 % sure"), (0.9869, "99 % sure"), (0.9999, "99 % sure"), (1.0, "")):
        finding = Finding.of("shifted", "moved.", samples=("s0",), certainty=sure)
        text = card_of(finding, tmp_path)
        assert (shown or "% sure") in text if shown else "% sure" not in text


def test_what_a_fix_leaves_out_is_not_called_repaired(tmp_path):
    text = card_of(Finding.of("unreadable", "cut.", samples=("s0",), fixable=True), tmp_path)
    assert "left out by --fix" in text and "repaired by" not in text


def test_dark_pictures_are_stretched_and_others_left_as_they_are():
    rng = np.random.default_rng(0)
    for top, stretched in ((40, True), (250, False)):
        sample = Sample.of("a", Image(rng.integers(0, top, (60, 60, 3), dtype=np.uint8)))
        (made,) = thumbnails(Finding.of("no-annotation", "none.", samples=("a",)), {"a": sample}.__getitem__)
        png = np.frombuffer(base64.b64decode(made.uri.partition(",")[2]), np.uint8)
        shown = cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1]
        assert np.array_equal(shown, sample.image.pixels) != stretched
        assert shown.max() >= 245


def test_pictures_of_samples_that_are_gone_are_left_out(tmp_path):
    dataset = cells(3)
    report = check(dataset)

    def gone(name):
        raise ReadError(f"no {name}")

    page, _ = write_report(report, tmp_path, gone)
    assert "<figure" not in page.read_text()


def test_volumes_have_pictures_of_a_slice(tmp_path):
    labels = np.zeros((6, 40, 40), int)
    labels[1:5, 5:25, 5:25] = 1
    labels[3, 12:14, 12:14] = 0
    labels[3, 36, 36] = 1
    truth = Segmentation.from_labels(labels, classes=THINGS)
    image = Image(np.random.default_rng(0).integers(0, 255, (6, 40, 40, 1), dtype=np.uint8))
    dataset = Dataset([Sample.of("v", image, truth)], THINGS)
    page, _ = write_report(check(dataset), tmp_path, dataset.__getitem__)
    assert "v, slice 3" in page.read_text()


def test_every_kind_of_finding_is_in_the_docs():
    text = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    assert [code for code in KINDS if f"`{code}`" not in text] == []
