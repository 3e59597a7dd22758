"""The log of a run: every step once, also after a resume, and a page and pictures that show how it goes."""

import csv
import errno
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from smalti.classes import Class, ClassSet
from smalti.image import Image
from smalti.segmentation import Segmentation
from smalti.train import logs as module
from smalti.train.event_files import EventFile
from smalti.train.logs import RunLog
from smalti.train.pictures import Shown, predictions_sheet
from smalti.train.reports import EpochReport, StepReport

CLASSES = ClassSet(
    [Class(1, "field", (230, 159, 0), thing=False), Class(2, "<wood>", (0, 114, 178), thing=False)]
)


def step(number, steps=20, **changes):
    fields = {
        "step": number,
        "steps": steps,
        "epoch": (number - 1) // 5 + 1,
        "epochs": steps // 5,
        "loss": 1 / number,
    }
    return StepReport(
        **(fields | {"learning_rate": 0.01, "step_seconds": 0.2, "waiting_seconds": 0.01} | changes)
    )


def epoch(number, score=None, best=True):
    score = number / 10 if score is None else score
    return EpochReport(5 * number, number, 1 / number, {"mIoU": score, "Dice": score}, "mIoU", best, 1.5)


def shown(count=1, shape=(40, 60), predicted=None):
    labels = np.zeros(shape, np.uint8)
    labels[..., 5:20, 10:30] = 1
    labels[..., 25:35, 10:30] = 2
    truth = Segmentation.from_semantic_map(labels, CLASSES)
    image = Image.from_array(np.full(shape, 90, np.uint8), ndim=len(shape))
    predicted = truth if predicted is None else predicted
    return [Shown(f"plate/{index}", image, truth, predicted) for index in range(count)]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(folder, epochs, after=0, steps=20, **changes):
    with RunLog(folder, after_step=5 * after, **changes) as log:
        for number in range(after + 1, epochs + 1):
            for each in range(5 * number - 4, 5 * number + 1):
                log.report(step(each, steps))
            log.report(epoch(number), shown())
    return log


class TestTables:
    def test_a_row_for_each_step_and_each_epoch(self, tmp_path):
        run(tmp_path, 2)
        assert [int(row["step"]) for row in rows(tmp_path / "log.csv")] == list(range(1, 11))
        assert float(rows(tmp_path / "log.csv")[3]["loss"]) == 0.25
        assert rows(tmp_path / "epochs.csv")[1] == {
            "step": "10",
            "epoch": "2",
            "seconds": "1.5",
            "best": "1",
            "train_loss": "0.5",
            "mIoU": "0.2",
            "Dice": "0.2",
        }

    def test_rows_of_a_long_run_are_means_of_several_steps(self, tmp_path):
        count = 3 * module.MOST_ROWS
        with RunLog(tmp_path) as log:
            for number in range(1, 8):
                log.report(step(number, count, loss=float(number), parts={"dice": 2.0 * number}))
        told = rows(tmp_path / "log.csv")
        assert [(row["step"], row["loss"], row["loss_dice"]) for row in told] == [
            ("3", "2", "4"),
            ("6", "5", "10"),
            ("7", "7", "14"),  # what was left at the end
        ]

    def test_a_resumed_run_tells_of_each_step_once(self, tmp_path):
        run(tmp_path / "whole", 4)
        run(tmp_path / "parts", 3)  # the third epoch was not saved, so it comes again
        run(tmp_path / "parts", 4, after=2)
        for name in ("log.csv", "epochs.csv"):
            assert (tmp_path / "parts" / name).read_text() == (tmp_path / "whole" / name).read_text()

    def test_a_new_run_begins_a_new_log(self, tmp_path):
        run(tmp_path, 3)
        run(tmp_path, 1)
        assert len(rows(tmp_path / "log.csv")) == 5
        assert sorted(path.name for path in tmp_path.glob("*.png")) == ["epoch_001.png"]
        assert len(list(tmp_path.glob("events*"))) == 1

    def test_half_a_row_that_a_killed_process_left_is_dropped(self, tmp_path):
        run(tmp_path, 1)
        with (tmp_path / "log.csv").open("a") as file:
            file.write("6,2,0.1")
        run(tmp_path, 2, after=1)
        assert [int(row["step"]) for row in rows(tmp_path / "log.csv")] == list(range(1, 11))

    @pytest.mark.parametrize(
        "text", ["", "\n", "step,epoch\nx,y\n-1,2\n", "a,b\n1,2\n", "step,epoch,step\n1,2,3\n", "\0\xff"]
    )
    def test_a_log_that_is_none_is_begun_anew(self, tmp_path, text):
        (tmp_path / "log.csv").write_text(text, encoding="latin-1")
        run(tmp_path, 2, after=1)
        assert [int(row["step"]) for row in rows(tmp_path / "log.csv")] == list(range(6, 11))

    def test_a_metric_that_comes_later_has_a_column_from_then_on(self, tmp_path):
        with RunLog(tmp_path) as log:
            log.report(EpochReport(5, 1, 0.5, {"mIoU": 0.1}, "mIoU"))
            log.report(EpochReport(10, 2, 0.4, {"mIoU": math.nan, "Dice": 0.3}, "mIoU"))
        assert [row["Dice"] for row in rows(tmp_path / "epochs.csv")] == ["", "0.3"]
        assert rows(tmp_path / "epochs.csv")[1]["mIoU"] == "nan"

    def test_a_full_disk_is_said_once_and_the_tables_catch_up(self, tmp_path, monkeypatch, caplog):
        opened = Path.open

        def full(path, mode="r", *arguments, **options):
            if mode != "r":
                raise OSError(errno.ENOSPC, "No space left on device")
            return opened(path, mode, *arguments, **options)

        with RunLog(tmp_path) as log:
            log.report(step(1))
            with monkeypatch.context() as patch:
                patch.setattr(Path, "open", full)
                for number in (2, 3):
                    log.report(step(number))
                log.report(epoch(1))
            assert "No space left on device" in log.problem
            log.report(step(4))
        assert len([record for record in caplog.records if record.name == module.__name__]) == 1
        assert [int(row["step"]) for row in rows(tmp_path / "log.csv")] == [1, 2, 3, 4]
        assert len(rows(tmp_path / "epochs.csv")) == 1


class TestTensorBoard:
    def test_it_reads_what_was_written_and_forgets_what_comes_again(self, tmp_path):
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        run(tmp_path, 3)
        run(tmp_path, 4, after=2)
        found = accumulator.EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
        found.Reload()
        losses = found.Scalars("train/loss")
        assert [each.step for each in losses] == list(range(1, 21))
        assert losses[3].value == 0.25
        assert [each.step for each in found.Scalars("validation/mIoU")] == [5, 10, 15, 20]

    def test_the_bytes_are_those_of_the_format(self, tmp_path):
        """The data is what the protos of tensorboard 2.21 make of ``Event(step=300, simple_value=0.5)``."""
        file = EventFile(tmp_path)
        before = file.path.stat().st_size
        file.add(300, {"loss": 0.5})
        record = file.path.read_bytes()[before:]
        data = record[12:-4]
        assert int.from_bytes(record[:8], "little") == len(data)
        assert data[:1] == b"\x09"  # the time, a double
        assert data[9:] == b"\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f"


class TestPictures:
    def test_each_epoch_has_one_of_truth_and_prediction(self, tmp_path):
        run(tmp_path, 3, picture_share=1.0)
        for number in (1, 2, 3):
            picture = cv2.imread(str(tmp_path / f"epoch_{number:03d}.png"))
            assert picture.shape == predictions_sheet(shown()).shape

    def test_truth_is_left_and_prediction_right(self):
        nothing = Segmentation.from_semantic_map(np.zeros((40, 60), np.uint8), CLASSES)
        sheet = predictions_sheet(shown(predicted=nothing), height_px=200).astype(int)
        height, width, _ = sheet.shape
        coloured = np.ptp(sheet, axis=2) > 60
        assert coloured[:, : width // 2].sum() > 0.1 * height * width / 2
        assert not coloured[:, width // 2 :].any()

    @pytest.mark.parametrize(("count", "pictures_wide", "rows_high"), [(1, 1, 1), (2, 2, 1), (9, 2, 3)])
    def test_two_images_to_a_row_and_at_most_six(self, count, pictures_wide, rows_high):
        height, width, _ = predictions_sheet(shown(count), height_px=100).shape
        assert width // 303 == pictures_wide
        assert height // 125 == rows_high

    def test_of_a_volume_the_fullest_slice_is_shown(self):
        labels = np.zeros((5, 40, 60), np.uint8)
        labels[1, :2] = 1
        labels[3, 10:] = 1
        truth = Segmentation.from_semantic_map(labels, CLASSES)
        image = Image.from_array(np.zeros(labels.shape, np.uint8), ndim=3)
        flat = Segmentation.from_semantic_map(labels[3], CLASSES)
        slice_only = Image.from_array(np.zeros((40, 60), np.uint8), ndim=2)
        volume = predictions_sheet([Shown("a", image, truth, truth)])
        same = predictions_sheet([Shown("a", slice_only, flat, flat)])
        assert volume.shape == same.shape
        assert (volume[:240] == same[:240]).all()  # below it stands which slice it is

    def test_old_ones_are_thinned_out_and_the_best_stays(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "MOST_PICTURES", 6)
        with RunLog(tmp_path, picture_share=1.0) as log:
            for number in range(1, 21):
                log.report(epoch(number, best=number <= 4), shown())
        kept = [int(path.stem[-3:]) for path in sorted(tmp_path.glob("epoch_*.png"))]
        assert len(kept) <= 6
        assert {1, 4, 20} <= set(kept)

    def test_drawing_takes_no_more_than_its_share(self, tmp_path):
        run(tmp_path, 4, picture_share=0.0)
        assert [path.name for path in tmp_path.glob("*.png")] == ["epoch_001.png"]


class TestPage:
    def test_it_tells_the_best_and_shows_curves_and_the_newest_picture(self, tmp_path):
        with RunLog(tmp_path, title="a<b.smalti", about={"net": "unet & co"}, picture_share=1.0) as log:
            for number, score in ((1, 0.2), (2, 0.6), (3, 0.5)):
                for each in range(5 * number - 4, 5 * number + 1):
                    log.report(step(each, loss=1 / each))
                log.report(epoch(number, score, best=number < 3), shown())
        page = (tmp_path / "index.html").read_text()
        assert "<h1>Training of a&lt;b.smalti</h1>" in page
        assert "Epoch 3 of 4, step 15 of 20" in page
        assert re.search(r"<b>0\.600</b>mIoU on validation images, the best so far, after epoch 2", page)
        assert page.count("<svg") == 2
        assert 'src="epoch_003.png"' in page
        assert 'src="epoch_002.png"' in page  # the best
        assert "unet &amp; co" in page
        assert "&lt;wood&gt;" in page
        assert "5 %" in page  # of the time is spent waiting
        assert not re.search(r"<script|http", page)

    def test_a_run_without_validation_has_a_page(self, tmp_path):
        with RunLog(tmp_path) as log:
            log.report(step(1))
            log.report(EpochReport(1, 1, math.nan))
        page = (tmp_path / "index.html").read_text()
        assert "Epoch 1 of 4" in page
        assert "nan" not in page
