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
        ends = [judged[name] for name in ("value", "low", "high")]  # None where one image says nothing of it
        value, low, high = ("unknown" if end is None else f"{end:.3f}" for end in ends)
        lines += [
            f"On {judged['images']} images held out: {judged['metric']} {value} ({low} to {high}, 95 %). The decoding "
            "was tuned on these, so it is a little too good. Score it on others with `smalti evaluate`.",
        ]
    else:
        lines += [
            "No image was held out, so nothing is known of how good it is. Score it with `smalti evaluate`."
        ]
    return "\n".join([*lines, *_measured(manifest.get("export") or {})]) + "\n"


def _measured(export: Mapping[str, Any]) -> list[str]:
    """What was measured before it was exported to its runtime."""
    rows = [each for each in export.get("runtimes", []) if "missing" not in each]
    if not rows:
        return []
    lines = [
        "",
        f"Exported for {export['to']}; before, measured on {export['source']}, {export['threads']} threads of "
        f"{export['machine']}, against {export['reference']}:",
        "",
        f"| runtime | computes in | agreement | {export['metric'] or 'score'} | network, ms |",
        "|---|---|---:|---:|---:|",
    ]
    for each in rows:
        value = (each.get("score") or {}).get("value")
        score = "-" if value is None else f"{value:.4f}"
        name, kind = each["runtime"], each["precision"]
        lines.append(
            f"| {name} | {kind} | {each['agreement']:.4f} | {score} | {1000 * each['run_s']['median']:.1f} |"
        )
    return lines
