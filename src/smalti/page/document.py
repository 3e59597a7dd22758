"""The frame of a page."""

from __future__ import annotations

from html import escape

from .style import STYLE


def document(title: str, body: str) -> str:
    """A whole page with a ``title`` and a ``body`` of HTML."""
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )
