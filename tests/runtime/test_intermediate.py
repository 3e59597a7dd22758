"""OpenVINO's own form of a graph is refused in one line where it is not what quantising writes."""

import pytest

from smalti.errors import ReadError
from smalti.runtime.intermediate import MAX_DEPTH, check_intermediate

LAYERS = """
<layer id="0" name="image" type="Parameter" version="opset1">
 <data shape="?,3,?,?" element_type="f32"/><output><port id="0"><dim>-1</dim><dim>3</dim></port></output>
</layer>
<layer id="1" name="w" type="Const" version="opset1">
 <data element_type="f32" shape="2, 2" offset="8" size="16"/>
 <output><port id="0"><dim>2</dim><dim>2</dim></port></output>
</layer>
"""
NUMBERS = bytes(24)


def xml(layers=LAYERS, head='<?xml version="1.0"?>'):
    return f'{head}<net name="m" version="11"><layers>{layers}</layers><edges/></net>'.encode()


def refused(content, numbers=NUMBERS):
    with pytest.raises(ReadError) as error:
        check_intermediate(content, numbers)
    assert str(error.value).isprintable()
    return str(error.value)


def test_what_openvino_writes_is_taken():
    check_intermediate(xml(), NUMBERS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('offset="8"', 'offset="9"'),
        ('offset="8"', 'offset="-8"'),
        ('size="16"', 'size="1e3"'),
        ('size="16"', ""),
        ("<dim>2</dim>", "<dim>999999999</dim>"),
        ("<dim>2</dim>", "<dim>two</dim>"),
        ('type="Const" version="opset1"', 'type="Const" version="extension"'),
        ('type="Parameter"', 'type="Loop"'),
        ('type="Parameter"', 'type="TensorIterator"'),
        ("</net>", ""),
    ],
)
def test_layers_that_lie_are_refused(old, new):
    refused(xml().replace(old.encode(), new.encode()))


def test_numbers_cut_short_are_told():
    assert "23 bytes" in refused(xml(), NUMBERS[:-1])


def test_entities_are_refused_before_they_grow():
    bomb = '<!DOCTYPE n [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    assert "plain XML" in refused(xml(head=f'<?xml version="1.0"?>{bomb}'))


def test_deep_nesting_is_refused():
    assert "deep" in refused(xml("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH))
    refused(xml("<a>" * 100_000 + "</a>" * 100_000))


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01", b"PK\x03\x04", b'<?xml version="1.0" encoding="none"?><a/>']
)
def test_what_is_no_graph_is_told(content):
    refused(content)
