"""Licences by name, the review of a dataset, and hashes of image files."""

import hashlib

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.dataset import Dataset
from smalti.data.licence_terms import recognise_licence
from smalti.data.licences import commercial, credits_of, review_licences, verify_hashes, with_hashes
from smalti.data.splits import split
from smalti.errors import ReadError
from smalti.image import Image
from smalti.provenance import Provenance
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet.from_names(["x"])


@pytest.mark.parametrize(
    ("text", "name", "answer", "obligations"),
    [
        # SPDX
        ("CC-BY-4.0", "CC-BY-4.0", "yes", ("attribution",)),
        ("cc-by-sa-3.0-igo", "CC-BY-SA-3.0", "yes", ("attribution", "share-alike")),
        ("CC-BY-NC-SA-2.0", "CC-BY-NC-SA-2.0", "no", ("attribution", "share-alike")),
        ("CC-BY-NC-ND-4.0", "CC-BY-NC-ND-4.0", "no", ("attribution", "no derivatives")),
        ("CC0-1.0", "CC0-1.0", "yes", ()),
        ("MIT", "MIT", "yes", ("attribution",)),
        ("MIT-0", "MIT-0", "yes", ()),
        ("Apache-2.0", "Apache-2.0", "yes", ("attribution",)),
        ("BSD-3-Clause", "BSD-3-Clause", "yes", ("attribution",)),
        ("ODbL-1.0", "ODbL-1.0", "yes", ("attribution", "share-alike")),
        ("CDLA-Permissive-2.0", "CDLA-Permissive-2.0", "yes", ("attribution",)),
        ("GPL-3.0-or-later", "GPL-3.0", "ask", ("attribution", "share-alike")),
        ("MIT OR CC-BY-NC-4.0", "MIT", "yes", ("attribution",)),
        ("CC-BY-4.0 AND CC-BY-NC-4.0", "CC-BY-4.0 AND CC-BY-NC-4.0", "no", ("attribution",)),
        (
            "(MIT OR Apache-2.0) AND CC-BY-NC-4.0",
            "CC-BY-NC-4.0 AND Apache-2.0 AND MIT",
            "no",
            ("attribution",),
        ),
        # as people write them
        ("CC BY-NC-SA 2.0", "CC-BY-NC-SA-2.0", "no", ("attribution", "share-alike")),
        ("cc by4.0", "CC-BY-4.0", "yes", ("attribution",)),
        ("CC0", "CC0-1.0", "yes", ()),
        ("by-nc-sa 2.0", "CC-BY-NC-SA-2.0", "no", ("attribution", "share-alike")),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0", "yes", ("attribution",)),
        (
            "Creative Commons Attribution-ShareAlike 3.0 Unported",
            "CC-BY-SA-3.0",
            "yes",
            ("attribution", "share-alike"),
        ),
        ("Public Domain", "public domain", "yes", ()),
        ("Apache License, Version 2.0", "Apache-2.0", "yes", ("attribution",)),
        ("the MIT licence", "MIT", "yes", ("attribution",)),
        ("All rights reserved", "all rights reserved", "no", ()),
        # Flickr's, as in the table of licences of COCO
        ("Attribution License", "CC-BY", "yes", ("attribution",)),
        ("Attribution-ShareAlike License", "CC-BY-SA", "yes", ("attribution", "share-alike")),
        ("Attribution-NoDerivs License", "CC-BY-ND", "ask", ("attribution", "no derivatives")),
        ("Attribution-NonCommercial License", "CC-BY-NC", "no", ("attribution",)),
        ("Attribution-NonCommercial-ShareAlike License", "CC-BY-NC-SA", "no", ("attribution", "share-alike")),
        (
            "Attribution-NonCommercial-NoDerivs License",
            "CC-BY-NC-ND",
            "no",
            ("attribution", "no derivatives"),
        ),
        ("No known copyright restrictions", "no known copyright restrictions", "ask", ()),
        ("United States Government Work", "US government work", "yes", ()),
        # addresses
        (
            "http://creativecommons.org/licenses/by-nc-sa/2.0/",
            "CC-BY-NC-SA-2.0",
            "no",
            ("attribution", "share-alike"),
        ),
        (
            "https://creativecommons.org/licenses/by/4.0/deed.en?ref=chooser",
            "CC-BY-4.0",
            "yes",
            ("attribution",),
        ),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0", "yes", ()),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0", "yes", ()),
        ("http://flickr.com/commons/usage/", "no known copyright restrictions", "ask", ()),
        ("http://www.usa.gov/copyright.shtml", "US government work", "yes", ()),
        ("https://opensource.org/licenses/MIT", "MIT", "yes", ("attribution",)),
        ("https://www.apache.org/licenses/LICENSE-2.0", "Apache-2.0", "yes", ("attribution",)),
        # phrases
        ("research only", "non-commercial", "no", ()),
        ("non-commercial research and educational purposes", "non-commercial", "no", ()),
        ("free for academic use only", "non-commercial", "no", ()),
        ("may only be used for research purposes", "non-commercial", "no", ()),
        ("not for commercial use", "non-commercial", "no", ()),
        ("research or education only", "non-commercial", "no", ()),
    ],
)
def test_licences_by_their_names(text, name, answer, obligations):
    found = recognise_licence(text)
    assert (found.name, found.commercial, found.obligations) == (name, answer, obligations)
    assert found.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "house rules",
        "permitted without limitation",  # no MIT in it
        "BSDS500 terms",
        "commercial use allowed",
        "creative commons",
        "attribution required",
        "CC BY 4.0?",
        "not in the public domain",
        "CC BY 4.0 for the annotations, images as on Flickr",
        "MIT or something else",
    ],
)
def test_what_is_not_understood_is_never_a_yes(text):
    found = recognise_licence(text)
    assert found.commercial == "ask"
    assert found.reason


def sample(name, licence="", author="", source="", path=None, **fields):
    return Sample(name, image_path=path, provenance=Provenance(source, licence, author), **fields)


@pytest.fixture
def dataset():
    return Dataset(
        [
            sample("a", "CC-BY-4.0", "Ann", "web"),
            sample("b", "CC-BY-4.0", "", "web"),
            sample("c", "CC-BY-4.0", "Ann", "web"),
            sample("d", "CC BY-SA 2.0", "Bob"),
            sample("e", "research only", "Bob"),
            sample("f"),
        ],
        CLASSES,
    )


def test_the_review_counts_images(dataset):
    review = review_licences(dataset)
    assert review.images == {"yes": 4, "ask": 1, "no": 1}
    assert review.table["licence"].tolist()[0] == "CC-BY-4.0"
    assert review.table["images"].tolist() == [3, 1, 1, 1]
    assert review.table["no_author"].tolist()[0] == 1
    assert (review.without_licence, review.without_author, review.without_source) == (1, 2, 3)
    assert review.unnamed == 1


def test_the_review_in_words(dataset):
    text = str(review_licences(dataset))
    assert "4 may, 1 are to be asked about, 1 may not" in text
    assert "1 without licence, 2 without author, 3 without source" in text
    assert "1 images ask for an author to be named who is not known" in text
    assert "not legal advice" in text
    assert "(none)" in text
    assert "go into a commercial model: none" in str(review_licences(dataset[:0]))


def test_what_may_be_used_commercially(dataset):
    assert commercial(dataset).names == ["a", "b", "c", "d"]
    assert commercial(dataset, share_alike=False).names == ["a", "b", "c"]


def test_whom_to_name(dataset):
    table = credits_of(dataset)
    assert list(table.rows()) == [
        {"author": "", "source": "web", "licence": "CC-BY-4.0", "images": 1},
        {"author": "Ann", "source": "web", "licence": "CC-BY-4.0", "images": 2},
        {"author": "Bob", "source": "", "licence": "CC BY-SA 2.0", "images": 1},
    ]


@pytest.fixture
def files(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(name.encode() * 1000)
    series = tmp_path / "series"
    series.mkdir()
    (series / "2.dcm").write_bytes(b"two")
    (series / "1.dcm").write_bytes(b"one")
    samples = [sample(name, "MIT", path=tmp_path / f"{name}.png") for name in "ab"]
    return Dataset([*samples, sample("series", path=series), sample("no file")], CLASSES)


def test_hashes_are_filled_in(files, tmp_path):
    done = with_hashes(files)
    assert done["a"].provenance.sha256 == hashlib.sha256(b"a" * 1000).hexdigest()
    assert done["a"].provenance.licence == "MIT"
    lines = "".join(
        f"{hashlib.sha256(text).hexdigest()}  {name}\n"
        for name, text in (("1.dcm", b"one"), ("2.dcm", b"two"))
    )
    assert done["series"].provenance.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert done["no file"].provenance.sha256 == ""
    assert files["a"].provenance.sha256 == ""
    assert verify_hashes(done) == []


def test_files_that_were_changed_are_listed(files, tmp_path):
    done = with_hashes(files)
    (tmp_path / "a.png").write_bytes(b"changed")
    (tmp_path / "b.png").unlink()
    (tmp_path / "series" / "3.dcm").write_bytes(b"three")
    problems = verify_hashes(done)
    assert [problem.image for problem in problems] == ["a", "b", "series"]
    assert "the file was changed" in problems[0].message
    assert "cannot be read" in problems[1].message
    with pytest.raises(ReadError, match=r"b.png cannot be read"):
        with_hashes(files)
    assert with_hashes(done)["a"].provenance.sha256 == done["a"].provenance.sha256  # what is recorded stays


def test_origins_go_along_through_splits_and_files(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    origin = Provenance("lab 3", "CC-BY-4.0", "Ann", "2026-01-02", "0" * 64)
    truth = Segmentation.from_labels(np.ones((4, 5), int), classes=CLASSES)
    image = Image(np.zeros((4, 5, 3), np.uint8))
    dataset = Dataset([Sample.of(name, image, truth, provenance=origin) for name in "abcd"], CLASSES)
    split(dataset, {"train": 0.5, "test": 0.5}).write(tmp_path / "out")
    back = Dataset.open(tmp_path / "out")
    assert {each.provenance for each in back} == {origin}
    assert sorted(back.splits) == ["test", "train"]


@pytest.mark.realdata
def test_the_licences_of_coco(data_dir):
    """Each image of COCO has the licence its author chose on Flickr."""
    dataset = Dataset.open(data_dir / "coco_panoptic_subset", faulty="skip")
    review = review_licences(dataset)
    assert sum(review.images.values()) == len(dataset) == 110
    assert review.images == {"yes": 31, "ask": 6, "no": 73}
    assert "" not in review.table["known_as"]
    assert len(commercial(dataset)) == 31
