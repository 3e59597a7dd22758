"""Make up scenes of every kind with exact truth, look at them, and score a method on some of them.

python examples/05_scenes.py
"""

from __future__ import annotations

import smalti
from smalti.data.scenes import SCENES, make_scene, scenes
from smalti.io.display import to_display
from smalti.io.draw import overlay, side_by_side

pictures, captions = [], []
for kind in SCENES:
    sample = make_scene(kind, index=7, seed=0)
    image, truth = sample.image, sample.truth
    z = None if image.ndim == 2 else image.shape[0] // 2
    plain = image if z is None else smalti.Image(image.pixels[z], image.channels)
    pictures += [to_display(plain), overlay(image, truth, zoom=1, ids=False, legend=False, z=z)]
    captions += [kind, f"its {len(truth)} segments"]
smalti.write_image("scenes.png", smalti.Image(side_by_side(pictures, captions, height_px=180, columns=4)))

method = smalti.make_segmenter("pipeline", before=["gaussian"], method="otsu", after=["split-touching"])
for sample in scenes("cells", 3, task="instance"):
    found = method.predict(sample.image)
    matches = smalti.overlap(sample.truth, found).match(min_iou=0.5)
    print(f"{sample.name}: {len(matches.iou)} of {len(sample.truth)} nuclei found at IoU > 0.5")
