"""The outcome of a check, and its JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .finding import KINDS, SEVERITIES, Finding


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    ``findings`` come errors first, then by kind and by falling certainty. ``classes`` has a row for each class
    (images, segments, pixels and their share of all but void, quantiles of area), ``splits`` one for each split.
    ``unit`` is what areas are counted in, pixels or voxels.
    """

    name: str
    format: str
    samples: int
    findings: tuple[Finding, ...]
    classes: tuple[Mapping[str, Any], ...] = ()
    splits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0
    unit: str = "pixels"

    @property
    def counts(self) -> dict[str, int]:
        """Findings of each severity."""
        counted = Counter(finding.severity for finding in self.findings)
        return {severity: counted[severity] for severity in SEVERITIES}

    @property
    def failed(self) -> bool:
        """Whether there are errors."""
        return self.counts["error"] > 0

    def of(self, code: str) -> tuple[Finding, ...]:
        """Findings of one kind."""
        return tuple(finding for finding in self.findings if finding.code == code)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        codes = Counter(finding.code for finding in self.findings)
        return {
            "dataset": self.name,
            "format": self.format,
            "samples": self.samples,
            "seconds": round(self.seconds, 2),
            "unit": self.unit,
            "counts": self.counts,
            "codes": {code: codes[code] for code in KINDS if codes[code]},
            "findings": [finding.to_json() for finding in self.findings],
            "classes": [dict(row) for row in self.classes],
            "splits": {name: dict(row) for name, row in self.splits.items()},
        }


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by kind, then the surest first."""
    kinds = list(KINDS)
    return tuple(
        sorted(
            findings,
            key=lambda each: (SEVERITIES.index(each.severity), kinds.index(each.code), -each.certainty),
        )
    )
