"""Rasters: what is written comes back, what is stored is not changed, what is damaged is refused in words."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from smalti.errors import InputError, ReadError, WriteError
from smalti.geometry import Geometry
from smalti.image import Image
from smalti.io import read
from smalti.io.raster import read_image, read_label_map, read_labels, write_image, write_labels

GENERATOR = np.random.default_rng(0)
PHOTO = GENERATOR.integers(0, 255, (20, 30, 3)).astype(np.uint8)


def encoded(picture, format, **options):
    """The bytes Pillow writes."""
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def random_pixels(shape, dtype):
    """Values over the dtype's range."""
    if np.dtype(dtype).kind in "ui":
        limits = np.iinfo(dtype)
        return GENERATOR.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return (GENERATOR.random(shape) * 3 - 1).astype(dtype)


class TestRoundTrips:
    @pytest.mark.parametrize("shape", [(7, 9, 1), (7, 9, 3), (7, 9, 4), (1, 1, 1), (1, 9, 3), (33, 1, 1)])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_png(self, tmp_path, shape, dtype):
        image = Image(random_pixels(shape, dtype))
        write_image(tmp_path / "a.png", image)
        again = read(tmp_path / "a.png")
        assert again.pixels.dtype == dtype
        assert np.array_equal(again.pixels, image.pixels)

    @pytest.mark.parametrize(
        "shape", [(7, 9, 1), (7, 9, 2), (7, 9, 3), (7, 9, 4), (7, 9, 7), (5, 7, 9, 1), (5, 7, 9, 3), (1, 1, 1), (1, 9, 1)]
    )
    @pytest.mark.parametrize(
        "dtype", [bool, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float16, np.float32, np.float64]
    )
    def test_tiff_with_spacing(self, tmp_path, shape, dtype):
        spacing = (2.0, 0.5, 0.25)[-(len(shape) - 1) :]
        image = Image(random_pixels(shape, dtype), geometry=Geometry(spacing, "um"))
        write_image(tmp_path / "a.tif", image)
        again = read(tmp_path / "a.tif")
        assert again.pixels.dtype == dtype
        assert np.array_equal(again.pixels, image.pixels)
        assert again.geometry.spacing == pytest.approx(spacing)
        assert again.geometry.unit == "um"

    @pytest.mark.parametrize("suffix", [".webp", ".bmp"])
    def test_webp_and_bmp(self, tmp_path, suffix):
        write_image(tmp_path / f"a{suffix}", Image(PHOTO))
        assert np.array_equal(read(tmp_path / f"a{suffix}").pixels, PHOTO)

    def test_npy_keeps_everything(self, tmp_path):
        pixels = np.array([[[np.nan], [np.inf], [-1.5]]])
        write_image(tmp_path / "a.npy", Image(pixels))
        assert np.array_equal(read(tmp_path / "a.npy").pixels, pixels, equal_nan=True)
        np.save(tmp_path / "grey.npy", pixels[..., 0])
        assert read(tmp_path / "grey.npy").shape == (1, 3)

    @pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
    @pytest.mark.parametrize("top", [1, 300, 65535])
    def test_labels_keep_every_number(self, tmp_path, suffix, top):
        labels = GENERATOR.integers(0, top, (6, 7), endpoint=True)
        write_labels(tmp_path / f"l{suffix}", labels)
        assert np.array_equal(read_labels(tmp_path / f"l{suffix}"), labels)

    @pytest.mark.parametrize("shape", [(6, 7), (3, 6, 7), (1, 1)])
    def test_large_labels_and_volumes_go_into_tiff(self, tmp_path, shape):
        labels = GENERATOR.integers(0, 2**32 - 1, shape)
        geometry = Geometry((2.0, 0.5, 0.25)[-len(shape) :], "um")
        write_labels(tmp_path / "l.tif", labels, geometry=geometry)
        again, place = read_label_map(tmp_path / "l.tif")
        assert np.array_equal(again, labels)
        assert place.spacing == pytest.approx(geometry.spacing)
        assert place.unit == "um"


class TestFaithfulness:
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_honoured(self, orientation):
        exif = Pillow.Exif()
        exif[0x112] = orientation
        data = encoded(Pillow.fromarray(PHOTO), "JPEG", exif=exif, quality=95)
        expected = np.array(ImageOps.exif_transpose(Pillow.open(io.BytesIO(data))))
        found = read(data).pixels
        assert found.shape == expected.shape
        # Two decoders may round a colour conversion differently.
        assert np.abs(found.astype(int) - expected).max() <= 2

    @pytest.mark.parametrize(
        ("mode", "channels", "dtype"),
        [("1", 1, bool), ("L", 1, np.uint8), ("LA", 2, np.uint8), ("P", 3, np.uint8), ("RGB", 3, np.uint8), ("RGBA", 4, np.uint8)],
    )
    def test_png_modes(self, mode, channels, dtype):
        picture = Pillow.fromarray(PHOTO).convert(mode)
        found = read(encoded(picture, "PNG"))
        assert found.num_channels == channels
        assert found.pixels.dtype == dtype
        expected = np.array(picture.convert("RGB") if mode == "P" else picture)
        assert np.array_equal(np.squeeze(found.pixels), expected)

    def test_cmyk_jpeg_becomes_rgb_and_cmyk_tiff_says_its_channels(self):
        picture = Pillow.fromarray(PHOTO).convert("CMYK")
        assert read(encoded(picture, "JPEG")).channels == ("red", "green", "blue")
        assert read(encoded(picture, "TIFF")).channels == ("cyan", "magenta", "yellow", "black")

    def test_palette_png_as_labels_are_its_indices(self):
        picture = Pillow.fromarray(PHOTO).convert("P")
        assert np.array_equal(read_labels(encoded(picture, "PNG")), np.array(picture))

    def test_palette_tiff_is_its_colours(self):
        picture = Pillow.fromarray(PHOTO).convert("P")
        assert np.array_equal(read(encoded(picture, "TIFF")).pixels, np.array(picture.convert("RGB")))

    def test_gif_gives_its_first_frame(self):
        frames = [Pillow.new("L", (4, 3), value) for value in (10, 200)]
        data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        assert (read(data).pixels == 10).all()

    def test_pages_are_a_volume_or_one_by_number(self):
        frames = [Pillow.new("L", (4, 3), value) for value in (10, 200)]
        data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
        assert read(data).shape == (2, 3, 4)
        assert (read(data, page=1).pixels == 200).all()
        with pytest.raises(ReadError, match="pages 0..1"):
            read(data, page=2)

    def test_pages_of_different_sizes_must_be_chosen(self):
        frames = [Pillow.new("L", size) for size in [(4, 3), (5, 3)]]
        data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
        with pytest.raises(ReadError, match="--page"):
            read(data)
        assert read(data, page=1).shape == (3, 5)

    def test_dots_per_inch_of_editors_are_no_spacing(self):
        picture = Pillow.fromarray(PHOTO)
        assert read(encoded(picture, "TIFF", dpi=(254, 254))).geometry.spacing == pytest.approx((1 / 254, 1 / 254))
        assert not read(encoded(picture, "TIFF", dpi=(72, 72))).geometry.known
        assert not read(encoded(picture, "JPEG", dpi=(300, 300))).geometry.known

    def test_a_wrong_suffix_does_not_matter(self, tmp_path):
        (tmp_path / "photo.jpg").write_bytes(encoded(Pillow.fromarray(PHOTO), "PNG"))
        assert np.array_equal(read(tmp_path / "photo.jpg").pixels, PHOTO)

    def test_streams_are_read(self):
        assert np.array_equal(read(io.BytesIO(encoded(Pillow.fromarray(PHOTO), "PNG"))).pixels, PHOTO)


class TestBadFiles:
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
    def test_no_cut_gives_an_image_silently(self, format):
        data = encoded(Pillow.fromarray(PHOTO), format)
        whole = read(data).pixels
        for length in range(0, len(data), 1 if len(data) < 3000 else 7):
            try:
                found = read(data[:length]).pixels
            except ReadError:
                continue
            # Only what stands after the last pixel may be missing: PNG's end chunk, GIF's trailer, BMP's padding.
            assert len(data) - length <= 20
            assert np.array_equal(found, whole)

    def test_npy_cuts_and_objects(self, tmp_path):
        np.save(tmp_path / "a.npy", PHOTO)
        data = (tmp_path / "a.npy").read_bytes()
        for length in (0, 5, 20, 100, len(data) - 1):
            with pytest.raises(ReadError):
                read(data[:length])
        np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
        with pytest.raises(ReadError, match="object|pixels"):
            read(tmp_path / "o.npy")

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda path: path / "none.png", "no file called"),
            (lambda path: path, "is a folder"),
            (lambda path: b"", "is empty"),
            (lambda path: b"hello, world", "no image of a known format"),
        ],
    )
    def test_what_is_no_image(self, tmp_path, make, words):
        with pytest.raises(ReadError, match=words):
            read_image(make(tmp_path))

    def test_bombs_are_refused_from_the_header(self):
        header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
        chunk = b"IHDR" + header
        bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        with pytest.raises(ReadError, match="--max-pixels 10000000000"):
            read(bomb)
        npy = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            npy, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6)}
        )
        with pytest.raises(ReadError, match="--max-pixels"):
            read(npy.getvalue())

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
    def test_the_limit_is_an_option(self, format):
        data = encoded(Pillow.fromarray(PHOTO), format)
        with pytest.raises(ReadError, match="--max-pixels 600"):
            read(data, max_pixels=599)
        assert read(data, max_pixels=600).shape == (20, 30)

    def test_colour_and_floats_are_no_label_maps(self, tmp_path):
        with pytest.raises(ReadError, match="colour image"):
            read_labels(encoded(Pillow.fromarray(PHOTO), "PNG"))
        with pytest.raises(ReadError, match="does not keep label numbers"):
            read_labels(encoded(Pillow.fromarray(PHOTO), "JPEG"))
        np.save(tmp_path / "f.npy", np.zeros((2, 2)))
        with pytest.raises(ReadError, match="integers"):
            read_labels(tmp_path / "f.npy")
        with pytest.raises(ReadError, match="label map"):
            read_labels(encoded(Pillow.fromarray(PHOTO), "TIFF"))


class TestBadWrites:
    @pytest.mark.parametrize(
        ("name", "labels", "words"),
        [
            ("l.png", np.array([[70000]]), r"\.tif"),
            ("l.png", np.zeros((2, 2, 2), int), "volume"),
            ("l.jpg", np.array([[1]]), r"\.png, \.tif"),
            ("l.png", np.array([[-1]]), "0 or more"),
            ("l.png", np.array([[0.5]]), "integers"),
        ],
    )
    def test_labels_a_format_cannot_hold(self, tmp_path, name, labels, words):
        with pytest.raises(InputError, match=words):
            write_labels(tmp_path / name, labels)
        assert not any(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("name", "pixels"),
        [("a.png", np.zeros((2, 2, 1))), ("a.jpg", np.zeros((2, 2, 4), np.uint8)), ("a.png", np.zeros((2, 2, 7), np.uint8)), ("a.xyz", PHOTO)],
    )
    def test_images_a_format_cannot_hold(self, tmp_path, name, pixels):
        with pytest.raises(InputError, match=r"\.tif"):
            write_image(tmp_path / name, Image(pixels))

    def test_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(WriteError, match="cannot write"):
            write_labels(tmp_path / "file" / "l.png", np.array([[1]]))
