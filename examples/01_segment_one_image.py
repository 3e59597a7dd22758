"""Count and measure coins in a photograph that comes with scikit-image.

python examples/01_segment_one_image.py
"""

from __future__ import annotations

import smalti
from smalti.service.demo import sample_folder

image = smalti.read(sample_folder() / "coins.png")
coins = smalti.predict(image, "watershed", flatten_px=50, min_area_px=200)
print(coins)

table = smalti.measure(coins, image)
print(table)

large = coins[table["area"] > 2000]
print(f"{len(large)} of {len(coins)} coins are larger than 2000 pixels")

smalti.write_labels("coins.labels.png", coins.labels)
smalti.write_image("coins.overlay.png", smalti.Image(smalti.overlay(image, coins)))
