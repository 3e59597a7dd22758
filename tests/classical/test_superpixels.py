"""Superpixels and what is merged from them."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color, data, measure, segmentation

from smalti.classical.superpixels import RagMerge, Slic, lab_planes, slic_labels
from smalti.errors import InputError
from smalti.image import Image


def test_lab_of_colours_one_knows():
    colors = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    lab = lab_planes(Image.from_array(colors), "slic")
    assert np.allclose(lab[0], [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2]], atol=0.1)
    grey = lab_planes(Image.from_array(np.array([[0, 128, 255]], np.uint8)), "slic")
    assert np.allclose(grey[..., 1:], 0, atol=0.01)


def test_superpixels_are_about_so_many_connected_and_cover_everything():
    found = Slic(superpixels=200).predict(Image.from_array(data.coffee()))
    assert 100 < len(found) < 300
    assert found.coverage == 1
    assert found.classes.names == ("superpixel",)
    assert measure.label(found.labels, connectivity=1).max() == len(found)


def test_superpixels_are_scikit_images_when_colours_fill_the_scale():
    photo = data.coffee()[:120, :160]
    lab = color.rgb2lab(photo / 255)
    span = lab.max() - lab.min()
    theirs = segmentation.slic(lab, n_segments=100, compactness=10 / span, convert2lab=False)
    assert (slic_labels(lab, 100, 10) == theirs).mean() > 0.99


def test_contrast_counts_on_the_full_scale_and_not_on_the_images_own():
    """The same step, far below the compactness and far above it: only the second bends the superpixels."""
    rows, columns = np.indices((60, 60))
    step = (rows + columns > 61).astype(np.uint8)
    weak, strong = (
        Slic(superpixels=36).predict(Image.from_array(step * height)).labels for height in (2, 200)
    )

    def mixed(labels):
        share = np.array([step[labels == k].mean() for k in range(1, labels.max() + 1)])
        return ((share > 0.1) & (share < 0.9)).sum()

    assert mixed(strong) < mixed(weak)


def test_volumes_have_supervoxels():
    volume = np.zeros((8, 16, 16), np.uint8)
    volume[4:] = 200
    found = Slic(superpixels=16).predict(Image.from_array(volume, ndim=3))
    assert len(found) > 2
    assert not set(found.labels[:4].ravel()) & set(found.labels[4:].ravel())


def test_merging_finds_the_coloured_fields():
    fields = np.zeros((60, 90, 3), np.uint8)
    fields[:, :30] = (200, 30, 30)
    fields[:, 30:60] = (30, 200, 30)
    fields[:, 60:] = (30, 30, 200)
    found = RagMerge(superpixels=60).predict(Image.from_array(fields))
    assert found.areas_px.tolist() == [1800, 1800, 1800]
    assert found.classes.names == ("region",)


def test_a_larger_colour_distance_leaves_fewer_regions():
    photo = Image.from_array(data.coffee())
    counts = [len(RagMerge(color_distance=distance).predict(photo)) for distance in (0, 5, 15, 400)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


def test_seven_channels_are_refused_in_words():
    with pytest.raises(InputError, match="channel_6"):
        Slic().predict(Image.from_array(np.zeros((4, 4, 7))))
