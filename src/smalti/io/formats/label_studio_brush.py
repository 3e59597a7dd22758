"""The run lengths in which Label Studio keeps what was painted with a brush.

The picture that was painted, red, green, blue and alpha of each pixel in turn, is one row of words. It is packed as
thi.ng's ``rle-pack`` does (https://docs.thi.ng/umbrella/rle-pack/), the most significant bit first:

* 32 bits: how many words there are; 5 bits: the size of a word, less 1; four times 4 bits: sizes of lengths, less 1;
* then blocks, each of 1 bit (0: words follow, 1: one word is repeated), 2 bits that choose one of the four sizes, the
  length less 1 in so many bits, and its words or word.

What is painted has alpha; the colours say nothing. Masks are written with 8-bit words of 0 and 255 and lengths of 3, 4,
8 and 16 bits, and padded with 1 to 8 zero bits: byte for byte as Label Studio's converter writes them.
"""

from __future__ import annotations

import numpy as np

from ...errors import InputError
from ...runs import Runs
from .outlines import Shape

_LENGTH_BITS = (3, 4, 8, 16)
_WORD_BITS = 8


def encode_brush(runs: Runs, k: int, shape: Shape) -> list[int]:
    """The bytes for segment ``k`` of ``runs`` in an image of ``shape``."""
    size = shape[0] * shape[1]
    start, stop = (column.astype(np.int64) for column in runs.of(k))
    apart = (
        np.flatnonzero(np.concatenate([[True], start[1:] != stop[:-1]])) if len(start) else np.zeros(0, int)
    )
    start, stop = start[apart], np.concatenate([stop[apart[1:] - 1], stop[-1:]])  # on over the ends of rows
    ends = np.concatenate([np.stack([start, stop], axis=1).ravel(), [size]])
    lengths = 4 * np.diff(ends, prepend=0)
    words = np.arange(len(lengths)) % 2 * 255
    sizes = "".join(f"{bits - 1:04b}" for bits in _LENGTH_BITS)
    parts = [f"{4 * size:032b}{_WORD_BITS - 1:05b}{sizes}"]
    for length, word in zip(lengths.tolist(), words.tolist(), strict=True):
        while length:
            piece = min(length, 2 ** _LENGTH_BITS[-1])
            choice = next(index for index, bits in enumerate(_LENGTH_BITS) if piece <= 2**bits)
            parts.append(f"1{choice:02b}{piece - 1:0{_LENGTH_BITS[choice]}b}{word:08b}")
            length -= piece
    text = "".join(parts)
    text += "0" * (8 - len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def check_brush(content: bytes, shape: Shape) -> None:
    """Raise ``InputError`` for bytes that do not begin as a brush on an image of ``shape`` does."""
    if len(content) < 7:
        raise InputError(f"a brush begins with 7 bytes of sizes, got {len(content)} bytes; it is cut short")
    num, pixels = int.from_bytes(content[:4], "big"), shape[0] * shape[1]
    if num != 4 * pixels:
        raise InputError(f"a brush on {shape[0]} x {shape[1]} pixels has {4 * pixels} words, it says {num}")


def decode_brush(content: bytes, shape: Shape, least_alpha: int) -> np.ndarray:
    """The mask (H, W) bool of alpha from ``least_alpha`` on. Raises ``InputError`` for bytes that lie."""
    check_brush(content, shape)
    bits = f"{int.from_bytes(content, 'big'):0{8 * len(content)}b}"
    num = 4 * shape[0] * shape[1]
    word_bits = int(bits[32:37], 2) + 1
    length_bits = [int(bits[at : at + 4], 2) + 1 for at in range(37, 53, 4)]
    mask = np.zeros(num // 4, bool)
    position, filled = 53, 0
    try:
        while filled < num:
            size = length_bits[int(bits[position + 1 : position + 3], 2)]
            repeated = bits[position] == "1"
            position += 3
            stop = filled + int(bits[position : position + size], 2) + 1
            position += size
            end = position + (1 if repeated else stop - filled) * word_bits
            if stop > num or end > len(bits):
                raise IndexError
            if not repeated:
                alpha = _words(bits[position:end], word_bits)[3 - filled % 4 :: 4]
                mask[filled // 4 : stop // 4] = alpha >= least_alpha
            elif int(bits[position:end], 2) >= least_alpha:
                mask[filled // 4 : stop // 4] = True
            position, filled = end, stop
    except (IndexError, ValueError):
        raise InputError(
            f"a brush says {num} words, its blocks hold {filled} and no more; it is cut short or damaged"
        ) from None
    return mask.reshape(shape)


def _words(bits: str, word_bits: int) -> np.ndarray:
    digits = np.frombuffer(bits.encode("ascii"), np.uint8).reshape(-1, word_bits) - ord("0")
    return digits.astype(np.uint32) @ (1 << np.arange(word_bits - 1, -1, -1, dtype=np.uint32))
