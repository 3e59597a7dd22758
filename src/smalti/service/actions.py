"""Actions in the user's words: plain values in, files and plain values out, named errors raised."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, SmaltiError, unknown_name
from ..geometry import Geometry
from ..image import Image
from ..measurements import measure
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts, Segmenter, check_prompts, make_segmenter
from ..table import Table
from .inputs import STDIN, output_stems

FORMATS = ("labels", "overlay", "table", "coco", "geojson")

UNSURE = ("margin", "entropy")
"""What a fitted model tells of each segment: columns of its table."""


@dataclass(frozen=True)
class Reading:
    """How image files are to be read: see ``io.raster.read_image``."""

    spacing: str | None = None
    page: int | None = None
    max_pixels: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of one image: counts and written files, or the error that stopped it."""

    image: str
    segments: int = 0
    coverage: float = 0.0
    seconds: float = 0.0
    outputs: dict[str, str] = field(default_factory=dict)
    median_size: float | None = None
    size_unit: str = "px"
    error: str | None = None

    @property
    def size_text(self) -> str:
        """The median size as a person reads it: ``132.4 µm²``."""
        if self.median_size is None:
            return "-"
        unit = self.size_unit.replace("um", "µm").replace("2", "²").replace("3", "³")
        return f"{self.median_size:.4g} {unit}"

    def to_json(self) -> dict[str, Any]:
        """The part that programs read: counts, seconds and outputs, or image and error."""
        if self.error is not None:
            return {"image": self.image, "error": self.error}
        return {
            "image": self.image,
            "segments": self.segments,
            "coverage": round(self.coverage, 6),
            "seconds": round(self.seconds, 4),
            "outputs": self.outputs,
        }


def predict(
    image: Image | np.ndarray | str | Path, method: str | Path | Segmenter, **parameters: Any
) -> Segmentation:
    """The segments of one image, by a method's name and parameters, a ready method, or a fitted model.

    ``image`` is an ``Image``, a path, or an array (H, W) or (H, W, C). ``method`` may be the path of a ``.smalti``
    file, which is read anew each time; ``smalti.load`` reads it once. ``prompts=Prompts(...)`` goes to methods that
    take them. Raises ``SmaltiError`` kinds for files and parameters that cannot be used.
    """
    from ..io.bundle import SUFFIX, load

    prompts = parameters.pop("prompts", None)
    if isinstance(method, Path) or (isinstance(method, str) and method.lower().endswith(SUFFIX)):
        if parameters:
            raise InputError(f"{method} is fitted already; set {', '.join(parameters)} when fitting it")
        method = load(method)
    elif isinstance(method, str):
        method = make_segmenter(method, **parameters)
    elif parameters:
        raise InputError(
            f"{type(method).__name__} is made already; set {', '.join(parameters)} when making it"
        )
    if isinstance(image, str | Path):
        from ..io import read

        image = read(image)
    elif not isinstance(image, Image):
        image = Image.from_array(image)
    return predict_prompted(image, method, prompts)


def predict_prompted(image: Image, method: Segmenter, prompts: Prompts | None) -> Segmentation:
    """The method's segments; raises ``InputError`` for prompts it does not take."""
    if not prompts:
        return method.predict(image)
    check_prompts(method, prompts)
    prompts.check(image.shape)
    return method.predict(image, prompts)  # type: ignore[call-arg]  # checked: it declares prompts


def check_folder(out: Path) -> None:
    """Raise ``WriteError`` when nothing can be written into the folder ``out``; it is made where it is missing."""
    from ..io.writing import replacing

    with suppress(_Probed), replacing(out / "probe") as temporary:
        temporary.touch()
        raise _Probed  # leaves no file behind


def check_output(out: Path, inputs: Sequence[Path | None]) -> None:
    """Raise ``InputError`` when ``out`` is one of the files that are read for it."""
    for path in inputs:
        if path is not None and out.resolve() == path.resolve():
            raise InputError(f"{out} is its own input and would be overwritten; give --out another name")


class _Probed(SmaltiError):
    """The place can be written."""


def read_named(path: Path, reading: Reading) -> Image:
    """The image of a path, or of standard input for ``-``."""
    from ..io import read

    options: dict[str, Any] = {}
    if reading.page is not None:
        options["page"] = reading.page
    if reading.max_pixels is not None:
        options["max_pixels"] = reading.max_pixels
    image = read(sys.stdin.buffer.read() if path == STDIN else path, **options)
    if reading.spacing is not None:
        image = _spaced(image, Geometry.parse(reading.spacing, image.ndim))
    return image


def _spaced(image: Image, geometry: Geometry) -> Image:
    return Image(image.pixels, image.channels, geometry, image.source)


def check_formats(formats: Sequence[str]) -> None:
    """Raise ``UnknownName`` for an output format nobody knows."""
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("output format", name, FORMATS)


def predict_file(
    path: Path,
    stem: str,
    method: Method,
    out: Path,
    formats: Sequence[str] = ("labels", "overlay", "table"),
    reading: Reading = Reading(),
    prompts: Prompts | None = None,
) -> Outcome:
    """Read one image, segment it, and write the asked formats as ``out/stem.*``. Errors are raised."""
    start = time.perf_counter()
    image = read_named(path, reading)
    segmentation = predict_prompted(image, method, prompts)
    wanted = {"table", "geojson"} & set(formats)
    size = "area" if segmentation.ndim == 2 else "volume"
    table = measure(segmentation, image) if wanted else measure(segmentation, properties=[size])
    told = {name: segmentation.attributes[name] for name in UNSURE if name in segmentation.attributes}
    if told and wanted:
        table = Table({**table.columns, **told}, table.units)
    outputs = write_outputs(out, stem, path.name, image, segmentation, table, formats, method.describe())
    return Outcome(
        str(path),
        len(segmentation),
        segmentation.coverage,
        time.perf_counter() - start,
        outputs,
        float(np.median(table[size])) if len(table) else None,
        table.units[size],
    )


def write_outputs(
    out: Path,
    stem: str,
    file_name: str,
    image: Image,
    segmentation: Segmentation,
    table: Table,
    formats: Sequence[str],
    provenance: dict[str, Any],
) -> dict[str, str]:
    """Write the asked formats of one result; returns format to path."""
    outputs: dict[str, str] = {}

    def named(kind: str, suffix: str) -> Path:
        path = out / f"{stem}.{suffix}"
        outputs[kind] = str(path)
        return path

    if "labels" in formats:
        if segmentation.overlapping:
            raise InputError(
                "segments overlap, so no label map can hold them; leave labels out, --formats "
                "overlay,table,coco, or make one win, --after panoptic"
            )
        from ..io.labels import write_labels

        as_png = segmentation.ndim == 2 and len(segmentation) <= 65535
        write_labels(
            named("labels", "labels.png" if as_png else "labels.tif"),
            segmentation.labels,
            segmentation.geometry,
        )
    if "overlay" in formats:
        from ..io.draw import overlay
        from ..io.encode import write_image

        write_image(named("overlay", "overlay.png"), Image(overlay(image, segmentation)))
    if "table" in formats:
        from ..io.writing import replacing

        with replacing(named("table", "segments.csv")) as temporary:
            table.to_csv(temporary)
    if "coco" in formats:
        from ..io.coco import write_coco

        write_coco(named("coco", "coco.json"), [(file_name, segmentation)], info=provenance)
    if "geojson" in formats:
        from ..io.geojson import write_geojson

        write_geojson(named("geojson", "geojson"), segmentation, table)
    return outputs


def predict_files(
    paths: Sequence[Path],
    method: Method,
    out: Path,
    formats: Sequence[str] = ("labels", "overlay", "table"),
    reading: Reading = Reading(),
    prompts: Prompts | None = None,
    jobs: int = 1,
) -> Iterator[Outcome]:
    """Segment every image, in ``jobs`` processes; outcomes come as images are done.

    An image that cannot be used gives an outcome with its error and the others go on. What concerns them all
    (an unknown format, names that clash) is raised before the first.
    """
    check_formats(formats)
    if reading.spacing is not None and not any(Geometry.fits(reading.spacing, ndim) for ndim in (2, 3)):
        Geometry.parse(reading.spacing)  # raises, and says what is wrong
    check_prompts(method, prompts)
    check_folder(out)
    stems = output_stems(paths)
    calls = [
        (path, stem, method, out, tuple(formats), reading, prompts)
        for path, stem in zip(paths, stems, strict=True)
    ]
    if jobs == 1 or len(calls) == 1:
        yield from map(_predict_or_report, calls)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Processes, as drawing and measuring hold the interpreter lock for half of the time. Spawned ones: forking
    # a process in which OpenCV's or numba's threads run may hang.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        futures = {pool.submit(_predict_or_report, call): call[0] for call in calls}
        try:
            for future in as_completed(futures):
                try:
                    yield future.result()
                except BrokenProcessPool:  # its images are reported, not lost
                    yield Outcome(str(futures[future]), error="its process was ended; try fewer --jobs")
        finally:
            pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Each worker keeps to one core, as the others have workers of their own; Ctrl-C is the parent's to handle."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _predict_or_report(call: tuple[Any, ...]) -> Outcome:
    """The outcome of one call, whatever goes wrong: one bad image does not end a batch."""
    try:
        return predict_file(*call)
    except SmaltiError as error:
        return Outcome(str(call[0]), error=str(error))
    except MemoryError:
        return Outcome(str(call[0]), error="not enough memory for this image")
    except Exception as error:  # a defect of ours, which must not cost the other images
        return Outcome(str(call[0]), error=f"unexpected {type(error).__name__}: {error}; please report it")


def measure_file(labels: Path, image: Path | None, reading: Reading = Reading()) -> Table:
    """The measurements of a label map on disk, with intensities when its image is given.

    The column ``label`` is the number in the file; ``segment`` counts from 1. Without a spacing of its own the
    label map has that of the image.
    """
    segmentation, numbers = read_segmentation(labels, reading)
    picture = None if image is None else read_named(image, reading)
    if picture is not None and not segmentation.geometry.known:
        segmentation = segmentation.replace(geometry=picture.geometry)
    table = measure(segmentation, picture)
    return Table({"label": numbers, **table.columns}, table.units)


def read_segmentation(path: Path, reading: Reading = Reading()) -> tuple[Segmentation, np.ndarray]:
    """The segments of a label map on disk, and the number (N,) that each has there.

    The file's own resolution is used unless ``reading`` gives a spacing.
    """
    from ..io.labels import read_labels_and_geometry

    options = {} if reading.max_pixels is None else {"max_pixels": reading.max_pixels}
    labels, geometry = read_labels_and_geometry(path, **options)
    if reading.spacing is not None:
        geometry = Geometry.parse(reading.spacing, labels.ndim)
    numbers = np.unique(labels)
    return Segmentation.from_labels(labels, geometry=geometry), numbers[numbers > 0]


def view_file(image: Path, labels: Path, out: Path, reading: Reading = Reading(), **drawing: Any) -> Path:
    """Draw a label map over its image into a PNG; returns its path."""
    from ..io.draw import overlay
    from ..io.encode import write_image

    picture = read_named(image, reading)
    write_image(out, Image(overlay(picture, read_segmentation(labels, reading)[0], **drawing)))
    return out
