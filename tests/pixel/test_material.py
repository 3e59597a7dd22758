"""What is learned from: whole images and tiles of large ones, units that are left out together, and what is refused."""

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.pixel import material as material_module
from smalti.pixel.material import Material
from smalti.pixel.settings import ForestSettings
from smalti.sample import Sample
from smalti.segmentation import Segmentation

KINDS = ClassSet.from_names(("one", "two"))


def a_sample(name, shape=(40, 50), channels=1, seed=0, truth=None, void=None, **fields):
    pixels = np.random.default_rng(seed).integers(0, 255, (*shape, channels)).astype(np.uint8)
    if truth is None:
        truth = np.zeros(shape, np.int32)
        truth[..., : shape[-1] // 3], truth[..., 2 * shape[-1] // 3 :] = 1, 2
    marked = Segmentation.from_semantic_map(truth, KINDS)
    return Sample.of(name, Image(pixels), marked if void is None else marked.replace(void=void), **fields)


def material(*samples, classes=None, **settings):
    return Material(ForestSettings(**settings), samples, classes)


def test_small_images_are_parts_as_they_are():
    samples = [a_sample("a"), a_sample("b", (30, 20), seed=1)]
    found = material(*samples)
    assert (found.ndim, found.channels, found.task, found.sparse) == (2, ("grey",), "semantic", False)
    assert found.targets.names == ("background", "one", "two")
    assert [index for index, _ in found.parts] == [0, 1]
    part = found.load(1, lambda geometry: (9, 9))
    assert np.array_equal(part.image.pixels, samples[1].image.pixels)
    assert part.window.origin == (0, 0) and part.window.whole == (30, 20)
    assert np.array_equal(part.targets, samples[1].truth.semantic_map())


def test_large_images_are_learned_from_by_tiles_with_their_halo(monkeypatch):
    monkeypatch.setitem(material_module.TILE_PX, 2, 16)
    sample = a_sample("a", (40, 50))
    found = material(sample)
    whole = found.targets.map(sample.truth)
    assert len(found.parts) == 12  # as many as there are
    seen = np.zeros((40, 50), int)
    for number, (_, tile) in enumerate(found.parts):
        part = found.load(number, lambda geometry: (3, 5))
        origin = part.window.origin
        place = tuple(slice(at, at + length) for at, length in zip(origin, part.image.shape, strict=True))
        assert np.array_equal(part.image.pixels, sample.image.pixels[place])
        assert np.array_equal(part.truth.semantic_map(), sample.truth.semantic_map()[place])
        inside = np.zeros((40, 50), bool)
        inside[tile.inner] = True
        assert np.array_equal(part.targets, np.where(inside, whole, -1)[place])
        assert part.image.shape == tuple(
            min(length, axis.stop + away) - max(0, axis.start - away)
            for axis, length, away in zip(tile.inner, (40, 50), (3, 5), strict=True)
        )
        seen[place] += part.targets >= 0
    assert (seen == 1).all()


def test_of_an_image_larger_still_some_tiles(monkeypatch):
    monkeypatch.setitem(material_module.TILE_PX, 2, 8)
    sample = a_sample("a", (64, 64))
    found, again, other = (material(sample, seed=seed) for seed in (0, 0, 1))
    assert len(found.parts) == material_module.TILES_OF_ONE
    assert found.parts == again.parts
    assert found.parts != other.parts


def test_tiles_without_a_label_are_left_out(monkeypatch):
    monkeypatch.setitem(material_module.TILE_PX, 2, 16)
    void = np.ones((40, 50), bool)
    void[20:30, 34:40] = False
    found = material(a_sample("a", void=void), a_sample("b", void=np.ones((40, 50), bool)))
    assert [(index, tile.inner) for index, tile in found.parts] == [(0, (slice(16, 32), slice(32, 48)))]
    assert found.sparse


def test_pixels_of_few_images_are_left_out_by_their_place():
    found = material(a_sample("a", (40, 50)), a_sample("b", (40, 70)))
    assert found.few
    first, second = (np.unique(found.load(number, lambda geometry: (0, 0)).units) for number in (0, 1))
    assert first.tolist() == [0, 1, 2, 3]
    assert second.tolist() == list(range(4, 10))


def test_pixels_of_many_images_are_left_out_by_their_group():
    found = material(*(a_sample(f"{n}", group="ward" if n in (2, 5) else None) for n in range(8)))
    assert not found.few
    units = [found.load(number, lambda geometry: (0, 0)).units for number in range(8)]
    assert units[2] == units[5]
    assert len(set(units)) == 7
    assert material(*(a_sample(f"{n}", group="ward") for n in range(8))).few


def test_the_task_is_that_of_the_annotations_or_as_asked():
    truth = Segmentation.from_labels(
        np.repeat([[1, 2, 0, 3]], 9, 0).repeat(9, 1), class_ids=[1, 1, 2], classes=KINDS
    )
    sample = Sample.of("a", Image(np.zeros((9, 36, 1), np.uint8)), truth)
    found = material(sample)
    assert found.task == "instance"
    assert found.targets.names == ("background", "one", "two", "border")
    assert material(sample, task="semantic").targets.names == ("background", "one", "two")
    assert material(a_sample("b"), task="instance").targets.bordered


def test_a_class_found_in_one_image_only_is_a_target():
    alone = np.ones((40, 50), np.int32)
    found = material(a_sample("a", truth=alone), a_sample("b", truth=2 * alone))
    assert found.targets.names == ("one", "two")


def test_samples_without_truth_or_image_are_left_out():
    bare = Sample.of("bare", Image(np.zeros((4, 4, 1), np.uint8)))
    assert len(material(bare, a_sample("a")).samples) == 1
    with pytest.raises(InputError, match="none of 1 samples has an image and an annotation"):
        material(bare)
    with pytest.raises(InputError, match="none of 0 samples"):
        material()


def test_an_image_unlike_the_first_one_is_named():
    with pytest.raises(InputError, match="'odd/one' has 2 axes and 3 channels, the first one 2 and 1"):
        material(a_sample("a"), a_sample("odd/one", channels=3)).load(1, lambda geometry: (0, 0))
    with pytest.raises(InputError, match="'odd/one' has 3 axes, the first one 2"):
        material(a_sample("a"), a_sample("odd/one", shape=(6, 20, 20)))


def test_a_truth_of_another_size_is_named():
    truth = Segmentation.from_semantic_map(np.ones((5, 6), int), KINDS)
    wrong = Sample("odd", lambda: Image(np.zeros((6, 5, 1), np.uint8)), lambda: (truth,))
    with pytest.raises(InputError, match=r"'odd': the image is \(6, 5\), its truth \(5, 6\)"):
        material(a_sample("a"), wrong).load(1, lambda geometry: (0, 0))


def test_classes_that_are_not_in_the_set_are_refused():
    with pytest.raises(InputError, match="no class with id 2"):
        material(a_sample("a"), classes=ClassSet.from_names(["one"]))


def test_the_halo_is_that_of_the_images_own_spacing(monkeypatch):
    monkeypatch.setitem(material_module.TILE_PX, 2, 32)
    coarse, fine = a_sample("coarse", (64, 64)), a_sample("fine", (64, 64), seed=1)
    spaced = [
        Sample.of(each.name, Image(each.image.pixels, geometry=Geometry.parse(spacing)), each.truth)
        for each, spacing in ((coarse, "1um"), (fine, "0.5um"))
    ]
    found = material(*spaced)

    def four_micrometres(geometry):
        return tuple(int(4 / step) for step in geometry.spacing)

    first_of = {index: number for number, (index, _) in reversed(list(enumerate(found.parts)))}
    assert found.load(first_of[0], four_micrometres).image.shape == (36, 36)
    assert found.load(first_of[1], four_micrometres).image.shape == (40, 40)
