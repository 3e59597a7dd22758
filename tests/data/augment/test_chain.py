"""Chains: order, probabilities, random numbers that are the sample's own, and what can be written down."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from smalti.data.augment import AUGMENTATIONS, PRESETS, Chain, make_augmentation, preset, sample_rng
from smalti.errors import InputError, UnknownName
from smalti.image import Image
from smalti.segmentation import Segmentation
from smalti.segmenter import load_class


@pytest.fixture
def photo(sample_path):
    from smalti.io import read

    image = read(sample_path("astronaut.png"))
    labels = np.zeros(image.shape, np.int32)
    labels[50:200, 150:300], labels[230:480, 120:330] = 1, 2
    return image, Segmentation.from_labels(labels)


def test_samples_come_out_the_same_in_any_order_and_worker():
    pixels = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    labels = pixels[..., 0] // 100
    chain = preset("microscopy")

    def made(number):
        found = chain.apply_arrays(pixels, labels, sample_rng(5, number, 2))
        return found.pixels.tobytes() + found.labels.tobytes()

    forwards = [made(number) for number in range(12)]
    backwards = [made(number) for number in reversed(range(12))][::-1]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(made, range(12)))
    assert forwards == backwards == together
    assert len(set(forwards)) == 12
    assert pickle.loads(pickle.dumps(chain)) == chain


def test_neighbouring_samples_and_epochs_share_no_random_numbers():
    draws = [
        sample_rng(*numbers).random(50)
        for numbers in [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0), (0, 1, 1), (1, 1, 0)]
    ]
    assert len(np.unique(np.concatenate(draws))) == 300
    with pytest.raises(InputError, match="index and epoch must be"):
        sample_rng(0, -1)


def test_each_step_has_its_probability():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    chain = Chain.make({"steps": ["flip:probability=0.25", "brightness:shift=[1,1];probability=0.5"]})
    found = [chain.apply_arrays(pixels, None, sample_rng(0, k)).pixels for k in range(400)]
    bright = np.array([(each == 255).all() for each in found])
    assert 0.43 < bright.mean() < 0.57
    turned = [each[0, 0, 0] == 3 for each, white in zip(found, bright, strict=True) if not white]
    assert 0.18 < np.mean(turned) < 0.33


def test_one_of_several_is_drawn_as_likely():
    pixels = np.full((3, 3, 1), 100, np.uint8)
    step = make_augmentation(
        "one-of", steps=["brightness:shift=[0.2,0.2]", "brightness:shift=[-0.2,-0.2]", {"name": "chain"}]
    )
    values = [int(step.apply_arrays(pixels, None, sample_rng(0, k)).pixels[0, 0, 0]) for k in range(300)]
    assert sorted(set(values)) == [49, 100, 151]
    assert min(np.unique(values, return_counts=True)[1]) > 75


def test_chains_of_chains_are_one_chain():
    inner = Chain.make({"steps": ["rotate:degrees=[33,33]", "brightness:shift=[0.1,0.1]"]})
    outer = Chain.make({"steps": [inner, "rotate:degrees=[-33,-33]"]})
    pixels = np.random.default_rng(0).integers(0, 200, (30, 30, 1)).astype(np.uint8)
    found = outer.apply_arrays(pixels, None, sample_rng(0, 0)).pixels
    assert np.array_equal(found, np.rint(pixels + 25.5).astype(np.uint8))  # turned there and back in one move


def test_a_chain_is_written_down_as_it_is_read():
    chain = Chain.make(
        {
            "steps": ["rotate:degrees=[-5,5];probability=0.3", {"name": "one-of", "steps": ["blur", "jpeg"]}],
            "border": "mirror",
        }
    )
    text = json.dumps(chain.describe())
    assert make_augmentation(**json.loads(text)) == chain
    assert chain.steps[0].degrees == (-5, 5)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (["rotat"], "nearest: rotate"),
        (["rotate:degree=[1,2]"], "nearest: degrees"),
        (["rotate:degrees=[5,2]"], "the first not above the second"),
        ([{"degrees": [1, 2]}], "described by its name"),
        ([7], "steps"),
    ],
)
def test_steps_that_cannot_be_are_refused_in_words(steps, told):
    with pytest.raises((InputError, UnknownName), match=told):
        Chain.make({"steps": steps})


def test_image_and_truth_of_different_sizes_are_refused():
    truth = Segmentation.from_labels(np.zeros((5, 5), int))
    with pytest.raises(InputError, match="one shape"):
        make_augmentation("flip").apply(Image(np.zeros((4, 5, 1), np.uint8)), truth, sample_rng(0, 0))
    for arrays, told in (
        ((np.zeros((4, 5), np.uint8), None), "H, W, C"),
        ((np.zeros((4, 5, 1), np.uint8), np.zeros((5, 4), int)), "labels must be"),
        ((np.zeros((4, 5, 1), np.uint8), np.zeros((4, 5), float)), "labels must be"),
    ):
        with pytest.raises(InputError, match=told):
            make_augmentation("flip").apply_arrays(*arrays, sample_rng(0, 0))
    with pytest.raises(InputError, match="number the 1 segments"):
        make_augmentation("flip").apply_arrays(
            np.zeros((4, 5, 1)), np.full((4, 5), 2), sample_rng(0, 0), class_ids=[1]
        )
    with pytest.raises(InputError, match="spacing"):
        make_augmentation("flip").apply_arrays(np.zeros((4, 5, 1)), None, sample_rng(0, 0), spacing=(1, 0))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_work_on_what_they_are_for(name, photo):
    chain = preset(name)
    image, truth = photo
    if name in ("microscopy", "medical"):
        image = Image(image.pixels[..., :1].astype(np.uint16) * 16)
    for index in range(4):
        out, found = chain.apply(image, truth, sample_rng(0, index))
        assert out.shape == found.shape
        assert out.pixels.dtype == image.pixels.dtype
    if name == "medical":
        volume = Image(np.random.default_rng(0).integers(0, 900, (8, 24, 24, 1)).astype(np.int16))
        assert chain.apply(volume, None, sample_rng(0, 1))[0].shape == (8, 24, 24)
    with pytest.raises(UnknownName, match="nearest: photo"):
        preset("foto")


def test_every_entry_of_the_table_names_its_class():
    for name in AUGMENTATIONS:
        assert load_class("augmentation", name, AUGMENTATIONS).name == name


def test_a_draft_is_all_a_new_augmentation_needs():
    from typing import ClassVar

    from smalti.data.augment import Augmentation

    class Invert(Augmentation):
        """Bright made dark."""

        name: ClassVar[str] = "invert"
        kind: ClassVar[str] = "tone"
        source: ClassVar[str] = "a test"

        def change(self, draft, rng):
            draft.tone(lambda values, low, high: low + high - values)

    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    chain = Chain.make({"steps": [Invert(), "flip:probability=1", Invert()]})
    assert np.array_equal(chain.apply_arrays(pixels, None, sample_rng(0, 0)).pixels, pixels[:, ::-1])
    assert np.array_equal(Invert().apply_arrays(pixels, None, sample_rng(0, 0)).pixels, 255 - pixels)


def test_the_page_lists_every_augmentation_and_preset():
    page = (Path(__file__).parents[3] / "docs" / "augment.md").read_text()
    for name in AUGMENTATIONS:
        step = make_augmentation(name)
        summary = " ".join((type(step).__doc__ or "").split("\n\n")[0].replace("``", "`").split())
        takes = ", ".join(f"{ndim}-D" for ndim in step.ndims)
        assert f"| `{name}` | {summary} | {takes} | {step.source} |" in page
    assert all(name in page for name in PRESETS)
