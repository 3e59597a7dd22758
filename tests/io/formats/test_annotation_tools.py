"""Real annotations go through the formats of annotation tools without losing a pixel."""

import pytest

from smalti.data.dataset import Dataset


@pytest.mark.realdata
@pytest.mark.parametrize("format", ["labelme", "cvat", "label-studio", "imagej-roi"])
@pytest.mark.parametrize("name", ["dsb2018", "davis2016"])
def test_real_masks_come_back(data_dir, tmp_path, name, format):
    dataset = Dataset.open(data_dir / name, faulty="skip").filter(lambda sample: sample.annotated)[:5]
    report = dataset.write(tmp_path / "set", format)
    assert len(report.losses) == 5
    assert not report, list(report.lines())
