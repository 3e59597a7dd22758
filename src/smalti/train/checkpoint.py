"""Where a training stands, kept so that it can go on from there: tensors as safetensors, the rest as JSON.

A run lives in a folder. ``checkpoint.json`` is the checkpoint: it names the file of tensors that belongs to it, by its
SHA-256, too. That file has one of two names in turn, and the JSON is replaced only when the new one is whole, so that
it names a whole file at any moment at which the process may be killed. Nothing in either can run code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from .. import __version__
from ..errors import InputError, ReadError, WriteError
from ..io.formats.documents import read_json
from ..io.writing import replacing
from .reports import EpochReport, best_of, whole

FORMAT = 1
"""The format of checkpoints that this smalti writes, and the newest that it reads."""

CHECKPOINT = "checkpoint.json"
TENSOR_FILES = ("checkpoint.safetensors", "checkpoint.2.safetensors")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_OS_ERROR = re.compile(r"os error (\d+)")
_FIELDS = ("step", "epoch", "seed", "plan", "dataset", "history", "state", "versions", "tensors")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a training needs to go on as if it had never stopped.

    ``plan`` and ``dataset`` are digests (``digest_of``) of the plan and of the names of the samples. ``tensors`` are
    by group (``model``, ``ema``, ``optimizer``, ``best``, ``random``) and name. ``state`` has plain JSON values, which
    come back as they are. ``versions`` are of the libraries that wrote it and need not be given.
    """

    step: int
    epoch: int
    seed: int
    plan: str
    dataset: str
    tensors: Mapping[str, Mapping[str, torch.Tensor]]
    history: tuple[EpochReport, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def best(self) -> EpochReport | None:
        """The best epoch so far, if there is one."""
        return best_of(self.history)


def digest_of(content: Any) -> str:
    """SHA-256 of plain JSON values, such as a plan or the names of samples, in hexadecimal.

    The order of names in an object does not matter, that of a list does.

    >>> digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def has_checkpoint(folder: str | os.PathLike[str]) -> bool:
    """Whether a run in this folder was saved."""
    return (Path(folder) / CHECKPOINT).is_file()


# Writing


def save_checkpoint(folder: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write the checkpoint into the folder of its run, in place of the one before.

    The one before stays until this one is whole, so the disk holds both for a moment. Raises ``WriteError`` where it
    cannot be written, and ``InputError`` for a ``state`` that JSON would not give back as it is.
    """
    folder = Path(folder)
    content: dict[str, Any] = {
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "seed": checkpoint.seed,
        "plan": checkpoint.plan,
        "dataset": checkpoint.dataset,
        "history": [report.to_json() for report in checkpoint.history],
        "state": _plain(checkpoint.state),
        "versions": {"smalti": __version__, "torch": torch.__version__},
    }
    flat = _flat(checkpoint.tensors)
    for left in folder.glob(".checkpoint*"):  # of a process that was killed while it wrote
        _forget(left)
    old, step = _in_use(folder)
    tensor_file = folder / _free_name(folder, old)
    try:
        with replacing(tensor_file) as part:
            _write_tensors(part, flat)
            told = {"file": tensor_file.name, "bytes": part.stat().st_size, "sha256": _file_digest(part)}
        content["tensors"] = told
        content |= {"sha256": digest_of(content), "format": FORMAT}
        with replacing(folder / CHECKPOINT) as part, part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n")
            _to_disk(file.fileno())
    except WriteError as error:
        if tensor_file.name != old:
            _forget(tensor_file)
        kept = f"that of step {step} is kept" if old else "none was saved before"
        raise WriteError(
            f"the checkpoint of step {checkpoint.step} could not be saved ({kept}): {error}"
        ) from error
    if old and old != tensor_file.name:
        _forget(folder / old)


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if json.loads(json.dumps(dict(state), allow_nan=False)) == state:
            return dict(state)
        reason = "a list comes back for a tuple, and text for a key that is none"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise InputError(f"the state of a checkpoint holds plain JSON values: {reason}")


def _flat(tensors: Mapping[str, Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Tensors on the CPU by ``group/name``, none of which shares memory with another."""
    flat: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for group, named in tensors.items():
        if not group or "/" in group:
            raise InputError(f"a group of tensors has a name without a slash, got {group!r}")
        for name, tensor in named.items():
            kept = tensor.detach().cpu().contiguous()  # as channels last they would be refused
            place = kept.untyped_storage().data_ptr()
            if place in seen:
                kept = kept.clone()
                place = kept.untyped_storage().data_ptr()
            seen.add(place)
            flat[f"{group}/{name}"] = kept
    return flat


def _write_tensors(part: Path, flat: dict[str, torch.Tensor]) -> None:
    try:
        save_file(flat, part)
    except SafetensorError as error:  # it brings what the system said as text
        found = _OS_ERROR.search(str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number)) from error
    with part.open("rb+") as file:
        _to_disk(file.fileno())


def _to_disk(descriptor: int) -> None:
    """The file is on the disk before it gets its name, for a machine that loses its power."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot
            raise


def _in_use(folder: Path) -> tuple[str | None, Any]:
    """The file of tensors that belongs to the checkpoint in the folder, and its step, if there is one."""
    try:
        content = read_json(folder / CHECKPOINT)
        name, step = content["tensors"]["file"], content["step"]
    except (ReadError, KeyError, TypeError):
        return None, None
    return (name, step) if name in TENSOR_FILES else (None, None)


def _free_name(folder: Path, in_use: str | None) -> str:
    """A name for tensors that writing over loses nothing; where nobody knows, one that is not there."""
    free = [name for name in TENSOR_FILES if name != in_use]
    return next((name for name in free if not (folder / name).exists()), free[0])


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # it costs room and is written over by the next but one


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Reading


def load_checkpoint(
    folder: str | os.PathLike[str], *, plan: str | None = None, dataset: str | None = None
) -> Checkpoint:
    """The checkpoint in the folder of a run, its tensors on the CPU.

    With ``plan`` or ``dataset`` (digests) it must have been made of these. Raises ``ReadError`` for a folder without
    one, for files that are damaged, were changed or are of a newer smalti, and ``InputError`` for another plan or
    dataset.
    """
    folder = Path(folder)
    path = folder / CHECKPOINT
    if not path.is_file():
        raise ReadError(f"{folder} has no {CHECKPOINT}, so there is no training to go on with; start it anew")
    content = read_json(path)
    version = content.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ReadError(f"{path} does not say which format it is, so it is no checkpoint of smalti")
    if version > FORMAT:
        raise ReadError(
            f"{path} was made by a newer smalti (format {str(version)[:20]}); this one, {__version__}, reads format "
            f"{FORMAT}; upgrade smalti"
        )
    try:
        found = _checked(content)
    except (ReadError, ValueError, RecursionError) as error:
        raise ReadError(f"{path} is damaged or was changed: {error}; start the training anew") from error
    for name, given, own in (("plan", plan, found["plan"]), ("dataset", dataset, found["dataset"])):
        if given is not None and given != own:
            what = "a plan" if name == "plan" else "a dataset, or a part of one,"
            raise InputError(
                f"the training in {folder} was started with {what} that differs from what is given now; give the "
                f"same {name} to go on, or start anew into another file"
            )
    tensors = _read_tensors(folder, found.pop("tensors"))
    history = tuple(EpochReport.from_json(report) for report in found.pop("history"))
    return Checkpoint(tensors=tensors, history=history, **found)


def _checked(content: dict[str, Any]) -> dict[str, Any]:
    """The fields of a checkpoint, each of its kind. Raises ``ReadError`` or ``ValueError``."""
    fields = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    missing = [name for name in _FIELDS if name not in fields]
    if missing:
        raise ReadError(f"it lacks {', '.join(missing)}")
    if digest_of(fields) != content.get("sha256"):
        raise ReadError("its SHA-256 is another")
    for name in ("step", "epoch", "seed"):
        whole(fields[name], name)
    texts = fields["plan"], fields["dataset"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(fields["history"], list):
        raise ReadError("plan and dataset are digests, history is a list")
    for name in ("state", "versions", "tensors"):
        if not isinstance(fields[name], dict):
            raise ReadError(f"{name} are values by name")
    for report in fields["history"]:
        EpochReport.from_json(report)
    told = fields["tensors"]
    if told.get("file") not in TENSOR_FILES:
        raise ReadError(f"the file of tensors is one of {', '.join(TENSOR_FILES)}")
    whole(told.get("bytes"), "bytes")
    if not isinstance(told.get("sha256"), str) or not _SHA256.fullmatch(told["sha256"]):
        raise ReadError("the tensors have no SHA-256")
    return {name: fields[name] for name in _FIELDS}


def _read_tensors(folder: Path, told: Mapping[str, Any]) -> dict[str, dict[str, torch.Tensor]]:
    path = folder / told["file"]
    again = f"it belongs to {CHECKPOINT}; bring back both files from one copy, or start the training anew"
    try:
        size = path.stat().st_size
        if size != told["bytes"]:
            raise ReadError(f"{path} has {size} bytes, {CHECKPOINT} says {told['bytes']}: {again}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise ReadError(f"no file {path}: {again}") from None
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != told["sha256"]:
        raise ReadError(f"{path} is damaged or was changed (another SHA-256): {again}")
    try:
        flat = load(content)
    except (SafetensorError, ValueError, KeyError, AssertionError) as error:
        raise ReadError(f"{path} is no file of tensors: {str(error)[:120]}") from error
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name in sorted(flat):
        group, _, inner = name.partition("/")
        groups.setdefault(group, {})[inner] = flat[name]
    return groups


# To and from what torch keeps


def load_into(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give a module the parameters and buffers of a group. Raises ``ReadError`` unless they are its own."""
    own = module.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{name} is not of this network" for name in tensors if name not in own]
    wrong += [
        f"{name} is {tuple(tensors[name].shape)}, wanted {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise ReadError(f"the checkpoint is of another network: {'; '.join(wrong[:3])}{more}")
    module.load_state_dict(dict(tensors))


def random_states() -> dict[str, torch.Tensor]:
    """The states of torch's generators, of the CPU and of each GPU."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random(states: Mapping[str, torch.Tensor]) -> None:
    """Set torch's generators to what ``random_states`` gave; a GPU that is no longer there is passed over."""
    try:
        torch.set_rng_state(states["cpu"])
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            if f"cuda{index}" in states:
                torch.cuda.set_rng_state(states[f"cuda{index}"], index)
    except (KeyError, RuntimeError, TypeError) as error:
        raise ReadError(f"the checkpoint has no state of the random generator: {str(error)[:80]}") from error
