"""Several samples in one: what is seen is what the truth says."""

import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.data.augment import Chain, make_augmentation, sample_rng
from smalti.errors import InputError
from smalti.image import Image
from smalti.sample import Sample
from smalti.segmentation import Segmentation

CLASSES = ClassSet([Class(1, "cell", (9, 9, 9)), Class(2, "ground", (99, 9, 9), thing=False)])


def sample(value, shape=(40, 44), name=""):
    """An image of one value with one brighter cell on a ground, numbered in ``source_id``."""
    pixels = np.full((*shape, 1), value, np.uint8)
    labels = np.full(shape, 2, np.int32)
    cell = tuple(slice(length // 4, length // 2) for length in shape)
    labels[cell] = 1
    pixels[cell] += 5
    truth = Segmentation.from_labels(
        labels, class_ids=[1, 2], classes=CLASSES, attributes={"source_id": np.array([value, value + 1])}
    )
    return Sample.of(name or f"sample {value}", Image(pixels), truth)


OTHERS = [sample(value) for value in (50, 100, 150, 200)]


def applied(step, index=0, others=OTHERS, first=OTHERS[0], **settings):
    chain = Chain.make({"steps": [step] if isinstance(step, str) else step, **settings})
    return chain.apply(first.image, first.truth, sample_rng(0, index), others=others)


def test_every_pixel_of_a_mosaic_has_the_truth_of_its_sample():
    seen = set()
    for index in range(20):
        image, truth = applied("mosaic", index, min_visible=0)
        values = image.pixels[..., 0]
        origin = truth.attributes["source_id"][truth.labels - 1]
        cells = truth.class_ids[truth.labels - 1] == 1
        assert (truth.labels > 0).all()
        assert (values == np.where(cells, origin + 5, origin - 1)).all()
        seen.update(np.unique(values - 5 * cells).tolist())
    assert seen == {50, 100, 150, 200}


def test_a_mosaic_has_four_pieces_around_a_point():
    image, _ = applied("mosaic:center=[0.5,0.5]", others=[sample(200)])
    ground = image.pixels[..., 0] // 50
    quarters = [ground[:20, :22], ground[:20, 22:], ground[20:, :22], ground[20:, 22:]]
    assert all(len(np.unique(quarter)) == 1 for quarter in quarters)
    assert sorted(int(quarter[0, 0]) for quarter in quarters) == [1, 4, 4, 4]


def test_pieces_of_smaller_samples_are_surrounded_by_void():
    image, truth = applied("mosaic:center=[0.5,0.5]", others=[sample(200, (8, 8))])
    assert truth.void.any()
    assert (image.pixels[truth.void] == 0).all()


def test_a_mosaic_of_class_maps_keeps_its_classes():
    pixels, labels = OTHERS[0].image.pixels, np.array([0, 1, 9], np.uint8)[OTHERS[0].truth.labels]
    found = make_augmentation("mosaic").apply_arrays(
        pixels, labels, sample_rng(0, 0), others=[(pixels + 50, labels)]
    )
    assert found.labels.dtype == np.uint8
    assert set(np.unique(found.labels)) <= {1, 9}
    assert ((found.labels == 1) == (found.pixels[..., 0] % 50 == 5)).all()


def test_pasted_segments_are_in_front_and_theirs_in_the_truth():
    step = "copy-paste:count=[3,3];blend_px=0;factor=[1,1]"
    target = sample(10, (60, 60))
    pasted = 0
    for index in range(15):
        image, truth = applied(step, index, others=[sample(200, (60, 60))], first=target, min_visible=0)
        values = image.pixels[..., 0]
        origin = truth.attributes["source_id"][truth.labels - 1]
        cells = truth.class_ids[truth.labels - 1] == 1
        assert (values == np.where(cells, origin + 5, origin - 1)).all()
        assert set(np.unique(values)) <= {10, 15, 205}  # things alone: the other ground stays where it is
        pasted += (values == 205).any()
    assert pasted == 15


def test_a_seam_is_blended_and_only_the_seam():
    step = "copy-paste:count=[1,1];blend_px=1.5;factor=[1,1]"
    image, truth = applied(step, 3, others=[sample(200, (60, 60))], first=sample(10, (60, 60)), min_visible=0)
    pasted = truth.labels == int(np.flatnonzero(truth.attributes["source_id"] == 200)[0]) + 1
    assert set(np.unique(image.pixels[~pasted])) <= {10, 15}
    assert len(np.unique(image.pixels[pasted])) > 3
    assert image.pixels[pasted].max() == 205


def test_what_is_hidden_by_more_than_allowed_is_dropped():
    small = np.zeros((60, 60), np.int32)
    small[28:31, 28:31] = 1
    truth = Segmentation.from_labels(small, class_ids=[1], scores=[0.5], classes=CLASSES)
    first = Sample.of("small", Image(np.full((60, 60, 1), 9, np.uint8)), truth)
    kept = []
    for index in range(30):
        _, found = applied(
            "copy-paste:count=[9,9];factor=[3,3]",
            index,
            others=[sample(200, (60, 60))],
            first=first,
            min_visible=0.5,
        )
        assert (found.areas_px[found.scores == 0.5] >= 5).all()
        kept.append((found.scores == 0.5).any())
    assert 0 < sum(kept) < 30


def test_copies_keep_class_and_attributes_and_scale():
    _, truth = applied(
        "copy-paste:count=[1,1];factor=[0.5,0.5];blend_px=0",
        1,
        others=[sample(200)],
        first=sample(10),
        min_visible=0,
    )
    number = int(np.flatnonzero(truth.attributes["source_id"] == 200)[0])
    assert truth.class_ids[number] == 1
    assert truth.areas_px[number] <= 0.3 * 110


def test_class_maps_have_no_segments_to_copy():
    pixels, labels = OTHERS[0].image.pixels, OTHERS[0].truth.labels
    with pytest.raises(InputError, match="class_ids"):
        make_augmentation("copy-paste").apply_arrays(pixels, labels, sample_rng(0, 0))


def test_mixup_gives_each_class_the_share_of_its_pixels():
    pixels, labels = OTHERS[0].image.pixels, OTHERS[0].truth.labels.astype(np.uint8)
    other = (np.full_like(pixels, 250), np.full_like(labels, 3))
    for index in range(5):
        found = make_augmentation("mixup", alpha=1).apply_arrays(
            pixels, labels, sample_rng(0, index), others=[other]
        )
        scores = found.scores([0, 1, 2, 3])
        assert np.allclose(scores.sum(axis=-1), 1, atol=1e-6)
        share = scores[0, 0, 2]
        assert np.allclose(scores[..., 3], 1 - share, atol=1e-6)
        assert np.allclose(scores[..., 1], share * (labels == 1), atol=1e-6)
        assert np.abs(found.pixels - (pixels * share + 250.0 * (1 - share))).max() <= 0.51
        assert np.array_equal(found.labels, labels if share >= 0.5 else other[1])


def test_mixup_of_segments_keeps_all_with_their_share_as_score():
    image, truth = applied("mixup:alpha=1", 2, others=[sample(200)])
    assert truth.overlapping
    assert truth.class_ids.tolist() == [1, 2, 1, 2]
    share = truth.scores[0]
    assert np.allclose(truth.scores, [share, share, 1 - share, 1 - share])
    assert image.pixels[0, 0, 0] == round(50 * share + 200 * (1 - share))
    assert truth.mask(1).sum() == OTHERS[0].truth.areas_px[0]


def test_scores_without_mixup_are_0_or_1_and_void_has_none():
    pixels, labels = OTHERS[0].image.pixels, OTHERS[0].truth.labels
    found = make_augmentation("shift", share=[0.2, 0.2]).apply_arrays(
        pixels, labels, sample_rng(0, 0), class_ids=[7, 9], void=255
    )
    scores = found.scores([0, 7, 9, 255])
    assert np.array_equal(scores[..., 2] == 1, found.labels == list(found.class_ids).index(9) + 1)
    assert (scores[found.labels == 255] == 0).all()
    assert set(np.unique(scores)) == {0, 1}


def test_moves_after_mixup_move_all_that_was_mixed():
    steps = ["mixup:alpha=1", "flip:probability=1"]
    image, truth = applied(steps, 2, others=[sample(200)])
    plain, mixed = applied(steps[:1], 2, others=[sample(200)])
    assert np.array_equal(image.pixels, plain.pixels[:, ::-1])
    for k in range(1, 5):
        assert np.array_equal(truth.mask(k), mixed.mask(k)[:, ::-1])


@pytest.mark.parametrize("step", ["mosaic", "copy-paste", "mixup"])
def test_nothing_mixes_after_mixup(step):
    with pytest.raises(InputError, match="last step that mixes"):
        applied(["mixup", step])


def test_moves_between_mixings_are_done_in_their_place():
    one = applied(["flip:probability=1", "mosaic"], 4)[0]
    other = applied(["mosaic", "flip:probability=1"], 4)[0]
    assert not np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("step", ["mosaic", "copy-paste", "mixup"])
def test_samples_that_do_not_fit_are_refused_in_words(step):
    floats = Sample.of("floats", Image(np.zeros((40, 44, 1), np.float32)), OTHERS[0].truth)
    with pytest.raises(InputError, match="must be alike"):
        applied(step, others=[floats])
    classes = ClassSet.from_names(["a", "b", "c"])
    named = Sample.of(
        "named",
        OTHERS[0].image,
        Segmentation.from_labels(OTHERS[0].truth.labels, class_ids=[1, 2], classes=classes),
    )
    with pytest.raises(InputError, match="share their classes"):
        applied(step, others=[named])
    bare = Sample.of("bare", OTHERS[0].image)
    with pytest.raises(InputError, match="without truth|must be alike"):
        applied(step, others=[bare])


@pytest.mark.parametrize("step", ["mosaic", "copy-paste", "mixup"])
def test_volumes_mix_too(step):
    image, truth = applied(
        step, 1, others=[sample(200, (10, 20, 22))], first=sample(50, (12, 20, 24)), min_visible=0
    )
    assert image.shape == truth.shape == (12, 20, 24)
    assert set(np.unique(truth.class_ids)) <= {1, 2}


@pytest.mark.parametrize("step", ["mosaic", "copy-paste", "mixup"])
def test_overlapping_segments_mix_too(step):
    masks = np.zeros((2, 40, 44), bool)
    masks[0, 5:30, 5:30] = masks[1, 15:38, 12:40] = True
    truth = Segmentation.from_masks(masks, class_ids=[1, 1], classes=CLASSES)
    overlapping = Sample.of("overlapping", OTHERS[0].image, truth)
    for first, other in ((overlapping, OTHERS[1]), (OTHERS[1], overlapping), (overlapping, overlapping)):
        for index in range(4):
            image, found = applied(step, index, others=[other], first=first)
            assert image.shape == found.shape


def test_ranges_of_mixed_images_are_joined():
    one, other = np.full((20, 20, 1), 10, np.uint16), np.full((20, 20, 1), 5000, np.uint16)
    labels = np.zeros((20, 20), np.uint8)
    chain = Chain.make({"steps": ["mosaic", "brightness:shift=[0,0]"]})
    found = chain.apply_arrays(one, labels, sample_rng(0, 0), others=[(other, labels)])
    assert set(np.unique(found.pixels)) == {10, 5000}
