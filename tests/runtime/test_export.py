"""Exported networks: every runtime gives torch's planes and the same final masks, and torch need not be there."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from tiny_networks import KINDS, discs, fitted

from smalti.errors import InputError
from smalti.postprocess.planes import Planes
from smalti.runtime.export import export_network

torch = pytest.importorskip("torch")

RUNTIMES = ("onnxruntime", "openvino")
UNTRACED = {2: (37, 53), 3: (9, 21, 30)}


@cache
def carried_out(kind, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    return fitted(kind).with_runtime(runtime, threads=1)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", KINDS)
class TestParity:
    def test_planes_are_torchs_at_sizes_that_were_not_traced(self, kind, runtime):
        model = carried_out(kind, runtime)
        image = discs(UNTRACED[model.planes.ndim], 5, model.classes).image
        wanted = carried_out(kind, "torch").predict_planes(image)
        assert np.abs(model.predict_planes(image) - wanted).max() < 1e-4

    def test_final_masks_are_the_same(self, kind, runtime):
        model = carried_out(kind, runtime)
        image = discs((88, 71) if model.planes.ndim == 2 else (10, 26, 32), 6, model.classes).image
        wanted, found = carried_out(kind, "torch").predict(image), model.predict(image)
        assert len(wanted) > 0
        assert np.array_equal(found.labels, wanted.labels)
        assert np.array_equal(found.class_ids, wanted.class_ids)


def test_factors_decide_the_class_map_inside() -> None:
    import onnxruntime

    model = fitted("semantic")
    session = onnxruntime.InferenceSession(model.parts["network.onnx"], providers=["CPUExecutionProvider"])
    image = discs((45, 50), 8, model.classes).image
    seen = model.preparation.prepared(image.pixels, model.preparation.statistics(image))
    (found,) = session.run(["class_map"], {"image": seen[np.newaxis]})
    assert np.array_equal(found[0], model.predict(image).semantic_map())


def test_a_network_of_other_planes_is_refused() -> None:
    planes = KINDS["semantic"][2]
    with pytest.raises(InputError, match="wanted a network that gives"):
        export_network(torch.nn.Conv2d(3, 7, 1), planes, 3)
    assert isinstance(planes, Planes)


WITHOUT_TORCH = """
import json, sys
import numpy as np

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Missing())
sys.path[:0] = json.loads(sys.argv[1])
import smalti
model = smalti.load(sys.argv[2])
found = model.predict(smalti.Image(np.load(sys.argv[3])))
np.save(sys.argv[4], found.labels)
try:
    model.with_runtime("torch")
except smalti.errors.MissingExtra as error:
    print(error)
assert "torch" not in sys.modules
"""


def test_where_torch_is_not_installed_a_bundle_predicts_the_same(tmp_path) -> None:
    model = fitted("centers")
    image = discs((64, 60), 9, model.classes).image
    model.save(tmp_path / "m.smalti")
    np.save(tmp_path / "image.npy", image.pixels)
    arguments = [tmp_path / name for name in ("m.smalti", "image.npy", "labels.npy")]
    paths = f'["{next(path for path in sys.path if path.endswith("src"))}"]'
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, paths, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "smalti[train]" in done.stdout
    assert np.array_equal(np.load(tmp_path / "labels.npy"), model.predict(image).labels)
