"""The report of a check as one page that needs nothing else: what is wrong, where, what to do, and what is in the
set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

from ...io.writing import replacing
from ...page.charts import bar, number
from ...page.document import document
from ...page.pictures import Picture, figure
from ...sample import Sample
from .charts import class_table, size_chart, split_table
from .finding import KINDS, Finding
from .fix import fixed_how
from .report import CheckReport
from .thumbnails import thumbnails

SHOWN = 12
"""Findings of one kind that are shown with a picture; the rest are listed."""
LISTED = 2000
"""Findings of one kind that are listed; the JSON has all."""

LONGEST_NAME = 28
"""Longer names of samples are shortened; pointing at them shows all of them."""

MARKS = {"error": "●", "warning": "▲", "info": "■"}
"""Signs that differ in shape too, for those who do not tell the colours."""
WORDS = {"error": ("error", "errors"), "warning": ("warning", "warnings"), "info": ("note", "notes")}


def write_report(
    report: CheckReport, folder: str | Path, sample: Callable[[str], Sample]
) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.html`` into a folder; ``sample(name)`` gives the samples for the pictures.

    Samples are read again for the pictures, at most ``SHOWN`` for each kind of finding. Raises ``WriteError``.
    """
    page, data = Path(folder) / "report.html", Path(folder) / "report.json"
    with replacing(data) as partial:
        partial.write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False), encoding="utf-8")
    with replacing(page) as partial:
        partial.write_text(render(report, sample), encoding="utf-8")
    return page, data


def render(report: CheckReport, sample: Callable[[str], Sample]) -> str:
    """The page."""
    title = Path(report.name).name or "dataset"
    codes = list(dict.fromkeys(finding.code for finding in report.findings))
    sections = "".join(_section(code, report.of(code), sample) for code in codes)
    body = f"{_summary(report, title, codes)}{sections}{_content(report)}{_footer(report)}"
    return document(f"Check of {title}", body)


def _summary(report: CheckReport, title: str, codes: list[str]) -> str:
    chips = "".join(
        f'<li class="{severity}{"" if count else " none"}"><b>{MARKS[severity]} {number(count)}</b> '
        f"{WORDS[severity][count != 1]}</li>"
        for severity, count in report.counts.items()
    )
    if not report.findings:
        verdict = "Nothing stands out."
    elif report.failed:
        verdict = "Correct the errors before anyone trains on this set."
    else:
        verdict = (
            "No errors; look at what is listed below."
            if report.counts["warning"]
            else "No errors and no warnings."
        )
    rows = []
    most = max((len(report.of(code)) for code in codes), default=1)
    for code in codes:
        found = report.of(code)
        worst = found[0].severity
        rows.append(
            f'<li><a href="#{code}"><span class="mark {worst}" title="{WORDS[worst][0]}">{MARKS[worst]}</span>'
            f"<span>{escape(KINDS[code].title)}</span><b>{number(len(found))}</b>"
            f'<i class="bar {worst}" style="width:{100 * len(found) / most:.1f}%"></i></a></li>'
        )
    where = f'<p class="path">{escape(report.name)}</p>' if report.name else ""
    kind = f" of the format {escape(report.format)}" if report.format else ""
    return (
        f"<header><h1>Check of {escape(title)}</h1>{where}"
        f"<p>{number(report.samples)} samples{kind}. {verdict}</p>"
        f'<ul class="chips">{chips}</ul></header>'
        + (f'<nav aria-label="Kinds of findings"><ol>{"".join(rows)}</ol></nav>' if rows else "")
    )


def _section(code: str, findings: tuple[Finding, ...], sample: Callable[[str], Sample]) -> str:
    worst = findings[0].severity
    shown = [(finding, thumbnails(finding, sample)) for finding in findings[:SHOWN]]
    cards = "".join(_card(finding, pictures, findings[0].advice) for finding, pictures in shown)
    layout = "cards" if any(pictures for _, pictures in shown) else "rows"
    rest = findings[SHOWN:]
    more = ""
    if rest:
        items = "".join(f"<li>{_message(finding)}</li>" for finding in rest[:LISTED])
        left = f"<p>{number(len(rest) - LISTED)} more are in report.json.</p>" if len(rest) > LISTED else ""
        more = f"<details><summary>{number(len(rest))} more</summary><ul>{items}</ul>{left}</details>"
    return (
        f'<section id="{code}"><h2><span class="mark {worst}" aria-hidden="true">{MARKS[worst]}</span> '
        f"{escape(KINDS[code].title)} <small>{number(len(findings))} {WORDS[worst][len(findings) != 1]}</small></h2>"
        f'<p class="advice">{escape(findings[0].advice)}</p><div class="{layout}">{cards}</div>{more}</section>'
    )


def _card(finding: Finding, pictures: list[Picture], advice: str) -> str:
    shown = "".join(figure(each) for each in pictures)
    pictured = f'<div class="pictures{" two" if len(pictures) > 1 else ""}">{shown}</div>' if pictures else ""
    files = "".join(f"<li>{escape(file)}</li>" for file in finding.files[:6])
    more = f"<li>and {len(finding.files) - 6} more</li>" if len(finding.files) > 6 else ""
    facts = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{number(value)}</dd></div>"
        for name, value in finding.measured.items()
    )
    percent = f"{min(99, 100 * finding.certainty):.0f}"
    sure = (
        ""
        if finding.certainty == 1
        or finding.severity == "info"  # nothing was estimated, or it is of the whole set
        else (f'<span class="sure"><i class="track">{bar(finding.certainty)}</i>{percent} % sure</span>')
    )
    done = fixed_how(finding)
    safe = f'<span class="fix">{done} by --fix</span>' if done else ""
    own = f'<p class="hint">{escape(finding.advice)}</p>' if finding.advice != advice else ""
    notes = f'<p class="notes">{sure}{safe}</p>' if sure or safe else ""
    what = " and ".join(name for name, given in (("numbers", facts), ("files", files)) if given)
    details = (
        f"<details><summary>{what}</summary>"
        + (f"<dl>{facts}</dl>" if facts else "")
        + (f'<ul class="files">{files}{more}</ul>' if files else "")
        + "</details>"
        if what
        else ""
    )
    return (
        f'<article class="{finding.severity}">{pictured}'
        f'<div class="text"><p>{_message(finding)}</p>{own}{notes}{details}</div></article>'
    )


def _message(finding: Finding) -> str:
    """The message as HTML, with names of samples set apart and long ones cut in the middle."""
    text = escape(finding.message)
    for name in sorted(finding.samples, key=len, reverse=True):
        safe = escape(name)
        text = re.sub(
            rf"(?<![\w/>])({re.escape(safe)})(?![\w/<])",
            lambda found: f'<code title="{found[1]}">{_short(found[1])}</code>',
            text,
        )
    return text


def _short(name: str) -> str:
    """A long name without its middle; entities in it stay whole, as long names are plain."""
    return name if len(name) <= LONGEST_NAME or "&" in name else f"{name[:14]}…{name[-10:]}"


def _content(report: CheckReport) -> str:
    parts = ["<h2>What is in the set</h2>", class_table(report.classes, report.unit)]
    sizes = size_chart(report.classes, report.unit)
    if sizes:
        parts.append(f"<h3>Sizes of segments</h3><p>Bar: the middle half. Line: from 5 to 95 %.</p>{sizes}")
    splits = split_table(report.splits, report.unit)
    if splits:
        parts.append(f"<h3>Splits</h3><p>Medians of the images of each split.</p>{splits}")
    return f'<section id="content">{"".join(parts)}</section>'


def _footer(report: CheckReport) -> str:
    return (
        "<footer><p>Pictures show the place with some room around it; outlines of the segments meant are bold, "
        "those of others thin. Point at a picture, or tap it, to see it without them. All findings with all their "
        f"numbers are in report.json. Checked in {number(round(report.seconds, 1))} s by smalti check.</p></footer>"
    )
