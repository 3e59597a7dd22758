"""GeoTIFF: where a raster lies on the earth, what its bands are called, and which value means no data.

Read from the tags themselves (GeoTIFF 1.1, OGC 19-008r4, and GDAL's two), so that neither GDAL nor a database is
needed. The affine takes pixel corners (x, y, 1) to the coordinates of ``crs``: rasters that give the centres of pixels
(``PixelIsPoint``) are moved by half a pixel. ``crs`` is ``EPSG:32616`` and the like; one that somebody defined
themselves becomes PROJ's text where its projection is a common one. The spacing is in metres or in degrees, whatever
unit the affine has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..geometry import Geometry

PIXEL_SCALE, TIE_POINTS, TRANSFORMATION = 33550, 33922, 34264
KEY_DIRECTORY, KEY_DOUBLES, KEY_TEXT = 34735, 34736, 34737
GDAL_METADATA, GDAL_NODATA = 42112, 42113

_MODEL, _RASTER, _CITATION = 1024, 1025, 1026
_GEOGRAPHIC, _ANGULAR_UNIT, _SEMI_MAJOR, _SEMI_MINOR, _INVERSE_FLATTENING = 2048, 2054, 2057, 2058, 2059
_PROJECTED, _METHOD, _LINEAR_UNIT = 3072, 3075, 3076
_USER_DEFINED, _PIXEL_IS_POINT = 32767, 2
_DEGREE, _METRE = 9102, 9001
_METRES = {9001: 1.0, 9002: 0.3048, 9003: 1200 / 3937, 9036: 1000.0}
_DATUMS = {4326: "WGS84", 4269: "NAD83", 4267: "NAD27"}

# systems that everybody uses and that are in metres, for files that do not say so
_IN_METRES = (range(32601, 32661), range(32701, 32761), range(26901, 26924), range(25828, 25839), (3857,))

# GeoKeys of a projection's parameters, and what PROJ calls them; several may stand for one
_PARAMETERS = {
    3078: "lat_1",
    3079: "lat_2",
    3080: "lon_0",
    3081: "lat_0",
    3082: "x_0",
    3083: "y_0",
    3084: "lon_0",
    3085: "lat_0",
    3086: "x_0",
    3087: "y_0",
    3088: "lon_0",
    3089: "lat_0",
    3092: "k_0",
    3093: "k_0",
    3095: "lon_0",
}
_METHODS = {
    1: "tmerc",
    7: "merc",
    8: "lcc",
    9: "lcc",
    10: "laea",
    11: "aea",
    12: "aeqd",
    15: "stere",
    16: "sterea",
    17: "eqc",
    24: "sinu",
}
_CITED = ("+proj=", "PROJCS[", "GEOGCS[", "PROJCRS[", "GEOGCRS[", "BOUNDCRS[", "COMPOUNDCRS[", "LOCAL_CS[")


def tags_of(page: Any) -> dict[int, Any]:
    """The tags of a TIFF page (tifffile's) that are used here."""
    wanted = (PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEY_DIRECTORY, KEY_DOUBLES, KEY_TEXT)
    found = {tag: page.tags.valueof(tag) for tag in (*wanted, GDAL_METADATA, GDAL_NODATA)}
    return {tag: value for tag, value in found.items() if value is not None}


def geometry_of(tags: Mapping[int, Any]) -> Geometry | None:
    """Affine, spacing and reference system of a GeoTIFF; None for a TIFF that lies nowhere.

    Raises ``ValueError`` for tags that contradict themselves. Tie points without a scale (ground control points) are
    no affine and are taken for nothing.
    """
    keys = _keys(tags)
    affine = _affine(tags)
    if affine is None:
        return None
    if keys.get(_RASTER) == _PIXEL_IS_POINT:
        affine[:2, 2] -= affine[:2, :2].sum(axis=1) / 2
    if not np.isfinite(affine).all() or not np.linalg.det(affine[:2, :2]):
        raise ValueError("its affine puts all pixels on one line")
    crs = _crs(keys)
    scale, unit = _unit(keys, crs)
    if scale is None:
        return Geometry(affine=affine, crs=crs)
    steps = np.hypot(affine[0, :2], affine[1, :2])[::-1] * scale  # y, x
    return Geometry(tuple(steps.tolist()), unit, affine, crs)


def band_names(tags: Mapping[int, Any], names: Sequence[str]) -> tuple[str, ...]:
    """Names of the bands as GDAL keeps them, where each has one of its own; else the TIFF's own ``names``.

    Of these ``alpha`` is only a number where GDAL says that the band is no alpha: the near infrared of air photographs
    is often kept so.
    """
    described: dict[int, str] = {}
    colors: dict[int, str] = {}
    for sample, name, value in _items(tags):
        if name == "DESCRIPTION":
            described[sample] = value
        elif name == "COLORINTERP":
            colors[sample] = value.lower()
    meant = {
        sample: color for sample, color in colors.items() if color not in ("gray", "undefined", "palette")
    }
    for found in (described, meant):
        if len(set(found.values())) == len(names) and set(found) == set(range(len(names))):
            return tuple(found[index] for index in range(len(names)))
    return tuple(
        f"channel_{index}" if name == "alpha" and colors.get(index, name) != name else name
        for index, name in enumerate(names)
    )


def nodata_of(tags: Mapping[int, Any]) -> float | None:
    """The value that means no data, NaN included; None where there is none."""
    text = tags.get(GDAL_NODATA)
    try:
        return None if text is None else float(str(text).strip().strip("\0"))
    except ValueError:
        return None


def _items(tags: Mapping[int, Any]) -> list[tuple[int, str, str]]:
    """Sample, name and value of what GDAL keeps for single bands."""
    text = tags.get(GDAL_METADATA)
    if not isinstance(text, str) or "<!" in text:
        return []
    try:
        root = ElementTree.fromstring(text.strip().strip("\0"))
    except ElementTree.ParseError:
        return []
    items = []
    for item in root.iter("Item"):
        sample, value = item.get("sample", ""), (item.text or "").strip()
        if sample.isdecimal() and value:
            items.append((int(sample), item.get("name", "").upper(), value))
    return items


def _affine(tags: Mapping[int, Any]) -> np.ndarray | None:
    if TRANSFORMATION in tags:
        matrix = np.asarray(tags[TRANSFORMATION], np.float64).reshape(4, 4)
        return np.array([matrix[0, [0, 1, 3]], matrix[1, [0, 1, 3]], [0, 0, 1]])
    if PIXEL_SCALE not in tags or TIE_POINTS not in tags:
        return None
    step_x, step_y = (float(step) for step in tags[PIXEL_SCALE][:2])
    column, row, _, x, y, _ = (float(value) for value in tags[TIE_POINTS][:6])
    return np.array([[step_x, 0, x - column * step_x], [0, -step_y, y + row * step_y], [0, 0, 1]])


def _keys(tags: Mapping[int, Any]) -> dict[int, Any]:
    """GeoKeys: numbers, and text for those that are."""
    directory = [int(value) for value in tags.get(KEY_DIRECTORY, ())]
    doubles, text = tags.get(KEY_DOUBLES, ()), tags.get(KEY_TEXT, "")
    doubles = doubles if isinstance(doubles, Sequence) else (doubles,)
    keys: dict[int, Any] = {}
    for at in range(4, len(directory) - 3, 4):
        key, place, count, value = directory[at : at + 4]
        if place == 0:
            keys[key] = value
        elif place == KEY_DOUBLES and value < len(doubles):
            keys[key] = float(doubles[value])
        elif place == KEY_TEXT:
            keys[key] = str(text)[value : value + count].rstrip("|\0")
    return keys


def _crs(keys: Mapping[int, Any]) -> str | None:
    projected, geographic = keys.get(_PROJECTED, 0), keys.get(_GEOGRAPHIC, 0)
    if 0 < projected < _USER_DEFINED:
        return f"EPSG:{projected}"
    cited = str(keys.get(_CITATION, ""))
    if cited.startswith(_CITED):
        return cited
    if projected == _USER_DEFINED or keys.get(_MODEL) == 1:
        return _proj(keys)
    return f"EPSG:{geographic}" if 0 < geographic < _USER_DEFINED else None


def _proj(keys: Mapping[int, Any]) -> str | None:
    """PROJ's text for a projection that somebody defined themselves; None for one that is not listed here."""
    method = _METHODS.get(keys.get(_METHOD, 0))
    scale = _METRES.get(keys.get(_LINEAR_UNIT, _METRE))
    ellipsoid = _ellipsoid(keys)
    if method is None or scale is None or ellipsoid is None:
        return None
    values: dict[str, float] = {}
    for key, name in _PARAMETERS.items():
        if key in keys:
            value = float(keys[key])
            values[name] = value * scale if name in ("x_0", "y_0") else value
    if method == "lcc" and "lat_2" not in values:
        values["lat_1"] = values.get("lat_0", 0.0)
    if method == "stere":  # polar: the natural origin's latitude is that of true scale
        at = values.pop("lat_0", 90.0)
        values |= {"lat_ts": at, "lat_0": math.copysign(90.0, at)}
    if method == "eqc":
        values["lat_ts"] = values.pop("lat_1", 0.0)
    shown = " ".join(f"+{name}={value:.17g}" for name, value in sorted(values.items()))
    unit = "+units=m" if scale == 1 else f"+to_meter={scale:.17g}"
    return f"+proj={method} {shown} {ellipsoid} {unit} +no_defs".replace("  ", " ")


def _ellipsoid(keys: Mapping[int, Any]) -> str | None:
    datum = _DATUMS.get(keys.get(_GEOGRAPHIC, 0))
    if datum is not None:
        return f"+datum={datum}"
    if _SEMI_MAJOR in keys and _INVERSE_FLATTENING in keys:
        return f"+a={keys[_SEMI_MAJOR]:.17g} +rf={keys[_INVERSE_FLATTENING]:.17g}"
    if _SEMI_MAJOR in keys and _SEMI_MINOR in keys:
        return f"+a={keys[_SEMI_MAJOR]:.17g} +b={keys[_SEMI_MINOR]:.17g}"
    return None


def _unit(keys: Mapping[int, Any], crs: str | None) -> tuple[float | None, str]:
    """How many metres, or degrees, a unit of the affine is."""
    if keys.get(_MODEL) == 2 or (_PROJECTED not in keys and _GEOGRAPHIC in keys):
        return (1.0, "deg") if keys.get(_ANGULAR_UNIT, _DEGREE) == _DEGREE else (None, "px")
    if keys.get(_LINEAR_UNIT) in _METRES:
        return _METRES[keys[_LINEAR_UNIT]], "m"
    code = keys.get(_PROJECTED, 0)
    in_metres = _LINEAR_UNIT not in keys and any(code in each for each in _IN_METRES)
    return (1.0, "m") if in_metres else (None, "px")


# Writing

_Tag = tuple[int, int, int, Any, bool]
_SHORT, _DOUBLE, _ASCII = 3, 12, 2


def tags_for(geometry: Geometry) -> list[_Tag]:
    """Tags (code, type, count, value, written once) that bring a 3 x 3 affine and its system back; none for others.

    An EPSG code is said to be geographic where the spacing is in degrees, for which no database is needed. Any other
    system is put down as the citation of a user-defined one.
    """
    affine = geometry.affine
    if affine is None or affine.shape != (3, 3):
        return []
    (a, b, c), (d, e, f) = affine[:2].tolist()
    tags: list[_Tag] = []
    if b == 0 and d == 0 and a > 0 and e < 0:
        tags.append((PIXEL_SCALE, _DOUBLE, 3, (a, -e, 0.0), True))
        tags.append((TIE_POINTS, _DOUBLE, 6, (0.0, 0.0, 0.0, c, f, 0.0), True))
    else:
        matrix = (a, b, 0.0, c, d, e, 0.0, f, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        tags.append((TRANSFORMATION, _DOUBLE, 16, matrix, True))
    keys, text = _keys_for(geometry)
    directory = [1, 1, 1, len(keys)]
    for key, value in sorted(keys.items()):
        directory += [key, KEY_TEXT, len(text), 0] if key == _CITATION else [key, 0, 1, value]
    tags.append((KEY_DIRECTORY, _SHORT, len(directory), tuple(directory), True))
    if text:
        tags.append((KEY_TEXT, _ASCII, len(text) + 1, text, True))
    return tags


def _keys_for(geometry: Geometry) -> tuple[dict[int, int], str]:
    keys = {_RASTER: 1}
    degrees = geometry.unit == "deg"
    if degrees:
        keys |= {_MODEL: 2, _ANGULAR_UNIT: _DEGREE}
    elif geometry.unit == "m":
        keys |= {_MODEL: 1, _LINEAR_UNIT: _linear_unit(geometry)}
    crs = geometry.crs or ""
    code = crs[5:] if crs.upper().startswith("EPSG:") else ""
    if code.isdecimal() and 0 < int(code) < _USER_DEFINED:
        keys[_MODEL] = 2 if degrees else 1
        keys[_GEOGRAPHIC if degrees else _PROJECTED] = int(code)
        return keys, ""
    if not crs or not crs.isascii() or "|" in crs:
        return keys, ""
    keys |= {_GEOGRAPHIC if degrees else _PROJECTED: _USER_DEFINED, _CITATION: 0}
    return keys, crs + "|"


def _linear_unit(geometry: Geometry) -> int:
    """Of an affine in feet the spacing is in metres all the same."""
    assert geometry.affine is not None and geometry.spacing is not None
    step, metres = float(np.hypot(*geometry.affine[:2, 0])), geometry.spacing[-1]
    return min(_METRES, key=lambda code: abs(step * _METRES[code] - metres))
