"""Numbers and bars as people read them."""

from __future__ import annotations

from html import escape


def bar(part: float) -> str:
    """A bar as long as ``part``, 0..1; what is there at all can be seen."""
    return f'<i class="bar" style="width:{max(100 * part, 0.8 if part else 0):.1f}%"></i>'


def share(part: float) -> str:
    """A share in per cent, with digits where it is small."""
    percent = 100 * part
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def number(value: float | int | str) -> str:
    """A number for people: thousands apart, no more digits than say something."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}".replace(",", "\u202f")
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"
