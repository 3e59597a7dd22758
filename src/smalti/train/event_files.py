"""Numbers over steps in the files that TensorBoard reads, written without it: it is needed to look at them only.

A file is a row of records: the length of the data, its checksum, the data, its checksum. The data is one message
``Event`` in the wire format of protocol buffers. Checksums are CRC-32C (Castagnoli; RFC 3720, appendix B.4), masked as
TensorFlow's ``RecordWriter`` does. Fields and their numbers are those of ``event.proto`` and ``summary.proto``.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path


class EventFile:
    """A new file of events in ``folder``; of those already there TensorBoard forgets what comes after ``after_step``.

    Raises ``OSError`` where it cannot be written.
    """

    def __init__(self, folder: Path, after_step: int = 0) -> None:
        count = sum(1 for _ in folder.glob("events.out.tfevents.*"))
        self.path = folder / f"events.out.tfevents.{int(time.time()):010d}.{count}"
        self._append(_event(0, _bytes(3, b"brain.Event:2")))
        if count:
            self._append(_event(after_step + 1, _bytes(7, _whole(1, 1))))  # a session starts here

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write one number for each name, such as ``train/loss``."""
        scalars = (_bytes(1, name.encode()) + _float(2, value) for name, value in values.items())
        self._append(_event(step, _bytes(5, b"".join(_bytes(1, scalar) for scalar in scalars))))

    def _append(self, data: bytes) -> None:
        length = struct.pack("<Q", len(data))
        record = length + _masked_crc(length) + data + _masked_crc(data)
        with self.path.open("ab") as file:
            file.write(record)


def crc32c(data: bytes) -> int:
    """The checksum CRC-32C.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = (entry >> 1) ^ (0x82F63B78 if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


def _masked_crc(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _event(step: int, content: bytes) -> bytes:
    return struct.pack("<Bd", 1 << 3 | 1, time.time()) + _whole(2, step) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value)


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content
