"""Names for samples whose files are named by a list: short where they can be, and each of its own."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence


def unique_names(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """The ``names``; those that come more than once become the file's path without suffix, else the whole path.

    >>> unique_names(["a", "b", "a"], ["train/a.png", "train/b.png", "val/a.png"])
    ['train/a', 'b', 'val/a']
    """
    chosen = list(names)
    for shorten in (True, False):
        counts = Counter(chosen)
        if max(counts.values(), default=1) == 1:
            break
        chosen = [
            name if counts[name] == 1 else posixpath.splitext(path)[0] if shorten else path
            for name, path in zip(chosen, paths, strict=True)
        ]
    return chosen
