"""TIFF: pages, volumes, palettes and the spacing in its tags; read and written through tifffile.

tifffile decodes what Python itself can (no compression, deflate, PackBits, LZMA). LZW, JPEG, CCITT and the
like are left to libtiff, as Pillow and OpenCV carry it, page by page, and checked against the type the tags
promise.
"""

from __future__ import annotations

import io
import logging
import lzma
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

import numpy as np

from ..errors import InputError, ReadError
from ..geometry import UNKNOWN, Geometry
from ..image import Image, default_channels
from .decoding import Decoded, Request, check_pixels, damaged, first_line, oriented, pillow_array
from .geo import band_names, geometry_of, tags_for, tags_of

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_log = logging.getLogger(__name__)

# a length unit as ImageJ and OME write it -> ours
_UNITS = {
    "nm": "nm",
    "um": "um",
    "µm": "um",  # micro sign
    "μm": "um",  # Greek mu
    "\\u00b5m": "um",  # ImageJ's escape
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "mm": "mm",
    "cm": "cm",
    "m": "m",
    "km": "km",
    "in": "inch",
    "inch": "inch",
}
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "km": 1e9, "inch": 25400.0}
_OME_DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
_OME_UNITS = {"um": "µm", "inch": "in"}
_SPACING, _UNIT = "spacing_zyx", "unit"  # our keys in tifffile's JSON
_SCREEN_DPI = (1.0, 72.0, 96.0)  # what software writes into the inch tags when it knows nothing
_STACKED, _COLORED = "ZQI", "CS"
_ADOBE_DEFLATE, _DEFLATE, _LZMA = 8, 32946, 34925
_JPEG, _OWN_CODECS = (6, 7), (1, 32773, _ADOBE_DEFLATE, _DEFLATE, _LZMA)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6


def decode_tiff(file: BinaryIO, request: Request) -> Decoded:
    """One page, or all pages as a volume. Raises ``ReadError`` for pages that make neither."""
    import tifffile

    name = request.name
    check_whole(file, name)
    file.seek(0)
    try:
        with _quiet(), tifffile.TiffFile(file, name=name) as tif:
            values, axes, page = _values(tif, file, request)
            pixels, axes = _arranged(values, axes, name, len(tif.pages))
            channels: tuple[str, ...] = ()
            if not request.stored:
                seen = _as_seen(pixels, page)
                converted = seen is not pixels or _turned_by_libtiff(page)
                pixels = seen
                channels = _channels(pixels.shape[-1], page, axes, converted)
                if pixels.shape[-1] > 1:
                    channels = band_names(tags_of(page), channels or default_channels(pixels.shape[-1]))
            geometry = _geometry(tif, page, pixels.ndim - 1)
            orientation = page.tags.valueof(274, 1)
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # tifffile raises whatever a broken tag leads to
        raise damaged(name, "TIFF", first_line(error)) from error
    if orientation in range(2, 9) and pixels.ndim == 3 and geometry.affine is None:  # GDAL does not turn maps
        pixels = oriented(pixels, orientation)
        if orientation >= 5 and geometry.spacing is not None:
            geometry = Geometry(geometry.spacing[::-1], geometry.unit)
    return Decoded(pixels, channels, geometry)


def tiff_extent(file: BinaryIO, request: Request) -> tuple[tuple[int, ...], Geometry, Mapping[int, Any]]:
    """Size (*S,) and place of what ``decode_tiff`` would give, and the tags of its (first) page, without its values.

    Raises ``ReadError`` as ``decode_tiff`` does, but strips that are damaged are not noticed.
    """
    import tifffile

    name = request.name
    check_whole(file, name)
    file.seek(0)
    try:
        with _quiet(), tifffile.TiffFile(file, name=name) as tif:
            series = _whole_series(tif, name)
            page = series.keyframe.aspage()
            _check(series.shape, series.axes, page, request)
            lengths = {
                axis: length
                for axis, length in zip(series.axes, series.shape, strict=True)
                if axis in "YX" or (axis in _STACKED and length > 1)
            }
            shape = tuple(lengths[axis] for axis in sorted(lengths, key="QIZYX".index))
            if len(shape) > 3 or not {"Y", "X"} <= lengths.keys():
                raise ReadError(f"{name} has the axes {series.axes}, wanted Y and X with one of Z at most")
            geometry = _geometry(tif, page, len(shape))
            turned = page.tags.valueof(274, 1) in range(5, 9) and len(shape) == 2 and geometry.affine is None
            tags = tags_of(page)
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # tifffile raises whatever a broken tag leads to
        raise damaged(name, "TIFF", first_line(error)) from error
    if turned:
        shape = shape[::-1]
        geometry = geometry if geometry.spacing is None else Geometry(geometry.spacing[::-1], geometry.unit)
    return shape, geometry, tags


@contextmanager
def _quiet() -> Iterator[None]:
    """The oddities that tifffile logs, which would be printed when nobody has set logging up, go to ours."""
    logger = logging.getLogger("tifffile")
    forward = _Forward()
    logger.addHandler(forward)
    try:
        yield
    finally:
        logger.removeHandler(forward)


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _log.debug("tifffile: %s", record.getMessage())


# from pages to values


def _values(tif: TiffFile, file: BinaryIO, request: Request) -> tuple[np.ndarray, str, TiffPage]:
    """The values wanted, a letter for each of their axes, and the (first) page they come from."""
    name, count = request.name, len(tif.pages)
    if count == 0:
        raise damaged(name, "TIFF", "it has no page")
    if request.page is not None:
        if not 0 <= request.page < count:
            raise ReadError(
                f"page {request.page} of {name} was wanted, it has {count}; choose one of {_choice(count)}"
            )
        page = tif.pages[request.page].aspage()
        _check(page.shape, page.axes, page, request)
        return _page_values(page, request.page, file, name), page.axes, page
    series = _whole_series(tif, name)
    page = series.keyframe.aspage()
    _check(series.shape, series.axes, page, request)
    empty = np.broadcast_to(np.uint8(0), series.shape)
    _arranged(empty, series.axes, name, count)  # axes that make no image are refused before they are read
    if any(part is None for part in series.pages):
        raise ReadError(
            f"{name} is one of several files of an OME set, which are not joined; choose one of {_choice(count)}"
        )
    for part in series.pages:
        _check_strips(part, name)
        _check_sizes(part, file, name)
    try:
        values = series.asarray()
    except (ValueError, ImportError, NotImplementedError) as error:
        if not _lacks_codec(error):
            raise
        pages = [_page_values(part, index, file, name) for index, part in enumerate(series.pages)]
        values = np.stack(pages).reshape(series.shape)
    if values.shape != series.shape or values.dtype != series.dtype:
        raise damaged(name, "TIFF", f"its pages hold {values.shape} values, {series.shape} were promised")
    return values, series.axes, page


def _whole_series(tif: TiffFile, name: str) -> Any:
    """The pages that are one image. Raises ``ReadError`` where there are several."""
    whole = [series for series in tif.series if not series.keyframe.is_reduced]  # previews do not count
    if len(whole) != 1:
        sizes = ", ".join("x".join(map(str, series.shape)) for series in whole[:4])
        raise ReadError(
            f"{name} has pages of different sizes or types ({sizes}{', ...' if len(whole) > 4 else ''}); "
            f"choose one of {_choice(len(tif.pages))}"
        )
    return whole[0]


def _choice(pages: int) -> str:
    return f"pages 0 to {pages - 1}, as with --page 0 (page=0)"


def _check(shape: tuple[int, ...], axes: str, page: TiffPage, request: Request) -> None:
    """Refuse what is too large or has no place in an image, from the tags alone."""
    colors = math.prod(length for length, axis in zip(shape, axes, strict=True) if axis in _COLORED)
    spatial = [length for length, axis in zip(shape, axes, strict=True) if axis not in _COLORED]
    check_pixels(request.name, spatial, request.max_pixels, colors)
    if page.bitspersample == 1 and page.samplesperpixel > 1:  # tifffile unpacks these wrongly
        raise ReadError(f"{request.name} packs {page.samplesperpixel} channels into bits; save it as 8-bit")
    if page.dtype is None or page.dtype.kind not in "buif":
        raise ReadError(
            f"{request.name} holds {page.dtype or 'values of no known type'}, wanted bool, integers or floats; "
            "save its real part or magnitude"
        )


def _page_values(page: Any, index: int, file: BinaryIO, name: str) -> np.ndarray:
    """Values of one page as stored, by libtiff where tifffile has no decoder for its compression."""
    page = page.aspage()
    _check_strips(page, name)
    _check_sizes(page, file, name)
    try:
        return page.asarray()
    except (ValueError, ImportError, NotImplementedError) as error:
        if not _lacks_codec(error):
            raise
    values = None
    if page.bitspersample in (1, 2, 4, 8, 12) and page.dtype.kind in "bu":
        values = _by_pillow(page, index, file)
    elif page.bitspersample in (8, 16, 32, 64):
        values = _by_opencv(index, file)
    if values is None or values.dtype != page.dtype or values.shape != page.shape:
        raise ReadError(
            f"{name} is stored in a way that cannot be read here ({page.compression.name}, "
            f"{page.samplesperpixel} x {page.bitspersample} bits); "
            "save it with 8 or 16 bits, uncompressed or with deflate"
        )
    return values


def _lacks_codec(error: Exception) -> bool:
    """Whether tifffile stopped for want of a decompressor, and not because the file is damaged."""
    return isinstance(error, (ImportError, NotImplementedError)) or "imagecodecs" in str(error)


def _check_strips(page: Any, name: str) -> None:
    """Raise ``ReadError`` where tifffile would fill missing strips with zeros."""
    strips, wanted = len(page.dataoffsets), math.prod(page.chunked)
    if strips < wanted and not page.is_contiguous:
        raise damaged(name, "TIFF", f"it lists {strips} strips or tiles, {wanted} make a page")
    page = page.aspage()
    if (
        page.compression != 1
        or not isinstance(page.bitspersample, int)
        or page.is_subsampled
        or page.is_stk
        or page.is_lsm
    ):
        return  # the last two list the bytes of one plane of many
    needed = math.prod(page.shape) * page.bitspersample // 8
    listed = sum(page.databytecounts)
    if 0 in page.dataoffsets:  # GDAL leaves out tiles that are empty
        return
    if listed < needed:
        raise damaged(name, "TIFF", f"its strips or tiles have {listed} bytes, {needed} make a page")


def _check_sizes(page: Any, file: BinaryIO, name: str) -> None:
    """Raise ``ReadError`` where a strip or tile inflates to more than it should hold: tifffile would take the memory.

    Inflated here with a limit and thrown away, which doubles the time for deflate and LZMA: the price of safety.
    """
    page = page.aspage()
    if page.compression not in (_DEFLATE, _ADOBE_DEFLATE, _LZMA):
        return
    rows_of_bits = math.prod(page.chunks[:-1]) * -(-page.chunks[-1] * page.bitspersample // 8)
    limit = max(rows_of_bits, math.prod(page.chunks) * page.dtype.itemsize)
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        file.seek(offset)
        data = file.read(count)
        try:
            inflated = (
                lzma.LZMADecompressor().decompress(data, limit + 1)
                if page.compression == _LZMA
                else zlib.decompressobj().decompress(data, limit + 1)
            )
        except (zlib.error, lzma.LZMAError) as error:
            raise damaged(name, "TIFF", f"a strip cannot be inflated, {error}") from error
        if len(inflated) > limit:
            raise damaged(name, "TIFF", f"a strip inflates to more than the {limit} bytes it should hold")


def _by_pillow(page: Any, index: int, file: BinaryIO) -> np.ndarray | None:
    from PIL.TiffImagePlugin import TiffImageFile

    file.seek(0)
    try:
        picture = TiffImageFile(io.BytesIO(file.read()))
        picture.seek(index)
        values = pillow_array(picture)
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, struct.error):
        return None
    inverted = picture.mode in ("1", "L") and page.photometric == _WHITE_IS_ZERO  # Pillow shows, we store
    values = np.invert(values) if inverted else values
    if page.bitspersample in (2, 4) and picture.mode == "L":
        values //= _widened(page)  # Pillow spreads them over 8 bits
    return values


def _widened(page: Any) -> int:
    return 255 // (2**page.bitspersample - 1) if page.bitspersample in (2, 4) else 1


def _by_opencv(index: int, file: BinaryIO) -> np.ndarray | None:
    import cv2

    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    try:
        read, pages = cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED, range=(index, index + 1))
    except cv2.error:
        return None
    if not read or len(pages) != 1:
        return None
    values = pages[0]
    if values.ndim == 3:
        values = values[..., [2, 1, 0, 3][: values.shape[-1]]]
    return values


# from values to an image


def _arranged(values: np.ndarray, axes: str, name: str, pages: int) -> tuple[np.ndarray, str]:
    """The values as (H, W, C) or (D, H, W, C), and the axis letters that were kept."""
    kept = [
        index for index, axis in enumerate(axes) if axis in "YX" or values.shape[index] > 1
    ]  # axes of length 1 say nothing
    shape = tuple(values.shape[index] for index in kept)
    letters = "".join(axes[index] for index in kept)
    stack = [axis for axis in letters if axis in _STACKED]
    color = [axis for axis in letters if axis in _COLORED]
    if (
        letters.count("Y") != 1
        or letters.count("X") != 1
        or len(stack) > 1
        or len(color) > 1
        or (len(stack) + len(color) + 2 != len(letters))
    ):
        lengths = ", ".join(f"{axis}={length}" for axis, length in zip(letters, shape, strict=True))
        raise ReadError(
            f"{name} has the axes {lengths}, wanted Y and X with one of Z at most and channels; "
            f"choose one of {_choice(pages)}, or split the file"
        )
    values = values.reshape(shape)
    order = [letters.index(axis) for axis in [*stack, "Y", "X", *color]]
    values = np.ascontiguousarray(values.transpose(order))
    return (values if color else values[..., np.newaxis]), letters


def _as_seen(pixels: np.ndarray, page: Any) -> np.ndarray:
    """Values as the photometric tag shows them: palette looked up, white-is-zero turned, CMYK as RGB."""
    photometric = page.photometric
    if photometric == _PALETTE and page.colormap is not None and pixels.shape[-1] == 1:
        colors = page.colormap  # 16 bits that repeat 8, or 8 by writers that overlooked it
        colors = (colors >> 8 if colors.max() > 255 else colors).astype(np.uint8).T
        return colors[pixels[..., 0]]
    # tifffile tags every bool array as white-is-zero, whatever its True means: such a mask stays as it is
    mask = pixels.dtype == bool and page.is_shaped
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and page.bitspersample in (2, 4):
        pixels = pixels * np.uint8(_widened(page))  # as the greys of a PNG
    if photometric == _WHITE_IS_ZERO and pixels.dtype.kind in "bu" and not mask:
        return np.invert(pixels)
    if photometric == _SEPARATED and pixels.dtype == np.uint8 and pixels.shape[-1] == 4 and pixels.ndim == 3:
        from PIL import Image as PillowImage

        return np.array(PillowImage.fromarray(pixels, "CMYK").convert("RGB"))
    if (
        photometric == _YCBCR
        and pixels.dtype == np.uint8
        and pixels.shape[2:] == (3,)
        and _is_raw_ycbcr(page)
    ):
        from PIL import Image as PillowImage

        return np.array(PillowImage.fromarray(pixels, "YCbCr").convert("RGB"))
    return pixels


def _is_raw_ycbcr(page: Any) -> bool:
    """Whether the values are still YCbCr, and over the full range."""
    black_white = page.tags.valueof(532) or ()
    levels = [black_white[at] / (black_white[at + 1] or 1) for at in range(0, len(black_white) - 1, 2)]
    return not _turned_by_libtiff(page) and levels in ([], [0, 255, 128, 255, 128, 255])


def _turned_by_libtiff(page: Any) -> bool:
    """Whether YCbCr was made RGB by what decoded it: JPEG always is, others where tifffile has no codec."""
    if page.photometric != _YCBCR or page.bitspersample != 8 or page.compression in _OWN_CODECS:
        return False
    return page.compression in _JPEG or find_spec("imagecodecs") is None


def _channels(count: int, page: Any, letters: str, converted: bool) -> tuple[str, ...]:
    """Names by the photometric tag: channels that are not colours are numbered and not called red."""
    colored = page.photometric in (_RGB, _PALETTE) and "C" not in letters
    if page.photometric in (_SEPARATED, _YCBCR):
        colored = converted
    alpha = bool(page.extrasamples) and int(page.extrasamples[0]) in (1, 2)
    if count == 1 or (colored and count <= 4) or (count == 2 and alpha):
        return ()
    return tuple(f"channel_{index}" for index in range(count))


# spacing


def _geometry(tif: TiffFile, page: Any, ndim: int) -> Geometry:
    """Place on the earth; else spacing from OME-XML, ImageJ's description, or the resolution tags of a 2-D image."""
    try:
        if ndim == 2 and (placed := geometry_of(tags_of(page))) is not None:
            return placed
        if tif.is_ome and tif.ome_metadata:
            return _ome_geometry(tif.ome_metadata, ndim)
        if tif.is_imagej and tif.imagej_metadata:
            return _imagej_geometry(tif.imagej_metadata, page, ndim)
        if ndim == 2:
            return _tag_geometry(page)
        described: dict[str, Any] = (tif.shaped_metadata or ({},))[0]
        return Geometry(described[_SPACING], described[_UNIT]) if _SPACING in described else UNKNOWN
    except (ValueError, TypeError, ZeroDivisionError, ElementTree.ParseError) as error:
        _log.warning("spacing not understood, taken as unknown: %s", error)
        return UNKNOWN


def _ome_geometry(xml: str, ndim: int) -> Geometry:
    pixels = next((node for node in ElementTree.fromstring(xml).iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None:
        return UNKNOWN
    lengths = []
    for axis in "ZYX"[-ndim:]:
        size = float(pixels.get(f"PhysicalSize{axis}", "nan"))
        unit = _UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if unit is None or not (math.isfinite(size) and size > 0):
            return UNKNOWN
        lengths.append((size, unit))
    return _one_unit(lengths)


def _imagej_geometry(metadata: Mapping[str, Any], page: Any, ndim: int) -> Geometry:
    unit = _UNITS.get(str(metadata.get("unit", "")).strip().lower())
    per_pixel = [_per_pixel(page, tag) for tag in (283, 282)]  # y, x
    if ndim == 3:
        per_pixel.insert(0, float(metadata.get("spacing", 0)))
    if unit is None or not all(math.isfinite(step) and step > 0 for step in per_pixel):
        return UNKNOWN
    return Geometry(tuple(per_pixel), unit)


def _tag_geometry(page: Any) -> Geometry:
    """Centimetre and inch tags, in micrometres. No unit is unknown, and so are the dpi of a screen."""
    unit = {2: "inch", 3: "cm"}.get(int(page.tags.valueof(296, 1)))
    steps = [_per_pixel(page, tag) for tag in (283, 282)]  # y, x
    if unit is None or not all(step > 0 for step in steps):
        return UNKNOWN
    if unit == "inch" and any(abs(1 / step - dpi) < 0.01 for step in steps for dpi in _SCREEN_DPI):
        return UNKNOWN
    # rationals of 32 bits carry nine digits; the rest is noise
    return Geometry(tuple(float(f"{step * _MICROMETRES[unit]:.9g}") for step in steps), "um")


def _per_pixel(page: Any, tag: int) -> float:
    """Length of a pixel in the unit of the resolution tags; 0 when the tag is missing or 0."""
    numerator, denominator = page.tags.valueof(tag, (0, 1))
    return denominator / numerator if numerator else 0.0


def _one_unit(lengths: list[tuple[float, str]]) -> Geometry:
    units = {unit for _, unit in lengths}
    if len(units) == 1:
        return Geometry(tuple(size for size, _ in lengths), units.pop())
    return Geometry(tuple(size * _MICROMETRES[unit] for size, unit in lengths), "um")


# whole or cut

# bytes of a value of each TIFF type, 1 (BYTE) to 13 (IFD), and of BigTIFF's 16 to 18
_TYPE_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), 1)) | {16: 8, 17: 8, 18: 8}


def check_whole(file: BinaryIO, name: str) -> None:
    """Raise ``ReadError`` unless every page, tag value, strip and tile lies inside the file.

    Readers stop quietly at the first page they cannot reach, and a volume would come out thinner than it is.
    """
    size = file.seek(0, io.SEEK_END)

    def take(offset: int, count: int) -> bytes:
        if offset + count > size:
            raise damaged(name, "TIFF", f"it is cut short after {size} bytes, {offset + count} are needed")
        file.seek(offset)
        return file.read(count)

    head = take(0, 8)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    count_format, offset_format, entry_bytes = ("Q", "Q", 20) if big else ("H", "I", 12)
    count_bytes, offset_bytes = struct.calcsize("=" + count_format), struct.calcsize("=" + offset_format)
    start = 8 if big else 4
    (page,) = struct.unpack(order + offset_format, take(start, offset_bytes))
    seen: set[int] = set()
    while page:
        if page in seen:
            raise damaged(name, "TIFF", "its pages lead in a circle")
        seen.add(page)
        (count,) = struct.unpack(order + count_format, take(page, count_bytes))
        entries = take(page + count_bytes, count * entry_bytes + offset_bytes)
        found: dict[int, np.ndarray] = {}
        for position in range(0, count * entry_bytes, entry_bytes):
            tag, kind, length = struct.unpack_from(f"{order}HH{offset_format}", entries, position)
            inline = position + 4 + offset_bytes
            value_bytes = length * _TYPE_BYTES.get(kind, 0)
            if value_bytes <= offset_bytes:
                values = entries[inline : inline + value_bytes]
            else:
                (at,) = struct.unpack_from(order + offset_format, entries, inline)
                wanted = tag in (273, 279, 324, 325)
                take(at + value_bytes, 0)
                values = take(at, value_bytes) if wanted else b""
            if tag in (273, 279, 324, 325) and kind in (3, 4, 16):
                found[tag] = np.frombuffer(values, f"{order}u{_TYPE_BYTES[kind]}").astype(np.uint64)
        for offsets, lengths in ((273, 279), (324, 325)):
            if offsets in found and lengths in found and len(found[offsets]) == len(found[lengths]) > 0:
                take(int((found[offsets] + found[lengths]).max()), 0)
        (page,) = struct.unpack_from(order + offset_format, entries, count * entry_bytes)


# writing


def encode_tiff(file: BinaryIO, image: Image) -> None:
    """Write an image or a label map as a deflated TIFF, a page for each z; 4 GB and more become BigTIFF.

    The spacing of a 2-D image goes into the resolution tags (nine digits, in centimetres), that of a volume
    into OME-XML, which has z and which other programs read too; for the dtypes that OME lacks (float16, 64-bit
    integers) into the JSON that tifffile keeps in the description. A map's affine and reference system go into the tags
    of GeoTIFF. The affine of a volume and channel names are not kept.
    """
    import tifffile

    pixels, geometry = image.pixels, image.geometry
    if pixels.dtype == bool and image.num_channels > 1:
        raise InputError(
            f"TIFF holds bool of one channel, got {image.num_channels}; write .npy, or 8-bit values"
        )
    colored = image.channels[:3] == ("red", "green", "blue") and image.num_channels <= 4
    axes = "ZYX"[-image.ndim :]
    if image.num_channels == 1:
        pixels = pixels[..., 0]
    else:
        axes += "S"
    options: dict[str, Any] = {
        "photometric": "rgb" if colored and pixels.dtype.kind in "uf" else "minisblack",
        "compression": "zlib",
        "compressionargs": {"level": 3},
        "metadata": {"axes": axes},
    }
    if image.num_channels > 1:
        options["planarconfig"] = "contig"
        base = 3 if options["photometric"] == "rgb" else 1
        alpha = image.channels[-1] == "alpha"
        extra = image.num_channels - base
        options["extrasamples"] = ["unspecified"] * (extra - alpha) + ["unassalpha"] * alpha
    if image.ndim == 2:
        options["extratags"] = tags_for(geometry)
    if geometry.spacing is not None and geometry.unit in _MICROMETRES:
        steps = [step * _MICROMETRES[geometry.unit] for step in geometry.spacing]
        if image.ndim == 2:
            options["resolution"] = (1e4 / steps[1], 1e4 / steps[0])
            options["resolutionunit"] = "CENTIMETER"
        else:
            options["ome"] = pixels.dtype.name in _OME_DTYPES
            if options["ome"]:
                for axis, step in zip("ZYX", geometry.spacing, strict=True):
                    options["metadata"][f"PhysicalSize{axis}"] = step
                    options["metadata"][f"PhysicalSize{axis}Unit"] = _OME_UNITS.get(
                        geometry.unit, geometry.unit
                    )
            else:
                options["metadata"] |= {_SPACING: geometry.spacing, _UNIT: geometry.unit}
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # about shapes that other programs may take for something else
        tifffile.imwrite(file, pixels, bigtiff=pixels.nbytes > 2**32 - 2**25, **options)
