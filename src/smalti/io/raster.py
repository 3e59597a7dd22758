"""PNG, JPEG, WebP, BMP, GIF, TIFF and .npy: pixels as they are stored, label maps with every id.

OpenCV decodes where it is faithful and faster (8- and 16-bit PNG, JPEG, WebP, BMP without a palette); Pillow does
what OpenCV changes on the way (palettes, 1-bit, CMYK, GIF) and reads every header first, so that a bomb is refused
before memory is taken; tifffile does TIFF.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, ReadError
from ..geometry import UNKNOWN, Geometry
from ..image import Image
from . import Source
from .writing import replacing

DEFAULT_MAX_PIXELS = 500_000_000
"""Pixels an image may have before it is taken for a decompression bomb; ``max_pixels`` raises it."""

MAX_PNG_LABEL = 65535

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"BM", "bmp"),
    (b"GIF8", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\x93NUMPY", "npy"),
)


class _File(NamedTuple):
    """The bytes of a source and what to call it in messages."""

    data: bytes
    name: str
    format: str


def read_image(source: Source, *, page: int | None = None, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image:
    """The image of a path, bytes or open binary file.

    The dtype stays as stored; 1-bit becomes bool, a palette its colours, CMYK becomes RGB (in TIFF it stays cyan to black). EXIF orientation is
    applied. Of a GIF or animated WebP the first frame is read. A TIFF of several pages is a volume (D, H, W, C)
    unless ``page`` (from 0) picks one. Spacing is taken from TIFF and ImageJ metadata only: the 72 or 96 dpi that
    cameras and editors write into JPEG and PNG say nothing of the object.

    Raises ``ReadError`` for what is missing, empty, damaged, truncated, of no known format, of unsupported pixels
    or of more than ``max_pixels`` pixels.
    """
    file = _open(source)
    channels: tuple[str, ...] = ()
    if file.format == "tiff":
        pixels, geometry, channels = _read_tiff(file, page, max_pixels, as_image=True)
    elif page:
        raise ReadError(f"{file.name} has one page only, asked for page {page}; pages are counted from 0")
    elif file.format == "npy":
        array, geometry = _read_npy(file, max_pixels), UNKNOWN
        pixels = array if array.ndim > 2 else array[..., np.newaxis]
    else:
        pixels, geometry = _read_picture(file, max_pixels), UNKNOWN
    if pixels.ndim not in (3, 4):
        raise ReadError(f"{file.name} holds an array of shape {pixels.shape}; wanted (H, W), (H, W, C) or (D, H, W, C)")
    try:
        return Image(pixels, channels, geometry, file.name)
    except InputError as error:
        raise ReadError(f"{file.name}: {error}") from error


def read_labels(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """The label map (H, W) or (D, H, W) of a file, integers as stored; see ``read_label_map``."""
    return read_label_map(source, max_pixels=max_pixels)[0]


def read_label_map(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[np.ndarray, Geometry]:
    """The label map of a file and where it lies: PNG (of a palette, the indices), TIFF or ``.npy``.

    Raises ``ReadError`` for colour images and floats, which are no label maps, and as ``read_image`` does.
    """
    file = _open(source)
    geometry = UNKNOWN
    if file.format == "tiff":
        labels, geometry, _ = _read_tiff(file, None, max_pixels, as_image=False)
    elif file.format == "npy":
        labels = _read_npy(file, max_pixels)
    elif file.format in ("png", "bmp", "gif"):
        labels = _read_picture(file, max_pixels, palette=False)
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels
    else:
        raise ReadError(f"{file.name} is {file.format}, which does not keep label numbers; use PNG, TIFF or .npy")
    if labels.ndim == 3 and file.format not in ("tiff", "npy"):
        raise ReadError(
            f"{file.name} is a colour image of {labels.shape[-1]} channels, not a label map with one number a pixel"
        )
    if labels.dtype.kind not in "bui" or labels.ndim not in (2, 3):
        raise ReadError(
            f"{file.name} holds {labels.dtype} of shape {labels.shape}; a label map is integers, (H, W) or (D, H, W)"
        )
    return labels, geometry


def write_labels(path: str | os.PathLike[str], labels: np.ndarray, *, geometry: Geometry = UNKNOWN) -> None:
    """Write a label map by suffix so that every number survives.

    ``.png``: 16-bit, (H, W), up to 65535. ``.tif``: 16- or 32-bit, deflated, pages = z, with the spacing.
    ``.npy``: as it is. Raises ``InputError`` for labels the format cannot hold and ``WriteError`` for the place.
    """
    path = Path(path)
    labels = np.asarray(labels)
    suffix = path.suffix.lower()
    if labels.dtype.kind not in "bui" or labels.ndim not in (2, 3):
        raise InputError(f"labels must be integers, (H, W) or (D, H, W), got {labels.dtype} of {labels.shape}")
    lowest, top = int(labels.min()), int(labels.max())
    if lowest < 0 and suffix != ".npy":
        raise InputError(f"labels must be 0 or more, got {lowest}; 0 means no segment")
    if suffix == ".png":
        if top > MAX_PNG_LABEL or labels.ndim != 2:
            what = f"label {top}" if labels.ndim == 2 else "a volume"
            raise InputError(f"PNG holds labels up to {MAX_PNG_LABEL} of a 2-D map, not {what}; write .tif instead")
        _write_encoded(path, ".png", labels.astype(np.uint16))
    elif suffix in (".tif", ".tiff"):
        if top >= 2**32:
            raise InputError(f"TIFF holds labels below {2**32}, not {top}; write .npy instead")
        _write_tiff(path, labels.astype(np.uint16 if top <= MAX_PNG_LABEL else np.uint32), geometry)
    elif suffix == ".npy":
        _write_npy(path, labels)
    else:
        raise InputError(f"labels are written as .png, .tif or .npy, not {suffix or 'without a suffix'}")


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write an image by suffix without changing a value: PNG, JPEG (lossy), WebP (lossless), BMP, TIFF, ``.npy``.

    Raises ``InputError`` where the format cannot hold the dtype, the channels or a volume, with those that can.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    pixels = image.pixels
    if suffix in (".tif", ".tiff"):
        _write_tiff(path, pixels, image.geometry, channels=True)
        return
    if suffix == ".npy":
        _write_npy(path, pixels)
        return
    held = {
        ".png": ((np.uint8, np.uint16), (1, 3, 4)),
        ".jpg": ((np.uint8,), (1, 3)),
        ".jpeg": ((np.uint8,), (1, 3)),
        ".webp": ((np.uint8,), (3, 4)),
        ".bmp": ((np.uint8,), (1, 3)),
    }
    if suffix not in held:
        raise InputError(f"images are written as {' '.join(held)} .tif .npy, not {suffix or 'without a suffix'}")
    dtypes, counts = held[suffix]
    if pixels.dtype not in dtypes or image.num_channels not in counts or image.ndim != 2:
        raise InputError(
            f"{suffix} cannot hold a {image.ndim}-D image of {image.num_channels} channels {pixels.dtype}; "
            "write .tif or .npy"
        )
    _write_encoded(path, suffix, pixels)


# Bytes and formats


def _open(source: Source) -> _File:
    if isinstance(source, bytes):
        data, name = source, "the data given"
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        path = Path(source)
        if path.is_dir():
            raise ReadError(f"{name} is a folder; name an image in it")
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise ReadError(f"no file called {name}; check the path") from error
        except OSError as error:
            raise ReadError(f"cannot read {name}: {error.strerror}") from error
    else:
        data, name = source.read(), str(getattr(source, "name", "the data given"))
    if not data:
        raise ReadError(f"{name} is empty; an image was wanted")
    return _File(data, name, _format_of(data, name))


def _format_of(data: bytes, name: str) -> str:
    for signature, found in _SIGNATURES:
        if data.startswith(signature):
            return found
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    raise ReadError(
        f"{name} is no image of a known format (it begins with {data[:8]!r}); "
        "known: PNG, JPEG, WebP, BMP, GIF, TIFF, .npy"
    )


def _check_pixels(name: str, pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise ReadError(
            f"{name} has {pixels:,} pixels, more than the limit of {max_pixels:,}; "
            f"if it is meant to be so large, raise the limit: --max-pixels {pixels}"
        )


def _damaged(file: _File, error: Exception | str) -> ReadError:
    return ReadError(f"{file.name} is a damaged or truncated {file.format} file ({error}); get it anew")


# Pictures: PNG, JPEG, WebP, BMP, GIF


def _read_picture(file: _File, max_pixels: int, palette: bool = True) -> np.ndarray:
    """Pixels (H, W, C); of a palette its colours, or with ``palette=False`` its indices."""
    try:
        picture = _pillow_plugin(file.format)(io.BytesIO(file.data))
        _check_pixels(file.name, picture.width * picture.height, max_pixels)
        if _opencv_is_faithful(file, picture):
            return _read_with_opencv(file, grey=picture.mode == "L")
        picture.load()
        return _pillow_pixels(picture, palette)
    except ReadError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError) as error:
        raise _damaged(file, error) from error


def _pillow_plugin(format: str) -> Any:
    """Pillow's class for a format. ``PIL.Image.open`` would try all formats and apply a pixel limit of its own."""
    if format == "png":
        from PIL.PngImagePlugin import PngImageFile as plugin
    elif format == "jpeg":
        from PIL.JpegImagePlugin import JpegImageFile as plugin
    elif format == "bmp":
        from PIL.BmpImagePlugin import BmpImageFile as plugin
    elif format == "gif":
        from PIL.GifImagePlugin import GifImageFile as plugin
    else:
        from PIL.WebPImagePlugin import WebPImageFile as plugin
    return plugin


def _opencv_is_faithful(file: _File, picture: Any) -> bool:
    """Whether OpenCV gives the stored values, and the file is whole as far as its end tells."""
    if max(picture.size) > 2**20 or picture.width * picture.height > 2**30:
        return False  # OpenCV's own limits
    if file.format == "jpeg":
        # libjpeg, under OpenCV, fills what is missing of a truncated file with grey; Pillow refuses it.
        return picture.mode in ("L", "RGB") and b"\xff\xd9" in file.data[-4096:]
    if file.format == "png":
        depth, kind = file.data[24], file.data[25]
        plain = (kind == 0 and depth in (8, 16)) or (kind in (2, 6) and depth in (8, 16))
        return plain and not {"transparency", "exif"} & set(picture.info) and b"IEND\xaeB`\x82" in file.data[-64:]
    if file.format == "bmp":
        return picture.mode == "RGB" and len(file.data) >= struct.unpack_from("<I", file.data, 2)[0]
    return False


def _read_with_opencv(file: _File, grey: bool) -> np.ndarray:
    import cv2

    encoded = np.frombuffer(file.data, np.uint8)
    if file.format == "jpeg":  # these flags, unlike IMREAD_UNCHANGED, apply the EXIF orientation
        pixels = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB)
    else:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.ndim == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    if pixels is None:
        raise _damaged(file, "the decoder gives up")
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _pillow_pixels(picture: Any, palette: bool) -> np.ndarray:
    from PIL import ImageOps

    if picture.mode == "P" and palette:
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    elif picture.mode == "PA" and palette:
        picture = picture.convert("RGBA")
    elif picture.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        picture = picture.convert("RGB")
    elif picture.mode in ("L", "RGB") and "transparency" in picture.info and palette:
        picture = picture.convert("LA" if picture.mode == "L" else "RGBA")
    pixels = np.array(ImageOps.exif_transpose(picture))
    if pixels.dtype == np.int32 and picture.mode.startswith("I;16"):
        pixels = pixels.astype(np.uint16)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _write_encoded(path: Path, suffix: str, pixels: np.ndarray) -> None:
    import cv2

    # Level 3 with adaptive filters off by default in OpenCV: 16-bit label maps a third larger than at level 9 and
    # written eight times faster.
    options = {".png": [cv2.IMWRITE_PNG_COMPRESSION, 3], ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101]}.get(suffix, [])
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    elif pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(pixels), options)
    if not done:
        raise InputError(f"{path}: the encoder refuses an image of shape {pixels.shape}")
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


# TIFF


def _read_tiff(file: _File, page: int | None, max_pixels: int, *, as_image: bool) -> tuple[np.ndarray, Geometry, tuple[str, ...]]:
    """Pixels, where they lie, and channel names where the file says them."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(file.data), name=file.name) as tiff:
            if not tiff.pages:
                raise _damaged(file, "it has no pages")
            if page is not None and not 0 <= page < len(tiff.pages):
                raise ReadError(f"{file.name} has pages 0..{len(tiff.pages) - 1}, asked for page {page}")
            first = tiff.pages[page or 0]
            source: Any = first
            if page is None and len(tiff.pages) > 1:
                source = tiff.series[0]
                if len({one.shape for one in tiff.pages}) > 1 and len(tiff.series) > 1:
                    raise ReadError(f"{file.name} has {len(tiff.pages)} pages of different sizes; choose one: --page 0")
            shape, axes = source.shape, source.axes
            _check_pixels(file.name, int(np.prod([n for n, a in zip(shape, axes, strict=True) if a not in "SC"])), max_pixels)
            _check_stored(file, source)
            pixels = source.asarray()
            geometry = _tiff_geometry(tiff, first)
    except ReadError:
        raise
    except Exception as error:  # tifffile and its codecs raise a dozen kinds on damaged files
        raise _damaged(file, f"{type(error).__name__}: {error}") from error
    if pixels.dtype.kind == "c":
        raise ReadError(f"{file.name} holds complex numbers; take their magnitude first")
    channels: tuple[str, ...] = ()
    if as_image and first.photometric == tifffile.PHOTOMETRIC.PALETTE:
        pixels = (first.colormap.T >> 8).astype(np.uint8)[pixels]
        axes += "S"
    elif as_image and first.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind in "bu":
        pixels = ~pixels  # 0 is stored for white
    elif first.photometric == tifffile.PHOTOMETRIC.SEPARATED and first.samplesperpixel == 4:
        channels = ("cyan", "magenta", "yellow", "black")
    pixels = _order_axes(file, pixels, axes, as_image)
    ndim = pixels.ndim - 1 if as_image else pixels.ndim
    if geometry.spacing is not None:
        geometry = Geometry(geometry.spacing[-ndim:], geometry.unit) if ndim <= len(geometry.spacing) else UNKNOWN
    return pixels, geometry, channels


def _check_stored(file: _File, source: Any) -> None:
    """Raise ``ReadError`` when pages point beyond the end of the file, which decoders fill with zeros."""
    pages = [source] if hasattr(source, "dataoffsets") else [one for one in source.pages if one is not None]
    for one in pages:
        for offset, count in zip(one.dataoffsets, one.databytecounts, strict=False):
            if offset + count > len(file.data):
                raise _damaged(file, f"pixels end at byte {offset + count:,} of {len(file.data):,}")


def _order_axes(file: _File, pixels: np.ndarray, axes: str, as_image: bool) -> np.ndarray:
    """(H, W) or (D, H, W), for an image with channels last; axes as tifffile names them."""
    keep = [place for place, name in enumerate(axes) if name in "YX" or pixels.shape[place] > 1]
    pixels = pixels.reshape([pixels.shape[place] for place in keep])
    names = "".join(axes[place] for place in keep)
    depth = [name for name in names if name not in "YXSC"]
    channel = [name for name in names if name in "SC"]
    if len(depth) > 1 or len(channel) > 1 or (channel and not as_image):
        what = "a label map has one number a pixel" if channel and not as_image else "more than a volume of channels"
        raise ReadError(f"{file.name} has axes {names} of {pixels.shape}: {what}; choose a page with --page")
    order = [names.index(name) for name in [*depth, "Y", "X", *channel]]
    pixels = pixels.transpose(order)
    return pixels if channel or not as_image else pixels[..., np.newaxis]


def _tiff_geometry(tiff: Any, page: Any) -> Geometry:
    """Spacing (z, y, x) or (y, x) from ImageJ's or the TIFF tags; unknown where the unit is."""
    def step(name: str) -> float | None:
        tag = page.tags.get(name)
        if tag is None:
            return None
        pixels, units = tag.value if isinstance(tag.value, tuple) else (tag.value, 1)
        return units / pixels if pixels and units else None

    steps = step("YResolution"), step("XResolution")
    if None in steps:
        return UNKNOWN
    words = tiff.imagej_metadata or (tiff.shaped_metadata or [{}])[0]
    unit = str(words.get("unit", "")).replace("\\u00B5", "u").strip() or None
    if unit is None:
        # ResolutionUnit (TIFF 6.0): 1 none, 2 inch, 3 centimetre. 72 and 96 dpi are what editors write unasked.
        tag = page.tags.get("ResolutionUnit")
        unit = {2: "inch", 3: "cm"}.get(int(tag.value) if tag is not None else 1)
        if unit is None or (unit == "inch" and round(1 / steps[0]) in (72, 96)):
            return UNKNOWN
    depth = words.get("spacing")
    try:
        return Geometry(tuple(float(one) for one in ([depth] if depth else []) + list(steps)), unit)  # type: ignore[arg-type]
    except InputError:
        return UNKNOWN


def _write_tiff(path: Path, pixels: np.ndarray, geometry: Geometry, channels: bool = False) -> None:
    import tifffile

    options: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
    volume = pixels.ndim == (4 if channels else 3)
    metadata: dict[str, Any] = {"axes": ("Z" if volume else "") + "YX" + ("S" if channels else "")}
    if channels:
        if pixels.shape[-1] == 1:
            pixels, metadata["axes"] = pixels[..., 0], metadata["axes"][:-1]
        elif pixels.dtype == np.uint8 and pixels.shape[-1] in (3, 4):
            options["photometric"] = "rgb"
    if geometry.spacing is not None:
        # ImageJ's metadata say the unit, and the distance of pages, in words; plain tags know inch and centimetre.
        options |= {"resolution": tuple(1 / step for step in geometry.spacing[:-3:-1]), "resolutionunit": "NONE"}
        metadata["unit"] = geometry.unit
        if volume:
            metadata["spacing"] = geometry.spacing[0]
    imagej = geometry.spacing is not None and pixels.dtype in (np.uint8, np.uint16, np.float32)
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, pixels, metadata=metadata, imagej=imagej and not channels, **options)


# .npy


def _read_npy(file: _File, max_pixels: int) -> np.ndarray:
    stream = io.BytesIO(file.data)
    try:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        if dtype.hasobject or dtype.kind not in "buif":
            raise ReadError(f"{file.name} holds {dtype}; pixels are bool, integer or float")
        size = int(np.prod(shape, dtype=object)) if shape else 1
        # The last axis of three may be channels or columns; the limit counts values then.
        _check_pixels(file.name, size, max_pixels)
        stored = len(file.data) - stream.tell()
        if stored < size * dtype.itemsize:
            raise _damaged(file, f"{size * dtype.itemsize} bytes wanted, {stored} there")
        stream.seek(0)
        return np.load(stream, allow_pickle=False)
    except ReadError:
        raise
    except (ValueError, EOFError, OSError, TypeError, SyntaxError) as error:
        raise _damaged(file, error) from error


def _write_npy(path: Path, array: np.ndarray) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
