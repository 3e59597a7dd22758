"""The page of a forest's bundle that a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card_of(manifest: Mapping[str, Any]) -> str:
    """What it is, what it learned from and how well it did on pixels its trees had not seen, as Markdown.

    ``manifest`` is that of ``FittedForest.to_bundle``.
    """
    report = manifest["report"]
    accuracy = report.get("oob_accuracy")
    lines = [
        "# A pixel forest",
        "",
        f"Task: {manifest['task']}. Classes: {', '.join(manifest['targets']['names'])}.",
        f"Channels: {', '.join(manifest['channels'])}; {manifest['cascade']['ndim']} axes.",
        "",
        f"Learned from {report.get('pixels', 0)} pixels of {report.get('images', 0)} images "
        f"in {report.get('seconds', 0):.1f} s: {report.get('trees', 0)} trees on {report.get('features', 0)} features.",
        "",
        "Out of bag (pixels of images, or of parts of an image, that a tree has not seen):",
        "",
        "| class | IoU |",
        "|---|---|",
        *(
            f"| {name} | {'not judged' if value is None else f'{value:.3f}'} |"
            for name, value in report.get("oob_iou", {}).items()
        ),
        "",
        "Pixel accuracy " + ("unknown." if accuracy is None else f"{accuracy:.3f}."),
        "",
        "This is an estimate from the training images. Score it on others with `smalti evaluate`.",
    ]
    return "\n".join(lines) + "\n"
