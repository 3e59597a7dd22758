"""A network that somebody else made, as a method: ``smalti import`` writes it, ``--model`` takes it."""

from __future__ import annotations

from typing import ClassVar

from ..errors import InputError
from ..image import Image
from ..io.bundle import Bundle
from ..segmentation import Segmentation
from ..segmenter import Method, Prompts, check_prompts
from .fitted import FittedNetwork


class Onnx(Method):
    """A network of somebody else's in an ONNX file, brought into a bundle by ``smalti import``."""

    name: ClassVar[str] = "onnx"
    ndims: ClassVar[tuple[int, ...]] = (2, 3)
    source: ClassVar[str] = "onnx.ai; the file says who trained it"

    def predict(self, image: Image, prompts: Prompts | None = None) -> Segmentation:
        """Raises ``InputError``: there is no network without a file."""
        check_prompts(self, prompts)
        raise InputError(
            "onnx is for networks of others: smalti import network.onnx --classes ... --out m.smalti, "
            "then predict with --model m.smalti"
        )

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> FittedNetwork:
        """The network of a bundle that ``foreign.import_onnx`` made. Raises ``ReadError``."""
        return FittedNetwork.from_bundle(bundle)
