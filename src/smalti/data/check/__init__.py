"""Finding what is wrong with a dataset before anyone trains on it.

``check`` looks at every sample once, by itself (``examine``), then lets each judge say what stands out in the set.
``write_report`` makes a page of it, ``fix`` repairs a copy as far as that is safe.
"""

from __future__ import annotations

from .checking import check
from .finding import KINDS, Finding
from .fix import Fixed, fix
from .page import write_report
from .report import CheckReport

__all__ = ["KINDS", "CheckReport", "Finding", "Fixed", "check", "fix", "write_report"]
