"""Pictures of every format and dtype come back as they were, and damaged ones not at all."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageOps

from smalti.errors import InputError, ReadError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io import FORMATS, IMAGE_SUFFIXES, read, read_image, read_labels, write_image, write_labels
from smalti.io.labels import read_labels_and_geometry

HEIGHT, WIDTH = 11, 17


def noise(dtype: str, channels: int = 1, shape: tuple[int, ...] = (HEIGHT, WIDTH)) -> np.ndarray:
    """Pixels (*S, C) over the whole range of ``dtype``."""
    rng = np.random.default_rng(3)
    if dtype == "bool":
        return rng.random((*shape, channels)) < 0.5
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 1000, (*shape, channels)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (*shape, channels), dtype=dtype, endpoint=True)


def smooth(channels: int) -> np.ndarray:
    """A ramp that JPEG keeps to within a few grey values."""
    y, x = np.mgrid[:48, :64]
    return np.stack([(2 * x + y + 20 * c) for c in range(channels)], axis=-1).astype(np.uint8)


def saved(pixels: np.ndarray, format: str, mode: str | None = None, **options) -> bytes:
    """The bytes Pillow writes."""
    file = io.BytesIO()
    picture = PillowImage.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(file, format, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options) -> bytes:
    """The bytes tifffile writes."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: np.ndarray, color_type: int, depth: int, *extra: bytes) -> bytes:
    """A PNG written by hand, for kinds that no writer at hand makes; pixels (H, W, C) of ``depth`` bits."""
    height, width = pixels.shape[:2]
    if depth == 16:
        rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        bits = np.unpackbits(pixels.astype(np.uint8).reshape(height, -1, 1), axis=-1)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    scanlines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = [
        png_chunk(b"IHDR", head),
        *extra,
        png_chunk(b"IDAT", zlib.compress(scanlines)),
        png_chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 400
    return text


# write, then read


HELD = [
    (".png", "bool", (1,)),
    (".png", "uint8", (1, 2, 3, 4)),
    (".png", "uint16", (1, 3, 4)),
    (".webp", "uint8", (3, 4)),
    (".bmp", "uint8", (1, 3)),
    (".tif", "bool", (1,)),
    (".npy", "bool", (1, 3)),
    *[
        (suffix, dtype, (1, 2, 3, 4, 7))
        for suffix in (".tif", ".npy")
        for dtype in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
    ],
]


@pytest.mark.parametrize(
    ("suffix", "dtype", "channels"), [(suffix, dtype, c) for suffix, dtype, counts in HELD for c in counts]
)
@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (1, 1), (1, 9), (9, 1)])
def test_written_pixels_come_back(tmp_path, suffix, dtype, channels, shape):
    if suffix == ".webp" and channels == 4:
        pixels = noise(dtype, channels, shape)
        pixels[..., 3] |= 1  # WebP may forget the colour of what is wholly transparent
    else:
        pixels = noise(dtype, channels, shape)
    write_image(tmp_path / f"a{suffix}", Image(pixels))
    image = read(tmp_path / f"a{suffix}")
    assert image.pixels.dtype == pixels.dtype
    assert np.array_equal(image.pixels, pixels)
    assert image.pixels.flags.writeable and image.pixels.flags.c_contiguous


@pytest.mark.parametrize("channels", [1, 3])
def test_written_jpeg_comes_back_nearly(tmp_path, channels):
    pixels = smooth(channels)
    write_image(tmp_path / "a.jpg", Image(pixels))
    image = read_image(tmp_path / "a.jpg")
    assert image.pixels.shape == pixels.shape
    assert np.abs(image.pixels.astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "float32"])
def test_volumes_come_back(tmp_path, suffix, channels, dtype):
    if suffix == ".tif" and dtype == "bool" and channels > 1:
        pytest.skip("TIFF packs bits of one channel only")
    pixels = noise(dtype, channels, (4, 6, 19))
    write_image(tmp_path / f"a{suffix}", Image(pixels))
    assert np.array_equal(read_image(tmp_path / f"a{suffix}").pixels, pixels)


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_nan_and_infinity_are_kept(tmp_path, suffix):
    pixels = np.array([[0, np.nan, np.inf, -np.inf]], np.float32)[..., np.newaxis]
    write_image(tmp_path / f"a{suffix}", Image(pixels))
    assert np.array_equal(read_image(tmp_path / f"a{suffix}").pixels, pixels, equal_nan=True)


@pytest.mark.parametrize(
    ("suffix", "pixels"),
    [
        (".png", noise("float32")),
        (".png", noise("int32")),
        (".png", noise("uint8", 7)),
        (".png", noise("uint16", 2)),
        (".jpg", noise("uint16")),
        (".jpg", noise("uint8", 4)),
        (".webp", noise("uint8", 1)),
        (".bmp", noise("bool")),
        (".png", noise("uint8", 1, (2, 3, 4))),
        (".tif", noise("bool", 3)),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_one_that_can(tmp_path, suffix, pixels):
    with pytest.raises(InputError) as error:
        write_image(tmp_path / f"a{suffix}", Image(pixels))
    assert ".npy" in one_line(error)
    assert list(tmp_path.iterdir()) == []


def test_channels_that_are_not_alpha_do_not_become_alpha(tmp_path):
    image = Image(noise("uint8", 4), ("a", "b", "c", "d"))
    with pytest.raises(InputError, match="alpha"):
        write_image(tmp_path / "a.png", image)
    write_image(tmp_path / "a.tif", image)
    assert read_image(tmp_path / "a.tif").channels == ("channel_0", "channel_1", "channel_2", "channel_3")


def test_unknown_suffix_names_the_known(tmp_path):
    with pytest.raises(InputError, match=r"\.jpeg"):
        write_image(tmp_path / "a.jpgg", Image(smooth(3)))


# colour and bit depth as the file has them


def test_palette_is_colour_in_an_image_and_indices_in_labels():
    indices = noise("uint8")[..., 0] % 5
    picture = PillowImage.fromarray(indices)
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3, 4, 5, 6])
    for format in ("PNG", "BMP", "TIFF", "GIF"):
        file = io.BytesIO()
        picture.save(file, format)
        image = read_image(file.getvalue())
        assert image.channels == ("red", "green", "blue")
        assert np.array_equal(image.pixels, np.asarray(picture.convert("RGB")))
        if format != "GIF":  # Pillow's GIF writer sorts the palette
            assert np.array_equal(read_labels(file.getvalue()), indices)


def test_transparent_palette_is_rgba():
    picture = PillowImage.fromarray(noise("uint8")[..., 0] % 3)
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=1)
    image = read_image(file.getvalue())
    assert image.channels[-1] == "alpha"
    assert np.array_equal(image.pixels[..., 3] == 0, np.asarray(picture) == 1)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth(depth):
    stored = noise("uint16").astype(int) % 2**depth
    content = png(stored, 0, depth)
    image = read_image(content)
    expected = {1: stored != 0, 2: stored * 85, 4: stored * 17}.get(depth, stored)
    assert image.pixels.dtype == {1: bool, 16: np.uint16}.get(depth, np.uint8)
    assert np.array_equal(image.pixels, expected)
    assert np.array_equal(read_labels(content), stored[..., 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("plain_rows", [0, 1, 5, 63, 64])
def test_png_whose_first_rows_only_are_unfiltered(dtype, plain_rows, monkeypatch):
    monkeypatch.setattr("smalti.io.png._BLOCK_BYTES", 600)
    pixels = np.cumsum(noise(dtype, 1, (64, 70)) % 7, axis=1, dtype=dtype)
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(64, -1).view(np.uint8)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    lines = [
        b"\0" + row.tobytes() if y < plain_rows else b"\2" + (row - above[y]).tobytes()
        for y, row in enumerate(rows)
    ]
    head = struct.pack(">IIBBBBB", 70, 64, 8 * pixels.itemsize, 0, 0, 0, 0)
    body = zlib.compress(b"".join(lines))
    chunks = [(b"IHDR", head), (b"IDAT", body[:99]), (b"IDAT", body[99:]), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    assert np.array_equal(read_image(content).pixels, pixels)


def test_png_with_too_few_rows_is_refused():
    whole = png(noise("uint16"), 0, 16)
    taller = struct.pack(">IIBBBBB", WIDTH, HEIGHT + 1, 16, 0, 0, 0, 0)
    with pytest.raises(ReadError, match="damaged"):
        read_image(whole[:8] + png_chunk(b"IHDR", taller) + whole[33:])


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colour_png_of_every_kind(color_type, channels, depth):
    pixels = noise("uint16", channels).astype(int) % 2**depth
    image = read_image(png(pixels, color_type, depth))
    assert image.pixels.dtype == f"uint{depth}"
    assert np.array_equal(image.pixels, pixels)
    assert (image.channels[-1] == "alpha") == (channels in (2, 4))


@pytest.mark.parametrize("depth", [2, 8, 16])
@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3)])
def test_png_with_one_transparent_colour_gets_alpha(color_type, channels, depth):
    if depth == 2 and color_type == 2:
        pytest.skip("PNG has no 2-bit colour")
    pixels = noise("uint16", channels).astype(int) % 2**depth
    key = png_chunk(b"tRNS", pixels[0, 0].astype(">u2").tobytes())
    image = read_image(png(pixels, color_type, depth, key))
    assert image.num_channels == channels + 1
    assert np.array_equal(image.pixels[..., -1] == 0, (pixels == pixels[0, 0]).all(axis=-1))


def test_a_profile_that_is_wrong_is_not_reported_aloud(capfd):
    profile = png_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(bytes(200)))
    pixels = noise("uint8", 3)
    assert np.array_equal(read_image(png(pixels, 2, 8, profile)).pixels, pixels)
    assert capfd.readouterr() == ("", "")


def test_cmyk_becomes_rgb():
    picture = PillowImage.fromarray(smooth(3)).convert("CMYK")
    for format in ("JPEG", "TIFF"):
        file = io.BytesIO()
        picture.save(file, format)
        expected = np.asarray(PillowImage.open(file).convert("RGB"))
        assert np.array_equal(read_image(file.getvalue()).pixels, expected)


def test_grey_jpeg_has_one_channel():
    assert read_image(saved(smooth(1)[..., 0], "JPEG")).channels == ("grey",)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 2}, {"quality": 30}])
def test_jpeg_pixels_are_those_of_pillow(options):
    content = saved(smooth(3), "JPEG", **options)
    assert np.array_equal(read_image(content).pixels, np.asarray(PillowImage.open(io.BytesIO(content))))


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_first_frame_of_an_animation(format):
    frames = [PillowImage.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (50, 200)]
    file = io.BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:], lossless=True)
    image = read_image(file.getvalue())
    assert image.shape == (8, 9)
    assert (image.channel("red") == 50).all()


# EXIF orientation


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(orientation, format):
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    content = saved(smooth(3), format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    expected = ImageOps.exif_transpose(PillowImage.open(io.BytesIO(content)))
    assert np.array_equal(read_image(content).pixels, np.asarray(expected))


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_grey_and_16_bit(orientation):
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    grey = saved(smooth(1)[..., 0], "JPEG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(PillowImage.open(io.BytesIO(grey))))
    assert np.array_equal(read_image(grey).pixels[..., 0], expected)
    deep = noise("uint16", 3)
    content = png(deep, 2, 16, png_chunk(b"eXIf", exif.tobytes()[6:]))
    assert np.array_equal(read_image(content).pixels, np.rot90(deep, {3: 2, 6: 3}[orientation]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("dtype", "channels"), [("bool", 1), ("uint8", 1), ("uint16", 4), ("uint16", 7), ("float32", 3)]
)
def test_orientation_of_every_dtype(orientation, dtype, channels):
    upright = {2: "x", 3: "yx", 4: "y", 5: "t", 6: "tx", 7: "tyx", 8: "ty"}.get(orientation, "")
    pixels = expected = noise(dtype, channels)
    if "t" in upright:
        expected = expected.swapaxes(0, 1)
    expected = expected[:: -1 if "y" in upright else 1, :: -1 if "x" in upright else 1]
    stored = pixels[..., 0] if channels == 1 else pixels
    layout = {} if channels == 1 else {"planarconfig": "contig", "photometric": "minisblack"}
    content = tiff(stored, extratags=[(274, "H", 1, orientation, True)], **layout)
    image = read_image(content)
    assert np.array_equal(image.pixels, expected) and image.pixels.flags.c_contiguous


def test_broken_exif_leaves_the_picture_as_it_lies():
    content = saved(smooth(3), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_image(content).shape == (48, 64)


# TIFF


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [2, 3, 7])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_tiff_layouts(planar, channels, byteorder, bigtiff):
    pixels = noise("uint16", channels)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    photometric = "rgb" if channels == 3 else "minisblack"
    content = tiff(stored, planarconfig=planar, photometric=photometric, byteorder=byteorder, bigtiff=bigtiff)
    image = read_image(content)
    assert np.array_equal(image.pixels, pixels)
    assert image.pixels.dtype == np.uint16 and image.pixels.dtype.isnative


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_tiff_tiles_and_predictor(tile):
    pixels = noise("uint16", 3, (40, 50))
    content = tiff(pixels, photometric="rgb", tile=tile, compression="zlib", predictor=True)
    assert np.array_equal(read_image(content).pixels, pixels)


@pytest.mark.parametrize(
    ("dtype", "channels"),
    [
        ("uint8", 1),
        ("uint8", 3),
        ("uint16", 1),
        ("uint16", 3),
        ("uint32", 1),
        ("int32", 1),
        ("float32", 1),
        ("float32", 3),
    ],
)
def test_lzw_tiff(dtype, channels):
    pixels = noise(dtype, channels)
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    content = cv2.imencode(".tif", pixels[..., ::-1], lzw)[1].tobytes()
    assert np.array_equal(read_image(content).pixels, pixels)


@pytest.mark.parametrize("compression", ["tiff_lzw", "group4", "packbits", "tiff_adobe_deflate"])
def test_bilevel_tiff_is_bool(compression):
    bits = noise("bool")[..., 0]
    content = saved(bits, "TIFF", compression=compression)
    assert read_image(content).pixels.dtype == bool
    assert np.array_equal(read_image(content).pixels[..., 0], bits)
    assert np.array_equal(read_labels(content), bits)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_lzw_tiff_keeps_alpha_apart(mode):
    pixels = noise("uint8", len(mode))
    content = saved(pixels, "TIFF", compression="tiff_lzw")
    assert np.array_equal(read_image(content).pixels, pixels)
    assert read_image(content).channels[-1] == "alpha"


def test_white_is_zero_is_turned_in_images_and_kept_in_labels():
    for stored in (noise("uint8")[..., 0], noise("bool")[..., 0]):
        content = tiff(stored, photometric="miniswhite", metadata=None)
        assert np.array_equal(read_image(content).pixels[..., 0], ~stored)
        assert np.array_equal(read_labels(content), stored)


def test_a_mask_that_tifffile_wrote_is_not_turned():
    mask = noise("bool")[..., 0]
    assert np.array_equal(read_image(tiff(mask)).pixels[..., 0], mask)


def test_jpeg_tiff_is_read():
    content = saved(smooth(3), "TIFF", compression="jpeg")
    assert np.abs(read_image(content).pixels.astype(int) - smooth(3)).mean() < 4


def test_pages_are_a_volume_or_one_page():
    pages = noise("uint16", 1, (5, HEIGHT, WIDTH))
    content = tiff(pages[..., 0], photometric="minisblack", metadata=None)
    assert np.array_equal(read_image(content).pixels, pages)
    assert np.array_equal(read_image(content, page=3).pixels, pages[3])
    assert np.array_equal(read_labels(content), pages[..., 0])
    with pytest.raises(ReadError, match="pages 0 to 4"):
        read_image(content, page=5)
    with pytest.raises(ReadError, match="page -1"):
        read_image(content, page=-1)


def test_pages_of_compressed_volumes_are_read():
    pages = [PillowImage.fromarray(page) for page in noise("uint8", 1, (3, HEIGHT, WIDTH))[..., 0]]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    assert np.array_equal(
        read_image(file.getvalue()).pixels[..., 0], np.stack([np.asarray(p) for p in pages])
    )
    assert np.array_equal(read_image(file.getvalue(), page=2).pixels[..., 0], np.asarray(pages[2]))


def test_a_volume_of_one_page_high_or_wide():
    for shape in [(3, 1, 1), (3, 1, 5), (3, 5, 1)]:
        pages = noise("uint8", 1, shape)[..., 0]
        content = tiff(pages, photometric="minisblack", metadata={"axes": "ZYX"})
        assert np.array_equal(read_image(content).pixels[..., 0], pages)


def test_time_and_depth_together_are_refused_by_name():
    hyperstack = noise("uint8", 1, (2, 3, HEIGHT, WIDTH))[..., 0]
    content = tiff(hyperstack, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(ReadError, match="T=2, Z=3") as error:
        read_image(content)
    assert "page=" in one_line(error)
    assert np.array_equal(read_image(content, page=4).pixels[..., 0], hyperstack[1, 1])


def test_imagej_channels_come_last():
    stack = noise("uint16", 1, (3, 2, HEIGHT, WIDTH))[..., 0]
    content = tiff(stack, imagej=True, metadata={"axes": "ZCYX"})
    image = read_image(content)
    assert np.array_equal(image.pixels, np.moveaxis(stack, 1, -1))
    assert image.channels == ("channel_0", "channel_1")


def test_pages_of_different_sizes_ask_for_one():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.ones((8, 9), np.uint8))
        writer.write(np.ones((4, 5), np.uint8))
    with pytest.raises(ReadError, match="pages 0 to 1, as with --page 0"):
        read_image(file.getvalue())
    assert read_image(file.getvalue(), page=1).shape == (4, 5)


def test_previews_do_not_count_as_pages():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.ones((8, 10), np.uint8), metadata=None)
        writer.write(np.ones((4, 5), np.uint8), subfiletype=1, metadata=None)
    assert read_image(file.getvalue()).shape == (8, 10)


def test_one_of_several_ome_files_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        writer.write(np.ones((2, 8, 9), np.uint8), photometric="minisblack", metadata={"axes": "ZYX"})
    content = (tmp_path / "a.ome.tif").read_bytes()
    assert read_image(content).shape == (2, 8, 9)
    text = tifffile.tiffcomment(tmp_path / "a.ome.tif")
    tifffile.tiffcomment(tmp_path / "a.ome.tif", text.replace('SizeZ="2"', 'SizeZ="3"').encode())
    with pytest.raises(ReadError, match="page"):
        read_image(tmp_path / "a.ome.tif")


# spacing


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [
        ((20000, 10000), "CENTIMETER", (1.0, 0.5)),
        ((25400, 25400), "INCH", (1.0, 1.0)),
        ((300, 300), "INCH", (84.6666667, 84.6666667)),
        ((72, 72), "INCH", None),
        ((96, 96), "INCH", None),
        ((1, 1), "INCH", None),
        ((20000, 20000), "NONE", None),
        ((0, 0), "CENTIMETER", None),
    ],
)
def test_resolution_tags_are_spacing(resolution, unit, spacing):
    content = tiff(np.ones((8, 9), np.uint8), resolution=resolution, resolutionunit=unit)
    geometry = read_image(content).geometry
    assert geometry.spacing == (None if spacing is None else pytest.approx(spacing, rel=1e-8))
    assert geometry.unit == ("px" if spacing is None else "um")


def test_resolution_of_png_and_jpeg_is_no_spacing():
    for format in ("PNG", "JPEG"):
        assert not read_image(saved(smooth(3), format, dpi=(300, 300))).geometry.known


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_imagej_spacing_with_depth(unit):
    content = tiff(
        np.ones((3, 8, 9), np.uint8),
        imagej=True,
        resolution=(4, 2),
        metadata={"spacing": 2.5, "unit": unit, "axes": "ZYX"},
    )
    geometry = read_image(content).geometry
    assert geometry.spacing == (2.5, 0.5, 0.25) and geometry.unit == "um"
    assert read_image(content, page=1).geometry.spacing == (0.5, 0.25)


def test_imagej_without_a_unit_is_unknown():
    content = tiff(np.ones((8, 9), np.uint8), imagej=True, resolution=(4, 4), metadata={"unit": "pixel"})
    assert not read_image(content).geometry.known


def test_ome_spacing():
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 250,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeZ": 2,
    }
    content = tiff(np.ones((3, 8, 9), np.uint8), ome=True, photometric="minisblack", metadata=metadata)
    geometry = read_image(content).geometry
    assert geometry.spacing == pytest.approx((2, 0.25, 0.25)) and geometry.unit == "um"


def test_spacing_given_overrides_that_of_the_file():
    content = tiff(np.ones((8, 9), np.uint8), resolution=(20000, 20000), resolutionunit="CENTIMETER")
    assert read_image(content, spacing="2x3mm").geometry.spacing == (2, 3)
    assert read_image(content, spacing=Geometry((1, 1), "m")).geometry.unit == "m"
    with pytest.raises(InputError):
        read_image(content, spacing="fast")


@pytest.mark.parametrize(
    ("shape", "geometry"),
    [
        ((8, 9), Geometry((0.65, 0.3251), "um")),
        ((8, 9), Geometry((0.002, 0.003), "mm")),
        ((3, 8, 9), Geometry((2.0, 0.65, 0.3), "um")),
        ((3, 8, 9), Geometry((1.0, 0.65, 0.3), "mm")),
        ((3, 8, 9), Geometry()),
    ],
)
def test_written_spacing_comes_back(tmp_path, shape, geometry):
    write_labels(tmp_path / "a.tif", np.full(shape, 70000), geometry)
    geometries = [read_labels_and_geometry(tmp_path / "a.tif")[1]]
    for dtype in ("bool", "uint8", "float16", "float32", "float64", "int64", "uint64"):
        image = Image(noise(dtype, 1 if dtype == "bool" else 3, shape), geometry=geometry)
        write_image(tmp_path / "b.tif", image)
        found = read_image(tmp_path / "b.tif")
        assert np.array_equal(found.pixels, image.pixels) and found.pixels.dtype == dtype
        geometries.append(found.geometry)
    for found in geometries:
        assert found.known == geometry.known
        if geometry.known:
            scale = {("um", "um"): 1, ("mm", "mm"): 1, ("mm", "um"): 1000}[geometry.unit, found.unit]
            assert np.array(found.spacing) == pytest.approx(np.array(geometry.spacing) * scale, rel=1e-7)


def test_orientation_turns_the_spacing_too():
    content = tiff(
        np.ones((8, 9), np.uint8),
        resolution=(20000, 10000),
        resolutionunit="CENTIMETER",
        extratags=[(274, "H", 1, 6, True)],
    )
    image = read_image(content)
    assert image.shape == (9, 8) and image.geometry.spacing == (0.5, 1.0)


# .npy


def npy(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def test_axes_of_npy():
    assert read_image(npy(np.zeros((20, 30)))).pixels.shape == (20, 30, 1)
    assert read_image(npy(np.zeros((20, 30, 7)))).pixels.shape == (20, 30, 7)
    assert read_image(npy(np.zeros((20, 30, 40)))).pixels.shape == (20, 30, 40, 1)
    assert read_image(npy(np.zeros((20, 30, 40))), ndim=2).pixels.shape == (20, 30, 40)
    assert read_image(npy(np.zeros((20, 30, 7))), ndim=3).pixels.shape == (20, 30, 7, 1)
    assert read_image(npy(np.zeros((2, 3, 4, 5)))).pixels.shape == (2, 3, 4, 5)
    assert read_labels(npy(np.zeros((20, 30, 3), int))).shape == (20, 30, 3)
    for shape in [(), (3,), (2, 2, 2, 2, 2)]:
        with pytest.raises(ReadError, match="shape"):
            read_image(npy(np.zeros(shape)))


def test_npy_in_fortran_order_and_other_byte_order():
    array = np.arange(12, dtype=">f4").reshape(3, 4)
    pixels = read_image(npy(np.asfortranarray(array))).pixels
    assert np.array_equal(pixels[..., 0], array) and pixels.dtype == np.float32 and pixels.flags.c_contiguous


@pytest.mark.parametrize("array", [np.zeros((3, 3), complex), np.array([["a"]]), np.zeros((2, 2), "i4,f4")])
def test_npy_of_other_values_is_refused(array):
    with pytest.raises(ReadError, match="wanted bool, integers or floats"):
        read_image(npy(array))


def test_npy_objects_are_never_unpickled():
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    content = npy(np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError):
        read_image(content)


def test_complex_tiff_is_refused():
    with pytest.raises(ReadError, match="complex64"):
        read_image(tiff(np.zeros((4, 5), np.complex64)))


# what is no image


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello, I am text", "hello"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "npz"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"\xff\xd8\xff", "cut short"),
        (b"BM", "BMP"),
        (b"GIF89a", "GIF"),
        (b"II*\0", "TIFF"),
        (b"\x93NUMPY", ".npy"),
        (b"RIFF\x04\0\0\0WEBP", "damaged"),
    ],
)
def test_not_an_image(tmp_path, content, word, capfd):
    (tmp_path / "a.png").write_bytes(content)
    for source in (tmp_path / "a.png", content, io.BytesIO(content)):
        with pytest.raises(ReadError, match=word.replace(".", r"\.")) as error:
            read(source)
        one_line(error)
    assert capfd.readouterr() == ("", "")


def test_missing_and_folder(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        read(tmp_path / "none.png")
    with pytest.raises(ReadError, match="no folder"):
        read(tmp_path / "nowhere" / "none.png")
    with pytest.raises(ReadError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ReadError, match="wanted a path"):
        read(3)
    with pytest.raises(ReadError, match="binary mode"):
        read(io.StringIO("text"))


def test_page_of_a_format_without_pages():
    with pytest.raises(ReadError, match="only TIFF has pages"):
        read_image(saved(smooth(3), "PNG"), page=1)


def test_name_and_suffix_do_not_matter(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(saved(smooth(3), "PNG"))
    (tmp_path / "photo").write_bytes(saved(smooth(3), "PNG"))
    (tmp_path / "photo.dat").write_bytes(npy(smooth(3)))
    for name in ("photo.jpg", "photo", "photo.dat"):
        image = read(tmp_path / name)
        assert np.array_equal(image.pixels, smooth(3))
    with (tmp_path / "photo").open("rb") as file:
        assert np.array_equal(read(file).pixels, smooth(3))
        assert not file.closed


def test_a_stream_that_cannot_seek():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    assert read_image(Pipe(saved(smooth(3), "PNG"))).shape == (48, 64)


# cut short and damaged


def examples() -> dict[str, bytes]:
    color, grey16 = smooth(3), noise("uint16")[..., 0]
    exif = PillowImage.Exif()
    exif[0x010E] = "a description"
    stack = noise("uint16", 1, (3, HEIGHT, WIDTH))[..., 0]
    palette = PillowImage.fromarray(color).quantize(16)
    palette_file = io.BytesIO()
    palette.save(palette_file, "PNG")
    return {
        "png": saved(color, "PNG"),
        "png palette": palette_file.getvalue(),
        "png 16": png(grey16[..., np.newaxis], 0, 16),
        "jpeg": saved(color, "JPEG", exif=exif),
        "jpeg progressive": saved(color, "JPEG", progressive=True),
        "jpeg cmyk": saved(color, "JPEG", mode="CMYK"),
        "webp": saved(color, "WEBP"),
        "webp lossless": saved(color, "WEBP", lossless=True),
        "bmp": saved(color, "BMP"),
        "bmp grey": saved(color[..., 0], "BMP"),
        "gif": saved(color[..., 0], "GIF"),
        "tiff": tiff(color, photometric="rgb"),
        "tiff deflate": tiff(color, photometric="rgb", compression="zlib", rowsperstrip=5),
        "tiff lzw": saved(color, "TIFF", compression="tiff_lzw"),
        "tiff pages": tiff(stack, photometric="minisblack", metadata=None),
        "tiff pages lzw": _lzw_pages(stack),
        "tiff imagej": tiff(stack, imagej=True),
        "tiff ome": tiff(stack, ome=True, photometric="minisblack"),
        "tiff big": tiff(stack, photometric="minisblack", bigtiff=True),
        "npy": npy(color),
    }


def _lzw_pages(stack: np.ndarray) -> bytes:
    pages = [PillowImage.fromarray(page) for page in stack]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    return file.getvalue()


@pytest.mark.parametrize("kind", list(examples()))
def test_a_cut_file_never_gives_a_wrong_image(kind, capfd):
    """Every cut is refused, but for those that take no pixel: the end of a GIF, the padding that ends a TIFF."""
    content = examples()[kind]
    whole = read_image(content)
    size = len(content)
    cuts = {
        *range(1, min(200, size)),
        *range(0, size, max(1, size // 150)),
        *range(max(1, size - 60), size),
    } - {0}
    harmless = []
    for cut in sorted(cuts):
        try:
            image = read_image(content[:cut])
        except ReadError:
            continue
        assert np.array_equal(image.pixels, whole.pixels), f"cut after {cut} of {size} bytes"
        assert image.channels == whole.channels
        harmless.append(size - cut)
    spare = {"gif": 3, "tiff": 16}.get(kind.split()[0], 0)
    assert max(harmless, default=0) <= spare, harmless
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["png", "png palette", "png 16"])
def test_a_changed_byte_of_a_png_is_found(kind, capfd):
    content = examples()[kind]
    for position in range(8, len(content), 5):
        changed = bytearray(content)
        changed[position] ^= 0x55
        with pytest.raises(ReadError):
            read_image(bytes(changed))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["webp", "bmp", "gif", "tiff deflate", "tiff pages", "tiff ome", "npy"])
def test_a_changed_byte_gives_an_image_or_a_clear_error(kind):
    content = examples()[kind]
    for position in [*range(min(400, len(content))), *range(400, len(content), 37)]:
        changed = bytearray(content)
        changed[position] ^= 0xFF
        try:
            read_image(bytes(changed), max_pixels=10**6)
        except ReadError as error:
            assert "\n" not in str(error)


# too large


def bombs() -> dict[str, bytes]:
    side = 100_000
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    jpeg = bytearray(saved(smooth(3), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    bmp = bytearray(saved(smooth(3), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    gif = bytearray(saved(smooth(1)[..., 0], "GIF"))
    gif[6:10] = struct.pack("<HH", 60000, 60000)
    array = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (side, side)}
    np.lib.format.write_array_header_1_0(array, header)
    tif = tiff(np.zeros((3, 3), np.uint8), metadata=None)
    for tag in (256, 257):  # width and height
        at = re.search(struct.pack("<H", tag) + b"[\3\4]\0\1\0\0\0", tif).start()
        tif = tif[:at] + struct.pack("<HHII", tag, 4, 1, side) + tif[at + 12 :]
    return {
        "png": b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", head)
        + png_chunk(b"IDAT", b"")
        + png_chunk(b"IEND", b""),
        "jpeg": bytes(jpeg),
        "bmp": bytes(bmp),
        "gif": bytes(gif),
        "tiff": tif,
        "npy": array.getvalue(),
    }


@pytest.mark.parametrize("kind", list(bombs()))
def test_a_bomb_is_refused_before_it_is_decoded(kind):
    with pytest.raises(ReadError, match="more than the limit of 500,000,000.*--max-pixels") as error:
        read_image(bombs()[kind])
    one_line(error)
    with pytest.raises(ReadError, match="--max-pixels"):
        read_labels(bombs()[kind])


def test_the_limit_can_be_moved():
    content = saved(smooth(3), "PNG")
    with pytest.raises(ReadError, match=r"--max-pixels 3072"):
        read_image(content, max_pixels=3071)
    assert read_image(content, max_pixels=3072).shape == (48, 64)


def test_many_channels_count_as_pixels():
    pixels = noise("uint8", 40)
    content = tiff(pixels, planarconfig="contig", photometric="minisblack")
    with pytest.raises(ReadError, match="40 channels"):
        read_image(content, max_pixels=HEIGHT * WIDTH * 9)
    assert read_image(content, max_pixels=HEIGHT * WIDTH * 10).num_channels == 40


def test_an_image_wider_than_opencv_takes():
    pixels = noise("uint8", 3, (1, 2**20 + 3))
    assert np.array_equal(read_image(saved(pixels, "PNG", compress_level=1)).pixels, pixels)


# label maps


@pytest.mark.parametrize(
    ("suffix", "labels"),
    [
        (".png", np.arange(65536).reshape(256, 256)),
        (".png", np.array([[0, 1]], np.uint8)),
        (".png", np.array([[True, False]])),
        (".tif", np.arange(65536).reshape(256, 256)),
        (".tif", np.arange(99990, 100010).reshape(4, 5)),
        (".tif", np.array([[0, 2**32 - 1]])),
        (".tif", np.arange(24).reshape(2, 3, 4)),
        (".tif", np.arange(70000, 70027).reshape(3, 3, 3)),
        (".tiff", np.arange(7).reshape(7, 1, 1)),
        (".npy", np.array([[0, 2**40]])),
        (".npy", np.arange(24).reshape(2, 3, 4)),
    ],
)
def test_every_label_comes_back(tmp_path, suffix, labels):
    write_labels(tmp_path / f"a{suffix}", labels)
    found = read_labels(tmp_path / f"a{suffix}")
    assert found.shape == labels.shape and found.dtype.kind in "ui"
    assert np.array_equal(found, labels)
    if suffix == ".png":
        assert found.dtype == np.uint16


@pytest.mark.parametrize(
    ("name", "labels", "word"),
    [
        ("a.png", np.array([[65536]]), r"\.tif"),
        ("a.png", np.zeros((2, 3, 4), int), r"\.tif"),
        ("a.tif", np.array([[2**32]]), r"\.npy"),
        ("a.tif", np.array([[-1]]), "0 or more"),
        ("a.tif", np.array([[0.5]]), "integers"),
        ("a.tif", np.zeros((0, 3), int), "integers"),
        ("a.jpg", np.array([[1]]), r"\.png"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, name, labels, word):
    with pytest.raises(InputError, match=word) as error:
        write_labels(tmp_path / name, labels)
    one_line(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (saved(smooth(3), "PNG"), "3 channels"),
        (saved(smooth(3), "JPEG"), "3 channels"),
        (tiff(np.ones((4, 5), np.float32)), "float32"),
        (tiff(np.full((4, 5), -3, np.int32)), "-3"),
    ],
)
def test_what_is_no_label_map_is_refused(content, word):
    with pytest.raises(ReadError, match=word) as error:
        read_labels(content)
    one_line(error)


def test_int32_tiff_labels():
    labels = np.array([[0, 2**31 - 1]], np.int32)
    assert np.array_equal(read_labels(tiff(labels)), labels)


# the table


def test_the_table_names_functions_that_exist(tmp_path):
    assert set(IMAGE_SUFFIXES) == set(FORMATS)
    for target in FORMATS.values():
        module, _, function = target.partition(":")
        __import__(module)
        assert callable(getattr(sys.modules[module], function))


def test_importing_io_loads_no_decoder():
    code = (
        "import sys, smalti.io; print([m for m in ('PIL', 'cv2', 'tifffile', 'numba') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
