"""The main job shown on real photographs: segment, count, measure, draw, and lay side by side."""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import MissingExtra
from ..io.writing import replacing
from ..segmenter import make_segmenter
from .actions import Outcome, Reading, predict_file


@dataclass(frozen=True)
class Scene:
    """A photograph that comes with scikit-image, and the method that fits it."""

    file: str
    title: str
    what: str
    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    spacing: str | None = None


@dataclass(frozen=True)
class Shown:
    """One scene done: its title, the method's name and what came out."""

    scene: Scene
    title: str
    method: str
    outcome: Outcome


SCENES = (
    Scene(
        "coins.png",
        "coins",
        "Coins, each a segment of its own",
        "watershed",
        {"flatten_px": 50, "min_area_px": 200},
    ),
    # The one photograph whose scale is documented (skimage.data.cell), so its sizes come out in micrometres.
    Scene(
        "cell.png",
        "cell",
        "A cell in saline, quantitative phase",
        "otsu",
        {"min_area_px": 500},
        before=("gaussian:sigma_px=2",),
        after=("fill-holes",),
        spacing="0.107um",
    ),
    Scene(
        "hubble_deep_field.jpg",
        "hubble deep field",
        "Galaxies and stars",
        "watershed",
        {"sigma_px": 1, "threshold": 50, "min_area_px": 12, "min_depth_px": 1},
    ),
    Scene(
        "retina.jpg",
        "retina",
        "Vessels of the eye",
        "hysteresis",
        {
            "channel": "green",
            "polarity": "dark",
            "low": 52,
            "high": 58,
            "connectivity": 2,
            "min_area_px": 200,
        },
        before=("median:window_px=5", "flatten-background:method=opening;polarity=dark;radius_px=7"),
        after=("clear-border",),
    ),
    Scene("ihc.png", "ihc", "Stained tissue, three kinds of pixels", "gaussian-mixture", {"clusters": 3}),
    Scene("page.png", "page", "Letters on an unevenly lit page", "sauvola", {"min_area_px": 15}),
    Scene(
        "brick.png",
        "brick",
        "Bricks of a wall",
        "watershed",
        {
            "polarity": "dark",
            "fill_holes": False,
            "sigma_px": 1,
            "flatten_px": 30,
            "min_area_px": 300,
            "min_depth_px": 6,
        },
    ),
)


def sample_folder() -> Path:
    """Where the installed scikit-image keeps its photographs. Raises ``MissingExtra``."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise MissingExtra("the photographs of the demo come with scikit-image: pip install scikit-image")
    return Path(spec.origin).parent / "data"


def run_demo(out: Path) -> Iterator[Shown]:
    """Segment each scene into ``out`` and end with ``index.html``; gives each scene as it is done."""
    shown = []
    for scene in SCENES:
        method = make_segmenter(scene.method, **scene.parameters)
        if scene.before or scene.after:
            method = make_segmenter("pipeline", before=scene.before, method=method, after=scene.after)
        outcome = predict_file(
            sample_folder() / scene.file,
            Path(scene.file).stem,
            method,
            out,
            ("labels", "overlay", "table"),
            Reading(spacing=scene.spacing),
        )
        _write_photograph(scene, out)
        row = Shown(scene, scene.title, scene.method, outcome)
        shown.append(row)
        yield row
    with replacing(out / "index.html") as temporary:
        temporary.write_text(_page(shown), encoding="utf-8")


def _write_photograph(scene: Scene, out: Path) -> None:
    """The photograph beside its results, so that the page stands by itself."""
    with replacing(out / scene.file) as temporary:
        temporary.write_bytes((sample_folder() / scene.file).read_bytes())


STYLE = """
:root { color-scheme: light dark; --ink: #1c1f24; --soft: #626a75; --ground: #fbfaf8; --line: #e2dfd9; --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9e7e3; --soft: #a2a8b0; --ground: #17191d; --line: #32363d; --card: #1f2227; }
}
* { box-sizing: border-box; }
a { color: inherit; }
body { margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 76rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; letter-spacing: -.01em; }
p.lead { color: var(--soft); margin: 0 0 2.5rem; max-width: 46rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.3rem; margin: 0 0 1.6rem; }
h2 { font-size: 1.15rem; margin: 0; }
header { display: flex; flex-wrap: wrap; gap: .2rem 2rem; align-items: baseline; margin-bottom: 1rem; }
header span { color: var(--soft); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-items: start; }
.pair img { width: 100%; display: block; border-radius: 6px; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .85rem; margin-top: .4rem; }
dl { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: 1rem 0 0; }
dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; font-variant-numeric: tabular-nums; }
code { font-size: .85rem; overflow-wrap: anywhere; }
@media (max-width: 700px) { .pair { grid-template-columns: 1fr; } }
"""


def _page(shown: list[Shown]) -> str:
    sections = "\n".join(map(_section, shown))
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>smalti demo</title><style>{STYLE}</style></head>
<body>
<h1>smalti demo</h1>
<p class="lead">Photographs that come with scikit-image, each segmented, counted and measured by a method that fits
it. Click a picture for its full size.</p>
{sections}
</body>
</html>
"""


def _section(row: Shown) -> str:
    one, scene = row.outcome, row.scene
    overlay = Path(one.outputs["overlay"]).name
    table = Path(one.outputs["table"]).name
    facts = {
        "segments": str(one.segments),
        "median size": one.size_text,
        "coverage": f"{one.coverage:.1%}",
        "seconds": f"{one.seconds:.2f}",
    }
    figures = "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts.items()
    )
    return f"""<section>
<header><h2>{html.escape(scene.what)}</h2><span>{html.escape(row.method)}</span></header>
<div class="pair">
<figure><a href="{scene.file}"><img src="{scene.file}" alt="{html.escape(scene.title)}, the photograph"></a>
<figcaption>{html.escape(scene.file)}</figcaption></figure>
<figure><a href="{overlay}"><img src="{overlay}" alt="{html.escape(scene.title)}, its segments outlined"></a>
<figcaption>{overlay}, measurements in <a href="{table}">{table}</a></figcaption></figure>
</div>
<dl>{figures}</dl>
<p><code>{html.escape(command_of(scene))}</code></p>
</section>"""


def command_of(scene: Scene) -> str:
    """The command line that does the same."""
    parts = [f"smalti predict {scene.file} --method {scene.method}"]
    parts += [f"--set {name}={json.dumps(value).strip(chr(34))}" for name, value in scene.parameters.items()]
    parts += [f"--before {shlex.quote(step)}" for step in scene.before]
    parts += [f"--after {shlex.quote(step)}" for step in scene.after]
    if scene.spacing:
        parts.append(f"--spacing {scene.spacing}")
    return " ".join(parts)
