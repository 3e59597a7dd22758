"""Class lists that everybody uses: what the numbers in the masks of public datasets mean."""

from __future__ import annotations

from typing import NamedTuple


class Label(NamedTuple):
    """A number in a mask, what it stands for, and its colour in pictures.

    ``void`` is left out of training and scores, ``background`` no segment at all. ``train_id`` is the number that
    the benchmark's networks are trained on.
    """

    value: int
    name: str
    color: tuple[int, int, int]
    thing: bool = False
    void: bool = False
    background: bool = False
    train_id: int = 255


CITYSCAPES = (
    Label(0, "unlabeled", (0, 0, 0), void=True),
    Label(1, "ego vehicle", (0, 0, 0), void=True),
    Label(2, "rectification border", (0, 0, 0), void=True),
    Label(3, "out of roi", (0, 0, 0), void=True),
    Label(4, "static", (0, 0, 0), void=True),
    Label(5, "dynamic", (111, 74, 0), void=True),
    Label(6, "ground", (81, 0, 81), void=True),
    Label(7, "road", (128, 64, 128), train_id=0),
    Label(8, "sidewalk", (244, 35, 232), train_id=1),
    Label(9, "parking", (250, 170, 160), void=True),
    Label(10, "rail track", (230, 150, 140), void=True),
    Label(11, "building", (70, 70, 70), train_id=2),
    Label(12, "wall", (102, 102, 156), train_id=3),
    Label(13, "fence", (190, 153, 153), train_id=4),
    Label(14, "guard rail", (180, 165, 180), void=True),
    Label(15, "bridge", (150, 100, 100), void=True),
    Label(16, "tunnel", (150, 120, 90), void=True),
    Label(17, "pole", (153, 153, 153), train_id=5),
    Label(18, "polegroup", (153, 153, 153), void=True),
    Label(19, "traffic light", (250, 170, 30), train_id=6),
    Label(20, "traffic sign", (220, 220, 0), train_id=7),
    Label(21, "vegetation", (107, 142, 35), train_id=8),
    Label(22, "terrain", (152, 251, 152), train_id=9),
    Label(23, "sky", (70, 130, 180), train_id=10),
    Label(24, "person", (220, 20, 60), True, train_id=11),
    Label(25, "rider", (255, 0, 0), True, train_id=12),
    Label(26, "car", (0, 0, 142), True, train_id=13),
    Label(27, "truck", (0, 0, 70), True, train_id=14),
    Label(28, "bus", (0, 60, 100), True, train_id=15),
    Label(29, "caravan", (0, 0, 90), True, void=True),
    Label(30, "trailer", (0, 0, 110), True, void=True),
    Label(31, "train", (0, 80, 100), True, train_id=16),
    Label(32, "motorcycle", (0, 0, 230), True, train_id=17),
    Label(33, "bicycle", (119, 11, 32), True, train_id=18),
)
"""Labels of ``*_labelIds.png``; void are those that the benchmark ignores. The number plate has no number there (-1).

Source: github.com/mcordts/cityscapesScripts, ``cityscapesscripts/helpers/labels.py``.
"""

CITYSCAPES_TRAIN = tuple(
    label._replace(value=label.train_id) for label in CITYSCAPES if label.train_id != 255
) + (Label(255, "ignored", (0, 0, 0), void=True),)
"""Labels of ``*_labelTrainIds.png``, 0..18."""

CAMVID = (
    Label(0, "sky", (128, 128, 128)),
    Label(1, "building", (128, 0, 0)),
    Label(2, "pole", (192, 192, 128)),
    Label(3, "road", (128, 64, 128)),
    Label(4, "pavement", (60, 40, 222)),
    Label(5, "tree", (128, 128, 0)),
    Label(6, "sign or symbol", (192, 128, 128)),
    Label(7, "fence", (64, 64, 128)),
    Label(8, "car", (64, 0, 128), True),
    Label(9, "pedestrian", (64, 64, 0), True),
    Label(10, "bicyclist", (0, 128, 192), True),
    Label(11, "void", (0, 0, 0), void=True),
)
"""The 11 classes of CamVid as SegNet uses them: sky is 0, so there is no background.

Source: github.com/alexgkendall/SegNet-Tutorial, ``Scripts/test_segmentation_camvid.py``.
"""

_VOC_NAMES = (
    ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow")
    + ("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train")
    + ("tvmonitor",)
)


def voc_color(value: int) -> tuple[int, int, int]:
    """Colour of a number in the palette of Pascal VOC: its bits in turn become the highest of red, green and blue.

    Source: ``VOClabelcolormap.m`` of the VOC 2012 development kit.

    >>> voc_color(1), voc_color(20), voc_color(255)
    ((128, 0, 0), (0, 64, 128), (224, 224, 192))
    """
    rgb = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            rgb[channel] |= (value >> (3 * bit + channel) & 1) << (7 - bit)
    return rgb[0], rgb[1], rgb[2]


VOC = (
    Label(0, "background", (0, 0, 0), background=True),
    *(Label(value, name, voc_color(value), True) for value, name in enumerate(_VOC_NAMES, 1)),
    Label(255, "border", voc_color(255), void=True),
)
"""The 20 classes of Pascal VOC, of things all; the border around each is void.

Source: Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", and the 2012 development kit.
"""

KNOWN_CLASSES = {"cityscapes": CITYSCAPES, "cityscapes-train": CITYSCAPES_TRAIN, "camvid": CAMVID, "voc": VOC}
"""Name of a class list to its labels."""
