"""A listing holds what is there, in order, and never leads outside."""

import os

import pytest

from smalti.errors import ReadError
from smalti.io.formats.listing import natural
from smalti.io.formats.tree import Tree, inside


def filled(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_files_come_in_the_order_people_count(tmp_path):
    filled(tmp_path, "b/10.png", "b/9.png", "a2.png", "a10.png")
    assert Tree(tmp_path).paths == ("a2.png", "a10.png", "b/9.png", "b/10.png")


def test_hidden_files_and_loss_reports_are_passed_over(tmp_path):
    filled(tmp_path, ".git/x", "._a.png", "__MACOSX/b", "smalti-loss.json", "a.png")
    assert Tree(tmp_path).paths == ("a.png",)


def test_links_in_a_circle_end(tmp_path):
    filled(tmp_path, "a/b/c.png")
    (tmp_path / "a" / "b" / "back").symlink_to(tmp_path)
    assert Tree(tmp_path).paths == ("a/b/c.png",)


def test_dangling_links_are_no_files(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    assert Tree(tmp_path).paths == ()


def test_a_link_to_itself_is_no_file(tmp_path):
    filled(tmp_path, "a.png")
    (tmp_path / "x").symlink_to(tmp_path / "x")
    assert Tree(tmp_path).paths == ("a.png",)


def test_a_listing_with_links_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("smalti.io.formats.listing._WORTH_KEEPING", 1)
    filled(tmp_path / "set", "a.png")
    (tmp_path / "set" / "b.png").symlink_to(tmp_path / "later.png")
    os.utime(tmp_path / "set", (1, 1))
    assert Tree(tmp_path / "set").paths == ("a.png",)
    (tmp_path / "later.png").write_bytes(b"")
    assert Tree(tmp_path / "set").paths == ("a.png", "b.png")


def test_a_file_is_the_focus_of_its_folder(tmp_path):
    filled(tmp_path, "a.json", "images/1.png")
    tree = Tree(tmp_path / "a.json")
    assert (tree.root, tree.focus) == (tmp_path, "a.json")
    assert "images/1.png" in tree.path_set
    assert tree.head("a.json", 3) == b"a.j"
    assert tree.head("missing") == b""


def test_a_kept_listing_is_made_anew_when_a_folder_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("smalti.io.formats.listing._WORTH_KEEPING", 2)
    root = filled(tmp_path / "data", "a/1.png", "a/2.png", "b/3.png")
    for folder in (root, root / "a", root / "b"):
        os.utime(folder, ns=(1, 1))
    paths = Tree(root).paths
    assert list((tmp_path / "cache").rglob("*.npz"))

    def never(self, root):
        raise AssertionError("listed again")

    with monkeypatch.context() as patched:
        patched.setattr("smalti.io.formats.listing._Found.walk", never)
        assert Tree(root).paths == paths
    filled(root, "b/4.png")
    assert Tree(root).paths == (*paths, "b/4.png")
    (root / "a" / "1.png").unlink()
    assert "a/1.png" not in Tree(root).paths


def test_a_folder_that_has_just_changed_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("smalti.io.formats.listing._WORTH_KEEPING", 1)
    assert Tree(filled(tmp_path / "data", "1.png")).paths
    assert not (tmp_path / "cache").exists()


def test_a_damaged_cache_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("smalti.io.formats.listing._WORTH_KEEPING", 1)
    root = filled(tmp_path / "data", "1.png")
    os.utime(root, ns=(1, 1))
    assert Tree(root).paths == ("1.png",)
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.write_bytes(b"PK\x03\x04 nonsense")
    assert Tree(root).paths == ("1.png",)


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "C:\\x", "C:/x", "..\\x", "", ".", "a\0b"]
)
def test_names_that_lead_outside_are_refused(name, tmp_path):
    with pytest.raises(ReadError, match="leads outside"):
        inside(name)
    with pytest.raises(ReadError):
        Tree(tmp_path).file(name)


@pytest.mark.parametrize(("name", "plain"), [("a\\b.png", "a/b.png"), ("./a//b", "a/b"), ("a..b", "a..b")])
def test_other_names_are_made_plain(name, plain):
    assert inside(name) == plain


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(ReadError, match="no file or folder"):
        Tree(tmp_path / "nothing")
    with pytest.raises(ReadError, match="there is no folder"):
        Tree(tmp_path / "no" / "thing")


def test_natural_order_is_total():
    names = ["10", "9", "a", "a1", "01", "1", "", "1a", "ß", "²"]
    assert sorted(sorted(names), key=natural) == sorted(sorted(names, reverse=True), key=natural)


def test_files_by_suffix_in_whatever_case(tmp_path):
    filled(tmp_path, "a.PNG", "b.png", "c.nii.gz", "d.gz", "e", "sub/f.Png", "g.txt")
    tree = Tree(tmp_path)
    assert tree.with_suffix(".png") == ["a.PNG", "b.png", "sub/f.Png"]
    assert tree.with_suffix(".nii.gz") == ["c.nii.gz"]
    assert tree.with_suffix(".png", ".txt") == ["a.PNG", "b.png", "g.txt", "sub/f.Png"]
    assert tree.with_suffix(".json") == []
