"""The main job on real photographs."""

from smalti.service.demo import SCENES, command_of, run_demo


def test_the_demo_segments_real_photographs(tmp_path):
    shown = {row.scene.file: row.outcome for row in run_demo(tmp_path)}
    assert len(shown) >= 4
    assert shown["coins.png"].segments == 24
    assert shown["cell.png"].segments == 1
    assert shown["cell.png"].size_unit == "um2"
    assert 125 < shown["cell.png"].median_size < 140
    assert shown["hubble_deep_field.jpg"].segments > 200
    assert shown["ihc.png"].segments == 3
    page = (tmp_path / "index.html").read_text()
    for scene, outcome in zip(SCENES, shown.values(), strict=True):
        assert outcome.error is None
        assert outcome.segments > 0
        for path in outcome.outputs.values():
            assert (tmp_path / path).exists()
        assert scene.file in page
        assert command_of(scene).split("--")[0].strip() in page
