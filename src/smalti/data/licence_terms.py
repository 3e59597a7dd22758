"""Licences by their many names, and what each says of commercial use. Knowledge of names, not legal advice."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Answer = Literal["yes", "ask", "no"]


@dataclass(frozen=True)
class Terms:
    """What a licence says of images that a commercial model is trained on.

    ``name`` is its SPDX identifier where there is one, empty for what is not known. ``commercial`` is ``yes`` where its
    text permits commercial use, ``no`` where it excludes it, ``ask`` where that depends or is not known. The
    obligations: name the author (``attribution``), pass adaptations on under the same licence (``share_alike``), pass
    no adaptations on (``no_derivatives``). ``reason`` says it in words.
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


@lru_cache(maxsize=4096)
def recognise_licence(text: str) -> Terms:
    """What is known of the licence called so.

    By SPDX identifier (``CC-BY-NC-SA-2.0``), by common names (``CC BY 4.0``, ``CC0``, ``public domain``, Flickr's
    ``Attribution-NonCommercial License`` as in COCO's table of licences), by the addresses of Creative Commons, and by
    phrases such as "for research only". Of several the strictest counts; of licences joined by ``OR`` alone one may
    choose. A text that says more than the name of a permissive licence ("CC BY for the annotations, images as on
    Flickr") is to be asked about, as smalti does not understand it.

    >>> recognise_licence("http://creativecommons.org/licenses/by-nc-sa/2.0/").name
    'CC-BY-NC-SA-2.0'
    >>> recognise_licence("Attribution License").commercial
    'yes'
    """
    if not text.strip():
        return Terms("", "ask", "no licence is stated, and without one all rights are reserved")
    words = _words(text)
    choices = [] if " and " in words or " with " in words else [_read(part) for part in words.split(" or ")]
    if len(choices) > 1 and all(choice is not None and choice.name for choice in choices):
        return min((choice for choice in choices if choice is not None), key=_severity)
    terms = _read(words)
    return terms or Terms("", "ask", "not a licence that smalti knows; read its text")


def _words(text: str) -> str:
    """Lower-case words and numbers with one space around each; a question mark is a word too."""
    text = re.sub(r"(https?://[^\s?]+)\?\S*", r"\1", text).lower().replace("licence", "license")
    return f" {' '.join(re.findall(r'[a-z]+|[0-9]+|[?]', text))} "


def _severity(terms: Terms) -> tuple[int, int]:
    return ("yes", "ask", "no").index(terms.commercial), len(terms.obligations)


def _read(words: str) -> Terms | None:
    """The strictest of all licences that a text names, with the obligations of all; None where it names none."""
    found: list[Terms] = []

    def take(terms: Terms) -> str:
        found.append(terms)
        return " "

    words = f" {words.strip()} "
    words = _CC.sub(lambda m: take(_creative_commons((m[1] or m[2]).split(), m[3], m[4])), words)
    words = _CC_IN_WORDS.sub(lambda m: take(_creative_commons(_letters(m[1], m[2]), m[3], m[4])), words)
    for pattern, terms in _NAMES:
        if pattern.search(words):
            words = pattern.sub(" ", words)
            found.append(terms)
    if _NOT_COMMERCIAL.search(words):
        found.append(Terms("non-commercial", "no", "its words exclude commercial use"))
    if not found:
        return None
    worst = max(found, key=_severity)
    terms = Terms(
        " AND ".join(dict.fromkeys(each.name for each in found)),
        worst.commercial,
        worst.reason,
        any(each.attribution for each in found),
        any(each.share_alike for each in found),
        any(each.no_derivatives for each in found),
    )
    if terms.commercial == "yes" and set(words.split()) - set(_BESIDE_A_NAME.split()):
        return replace(
            terms, commercial="ask", reason="it says more than the name of a licence; read its text"
        )
    return terms


def _letters(commercial: str, adaptations: str) -> list[str]:
    """The letters of a Creative Commons licence for its words."""
    kind = adaptations.strip()
    letters = ["by", *(["nc"] if commercial else [])]
    return [*letters, "sa" if kind.startswith("share") else "nd"] if kind else letters


def _creative_commons(letters: list[str], major: str | None, minor: str | None) -> Terms:
    version = [f"{major}.{minor or 0}"] if major else []
    answer: Answer = "yes"
    if "nc" in letters:
        answer, reason = "no", "non-commercial: use for commercial advantage is excluded"
    elif "nd" in letters:
        answer = "ask"
        reason = (
            "commercial use is permitted, passing on adaptations is not; whether a model is one is disputed"
        )
    else:
        reason = _SHARED if "sa" in letters else _NAMED
    name = "-".join(["CC", *(part.upper() for part in letters), *version])
    return Terms(name, answer, reason, True, "sa" in letters, "nd" in letters)


# The letters of a Creative Commons licence, or its parts in words, and the version after them. Without "cc" before
# them the letters must be two, as "by" is a word; "attribution" alone needs what makes it a licence.
_CC = re.compile(
    r"(?<= )(?:(?:creative commons )?(?:cc|creativecommons org licenses|creative commons) ?(?:license )?"
    r"(by(?: nc)?(?: sa| nd)?)|(by nc(?: sa| nd)?|by sa|by nd))(?: (\d)(?: (\d))?)?(?= )"
)
_CC_IN_WORDS = re.compile(
    r"(?<= )(?:creative commons |cc )?attribution((?: non ?commercial)?)((?: share ?alike| no ?deriv\w*)?)"
    r"(?: (\d)(?: (\d))?| (?:generic|international|unported|license))(?= )"
)
_NOT_COMMERCIAL = re.compile(
    r" non ?commercial| not for (?:any )?commercial| no commercial| not be used commercial|"
    r" (?:research|academic|education\w*|scientific|personal|private|evaluation)"
    r"(?: (?:and|or) \w+)*(?: use| purposes?)? only | only (?:be )?(?:used )?(?:for|in) (?:\w+ )?"
    r"(?:research|academic|education\w*|scientific|personal)| for (?:\w+ )?(?:research|academic|education\w*)"
    r"(?: (?:and|or) \w+)? (?:use|purposes?) "
)
_BESIDE_A_NAME = """
    a and apache are au cc code commons creative creativecommons data dataset de dedication deed domain en es fr generic
    html http https image images international is it jp legalcode license licensed licenses nl of opendatacommons
    opensource org photos public spdx the txt uk under universal unported us v version www igo
"""  # words that do not change what a name says

_NAMED = "commercial use is permitted when its notice and author are kept"
_SHARED = "commercial use is permitted; whether a model is an adaptation to be shared alike is disputed"
_WAIVED = "the rights are waived or there are none"
_VAGUE = "nobody is known to hold rights, and nobody vouches for it"
_CODE = "made for programs; what sharing derived works alike means for images and models is unclear"
_RESERVED = "every use needs its holder's permission"

# Names as people write them: SPDX identifier first, each in words as ``_words`` gives them.
_KNOWN: tuple[tuple[Answer, str, tuple[bool, bool], dict[str, tuple[str, ...]]], ...] = (
    (
        "yes",
        _NAMED,
        (True, False),
        {
            "MIT": ("mit", "expat"),
            "Apache-2.0": (
                "apache 2 0",
                "apache org licenses license 2 0",
                "apache license 2 0",
                "apache license version 2 0",
                "apache 2",
                "apache",
            ),
            "BSD-2-Clause": ("bsd 2 clause", "simplified bsd"),
            "BSD-3-Clause": ("bsd 3 clause", "new bsd", "modified bsd", "bsd"),
            "ISC": ("isc",),
            "Zlib": ("zlib",),
            "BSL-1.0": ("bsl 1 0", "boost software license"),
            "ODC-By-1.0": ("odc by 1 0", "odc by", "open data commons attribution license"),
            "CDLA-Permissive-1.0": ("cdla permissive 1 0",),
            "CDLA-Permissive-2.0": ("cdla permissive 2 0", "cdla permissive"),
            "OGL-UK-3.0": (
                "ogl uk 3 0",
                "ogl uk",
                "open government license v 3 0",
                "open government license",
            ),
            "etalab-2.0": ("etalab 2 0", "license ouverte open license 2 0", "license ouverte"),
            "DL-DE-BY-2.0": ("dl de by 2 0",),
        },
    ),
    (
        "yes",
        _WAIVED,
        (False, False),
        {
            "MIT-0": ("mit 0",),
            "0BSD": ("0 bsd",),
            "Unlicense": ("unlicense",),
            "CC0-1.0": ("cc 0 1 0", "cc 0", "cc zero", "creative commons zero", "publicdomain zero 1 0"),
            "CC-PDM-1.0": ("publicdomain mark 1 0", "public domain mark 1 0", "public domain mark"),
            "CC-PDDC": ("cc pddc",),
            "PDDL-1.0": ("pddl 1 0", "pddl"),
            "public domain": ("public domain", "publicdomain"),
            "US government work": (
                "united states government work",
                "u s government work",
                "us government work",
                "usa gov copyright shtml",
                "usa gov copyright",
                "usa gov government works",
            ),
        },
    ),
    (
        "yes",
        _SHARED,
        (True, True),
        {
            "ODbL-1.0": ("odbl 1 0", "odbl", "open database license"),
            "CDLA-Sharing-1.0": ("cdla sharing 1 0", "cdla sharing"),
        },
    ),
    (
        "ask",
        _VAGUE,
        (False, False),
        {"no known copyright restrictions": ("no known copyright restrictions", "flickr com commons usage")},
    ),
    (
        "ask",
        _CODE,
        (True, True),
        {
            "GPL-2.0": ("gpl 2 0", "gplv 2", "gpl v 2"),
            "GPL-3.0": ("gpl 3 0", "gplv 3", "gpl v 3", "gpl", "gnu general public license"),
            "LGPL": ("lgpl", "lgplv 3"),
            "AGPL-3.0": ("agpl 3 0", "agplv 3", "agpl"),
            "MPL-2.0": ("mpl 2 0", "mpl", "mozilla public license"),
            "GFDL": ("gfdl", "gnu free documentation license"),
        },
    ),
    ("no", _RESERVED, (False, False), {"all rights reserved": ("all rights reserved",)}),
)
# The longest names first, so that "MIT-0" is not read as "MIT" and something more.
_NAMES = [
    (re.compile(rf"(?<= ){re.escape(name)}(?= )"), Terms(licence, answer, reason, *obligations))
    for name, licence, answer, reason, obligations in sorted(
        (
            (name, licence, answer, reason, obligations)
            for answer, reason, obligations, licences in _KNOWN
            for licence, names in licences.items()
            for name in names
        ),
        key=lambda row: -len(row[0]),
    )
]
