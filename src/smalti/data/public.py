"""Public datasets that ``smalti download`` knows: where they are, how large, under which licence, how they are read.

Digests are as published by TensorFlow Datasets, torchvision, MONAI, torch-em and TorchGeo, which check the same files;
``None`` where we found none. Licences are what the dataset's own page or paper says, in short; read them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import unknown_name


@dataclass(frozen=True)
class PublicFile:
    """One file to fetch: its address, its digest as ``sha256:...`` or ``md5:...``, its bytes where known.

    ``into`` is the folder of the dataset it is unpacked or put into, and ``inner`` names archives in it that are
    unpacked as well, each beside itself.
    """

    url: str
    digest: str | None = None
    size: int | None = None
    into: str = "."
    inner: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublicDataset:
    """A dataset anybody may fetch. ``root`` is what to open in its folder, with ``format`` and ``options``."""

    name: str
    title: str
    files: tuple[PublicFile, ...]
    licence: str
    commercial: Literal["yes", "no", "unknown"]
    citation: str
    homepage: str
    format: str
    options: Mapping[str, object] = field(default_factory=dict)
    root: str = "."

    @property
    def size(self) -> int | None:
        """Bytes to download, None where not all are known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def verified(self) -> bool:
        """Whether every file has a published digest."""
        return all(file.digest for file in self.files)


_COCO = "http://images.cocodataset.org"
_COCO_LICENCE = "annotations CC-BY-4.0; every image under its own Flickr licence, named in the JSON"
_COCO_PAPER = "Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014"
_COCO_VAL = PublicFile(
    f"{_COCO}/zips/val2017.zip",
    "sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    815_585_330,
)


def _decathlon(number: int, organ: str, md5: str, size: int | None = None) -> PublicDataset:
    """A task of the Medical Segmentation Decathlon, from the copy that MONAI keeps."""
    task = f"Task{number:02d}_{organ.replace(' ', '')}"
    return PublicDataset(
        name=f"msd-{organ.lower().replace(' ', '-')}",
        title=f"Medical Segmentation Decathlon: {organ.lower()}, 3-D",
        files=(
            PublicFile(f"https://msd-for-monai.s3-us-west-2.amazonaws.com/{task}.tar", f"md5:{md5}", size),
        ),
        licence="CC-BY-SA-4.0",
        commercial="yes",
        citation="Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 2022",
        homepage="http://medicaldecathlon.com",
        format="nifti",
        root=task,
    )


_ALL = (
    PublicDataset(
        name="dsb2018",
        title="nuclei in fluorescence: the subset of the 2018 Data Science Bowl used by StarDist",
        files=(
            PublicFile(
                "https://github.com/stardist/stardist/releases/download/0.1.0/dsb2018.zip",
                "sha256:e44921950edce378063aa4457e625581ba35b4c2dbd9a07c19d48900129f386f",
            ),
        ),
        licence="CC0-1.0",
        commercial="yes",
        citation="Caicedo et al., Nucleus segmentation across imaging experiments, Nature Methods 2019",
        homepage="https://bbbc.broadinstitute.org/BBBC038",
        format="instance-maps",
        options={"classes": {"nucleus": 1}},
        root="dsb2018",
    ),
    PublicDataset(
        name="oxford-pets",
        title="cats and dogs with trimaps: pet, background, border",
        files=(
            PublicFile(
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
                "sha256:67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
                791_918_971,
            ),
            PublicFile(
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
                "sha256:52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
                19_173_078,
            ),
        ),
        licence="CC-BY-SA-4.0",
        commercial="yes",
        citation="Parkhi et al., Cats and Dogs, CVPR 2012",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/pets",
        format="label-maps",
        options={"images": "images", "masks": "trimaps", "classes": {"pet": 1}, "background": 2, "void": 3},
    ),
    PublicDataset(
        name="coco-val2017",
        title="5,000 photographs of everyday scenes with objects of 80 kinds",
        files=(
            _COCO_VAL,
            PublicFile(
                f"{_COCO}/annotations/annotations_trainval2017.zip",
                "sha256:113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
                252_907_541,
            ),
        ),
        licence=_COCO_LICENCE,
        commercial="unknown",
        citation=_COCO_PAPER,
        homepage="https://cocodataset.org",
        format="coco",
        root="annotations/instances_val2017.json",
    ),
    PublicDataset(
        name="coco-panoptic-val2017",
        title="the same photographs with things and stuff of 133 kinds",
        files=(
            _COCO_VAL,
            PublicFile(
                f"{_COCO}/annotations/panoptic_annotations_trainval2017.zip",
                "sha256:c05f76d2129b6b561eb70efe16e7006df62f73fb92889132d373b9d90e31a370",
                860_725_834,
                inner=("annotations/panoptic_val2017.zip",),
            ),
        ),
        licence=_COCO_LICENCE,
        commercial="unknown",
        citation="Kirillov et al., Panoptic Segmentation, CVPR 2019; " + _COCO_PAPER,
        homepage="https://cocodataset.org",
        format="coco-panoptic",
        root="annotations/panoptic_val2017.json",
    ),
    PublicDataset(
        name="voc2012",
        title="photographs with objects of 20 kinds, outlined with a void border",
        files=(
            PublicFile(
                "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                "md5:6cd6e144f989b92b3379bac3b3de84fd",
                1_999_639_040,
            ),
        ),
        licence="images under the terms of Flickr; annotations without a stated licence",
        commercial="unknown",
        citation="Everingham et al., The Pascal Visual Object Classes Challenge: A Retrospective, IJCV 2015",
        homepage="http://host.robots.ox.ac.uk/pascal/VOC/voc2012",
        format="voc",
        root="VOCdevkit/VOC2012",
    ),
    PublicDataset(
        name="ade20k",
        title="22,210 scenes with stuff and things of 150 kinds (the 2016 scene parsing challenge)",
        files=(
            PublicFile(
                "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
                "sha256:7ff1be44964418441f542a7cc1e1a650e7dc0fc275f5d23252bc9bbdbc977b29",
                967_382_037,
            ),
        ),
        licence="images for non-commercial research and education only (terms of MIT CSAIL)",
        commercial="no",
        citation="Zhou et al., Scene Parsing through ADE20K Dataset, CVPR 2017",
        homepage="https://groups.csail.mit.edu/vision/datasets/ADE20K",
        format="label-maps",
        root="ADEChallengeData2016",
    ),
    PublicDataset(
        name="landcover-ai",
        title="aerial photographs of Poland, 25 and 50 cm: buildings, woods, water, roads",
        files=(
            PublicFile(
                "https://landcover.ai.linuxpolska.com/download/landcover.ai.v1.zip",
                "sha256:dd448287ff3a76291f2b159084b8a265f2ba4559bb80b0551fc8c6c0eb149a4b",
            ),
        ),
        licence="CC-BY-NC-SA-4.0",
        commercial="no",
        citation="Boguszewski et al., LandCover.ai, CVPR Workshops 2021 (arXiv:2005.02264)",
        homepage="https://landcover.ai.linuxpolska.com",
        format="label-maps",
        options={"classes": {"building": 1, "woodland": 2, "water": 3, "road": 4}},
    ),
    _decathlon(2, "Heart", "06ee59366e1e5124267b774dbd654057"),
    _decathlon(4, "Hippocampus", "9d24dba78a72977dbd1d2e110310f31b"),
    _decathlon(5, "Prostate", "35138f08b1efaef89d7424d2bcc928db"),
    _decathlon(9, "Spleen", "410d4a301da4e5b2f6f86ec3ddba524e"),
    PublicDataset(
        name="davis2017",
        title="video: 90 clips at 480p with every object outlined in every frame",
        files=(PublicFile("https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip"),),
        licence="CC-BY-4.0 for most clips; its README names the others",
        commercial="unknown",
        citation="Pont-Tuset et al., The 2017 DAVIS Challenge on Video Object Segmentation, arXiv:1704.00675",
        homepage="https://davischallenge.org",
        format="instance-maps",
        root="DAVIS",
    ),
    PublicDataset(
        name="penn-fudan",
        title="170 street photographs with every pedestrian outlined",
        files=(PublicFile("https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip"),),
        licence="none stated",
        commercial="unknown",
        citation="Wang et al., Object Detection Combining Recognition and Segmentation, ACCV 2007",
        homepage="https://www.cis.upenn.edu/~jshi/ped_html",
        format="instance-maps",
        options={"images": "PNGImages", "masks": "PedMasks", "classes": {"pedestrian": 1}},
        root="PennFudanPed",
    ),
)

PUBLIC_DATASETS: dict[str, PublicDataset] = {dataset.name: dataset for dataset in _ALL}
"""The table: name of each public dataset to what is known of it."""


def public_dataset(name: str) -> PublicDataset:
    """The entry of the table called so. Raises ``UnknownName``."""
    if name not in PUBLIC_DATASETS:
        raise unknown_name("public dataset", name, PUBLIC_DATASETS)
    return PUBLIC_DATASETS[name]
