"""The contract of every method that is a network: fitted for a moment, it predicts on whatever comes."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tiny_trainings import TINY, discs, fit, samples

from smalti.deep.nets import NETS
from smalti.errors import InputError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io.bundle import load
from smalti.segmenter import SEGMENTERS, make_segmenter, segmenter_class

NETWORKS = sorted(name for name, place in SEGMENTERS.items() if place.startswith("smalti.train."))
SMALL = {
    "unet": TINY,
    "fcn": {"encoder": "plain", "encoder_parameters": {"width": 4}},
    "deeplab": {"encoder": "plain", "encoder_parameters": {"width": 4}, "width": 8},
    "fast": {"width": 8},
}
"""Parameters that make each as small as it can be."""


@pytest.fixture(scope="module", params=NETWORKS)
def fitted(request, tmp_path_factory):
    """The method's name, what it learned, and its file."""
    path = tmp_path_factory.mktemp("fitted") / "model.smalti"
    model = fit(samples(count=4), method=request.param, steps=2, network_settings=SMALL[request.param])
    model.save(path)
    return request.param, model, path


def image(shape=(32, 32), dtype=np.uint8, scale=1.0):
    return Image.from_array((discs(50, shape)[0].astype(np.float64) * scale).astype(dtype), ndim=len(shape))


def test_the_fitted_network_and_its_file_say_the_same(fitted):
    name, model, path = fitted
    back = load(path)
    assert model.name == back.name == name
    assert back.predict(image()) == model.predict(image())
    planes = model.predict_planes(image())
    assert np.allclose(back.with_runtime("torch").predict_planes(image()), planes, atol=1e-4)
    json.dumps(back.describe())


def test_scores_are_probabilities(fitted):
    scores = fitted[1].predict_scores(image())
    assert scores.shape == (2, 32, 32)
    assert np.allclose(scores.sum(0), 1, atol=1e-5) and (scores >= 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (33, 1), (2, 2), (7, 13), (65, 34)])
def test_tiny_and_odd_sizes(fitted, shape):
    assert fitted[1].predict(image(shape)).shape == shape


@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_images(fitted, value):
    assert fitted[1].predict(Image.from_array(np.full((20, 24), value, np.uint8))).shape == (20, 24)


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint16, 257), (np.float32, 1 / 255), (np.float64, 1 / 255)])
def test_the_same_scene_in_other_numbers(fitted, dtype, scale):
    found = fitted[1].predict_scores(image(dtype=dtype, scale=scale))
    assert np.allclose(found, fitted[1].predict_scores(image()), atol=2e-3)


def test_the_image_is_left_as_it_was_and_geometry_kept(fitted):
    shown = Image(image().pixels, geometry=Geometry.parse("0.5um"))
    before = shown.pixels.copy()
    found = fitted[1].predict(shown)
    assert np.array_equal(shown.pixels, before)
    assert found.geometry is shown.geometry


def test_nan_and_other_channels_and_axes_are_refused_in_words(fitted):
    model = fitted[1]
    pixels = image(dtype=np.float32, scale=1 / 255).pixels.copy()
    pixels[3, 3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        model.predict(Image(pixels))
    with pytest.raises(InputError, match="channel"):
        model.predict(Image(np.zeros((8, 8, 5), np.uint8)))
    with pytest.raises(InputError, match=r"ax[ei]s|2-D"):
        model.predict(Image(np.zeros((4, 8, 8, 1), np.uint8)))


def test_threads_do_not_disturb_each_other(fitted):
    model = fitted[1]
    images = [image((20 + 3 * number, 30)) for number in range(4)]
    alone = [model.predict(each) for each in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(model.predict, images * 2)) == alone * 2


def test_the_table_of_methods_and_that_of_nets_agree():
    assert sorted(NETS) == NETWORKS
    assert all(segmenter_class(name).name == name for name in NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_volumes_are_learned_where_claimed_and_refused_elsewhere_in_words(name):
    shape = (8, 16, 16)
    given = {"method": name, "crop_px": shape, "network_settings": SMALL[name], "steps": 1}
    if 3 in segmenter_class(name).ndims:
        assert fit(samples("instance", 2, shape), **given).predict(image(shape)).shape == shape
    else:
        with pytest.raises(InputError, match="2-D"):
            fit(samples("instance", 2, shape), **given)


def test_what_is_no_set_of_samples_is_refused():
    with pytest.raises(InputError, match="annotated samples"):
        make_segmenter("unet").fit("folder")


def test_a_fit_leaves_the_generator_of_others_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    fit(samples(count=2), steps=1)
    assert torch.equal(torch.rand(3), wanted)
