"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat

import numpy as np
import pytest

from smalti.errors import InputError, WriteError
from smalti.image import Image
from smalti.io import replacing, write_image, write_labels


def names(folder) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_file_appears_at_the_end(tmp_path):
    target = tmp_path / "deep" / "er" / "table.csv"
    with replacing(target) as partial:
        partial.write_text("new")
        assert partial.parent == target.parent and partial.suffix == ".csv"
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["table.csv"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, InputError])
def test_a_failure_leaves_the_old_file(tmp_path, failure):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(failure), replacing(target) as partial:
        partial.write_text("half")
        raise failure("stop")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_a_failure_leaves_no_new_file(tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as partial:
        partial.write_text("half")
        raise RuntimeError("stop")
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_refuses_is_a_write_error_in_one_line(tmp_path, number):
    with pytest.raises(WriteError) as error, replacing(tmp_path / "a.png") as partial:
        partial.write_bytes(b"half")
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "a.png") in str(error.value) and os.strerror(number) in str(error.value)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="another folder"), replacing(tmp_path / "file" / "a.png"):
        pytest.fail("the block must not run")


def test_a_folder_where_the_file_would_be(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(WriteError, match="another name"), replacing(tmp_path / "a.png"):
        pytest.fail("the block must not run")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WriteError, match="may write"):
        write_image(tmp_path / "a.png", Image(np.zeros((2, 2, 1), np.uint8)))


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(WriteError, match="shorter"):
        write_labels(tmp_path / ("a" * 300 + ".png"), np.zeros((2, 2), int))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_mode_is_that_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "a") as partial:
        partial.write_text("")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
