"""The features of a pixel forest against scikit-image's, at the same scales of the same channels."""

from __future__ import annotations

import numpy as np
from harness import Comparison, row
from skimage import data
from skimage.feature import multiscale_basic_features

from smalti.image import Image
from smalti.pixel.features import FeatureBank

SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
COARSE = 4.0  # from here on differences over one pixel and over three are much alike
MARGIN = 8  # scikit-image's differences are one-sided at the edge, ours go on with the outermost pixel


def alike(peer: np.ndarray, own: np.ndarray) -> bool:
    """Gaussians equal to float32's rounding; at coarse scales edges and Hessians to a few hundredths of their range."""
    per_scale = peer.shape[-1] // (3 * len(SIGMAS))
    for channel in range(3):
        for scale, sigma in enumerate(SIGMAS):
            at = (channel * len(SIGMAS) + scale) * per_scale
            gaussian, edge, *hessian = np.moveaxis(peer[..., at : at + per_scale], -1, 0)
            one = channel * len(SIGMAS) + scale
            count = 3 * len(SIGMAS)
            if not np.allclose(own[one], gaussian, rtol=0, atol=2e-6):
                return False
            if sigma < COARSE:
                continue
            # Sobel's mean over the axes is the root of half the gradient's square, of slopes over two pixels, not one.
            pairs = [(own[count + one] / sigma * np.sqrt(2), edge)]
            pairs += [
                (own[2 * count + 2 * one + which] / sigma**2, curvature)
                for which, curvature in enumerate(hessian)
            ]
            for ours, theirs in pairs:
                inside = (slice(MARGIN, -MARGIN),) * 2
                if np.abs(ours[inside] - theirs[inside]).max() > 0.05 * np.abs(theirs[inside]).max():
                    return False
    return True


@row("features", peer="scikit-image multiscale_basic_features", target=2)
def features() -> Comparison:
    pixels = np.tile(data.astronaut(), (2, 2, 1))
    image = Image(pixels)
    bank = FeatureBank(families=("gaussian", "gradient", "hessian"), sigmas_px=SIGMAS, detail_of="channels")
    return Comparison(
        lambda: multiscale_basic_features(
            pixels, sigma_min=SIGMAS[0], sigma_max=SIGMAS[-1], workers=1, channel_axis=-1
        ),
        lambda: bank.compute(image),
        alike,
        "Gaussians, gradients and both eigenvalues of the Hessian of 3 channels at 6 scales from 0.5 to 16 px of "
        "1024 x 1024 pixels: 72 planes of float32 each; one thread. The Gaussians are equal to 2e-6. scikit-image has "
        "the gradient by Sobel's kernel and the Hessian by np.gradient twice, ours are central and second differences "
        "times the power of sigma that makes scales comparable; that undone, all agree to 5 % of their range from "
        "sigma 4 on, where the definitions meet",
    )
