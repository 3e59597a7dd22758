"""What numbers and colours mean, from the lists that datasets have."""

from __future__ import annotations

import json

import pytest

from smalti.errors import InputError, ReadError
from smalti.io.formats.class_lists import class_list, write_class_list
from smalti.io.formats.mask_classes import NONE, VOID, Entry, parse_color
from smalti.io.formats.numbering import complete
from smalti.io.formats.tree import Tree


def listed(folder, name, text, **meanings):
    (folder / name).write_text(text, encoding="utf-8")
    found = class_list(Tree(folder), None)
    assert found is not None
    return complete(found, meanings.get("void"), meanings.get("background"))


def names_of(found):
    """Number in the file to the name it means."""
    meant = {NONE: "none", VOID: "void"}
    return {value: meant.get(id_) or found.classes.of(id_).name for value, id_ in found.ids().items()}


def test_no_list_is_none(tmp_path):
    assert class_list(Tree(tmp_path), None) is None


def test_names_are_counted_from_one(tmp_path):
    found = listed(tmp_path, "classes.txt", "road\n\ncar\n")
    assert names_of(found) == {0: "none", 1: "road", 2: "car", 255: "void"}
    assert found.classes.ids.tolist() == [1, 2]


def test_names_are_counted_from_zero_where_the_first_is_background(tmp_path):
    found = listed(tmp_path, "labels.txt", "_background_\nroad\ncar\n")
    assert names_of(found) == {0: "none", 1: "road", 2: "car", 255: "void"}


def test_labelme_puts_ignore_before_the_background(tmp_path):
    found = listed(tmp_path, "class_names.txt", "__ignore__\n_background_\nroad\n")
    assert names_of(found) == {255: "void", 0: "none", 1: "road"}


def test_zero_is_a_class_where_a_person_says_so(tmp_path):
    found = listed(tmp_path, "classes.txt", "sky\nroad\n", background=())
    assert names_of(found) == {0: "sky", 1: "road", 255: "void"}
    assert found.classes.ids.tolist() == [1, 2]  # one more than the numbers


def test_colours_and_names_of_camvid(tmp_path):
    found = listed(tmp_path, "label_colors.txt", "64 128 64\tAnimal\n192 0 128\t\tArchway\n0 0 0\tVoid\n")
    assert found.color_ids() == {(64, 128, 64): 1, (192, 0, 128): 2, (0, 0, 0): VOID}
    assert found.classes.named("Archway").color == (192, 0, 128)


def test_table_of_names_and_colours(tmp_path):
    found = listed(tmp_path, "class_dict.csv", "name,r,g,b\nroad,128,64,128\nsky,1,2,3\n")
    assert found.color_ids()[128, 64, 128] == found.classes.named("road").id


def test_cvat_label_map(tmp_path):
    found = listed(
        tmp_path, "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:1,2,3::\n"
    )
    assert found.color_ids() == {(0, 0, 0): NONE, (1, 2, 3): 1}
    assert names_of(found)[1] == "cat"


def test_ade20k_leaves_other_objects_out(tmp_path):
    text = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.15\t11664\t1172\t1\twall\n2\t0.1\t1\t2\t0\tcar, auto\n"
    found = listed(tmp_path, "objectInfo150.txt", text)
    assert names_of(found) == {0: "void", 1: "wall", 2: "car, auto"}
    assert [entry.thing for entry in found.classes] == [False, True]


@pytest.mark.parametrize(
    ("option", "names", "colors"),
    [
        (["a", "b"], {0: "none", 1: "a", 2: "b", 255: "void"}, {}),
        ({"a": 3, "b": 7}, {0: "none", 3: "a", 7: "b", 255: "void"}, {}),
        ({"0": "a", "1": "b"}, {0: "a", 1: "b", 255: "void"}, {}),
        ([{"id": 2, "name": "a", "color": "#010203"}], {0: "none", 2: "a", 255: "void"}, {(1, 2, 3): 2}),
        ({"a": "#010203", "b": [4, 5, 6]}, None, {(1, 2, 3): 1, (4, 5, 6): 2}),
        ({"a": ["#010203", "#040506"]}, None, {(1, 2, 3): 1, (4, 5, 6): 1}),
        ({"a": "#010203", "unlabeled": "#040506"}, None, {(1, 2, 3): 1, (4, 5, 6): VOID}),
        ({"classes": [{"title": "a", "color": "#010203"}]}, None, {(1, 2, 3): 1}),
    ],
)  # fmt: skip
def test_lists_a_person_gives(tmp_path, option, names, colors):
    found = class_list(Tree(tmp_path), option)
    assert found.color_ids() == colors
    if names is not None:
        assert names_of(complete(found, None, None)) == names


def test_a_person_overrules_the_list(tmp_path):
    found = complete(class_list(Tree(tmp_path), {"pet": 1, "ground": 2}), 3, 2)
    assert names_of(found) == {1: "pet", 2: "none", 3: "void"}
    assert found.classes.names == ("pet",)


@pytest.mark.parametrize(
    ("name", "classes", "zero"),
    [
        ("camvid", 11, "sky"),
        ("cityscapes", 19, "void"),
        ("cityscapes-train", 19, "road"),
        ("voc", 20, "none"),
    ],
)
def test_known_lists(tmp_path, name, classes, zero):
    found = complete(class_list(Tree(tmp_path), name), None, None)
    assert len(found.classes) == classes
    assert names_of(found)[0] == zero


def test_facts_of_known_lists(tmp_path):
    voc = class_list(Tree(tmp_path), "voc")
    assert (voc.classes.of(15).name, voc.classes.of(15).color) == ("person", (192, 128, 128))
    cityscapes = class_list(Tree(tmp_path), "cityscapes")
    assert cityscapes.classes.named("car").id == 26
    assert cityscapes.ids()[29] == VOID  # a caravan is not scored
    camvid = class_list(Tree(tmp_path), "camvid")
    assert camvid.classes.of(1).name == "sky"  # 0 in the file
    assert camvid.ids()[11] == VOID


def test_a_file_elsewhere_is_read(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "mine.txt").write_text("a\nb\n")
    found = class_list(Tree(tmp_path / "data"), str(tmp_path / "mine.txt"))
    assert found.classes.names == ("a", "b")


def test_what_is_written_comes_back(tmp_path):
    entries = [
        Entry("background", 7, (1, 2, 3), thing=False),
        Entry("void", 2, None),
        Entry("nothing", 0, (0, 0, 0), kind="background"),
        Entry("unsure", 255, (9, 9, 9), kind="void"),
    ]
    write_class_list(tmp_path, entries)
    found = class_list(Tree(tmp_path), None)
    assert found.ids() == {7: 7, 2: 2, 0: NONE, 255: VOID}
    kept = found.classes.of(7)
    assert (kept.name, kept.color, kept.thing) == ("background", (1, 2, 3), False)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("classes.json", "[", "cut short"),
        ("classes.json", "[]", "0"),
        ("classes.json", '[{"id": 1}]', "no name"),
        ("classes.json", '[{"id": "x", "name": "a"}]', "'x'"),
        ("classes.json", '[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]', "both 'a' and 'b'"),
        ("classes.json", '[{"id": -4, "name": "a"}]', "-4"),
        ("classes.json", '[{"id": 1, "name": "a"}, {"name": "b"}]', "number them all"),
        ("classes.json", '{"road": "blue"}', "blue"),
        ("classes.json", '[{"name": "a", "color": [1, 2, 300]}]', "300"),
        ("label_colors.txt", "1 2 999 road\n", "line 1"),
        ("class_dict.csv", "name,r,g,b\nroad,1,2\n", "line 2"),
        ("objectInfo150.txt", "Idx\tRatio\nwall\n", "line 2"),
        ("classes.txt", "", "0"),
    ],
)
def test_a_list_that_lies_is_refused_by_name(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(ReadError) as raised:
        class_list(Tree(tmp_path), None)
    assert name in str(raised.value)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_list_of_bytes_is_refused(tmp_path):
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ReadError, match="UTF-8"):
        class_list(Tree(tmp_path), None)


def test_an_unknown_name_says_which_there_are(tmp_path):
    with pytest.raises(InputError, match="camvid"):
        class_list(Tree(tmp_path), "camvit")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("#0A0b0c", (10, 11, 12)),
        ([1, 2, 3], (1, 2, 3)),
        ("1, 2,3", (1, 2, 3)),
        ("red", None),
        ([1, 2], None),
        (7, None),
    ],
)
def test_colours(given, wanted):
    assert parse_color(given) == wanted


def test_the_list_in_json_is_for_people(tmp_path):
    write_class_list(tmp_path, [Entry("road", 1, (1, 2, 3))])
    assert json.loads((tmp_path / "classes.json").read_text()) == [
        {"id": 1, "name": "road", "color": [1, 2, 3], "thing": True, "void": False}
    ]
