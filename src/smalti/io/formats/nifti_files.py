"""Which NIfTI files of a folder are images, which their labels, and which the channels of one image.

Told by ``dataset.json`` (Medical Segmentation Decathlon, nnU-Net) where it lists them, else by the names of folders and
files, as pictures and their masks are. Channels are files of one name that end in ``_0000``, ``_0001`` (nnU-Net) or in
the contrast (``_t1``, ``_flair``: BraTS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import InputError, ReadError
from ...provenance import UNKNOWN_ORIGIN, Provenance
from ..medical import NIFTI_SUFFIXES
from .documents import read_json
from .format import Problem
from .listing import Listing
from .pairing import find_pairs
from .roles import MASK_WORDS, without
from .sample_lists import read_samples
from .segment_lists import SUFFIX
from .tree import Tree, inside

DATASET = "dataset.json"

_FOLDERS = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
_STAND_IN = ".tif"  # what a volume is called while pairs are looked for among pictures
_NUMBERED = re.compile(r"(.+)_(\d{4})")
_CONTRASTS = frozenset(
    ["flair", "t1", "t1c", "t1ce", "t1gd", "t1n", "t1w", "t2", "t2f", "t2w", "pd", "adc", "dwi"]
)
_SUFFIX = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)


class Volume(NamedTuple):
    """An image (its files, one for each channel) and its labels by their paths; either may be missing."""

    name: str
    images: tuple[str, ...]
    labels: str | None
    split: str | None
    group: str | None = None
    fields: Mapping[str, Any] | None = None  # what else is known of the sample


@dataclass(frozen=True)
class Volumes:
    """The volumes of a tree, the names of their channels where they are told, and what was left over."""

    volumes: Sequence[Volume]
    channels: tuple[str, ...] = ()
    problems: Sequence[Problem] = ()


@dataclass(frozen=True)
class Description:
    """What ``dataset.json`` says, as far as it is used here."""

    path: Path
    labels: Mapping[str, Any] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    listed: Sequence[tuple[str, Any]] = ()  # split and record
    provenance: Provenance = UNKNOWN_ORIGIN


def read_description(tree: Tree) -> Description | None:
    """``dataset.json`` of the folder, None where there is none. Raises ``ReadError`` for one that cannot be it."""
    if DATASET not in tree.path_set:
        return None
    path = tree.file(DATASET)
    content = read_json(path)
    labels = content.get("labels", {})
    if not isinstance(labels, Mapping):
        raise ReadError(
            f"{path}: wanted names of numbers under 'labels', such as {{'1': 'liver'}}, got {labels!r}"
        )
    channels = content.get("channel_names", content.get("modality", {}))
    names = [str(name) for name in channels.values()] if isinstance(channels, Mapping) else []
    listed = [
        (split, record)
        for key, split in (("training", "train"), ("validation", "val"), ("test", "test"))
        if isinstance(content.get(key), list)
        for record in content[key]
    ]
    said = {
        "source": content.get("reference") or content.get("name"),
        "licence": content.get("licence") or content.get("license"),
        "date": content.get("release_date"),
    }
    origin = {name: value for name, value in said.items() if isinstance(value, str) and value}
    distinct = len(set(names)) == len(names) > 1
    return Description(path, labels, tuple(names) if distinct else (), listed, Provenance(**origin))


def find_volumes(tree: Tree, images: str, labels: str, description: Description | None) -> Volumes:
    """The images of ``tree`` with their labels; no NIfTI file is opened.

    ``images`` and ``labels`` name files, folders or globs; each empty if names shall tell.
    """
    channels = () if description is None else description.channels
    if tree.focus is not None and _is_nifti(tree.focus):
        return Volumes([Volume(_name(tree.focus), (tree.focus,), None, None)], channels)
    if not images and not labels:
        ours = read_samples(tree)
        if ours is not None:
            volumes = [
                Volume(pair.name, (pair.image,) if pair.image else (), *pair[2:]) for pair in ours.pairs
            ]
            return Volumes(volumes, channels, ours.problems)
        if description is not None and description.listed:
            return replace(_of_list(tree, description), channels=channels)
    return _by_names(tree, images, labels, channels)


def place_of(name: str, split: str | None, what: str) -> str:
    """Where the ``image``, the ``label`` or the ``instance`` numbers of a sample are written, without suffix."""
    folders = _FOLDERS["test" if split == "test" else "train"]
    folder = folders[0] if what == "image" else folders[1].replace("label", what)
    return f"{folder}/{name}"


def objects_beside(labels: str) -> str:
    """The file with the numbers of objects that smalti writes where class numbers do not say everything."""
    return re.sub(r"(^|/)labels(T[rs]/)", r"\1instances\2", labels)


def list_beside(path: str) -> str:
    """The list of the segments in a file with numbers of objects."""
    return _SUFFIX.sub("", path) + SUFFIX


def _is_nifti(path: str) -> bool:
    return path.lower().endswith(NIFTI_SUFFIXES)


def _name(path: str) -> str:
    """A sample's name: its image without suffix and the folder that says what it is."""
    stem = _SUFFIX.sub("", path)
    return re.sub(r"^images(Tr|Ts|Val)?/", "", stem)


# By the list


def _of_list(tree: Tree, description: Description) -> Volumes:
    volumes: dict[str, Volume] = {}
    problems = []
    for index, (split, record) in enumerate(description.listed):
        try:
            volume = _listed(tree, split, record)
            if volume.name in volumes:
                raise InputError(f"the image {volume.images[0]} is listed twice; take one out")
            volumes[volume.name] = volume
        except (InputError, ReadError) as error:
            problems.append(Problem(DATASET, f"record {index} ({split})", str(error)))
    return Volumes(list(volumes.values()), (), problems)


def _listed(tree: Tree, split: str, record: Any) -> Volume:
    image, labels = (record.get("image"), record.get("label")) if isinstance(record, dict) else (record, None)
    if not isinstance(image, str) or not isinstance(labels, str | None):
        raise InputError(f"wanted the names of an image and a label, got {record!r}")
    image = inside(image)
    files: tuple[str, ...] = (image,)
    if image not in tree.path_set:  # nnU-Net lists case.nii.gz and keeps case_0000.nii.gz
        numbered = re.compile(re.escape(_SUFFIX.sub("", image)) + r"_\d{4}" + _SUFFIX.pattern)
        files = tuple(path for path in tree.paths if numbered.match(path))
    if not files:
        raise ReadError(f"it names the image {image}, which is not there")
    if labels is not None:
        labels = inside(labels)
        if labels not in tree.path_set:
            raise ReadError(f"it names the label {labels}, which is not there")
    return Volume(_name(image), files, labels, split)


# By names


class _StandIns(Tree):
    """A tree in which every volume, with all its channels, is one picture, so that pictures' names tell its labels."""

    def __init__(self, tree: Tree, files: Mapping[str, tuple[str, ...]]) -> None:
        self.root, self.focus = tree.root, None
        self.files = files
        names: dict[str, list[str]] = {}
        for path in files:
            folder, slash, name = path.rpartition("/")
            names.setdefault(folder + slash, []).append(name)
        self.__dict__["listing"] = Listing.of_names(names)

    @classmethod
    def of(cls, tree: Tree, channels: tuple[str, ...]) -> _StandIns:
        paths = [path for path in tree.paths if _is_nifti(path) and list_beside(path) not in tree.path_set]
        stems = {_SUFFIX.sub("", path): path for path in paths}
        files: dict[str, tuple[str, ...]] = {}
        for base, members in _channels(stems, bool(channels)).items():
            files[base + _STAND_IN] = tuple(stems[member] for member in members)
        return cls(tree, files)


def _channels(stems: Mapping[str, str], told: bool) -> dict[str, list[str]]:
    """Stems of the files of each image by what they have in common."""
    numbered: dict[str, list[str]] = {}
    contrasts: dict[str, list[str]] = {}
    for stem in stems:
        match = _NUMBERED.fullmatch(stem)
        if match:
            numbered.setdefault(match[1], []).append(stem)
        base, _, last = stem.rpartition("_")
        if base and last.lower() in _CONTRASTS:
            contrasts.setdefault(base, []).append(stem)
    names = {stem.rpartition("/")[2] for stem in stems}
    in_use = told or any(base.rpartition("/")[2] in names for base in numbered)
    groups: dict[str, list[str]] = {}
    for stem in stems:
        match = _NUMBERED.fullmatch(stem)
        base = stem.rpartition("_")[0]
        if in_use and match and f"{match[1]}_0000" in stems:
            groups.setdefault(match[1], []).append(stem)
        elif len(contrasts.get(base, ())) > 1 and stem in contrasts[base]:
            groups.setdefault(base, []).append(stem)
        else:
            groups.setdefault(stem, []).append(stem)
    return groups


def _by_names(tree: Tree, images: str, labels: str, channels: tuple[str, ...]) -> Volumes:
    tree = _StandIns.of(tree, channels)
    chosen = [_chosen(tree, option) for option in (images, labels)]
    if len(chosen[0]) == len(chosen[1]) == 1:  # one of each, whatever they are called
        files = tree.files[chosen[0][0]]
        return Volumes([Volume(_name(files[0]), files, tree.files[chosen[1][0]][0], None)], channels)
    pairing = find_pairs(tree, _stand_in(images), _stand_in(labels))
    if pairing.choices:
        names = " or ".join(repr(choice) for choice in pairing.choices if choice)
        raise InputError(f"{tree.root}: images have labels of several kinds; choose with labels={names}")
    volumes = [
        Volume(
            pair.name,
            () if pair.image is None else tree.files[pair.image],
            None if pair.mask is None else tree.files[pair.mask][0],
            pair.split,
            pair.group,
        )
        for pair in pairing.pairs
    ]
    problems = [
        Problem(tree.files[each.file][0] if each.file in tree.files else each.file, each.record, each.message)
        for each in pairing.problems
    ]
    return Volumes(volumes or _lonely(tree), channels, problems)


def _lonely(tree: _StandIns) -> list[Volume]:
    """All volumes, where no name says that one is the labels of another."""
    return [
        Volume(_name(files[0]) if len(files) == 1 else base.removesuffix(_STAND_IN), files, None, None)
        for base, files in tree.files.items()
        if without(base.rpartition("/")[2].removesuffix(_STAND_IN), MASK_WORDS)
    ]


def _chosen(tree: _StandIns, option: str) -> list[str]:
    name = _stand_in(option)
    return [name] if name in tree.files else []


def _stand_in(option: str) -> str:
    return _SUFFIX.sub(_STAND_IN, option)


def channel_names(files: Iterable[str], told: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the channels of an image: what ``dataset.json`` calls them, or the contrasts its files end in."""
    files = list(files)
    if len(files) > 1 and not told:
        ends = [_SUFFIX.sub("", path).rpartition("_")[2].lower() for path in files]
        return tuple(ends) if set(ends) <= _CONTRASTS else ()
    return told
