"""Files made to do harm or to lie: refused in words, without taking memory for them."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from smalti.errors import InputError, ReadError
from smalti.image import Image
from smalti.io import read, read_labels, write_image


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


def npy_file(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def tiff_file(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **options)
    return stream.getvalue()


def pillow_file(picture, format, **options):
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def with_tag(content, tag, value):
    """The TIFF with another (inline, or first) value of a tag of its first page."""
    data = bytearray(content)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        found = file.pages[0].tags[tag]
        struct.pack_into({3: "<H", 4: "<I"}[int(found.dtype)], data, found.valueoffset, value)
    return bytes(data)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long doubles have 64 bits here")
def test_an_npy_of_long_doubles_is_refused():
    with pytest.raises(ReadError, match="float64"):
        read(npy_file(np.zeros((2, 2), np.longdouble)))


# palettes


COLORS = (b"PLTE", bytes([10, 20, 30, 40, 50, 60]))


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_palette_png_with_a_missing_row_is_refused(interlaced):
    # interlaced, 4 x 4 are passes of 1, 1, 2, 2 x 2 and 2 x 4 pixels, each row after its filter
    rows = bytes(23 if interlaced else 20)
    content = png(8, 3, rows, interlaced=interlaced, chunks=[COLORS])
    assert read(content).pixels[0, 0].tolist() == [10, 20, 30]
    for reader in (read, read_labels):
        with pytest.raises(ReadError, match="were promised"):
            reader(png(8, 3, rows[:-5], interlaced=interlaced, chunks=[COLORS]))


@pytest.mark.parametrize("palette", [[], [(b"PLTE", b"")], [(b"PLTE", bytes(4))], [(b"PLTE", bytes(771))]])
def test_a_palette_png_without_a_palette_is_refused(palette):
    with pytest.raises(ReadError, match="palette"):
        read(png(8, 3, bytes(20), chunks=palette))


def test_an_index_beyond_the_palette_is_refused_in_colour_and_kept_in_labels():
    content = png(8, 3, b"\0\0\1\0\2" + bytes(15), chunks=[COLORS])
    with pytest.raises(ReadError, match="colour 2 of a palette of 2"):
        read(content)
    assert read_labels(content)[0].tolist() == [0, 1, 0, 2]


# TIFF


def test_cmyk_that_is_not_converted_is_not_called_red():
    content = tiff_file(np.ones((4, 5, 4), np.uint16), photometric="separated", planarconfig="contig")
    assert read(content).channels == ("channel_0", "channel_1", "channel_2", "channel_3")


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_ycbcr_becomes_rgb(compression):
    y, x = np.mgrid[:16, :24]
    picture = PillowImage.fromarray(np.stack([8 * x, 9 * y, 3 * x + y], axis=-1).astype(np.uint8))
    picture = picture.convert("YCbCr")
    image = read(pillow_file(picture, "TIFF", compression=compression))
    assert image.channels == ("red", "green", "blue")
    difference = image.pixels.astype(int) - np.asarray(picture.convert("RGB"))
    assert np.abs(difference).max() <= 1  # libtiff, which reads LZW, rounds otherwise than Pillow


def test_ycbcr_of_16_bit_is_not_called_red():
    content = tiff_file(np.ones((4, 5, 3), np.uint16), photometric="ycbcr", planarconfig="contig")
    assert read(content).channels == ("channel_0", "channel_1", "channel_2")


def test_a_colour_map_of_8_bit_values_is_not_shifted_away():
    colors = np.zeros((3, 256), np.uint16)
    colors[:, 1] = (200, 100, 50)
    content = tiff_file(np.ones((4, 5), np.uint8), photometric="palette", colormap=colors)
    assert read(content).pixels[0, 0].tolist() == [200, 100, 50]
    content = tiff_file(np.ones((4, 5), np.uint8), photometric="palette", colormap=colors * 257)
    assert read(content).pixels[0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize("rows", [10, 3])
def test_uncompressed_strips_shorter_than_the_page_are_refused(rows):
    content = tiff_file(np.arange(100, dtype=np.uint8).reshape(10, 10), rowsperstrip=rows)
    assert read(content).shape == (10, 10)
    if rows == 10:
        with pytest.raises(ReadError, match="60 bytes"):
            read(with_tag(content + bytes(100), "StripByteCounts", 60))
    else:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            counts = file.pages[0].tags["StripByteCounts"]
            short = bytearray(content)
            short[counts.valueoffset] -= 5
        with pytest.raises(ReadError, match="95 bytes"):
            read(bytes(short) + bytes(100))


def few_bits(depth, photometric, rows):
    """A little TIFF of ``depth`` bits a pixel, uncompressed; rows are lists of ints, each padded to bytes."""
    packed = b""
    for row in rows:
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        packed += int(bits, 2).to_bytes(len(bits) // 8, "big")
    tags = [
        (256, 3, len(rows[0])),
        (257, 3, len(rows)),
        (258, 3, depth),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8 + 2 + 12 * 9 + 4),
        (277, 3, 1),
        (278, 3, len(rows)),
        (279, 4, len(packed)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + packed


@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiffs_of_2_and_4_bits_are_read(depth, photometric):
    top = 2**depth - 1
    stored = np.array([[0, 1, top, 2, 1], [3, 2, 1, 0, top]])
    content = few_bits(depth, photometric, stored.tolist())
    shown = (stored if photometric else top - stored) * (255 // top)
    assert np.array_equal(read(content).pixels[..., 0], shown)
    assert np.array_equal(read_labels(content), stored)


@pytest.mark.parametrize("depth", [3, 5, 6, 12, 24])
def test_tiffs_of_odd_bits_are_not_called_damaged(depth):
    rows = [[1, 2, 3, 4]] * 3
    try:
        image = read(few_bits(depth, 1, rows))
    except ReadError as error:
        assert "damaged" not in str(error) and "cannot be read here" in str(error)
    else:
        assert np.array_equal(image.pixels[..., 0], rows)


# JPEG


def jpeg_file(**options):
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    return pillow_file(PillowImage.fromarray(noise), "JPEG", **options)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_cut_jpeg_before_another_is_refused(progressive):
    content = jpeg_file(progressive=progressive)
    assert read(content).shape == (64, 80)
    assert read(content + content).shape == (64, 80)  # a second picture behind the end is no damage
    for cut in (len(content) // 2, len(content) * 9 // 10):
        with pytest.raises(ReadError, match="out of place|no marker"):
            read(content[:cut].rstrip(b"\xff") + content)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_baseline_jpeg_of_too_few_bytes_is_refused(subsampling):
    content = jpeg_file(subsampling=subsampling)
    begin = content.index(b"\xff\xda") + 14
    with pytest.raises(ReadError, match="cannot code"):
        read(content[: begin + 10] + b"\xff\xd9")


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (9, 200, 31)])
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (999, 1001)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "subsampling": 2}])
def test_a_jpeg_of_one_colour_is_long_enough(color, size, options):
    content = pillow_file(PillowImage.new("RGB", size, color), "JPEG", **options)
    assert read(content).shape == size[::-1]


def test_restarts_and_fill_bytes_in_a_jpeg_are_no_damage():
    content = jpeg_file(restart_marker_blocks=3)
    assert b"\xff\xd3" in content
    assert read(content).shape == (64, 80)
    assert read(content[:-2] + b"\xff\xff\xff\xd9").shape == (64, 80)
    progressive = jpeg_file(progressive=True)
    first = progressive.index(b"\xff\xda") + 2
    table = progressive.index(b"\xff\xc4", first)
    after = table + 2 + int.from_bytes(progressive[table + 2 : table + 4], "big")
    assert read(progressive[:after] + b"\xff\xff" + progressive[after:]).shape == (64, 80)


# other byte orders


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_big_endian_images_are_written(tmp_path, suffix):
    pixels = np.arange(24, dtype=">u2").reshape(2, 4, 3) * 1000
    write_image(tmp_path / f"a{suffix}", Image(pixels))
    assert np.array_equal(read(tmp_path / f"a{suffix}").pixels, pixels)
