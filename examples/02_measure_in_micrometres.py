"""Measure a cell in micrometres: the spacing travels with the image into every number.

python examples/02_measure_in_micrometres.py
"""

from __future__ import annotations

import smalti
from smalti.service.demo import sample_folder

# 0.107 µm between pixels, as scikit-image documents for this photograph (skimage.data.cell).
image = smalti.read(sample_folder() / "cell.png", spacing="0.107um")
method = smalti.make_segmenter(
    "pipeline", before=["gaussian:sigma_px=2"], method="otsu:min_area_px=500", after=["fill-holes"]
)
cell = method.predict(image)
table = smalti.measure(cell, image, properties=["area", "equivalent_diameter", "solidity", "mean"])
for row in table.rows():
    print(
        f"area {row['area']:.1f} {table.units['area']}, "
        f"diameter {row['equivalent_diameter']:.2f} {table.units['equivalent_diameter']}, "
        f"solidity {row['solidity']:.3f}, mean grey {row['mean_grey']:.0f}"
    )
