"""The page of a network's bundle that a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card_of(manifest: Mapping[str, Any]) -> str:
    """What it is, what it learned from and how good it was on images it had not seen, as Markdown.

    ``manifest`` is that of ``FittedNetwork.to_bundle``.
    """
    report = manifest.get("report", {})
    names = manifest["planes"]["targets"]["names"]
    lines = [
        f"# A network: {manifest['method']}",
        "",
        f"Task: {manifest['task']}. It tells apart: {', '.join(names)}.",
        f"Channels: {', '.join(manifest['channels'])}; {manifest['kind']['ndim']} axes.",
        "",
    ]
    if report:
        lines += [
            f"Learned from {report.get('images', 0)} images in {report.get('seconds', 0) / 60:.1f} min: "
            f"{report.get('steps', 0)} steps, {report.get('epochs', 0):g} passes over them; "
            f"{report.get('parameters', 0):,} parameters.",
            "",
        ]
    judged = report.get("validation")
    if judged:
        lines += [
            f"On {judged['images']} images held out: {judged['metric']} {judged['value']:.3f} "
            f"({judged['low']:.3f} to {judged['high']:.3f}, 95 %). The decoding was tuned on these, so it is a little "
            "too good. Score it on others with `smalti evaluate`.",
        ]
    else:
        lines += [
            "No image was held out, so nothing is known of how good it is. Score it with `smalti evaluate`."
        ]
    return "\n".join(lines) + "\n"
