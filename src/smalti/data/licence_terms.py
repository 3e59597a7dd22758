"""Licences by their many names, and what each says of commercial use. Knowledge of names, not legal advice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Answer = Literal["yes", "ask", "no"]


@dataclass(frozen=True)
class Terms:
    """What a licence says of images that a commercial model is trained on.

    ``name`` is its SPDX identifier where there is one, empty for what is not known. ``commercial`` is ``yes`` where its text permits commercial use,
    ``no`` where it excludes it, ``ask`` where that depends or nobody knows. The obligations: name the author
    (``attribution``), pass adaptations on under the same licence (``share_alike``), pass no adaptations on
    (``no_derivatives``). ``reason`` says it in words.
    """

    name: str
    commercial: Answer
    reason: str
    attribution: bool = False
    share_alike: bool = False
    no_derivatives: bool = False

    @property
    def obligations(self) -> tuple[str, ...]:
        """The obligations in words."""
        named = (
            ("attribution", self.attribution),
            ("share-alike", self.share_alike),
            ("no derivatives", self.no_derivatives),
        )
        return tuple(word for word, asked in named if asked)


UNSTATED = Terms("", "ask", "no licence is stated: without one all rights are reserved")
_UNKNOWN = "is no licence smalti knows; read its text"

_PUBLIC = "the rights are waived or there are none"
_NAMED = "commercial use is permitted when its notice and author are kept"
_SHARED = (
    "commercial use is permitted; whether a model is an adaptation that must be shared alike is disputed"
)
_CODE = "a licence for programs that asks derived works to be shared; what it means for images and models is unclear"
_RESEARCH = "its words exclude commercial use"

# SPDX identifiers and the names people write, in lower case with runs of other characters as one space.
_PERMISSIVE = {
    "MIT": "mit|mit license|mit licence|expat",
    "MIT-0": "mit 0",
    "Apache-2.0": "apache 2 0|apache license 2 0|apache license version 2 0|apache 2|apache",
    "BSD-2-Clause": "bsd 2 clause|simplified bsd",
    "BSD-3-Clause": "bsd 3 clause|new bsd|modified bsd|bsd",
    "ISC": "isc|isc license",
    "Zlib": "zlib",
    "BSL-1.0": "bsl 1 0|boost software license",
    "ODC-By-1.0": "odc by 1 0|odc by|open data commons attribution license",
    "CDLA-Permissive-1.0": "cdla permissive 1 0",
    "CDLA-Permissive-2.0": "cdla permissive 2 0|cdla permissive",
    "OGL-UK-3.0": "ogl uk 3 0|ogl uk|open government licence v3 0|open government licence",
    "etalab-2.0": "etalab 2 0|licence ouverte",
    "DL-DE-BY-2.0": "dl de by 2 0",
}
_PUBLIC_DOMAIN = {
    "CC0-1.0": "cc0 1 0|cc0|cc zero|creative commons zero",
    "PDDL-1.0": "pddl 1 0|pddl|open data commons public domain dedication and license",
    "Unlicense": "unlicense|the unlicense",
    "0BSD": "0bsd",
    "CC-PDDC": "cc pddc",
    "CC-PDM-1.0": "cc pdm 1 0|public domain mark|publicdomain mark",
    "public domain": "public domain|publicdomain",
    "US-Government": "united states government work|u s government work|us government work",
}
_SHARE_ALIKE = {
    "ODbL-1.0": "odbl 1 0|odbl|open database license",
    "CDLA-Sharing-1.0": "cdla sharing 1 0|cdla sharing",
}
_COPYLEFT = {
    "GPL-2.0": "gpl 2 0|gplv2|gpl v2|gpl 2 0 only|gpl 2 0 or later",
    "GPL-3.0": "gpl 3 0|gplv3|gpl v3|gpl|gpl 3 0 only|gpl 3 0 or later|gnu general public license",
    "LGPL": "lgpl|lgpl 2 1|lgpl 3 0|lgpl 2 1 or later|lgpl 3 0 or later",
    "AGPL-3.0": "agpl|agpl 3 0|agplv3|agpl 3 0 only|agpl 3 0 or later",
    "MPL-2.0": "mpl 2 0|mozilla public license 2 0",
    "GFDL": "gfdl|gfdl 1 2|gfdl 1 3|gnu free documentation license",
}
_RESERVED = "all rights reserved"
_FLICKR_COMMONS = "no known copyright restrictions|flickr com commons usage|flickr commons"
_GOVERNMENT_PAGES = "usa gov copyright|usa gov government works"
_NOT_COMMERCIAL = re.compile(
    r"\bnon ?commercial|\bnot for (?:any )?commercial|\bno commercial|"
    r"\b(?:research|academic|educational?|scientific|personal|private|evaluation)"
    r"(?: (?:and|or|and or) \w+)*(?: \w+)? (?:use |purposes? )?only|"
    r"\bonly (?:be )?(?:used )?(?:for|in) (?:\w+ )?(?:research|academic|education\w*|scientific|personal)|"
    r"\bfor (?:\w+ )?(?:research|academic|educational) (?:use|purposes?)\b"
)
# The parts of a Creative Commons licence, by their letters or in words, and the version after them.
_CC = re.compile(
    r"\b(?:cc|creativecommons org licenses|creative commons)(?: license| licence)? "
    r"(by(?: nc)?(?: sa| nd)?)\b(?: (\d) (\d)\b)?"
)
_CC_WORDS = re.compile(
    r"\battribution((?: non ?commercial)?)((?: share ?alike| no ?deriv\w*)?)"
    r"(?: (\d) (\d)\b| (?:generic|international|unported|license|licence)\b)"
)


@lru_cache(maxsize=4096)
def recognise_licence(text: str) -> Terms:
    """What is known of the licence called so.

    By SPDX identifier (``CC-BY-NC-SA-2.0``, also with ``AND`` and ``OR``), by common names (``CC BY 4.0``, ``CC0``,
    ``public domain``, Flickr's ``Attribution-NonCommercial License`` as in COCO's table of licences), by the addresses
    of Creative Commons, and by phrases such as "for research only". Where a text names several, the strictest
    counts, where they are joined by ``OR`` the most permissive.

    >>> recognise_licence("http://creativecommons.org/licenses/by-nc-sa/2.0/").name
    'CC-BY-NC-SA-2.0'
    >>> recognise_licence("Attribution License").commercial
    'yes'
    """
    text = " ".join(text.split())
    if not text:
        return UNSTATED
    choices = re.split(r"\s+(?:OR|or)\s+(?=[A-Z(])", text) if _is_choice(text) else [text]
    read = [_strictest(choice) for choice in choices]
    return min(read, key=_severity)


def _is_choice(text: str) -> bool:
    """Whether it names licences between which one may choose, and not "research or education"."""
    parts = re.split(r"\s+(?:OR|or)\s+(?=[A-Z(])", text)
    return len(parts) > 1 and all(_strictest(part).name for part in parts)


def _severity(terms: Terms) -> tuple[int, int]:
    return ("yes", "ask", "no").index(terms.commercial), len(terms.obligations)


def _strictest(text: str) -> Terms:
    found = _named_in(text)
    if not found:
        return Terms("", "ask", f"{text!r} {_UNKNOWN}")
    worst = max(found, key=_severity)
    return Terms(
        " AND ".join(dict.fromkeys(terms.name for terms in found)),
        worst.commercial,
        worst.reason,
        any(terms.attribution for terms in found),
        any(terms.share_alike for terms in found),
        any(terms.no_derivatives for terms in found),
    )


def _named_in(text: str) -> list[Terms]:
    """Every licence that a text names, each name read once, longest first."""
    rest = " " + " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("licence", "license"))) + " "
    found = []

    def creative_commons(parts: str, major: str | None, minor: str | None) -> str:
        found.append(_creative_commons(parts.split(), f"{major}.{minor}" if major else ""))
        return " "

    rest = _CC.sub(lambda match: creative_commons(*match.groups()), rest)
    rest = _CC_WORDS.sub(
        lambda match: creative_commons(_letters(match[1], match[2]), match[3], match[4]), rest
    )
    for names, commercial, reason, attribution, share_alike in _TABLE:
        for name, pattern in names.items():
            if re.search(rf"(?<= )(?:{_longest_first(pattern)})(?= )", rest):
                rest = re.sub(rf"(?<= )(?:{_longest_first(pattern)})(?= )", " ", rest)
                found.append(Terms(name, commercial, reason, attribution, share_alike))
    if _NOT_COMMERCIAL.search(rest):
        found.append(Terms("non-commercial", "no", _RESEARCH))
    return found


def _longest_first(pattern: str) -> str:
    return "|".join(sorted(pattern.split("|"), key=len, reverse=True))


def _letters(commercial: str, adaptations: str) -> str:
    """The letters of a Creative Commons licence for its words."""
    nc = " nc" if commercial else ""
    kind = adaptations.strip()
    return f"by{nc}" + (" sa" if kind.startswith("share") else " nd" if kind else "")


def _creative_commons(parts: list[str], version: str) -> Terms:
    name = "-".join(["CC", *(part.upper() for part in parts), *([version] if version else [])])
    if "nc" in parts:
        answer: Answer = "no"
        reason = "non-commercial: use for commercial advantage is excluded"
    elif "nd" in parts:
        answer = "ask"
        reason = "commercial use is permitted, adaptations may not be passed on; whether a model is one is disputed"
    else:
        answer = "yes"
        reason = _SHARED if "sa" in parts else _NAMED
    return Terms(name, answer, reason, True, "sa" in parts, "nd" in parts)


_TABLE: tuple[tuple[dict[str, str], Answer, str, bool, bool], ...] = (
    (_PERMISSIVE, "yes", _NAMED, True, False),
    (_PUBLIC_DOMAIN, "yes", _PUBLIC, False, False),
    (
        {"no known copyright restrictions": _FLICKR_COMMONS},
        "ask",
        "nobody is known to hold rights, and nobody vouches for it",
        False,
        False,
    ),
    ({"US-Government": _GOVERNMENT_PAGES}, "yes", _PUBLIC, False, False),
    (_SHARE_ALIKE, "yes", _SHARED, True, True),
    (_COPYLEFT, "ask", _CODE, True, True),
    ({"all rights reserved": _RESERVED}, "no", "every use needs the holder's permission", False, False),
)
