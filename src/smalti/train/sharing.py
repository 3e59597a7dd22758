"""A fitted network handed from the process that made it to the others that learned with it."""

from __future__ import annotations

import json

from ..io.bundle import Bundle
from ..runtime.fitted import FittedNetwork
from .distributed import Ranks


def shared(model: FittedNetwork | None, ranks: Ranks) -> FittedNetwork:
    """The model of the leading process, in all of them; the others give None."""
    if model is not None and ranks.count == 1:
        return model
    manifest, parts = "", list[str]()
    if model is not None:
        bundle = model.to_bundle()
        manifest, parts = json.dumps(bundle.manifest), list(bundle.files)
    manifest = ranks.text(manifest)
    parts = json.loads(ranks.text(json.dumps(parts)))
    files = {name: ranks.bytes(b"" if model is None else model.parts[name]) for name in parts}
    return model or FittedNetwork.from_bundle(Bundle(json.loads(manifest), files=files))
