"""Crops land where they should, and places keep their position in the world."""

import numpy as np
import pytest

from smalti.classes import ClassSet
from smalti.data.augment import Chain, make_augmentation, sample_rng
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.segmentation import Segmentation


def positions(shape):
    """An image of one channel whose pixels say where they are."""
    return np.arange(np.prod(shape), dtype=np.int32).reshape(*shape, 1)


def test_a_crop_is_a_window_of_the_image():
    pixels = positions((40, 50))
    starts = set()
    for index in range(60):
        found = make_augmentation("crop", size=[12, 20]).apply_arrays(
            pixels, pixels[..., 0], sample_rng(0, index)
        )
        top, left = divmod(int(found.labels[0, 0]), 50)
        assert np.array_equal(found.labels, pixels[top : top + 12, left : left + 20, 0])
        assert np.array_equal(found.pixels[..., 0], found.labels)
        starts.add((top, left))
    tops = [top for top, _ in starts]
    assert min(tops) <= 2
    assert max(tops) >= 26  # of 28
    assert len(starts) > 50


def test_a_crop_of_a_smaller_image_is_padded_with_void():
    found = make_augmentation("crop", size=[10]).apply_arrays(
        positions((6, 20)), np.ones((6, 20), np.uint8), sample_rng(0, 0), void=9
    )
    assert found.labels.shape == (10, 10)
    assert (found.labels[:2] == 9).all()
    assert (found.labels[2:8] == 1).all()


def test_crops_around_classes_see_the_rare_ones_as_often():
    labels = np.ones((100, 100), np.uint8)
    labels[90:93, 5:8] = 2
    labels[50:, 50:] = 255
    step = make_augmentation("crop", size=[9], around="class")
    seen = [
        np.unique(step.apply_arrays(labels[..., np.newaxis], labels, sample_rng(0, k), void=255).labels)
        for k in range(200)
    ]
    share = np.mean([2 in each for each in seen])
    assert 0.4 < share < 0.6
    anywhere = make_augmentation("crop", size=[9])
    seen = [
        np.unique(anywhere.apply_arrays(labels[..., np.newaxis], labels, sample_rng(0, k), void=255).labels)
        for k in range(200)
    ]
    assert np.mean([2 in each for each in seen]) < 0.1


def test_class_balance_goes_by_the_classes_of_segments():
    labels = np.zeros((60, 60), np.int32)
    labels[:, :30] = np.arange(60)[:, np.newaxis] // 2 + 1  # thirty segments of one class
    labels[40:45, 50:55] = 31
    step = make_augmentation("crop", size=[7], around="class")
    seen = [
        2
        in step.apply_arrays(
            labels[..., np.newaxis], labels, sample_rng(0, k), class_ids=[1] * 30 + [2]
        ).class_ids
        for k in range(100)
    ]
    assert 0.35 < np.mean(seen) < 0.65


def test_crops_around_segments_hold_the_middle_of_one():
    labels = np.zeros((80, 90), np.int32)
    middles = [(20, 20), (60, 70), (30, 75)]
    for number, (y, x) in enumerate(middles, 1):
        labels[y - 2 : y + 3, x - 2 : x + 3] = number
    step = make_augmentation("crop", size=[21], around="segment")
    shown = set()
    for index in range(30):
        found = step.apply_arrays(positions((80, 90)), labels, sample_rng(0, index), class_ids=[1, 1, 1])
        held = [k for k, (y, x) in enumerate(middles, 1) if (found.pixels == y * 90 + x).any()]
        assert held
        shown.update(held)
    assert shown == {1, 2, 3}


def test_a_target_is_found_where_earlier_moves_put_it():
    labels = np.zeros((101, 101), np.int32)
    labels[10:15, 50:55] = 1
    chain = Chain.make({"steps": ["quarter-turn:turns=[2]", "crop:size=[15];around=segment;jitter=0"]})
    found = chain.apply_arrays(labels[..., np.newaxis], labels, sample_rng(0, 0), class_ids=[1])
    assert (found.labels[5:10, 5:10] == 1).all()


def test_crops_around_what_is_not_there_are_anywhere():
    for labels in (np.zeros((30, 30), np.uint8), np.full((30, 30), 255, np.uint8), None):
        for around in ("class", "segment"):
            found = make_augmentation("crop", size=[9], around=around).apply_arrays(
                positions((30, 30)), labels, sample_rng(0, 0), void=255
            )
            assert found.pixels.shape == (9, 9, 1)


def test_sizes_that_do_not_fit_the_axes_are_refused():
    with pytest.raises(InputError, match="one per axis"):
        make_augmentation("crop", size=[9, 9, 9]).apply_arrays(positions((30, 30)), None, sample_rng(0, 0))


def test_padding_reaches_the_size_and_its_multiple():
    labels = np.ones((13, 20), np.uint8)
    found = make_augmentation("pad", size=[16], multiple_of=8).apply_arrays(
        positions((13, 20)), labels, sample_rng(0, 0), void=7
    )
    assert found.labels.shape == (16, 24)
    assert np.array_equal(found.labels[1:14, 2:22], labels)
    assert (found.labels == 7).sum() == 16 * 24 - 13 * 20


def test_resizing_inside_keeps_shapes():
    labels = np.ones((20, 40), np.uint8)
    found = make_augmentation("resize", size=[40], fit="inside").apply_arrays(
        positions((20, 40)), labels, sample_rng(0, 0), void=7
    )
    assert (found.labels[10:30] == 1).all()
    assert (found.labels == 7).sum() == 800


STEPS = [
    "flip:probability=1",
    "flip:axis=y;probability=1",
    "quarter-turn:turns=[1]",
    "rotate:degrees=[20,20];tilt_degrees=[0,0]",
    "scale:factor=[1.5,1.5]",
    "scale:factor=[1,1];stretch=[1.5,1.5]",
    "shift:share=[0.1,0.1]",
    "shear:degrees=[8,8]",
    "crop:size=[30,32]",
    "pad:size=[70]",
    "resize:size=[90,70]",
]


@pytest.mark.parametrize("step", [*STEPS, STEPS])
def test_a_place_of_a_picture_keeps_its_position_in_the_world(step):
    affine = np.array([[0.5, 0.02, 100.0], [0.03, -0.6, 200.0], [0, 0, 1]])
    shape = (44, 50)
    labels = np.zeros(shape, np.int32)
    labels[20:25, 21:26] = 1
    image = Image(
        labels[..., np.newaxis].astype(np.uint8), geometry=Geometry((0.6, 0.5), "m", affine, "EPSG:32631")
    )
    truth = Segmentation.from_labels(labels, geometry=image.geometry)
    out, found = Chain.make({"steps": [step] if isinstance(step, str) else step}).apply(
        image, truth, sample_rng(0, 2)
    )
    assert out.geometry is found.geometry
    assert out.geometry.crs == "EPSG:32631"

    def place(segmentation):
        y, x = (at.mean() + 0.5 for at in np.nonzero(segmentation.labels))
        return segmentation.geometry.affine @ [x, y, 1]

    assert np.abs(place(found) - place(truth))[:2].max() < 0.35
    area = float(np.prod(out.geometry.spacing)) * found.areas_px[0]
    assert area == pytest.approx(25 * 0.3, rel=0.2)


@pytest.mark.parametrize(
    "step",
    [
        *(step for step in STEPS if "size" not in step),
        "crop:size=[12,30,32]",
        "rotate:degrees=[0,0];tilt_degrees=[15,15]",
    ],
)
def test_so_does_one_of_a_volume(step):
    affine = np.array([[0.5, 0, 0.1, 10], [0, 0.6, 0, 20], [0, 0.05, 1.0, 30], [0, 0, 0, 1]])
    labels = np.zeros((15, 44, 50), np.int32)
    labels[6:9, 20:25, 21:26] = 1
    image = Image(labels[..., np.newaxis].astype(np.uint8), geometry=Geometry((1.0, 0.6, 0.5), "mm", affine))
    truth = Segmentation.from_labels(labels, geometry=image.geometry)
    _, found = Chain.make({"steps": [step]}).apply(image, truth, sample_rng(0, 2))

    def place(segmentation):
        z, y, x = (at.mean() for at in np.nonzero(segmentation.labels))
        return segmentation.geometry.affine @ [x, y, z, 1]

    assert np.abs(place(found) - place(truth))[:3].max() < 0.35


@pytest.mark.parametrize(
    "step", ["flip:probability=1", "scale:factor=[2,2]", "crop:size=[9]", "quarter-turn:turns=[1]"]
)
def test_so_does_one_of_a_picture_in_a_world_of_three_axes(step):
    affine = np.array([[0.5, 0, 0.1, 10], [0, 0.6, 0, 20], [0, 0.05, 1.0, 30], [0, 0, 0, 1]])
    labels = np.zeros((20, 30), np.int32)
    labels[10, 14] = 1
    image = Image(labels[..., np.newaxis].astype(np.uint8), geometry=Geometry((0.6, 0.5), "mm", affine))
    _, found = Chain.make({"steps": [step]}).apply(
        image, Segmentation.from_labels(labels, geometry=image.geometry), sample_rng(0, 2)
    )
    y, x = (at.mean() for at in np.nonzero(found.labels))
    assert found.geometry.affine @ [x, y, 0, 1] == pytest.approx(affine @ [14, 10, 0, 1], abs=0.2)


@pytest.mark.parametrize("step", ["elastic", "perspective:share=[0.1,0.1]", "mosaic"])
def test_bent_images_have_a_spacing_but_no_place_in_the_world(step):
    image = Image(positions((40, 40)), geometry=Geometry((0.5, 0.5), "m", np.eye(3), "EPSG:32631"))
    out, _ = Chain.make({"steps": [step]}).apply(image, None, sample_rng(0, 0))
    assert out.geometry.spacing == pytest.approx((0.5, 0.5))
    assert out.geometry.affine is None
    assert out.geometry.crs is None


def test_spacing_follows_scale_turns_and_resizing():
    image = Image(positions((40, 60)), geometry=Geometry((2.0, 1.0), "mm"))

    def spacing(*steps):
        return Chain.make({"steps": steps}).apply(image, None, sample_rng(0, 0))[0].geometry.spacing

    assert spacing("scale:factor=[2,2]") == pytest.approx((1, 0.5))
    assert spacing("quarter-turn:turns=[1]") == pytest.approx((1, 2))
    assert spacing("resize:size=[20,20]") == pytest.approx((4, 3))
    assert spacing("rotate:degrees=[30,30]") == pytest.approx((2, 1))
    assert spacing("crop:size=[20]", "flip:probability=1") == pytest.approx((2, 1))


CLASSES = ClassSet.from_names(["cell", "ground"])


def three_segments():
    labels = np.zeros((40, 40), np.int32)
    labels[:, :10] = 1
    labels[10:20, 15:25] = 2
    labels[30:38, 30:38] = 3
    truth = Segmentation.from_labels(
        labels,
        class_ids=[2, 1, 1],
        scores=[1, 0.5, 0.25],
        classes=CLASSES,
        attributes={"source_id": np.array([70, 80, 90]), "crowd": np.array([False, True, False])},
    )
    return Image(positions((40, 40))), truth


def test_segments_that_leave_the_crop_are_dropped_and_the_rest_renumbered():
    image, truth = three_segments()
    chain = Chain.make({"steps": ["shift:share=[-0.25,-0.25]"]})  # ten pixels up and left
    _, found = chain.apply(image, truth, sample_rng(0, 0))
    assert found.class_ids.tolist() == [1, 1]
    assert found.scores.tolist() == [0.5, 0.25]
    assert found.attributes["source_id"].tolist() == [80, 90]
    assert found.attributes["crowd"].tolist() == [True, False]
    assert found.areas_px.tolist() == [100, 64]
    arrays = chain.apply_arrays(image.pixels, truth.labels, sample_rng(0, 0), class_ids=truth.class_ids)
    assert arrays.kept.tolist() == [1, 2]


@pytest.mark.parametrize(("least", "kept"), [(0.0, [70, 80, 90]), (0.3, [80, 90]), (0.6, [90])])
def test_segments_of_which_too_little_is_left_are_dropped_and_their_rest_is_void(least, kept):
    image, truth = three_segments()
    step = {"steps": ["shift:share=[-0.2,-0.2]"], "min_visible": least}  # eight pixels: a fifth of 1 is left
    image8, truth8 = image, truth
    _, found = Chain.make(step).apply(image8, truth8, sample_rng(0, 0))
    left = {70: 2 * 32, 80: 100, 90: 64}
    if least == 0.6:
        step = {"steps": ["shift:share=[-0.375,-0.375]"], "min_visible": least}  # fifteen: half of 2 and no 1
        _, found = Chain.make(step).apply(image8, truth8, sample_rng(0, 0))
        left = {70: 0, 80: 50, 90: 64}
    assert found.attributes["source_id"].tolist() == kept
    gone = sum(area for name, area in left.items() if name not in kept)
    shift = 8 if least < 0.6 else 15
    assert found.void_px == 1600 - (40 - shift) ** 2 + gone
    assert found.areas_px.tolist() == [left[name] for name in kept]


def test_what_is_visible_is_counted_at_the_size_it_now_has():
    image, truth = three_segments()
    _, found = Chain.make({"steps": ["scale:factor=[0.5,0.5]"], "min_visible": 0.8}).apply(
        image, truth, sample_rng(0, 0)
    )
    assert len(found) == 3
    _, found = Chain.make({"steps": ["scale:factor=[2,2]"], "min_visible": 0.8}).apply(
        image, truth, sample_rng(0, 0)
    )
    assert found.attributes["source_id"].tolist() == [80]


def test_segments_that_never_had_pixels_stay():
    image, truth = three_segments()
    labels = np.where(truth.labels == 2, 0, truth.labels)
    hollow = Segmentation.from_labels(labels, class_ids=[2, 1, 1], classes=CLASSES)
    _, found = Chain.make({"steps": ["rotate:degrees=[5,5]"]}).apply(image, hollow, sample_rng(0, 0))
    assert len(found) == 3
    assert found.areas_px[1] == 0
