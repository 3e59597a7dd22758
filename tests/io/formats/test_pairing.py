"""Images and masks find each other by names alone."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import InputError, ReadError
from smalti.io.formats.listing import Listing
from smalti.io.formats.pairing import find_pairs
from smalti.io.formats.tree import Tree


def tree_of(folder, *paths):
    for path in paths:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return Tree(folder)


def told(pairing):
    return {pair.name: (pair.image, pair.mask) for pair in pairing.pairs}


@pytest.mark.parametrize(
    ("image", "mask", "name", "split"),
    [
        ("images/a.jpg", "masks/a.png", "a", None),
        ("imgs/a.tif", "labels/a.tif", "a", None),
        ("Images/a.PNG", "Annotations/a.PNG", "a", None),
        ("train/a.png", "trainannot/a.png", "train/a", "train"),
        ("images/training/a.jpg", "annotations/training/a.png", "training/a", "train"),
        ("validation/images/a.jpg", "validation/masks/a.png", "validation/a", "val"),
        ("train_images/a.jpg", "train_masks/a.png", "train/a", "train"),
        ("images_test/a.jpg", "labels_test/a.png", "test/a", "test"),
        ("imagesTr/a.tif", "labelsTr/a.tif", "a", "train"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", "a", None),
        ("JPEGImages/480p/dog/00.jpg", "Annotations/480p/dog/00.png", "480p/dog/00", None),
        ("img_dir/val/a.jpg", "ann_dir/val/a.png", "val/a", "val"),
        ("input_training_lowres/a.png", "gt_training_lowres/a.png", "training/a", "train"),
        ("images/a.jpg", "ground_truth/a.png", "a", None),
        ("images/a_image.png", "masks/a_mask.png", "a", None),
        ("images/image_007.png", "masks/mask_007.png", "007", None),
        ("images/image7.png", "masks/mask7.png", "7", None),
        ("a_sat.jpg", "a_mask.png", "a", None),
        ("train/a_sat.jpg", "train/a_mask.png", "train/a", "train"),
        ("MT_Crack/Imgs/a.jpg", "MT_Crack/Imgs/a.png", "MT_Crack/a", None),
        ("a.b.jpg", "masks/a.b.png", "a.b", None),
        ("case1/image.png", "case1/mask.png", "case1", None),
        ("leftImg8bit/val/u/u_1_leftImg8bit.png", "gtFine/val/u/u_1_gtFine_labelIds.png", "val/u/u_1", "val"),
    ],
)  # fmt: skip
def test_layouts_of_the_field_are_understood(tmp_path, image, mask, name, split):
    found = find_pairs(tree_of(tmp_path, image, mask))
    (pair,) = found.pairs
    assert (pair.name, pair.image, pair.mask, pair.split) == (name, image, mask, split)
    assert not found.problems
    assert not found.choices


def test_an_image_without_a_mask_is_a_pair_without_one(tmp_path):
    found = find_pairs(tree_of(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.png"))
    assert told(found) == {"a": ("images/a.jpg", "masks/a.png"), "b": ("images/b.jpg", None)}
    assert not found.problems


def test_a_mask_without_an_image_is_a_problem_that_names_it(tmp_path):
    found = find_pairs(tree_of(tmp_path, "images/a.jpg", "masks/a.png", "masks/z.png"))
    assert [problem.file for problem in found.problems] == ["masks/z.png"]
    assert set(told(found)) == {"a"}


def test_masks_of_another_split_are_not_taken(tmp_path):
    found = find_pairs(tree_of(tmp_path, "images/train/1.jpg", "masks/val/1.png"))
    assert told(found) == {"train/1": ("images/train/1.jpg", None)}
    assert [problem.file for problem in found.problems] == ["masks/val/1.png"]


def test_two_images_of_one_name_are_a_problem(tmp_path):
    found = find_pairs(tree_of(tmp_path, "images/a.jpg", "images/a.png", "masks/a.png"))
    assert len(found.pairs) == 1
    assert "images/a.jpg" in str(found.problems[0])
    assert "images/a.png" in str(found.problems[0])


def test_two_masks_of_one_name_are_a_problem(tmp_path):
    found = find_pairs(tree_of(tmp_path, "images/a.jpg", "masks/a.png", "masks/a.tif"))
    assert len(found.problems) == 1


def test_masks_of_two_kinds_must_be_chosen(tmp_path):
    tree = tree_of(tmp_path, "images/a.jpg", "trimaps/a.png", "masks/a.png")
    assert set(find_pairs(tree).choices) == {"trimaps", "masks"}
    chosen = find_pairs(tree, masks="trimaps")
    assert told(chosen) == {"a": ("images/a.jpg", "trimaps/a.png")}
    assert not chosen.choices


def test_masks_deeper_than_their_images_are_chosen_by_path(tmp_path):
    paths = ["input_lowres/a.png", "gt_lowres/a.png", "trimap_lowres/One/a.png", "trimap_lowres/Two/a.png"]
    tree = tree_of(tmp_path, *paths)
    choices = find_pairs(tree).choices
    assert set(choices) == {"gt_lowres", "trimap_lowres/One", "trimap_lowres/Two"}
    for choice in choices:
        assert told(find_pairs(tree, masks=choice)) == {"a": ("input_lowres/a.png", f"{choice}/a.png")}


def test_globs_choose_images_and_masks(tmp_path):
    tree = tree_of(tmp_path, "x/a_rgb.png", "x/a_depth.png", "x/a_lab.png", "y/z/b_rgb.png", "y/z/b_lab.png")
    found = find_pairs(tree, images="**/*_rgb.png", masks="**/*_lab.png")
    assert told(found) == {"x/a": ("x/a_rgb.png", "x/a_lab.png"), "y/z/b": ("y/z/b_rgb.png", "y/z/b_lab.png")}
    assert not find_pairs(tree, images="**/*_rgb.*", masks="*/*_lab.png").pairs[1].mask


def test_a_star_stays_inside_a_folder(tmp_path):
    tree = tree_of(tmp_path, "images/a.png", "deep/images/b.png", "masks/a.png", "deep/masks/b.png")
    assert set(told(find_pairs(tree, images="images/*.png"))) == {"a"}
    assert set(told(find_pairs(tree, images="**/images/*.png"))) == {"a", "deep/b"}


def test_named_images_leave_other_folders_alone(tmp_path):
    own = ["x/images/x.png", "x/masks/1.png", "x/masks/2.png"]
    tree = tree_of(tmp_path, "images/a.png", "labels/a.png", *own)
    assert find_pairs(tree).problems
    found = find_pairs(tree, images="images")
    assert told(found) == {"a": ("images/a.png", "labels/a.png")}
    assert not found.problems


def test_a_folder_that_leads_outside_is_refused(tmp_path):
    with pytest.raises((InputError, ReadError)):
        find_pairs(tree_of(tmp_path, "images/a.png"), images="../other")


def test_pictures_beside_the_folders_are_no_samples(tmp_path):
    tree = tree_of(tmp_path, "overview.png", "docs/figure.png", "images/a.jpg", "masks/a.png")
    assert set(told(find_pairs(tree))) == {"a"}


def test_folders_are_groups_where_names_start_anew(tmp_path):
    paths = [
        f"{role}/{tile}/{n}.png" for role in ("images", "masks") for tile in ("t1", "t2") for n in (1, 2)
    ]
    tree = tree_of(tmp_path, *paths)
    assert [pair.group for pair in find_pairs(tree).pairs] == ["t1", "t1", "t2", "t2"]
    assert {pair.group for pair in find_pairs(tree, group="none").pairs} == {None}


def test_folders_of_classes_are_no_groups(tmp_path):
    tree = tree_of(tmp_path, "crack/a1.jpg", "crack/a1.png", "hole/b1.jpg", "hole/b1.png")
    assert {pair.group for pair in find_pairs(tree).pairs} == {None}
    assert {pair.group for pair in find_pairs(tree, group="folder").pairs} == {"crack", "hole"}


def test_a_pattern_names_groups(tmp_path):
    tree = tree_of(tmp_path, "train/A_1.png", "trainannot/A_1.png", "train/B_1.png", "trainannot/B_1.png")
    assert [pair.group for pair in find_pairs(tree, group="([A-Z])_").pairs] == ["A", "B"]
    with pytest.raises(InputError, match="bracket"):
        find_pairs(tree, group="[A-Z]")
    with pytest.raises(InputError, match="regular expression"):
        find_pairs(tree, group="([A-Z]")


def test_samples_come_in_the_order_people_count(tmp_path):
    tree = tree_of(tmp_path, *[f"{role}/{n}.png" for role in ("images", "masks") for n in (10, 9, 1)])
    assert [pair.name for pair in find_pairs(tree).pairs] == ["1", "9", "10"]


def test_names_are_unique_even_where_folders_hide_them(tmp_path):
    tree = tree_of(tmp_path, "one_images/a.png", "one_masks/a.png", "two_images/a.png")
    names = [pair.name for pair in find_pairs(tree).pairs]
    assert len(names) == len(set(names))


def test_twenty_thousand_pairs_are_matched_in_order(tmp_path, monkeypatch):
    paths = tuple(f"{role}/frame_{n:06d}.png" for role in ("images", "masks") for n in range(20_000))
    stops = np.array([20_000, 40_000])
    listing = Listing(paths, ("images/", "masks/"), stops, (".png",), np.zeros(40_000, np.int32))
    monkeypatch.setattr(Listing, "of", lambda root: listing)
    pairs = find_pairs(Tree(tmp_path)).pairs
    assert [pair.image for pair in pairs] == list(paths[:20_000])
    assert [pair.mask for pair in pairs] == list(paths[20_000:])
    assert pairs[7].name == "frame_000007"
