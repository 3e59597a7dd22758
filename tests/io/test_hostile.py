"""Files made to do harm or to lie: refused in words, without taking memory for them."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile

from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io import read


def png(depth, color_type, data=b"\0", compression=0, filters=0, interlaced=0, chunks=()):
    """A 4 x 4 PNG of any header."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 4, 4, depth, color_type, compression, filters, interlaced)
    body = b"".join(chunk(kind, content) for kind, content in chunks)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + body
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def deflated_tiff(inflated_bytes):
    """A 10 x 10 TIFF whose one strip inflates to so many bytes."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((10, 10), np.uint8), compression="zlib", metadata=None)
    data = bytearray(stream.getvalue())
    strip = zlib.compress(bytes(inflated_bytes))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tags = file.pages[0].tags
        for name, value in (("StripOffsets", len(data)), ("StripByteCounts", len(strip))):
            tag = tags[name]
            size = {3: "<H", 4: "<I", 16: "<Q"}[int(tag.dtype)]
            if size == "<H" and value > 65535:
                pytest.skip("the tag is too narrow for the bomb")
            struct.pack_into(size, data, tag.valueoffset, value)
    return bytes(data) + strip


def test_the_crafted_tiff_is_whole_when_it_does_not_lie():
    assert read(deflated_tiff(100)).shape == (10, 10)


@pytest.mark.parametrize("size", [101, 1000, 20_000_000])
def test_a_strip_that_inflates_to_more_is_refused(size):
    with pytest.raises(ReadError, match="inflates to more than the 100 bytes"):
        read(deflated_tiff(size))


@pytest.mark.parametrize("depth", [0, 3, 9, 10, 12, 24, 32, 64, 128, 255])
@pytest.mark.parametrize("color_type", [0, 2, 3, 4, 6])
def test_impossible_png_headers_are_refused(depth, color_type):
    with pytest.raises(ReadError, match="header"):
        read(png(depth, color_type))


@pytest.mark.parametrize("field", ["compression", "filters", "interlaced"])
def test_unknown_png_methods_are_refused(field):
    with pytest.raises(ReadError, match="header"):
        read(png(8, 0, bytes(20), **{field: 2}))


@pytest.mark.parametrize(("color_type", "length"), [(0, 1), (0, 3), (0, 6), (2, 2), (2, 5)])
def test_a_transparent_colour_of_the_wrong_length_is_refused(color_type, length):
    rows = bytes(4 * (1 + 4 * (1 if color_type == 0 else 3)))
    with pytest.raises(ReadError, match="transparent"):
        read(png(8, color_type, rows, chunks=[(b"tRNS", bytes(length))]))


def test_an_npy_header_that_lies_is_refused():
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (1, 4)})
    data = stream.getvalue().replace(b"(1, 4)", b"(True, 4)")
    with pytest.raises(ReadError):
        read(data + bytes(4))


def test_a_gif_frame_beyond_its_screen_is_refused():
    head = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 60000, 60000, 0) + b"\x02\x02\x44\x01\x00;"
    with pytest.raises(ReadError):
        read(head + frame)


def test_pixels_wider_than_a_double_are_refused():
    with pytest.raises(InputError, match="float64"):
        Image(np.zeros((2, 2, 1), np.longdouble))
