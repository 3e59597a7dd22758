"""What may be said of a training: times, plans from files, and where it is kept."""

from pathlib import Path

import pytest

from smalti.errors import InputError, ReadError
from smalti.service.training import Training, fit_arguments, run_folder, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), (" 2H ", 7200), ("45", 45)],
)
def test_times_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10x", "m10", "-5s", "0s", "1m 2", "nan", "inf"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError, match="time"):
        seconds_of(text)


def test_what_is_asked_for_is_named():
    assert Training().said == ()
    assert Training(budget_s=1.0, plan=Path("p.json"), resume=True).said == ("--budget", "--plan", "--resume")


def test_a_model_is_trained_beside_its_file(tmp_path):
    assert run_folder(tmp_path / "m.smalti") == tmp_path / "m.run"
    run = fit_arguments(tmp_path / "m.smalti", Training(resume=True), ())["run"]
    assert run.folder == tmp_path / "m.run" and run.resume and not run.stopped()


def test_a_plan_must_be_a_readable_file(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00plan")
    (tmp_path / "text.json").write_text("a plan")
    (tmp_path / "odd.json").write_text('{"crop": 3}')
    for name, error, told in (
        ("none.json", ReadError, "cannot be read"),
        ("bytes.json", ReadError, "no text"),
        ("text.json", ReadError, "not JSON"),
        ("odd.json", InputError, "crop"),
    ):
        with pytest.raises(error, match=told):
            fit_arguments(tmp_path / "m.smalti", Training(plan=tmp_path / name), ())
