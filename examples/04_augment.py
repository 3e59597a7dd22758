"""Augment a photograph with its coins: a sheet to look at, and a sample as a network takes it.

python examples/04_augment.py
"""

from __future__ import annotations

import smalti
from smalti.data.augment import Chain, contact_sheet, sample_rng
from smalti.service.demo import sample_folder

image = smalti.read(sample_folder() / "coins.png")
coins = smalti.predict(image, "watershed", flatten_px=50, min_area_px=200)

chain = Chain.make(
    {
        "steps": [
            {"name": "rotate", "degrees": [-45, 45]},
            {"name": "scale", "factor": [0.8, 1.25]},
            {"name": "crop", "size": [192, 192], "around": "segment"},
            {"name": "gamma", "probability": 0.5},
            {"name": "gaussian-noise", "sigma": [0, 0.04], "probability": 0.5},
        ]
    }
)

# The same seed, sample and epoch give the same result, in whatever order samples are made.
changed, truth = chain.apply(image, coins, sample_rng(seed=0, index=7, epoch=2))
print(changed)
print(f"{len(truth)} of {len(coins)} coins are left, {truth.void_px} pixels are void")

# For training: arrays in, arrays out, and no segmentation made on the way.
sample = chain.apply_arrays(
    image.pixels, coins.labels, sample_rng(0, 7, 2), class_ids=coins.class_ids, void=255
)
print(sample.floats(mean=127.5, std=60).shape, sample.labels.shape, len(sample.class_ids))

smalti.write_image("coins.sheet.png", contact_sheet((image, coins), chain, rows=3, columns=5))
