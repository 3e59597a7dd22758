"""Do two methods find the same coins? The overlap table matches them one to one.

python examples/03_compare_two_methods.py
"""

from __future__ import annotations

import smalti
from smalti.service.demo import sample_folder

image = smalti.read(sample_folder() / "coins.png")
basins = smalti.predict(image, "watershed", flatten_px=50, min_area_px=200)
edges = smalti.predict(image, "canny")

matches = smalti.overlap(basins, edges).match(min_iou=0.5)
print(f"{len(basins)} by watershed, {len(edges)} by edges, {len(matches.iou)} the same at IoU > 0.5")
print(f"IoU from {matches.iou.min():.3f} to {matches.iou.max():.3f}")
