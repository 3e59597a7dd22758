"""A street seen from a car: road with markings, pavements, buildings, trees, poles, cars and people, in perspective."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from . import figures, vehicles
from .camera import photograph, rgb
from .facades import Block, draw_front, draw_wall, street_blocks
from .perspective import Stage, View
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .street_ground import Layout, draw_ground, draw_horizon, draw_sky

ROAD, PAVEMENT, GRASS, BUILDING, VEGETATION, POLE, SIGN, SKY, CAR, TRUCK, PERSON = range(1, 12)

MIN_THING_PX = 16
"""A thing of which fewer pixels would show is left out, of the picture and of its truth."""

_SHIFT = 4  # OpenCV draws in sixteenths of a pixel


@dataclass(frozen=True)
class Stander:
    """Something that stands at x, z (its nearer end): its class, and its size across, up and ahead in metres."""

    class_id: int
    x: float
    z: float
    size: tuple[float, float, float]
    oncoming: bool = False


class Street(SceneKind):
    """A city street, different in width, buildings, traffic, weather and time of day in every scene."""

    name: ClassVar[str] = "street"
    title: ClassVar[str] = (
        "a city street in perspective: cars, trucks and people among road, buildings and sky"
    )
    classes = colored(
        ("road", False, (112, 92, 124)),
        ("pavement", False, (220, 120, 190)),
        ("grass", False, (166, 214, 132)),
        ("building", False, (128, 116, 104)),
        ("vegetation", False, (0, 158, 115)),
        ("pole", False, (190, 190, 190)),
        ("traffic sign", False, (240, 228, 66)),
        ("sky", False, (86, 180, 233)),
        ("car", True, (0, 114, 178)),
        ("truck", True, (70, 60, 150)),
        ("person", True, (213, 94, 0)),
    )

    size_hw: tuple[int, int] = Field((256, 384), description="Height and width of the image in pixels.")
    max_vehicles: int = Field(10, ge=0, le=100, description="Cars and trucks there may be, parked ones too.")
    max_people: int = Field(8, ge=0, le=100, description="People there may be.")
    greenery: float = Field(0.5, ge=0, le=1, description="How many trees and how much grass.")
    noise: float = Field(0.02, ge=0, le=0.5, description="Noise of the camera, as a share of white.")

    @field_validator("size_hw")
    @classmethod
    def _check_size(cls, size_hw: tuple[int, int]) -> tuple[int, int]:
        return check_size(size_hw)

    def draw(self, seed: int, index: int) -> Scene:
        rng = self.rng(seed, index)
        view = _look(rng, self.size_hw)
        layout = _lay_out(rng, self.greenery)
        blocks = [street_blocks(rng, self.greenery, layout.end) for _ in layout.building]
        canvas = Canvas.of(self.size_hw)
        stage = Stage(view, canvas, np.zeros((*self.size_hw, 3), np.float32))

        standers = _vehicles(rng, layout, self.max_vehicles)
        standers += _people(rng, layout, self.max_people)
        standers += _furniture(rng, layout, self.greenery)
        shown = [one for one in sorted(standers, key=lambda one: one.z) if _stand(rng, stage, one)]
        _draw_sides(rng, stage, layout, blocks, self.greenery)
        kinds = {"road": ROAD, "pavement": PAVEMENT, "grass": GRASS, "building": BUILDING}
        kinds["vegetation"] = VEGETATION
        shadow = _shadows(view, shown)
        for kind, mask in draw_ground(rng, view, layout, blocks, shadow, canvas.labels == 0, stage.light):
            canvas.claim(kinds[kind], mask, stuff=True)
        for kind, mask in draw_horizon(rng, view, layout, canvas.labels == 0, stage.light):
            canvas.claim(kinds[kind], mask, stuff=True)
        draw_sky(rng, view, canvas.labels == 0, stage.light)
        canvas.claim(SKY, canvas.labels == 0, stuff=True)
        pixels = photograph(
            rng,
            stage.light * np.float32(rng.uniform(0.85, 1.2)),
            blur_px=rng.uniform(0.4, 0.7),
            noise=self.noise * rng.uniform(0.5, 1.5),
            vignetting=rng.uniform(0.05, 0.3),
        )
        return Scene(pixels, canvas.labels, np.array(canvas.class_ids))


def _look(rng: np.random.Generator, size_hw: tuple[int, int]) -> View:
    """A camera behind a windscreen, on a sunny, cloudy or late day."""
    height, width = size_hw
    fov = np.deg2rad(rng.uniform(52, 74))
    weather = rng.choice(3, p=[0.5, 0.3, 0.2])
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad((rng.uniform(28, 62), 60.0, rng.uniform(10, 20))[weather])
    level = np.cos(elevation)
    return View(
        size_hw,
        focal_px=float(width / 2 / np.tan(fov / 2)),
        middle_x=width * rng.uniform(0.4, 0.6),
        horizon_y=height * rng.uniform(0.4, 0.52),
        height_m=rng.uniform(1.35, 2.3),
        sun=np.array([level * np.sin(azimuth), np.sin(elevation), level * np.cos(azimuth)], np.float32),
        sunlight=(rgb(1.9, 1.75, 1.5), rgb(0.12, 0.12, 0.12), rgb(1.9, 1.2, 0.65))[weather],
        skylight=(rgb(0.5, 0.58, 0.72), rgb(0.9, 0.93, 0.98), rgb(0.5, 0.5, 0.62))[weather],
        haze=(rgb(0.62, 0.7, 0.8), rgb(0.72, 0.74, 0.77), rgb(0.85, 0.66, 0.5))[weather],
        clear_m=rng.uniform(150, 500),
    )


def _lay_out(rng: np.random.Generator, greenery: float) -> Layout:
    """Widths across the street; the camera drives in one of the lanes."""
    side = 1 if rng.random() < 0.75 else -1
    lane = rng.uniform(2.9, 3.6)
    centre = -side * lane * rng.uniform(0.4, 0.6)
    parking = (bool(rng.random() < 0.6), bool(rng.random() < 0.6))
    road = (centre - lane - (2.1 if parking[0] else 0.3), centre + lane + (2.1 if parking[1] else 0.3))
    pavement = (road[0] - rng.uniform(1.6, 3.5), road[1] + rng.uniform(1.6, 3.5))
    verge = [rng.uniform(1.5, 6) if rng.random() < 0.6 * greenery else 0.0 for _ in range(2)]
    return Layout(
        centre=centre,
        lane=lane,
        road=road,
        parking=parking,
        pavement=pavement,
        building=(pavement[0] - verge[0], pavement[1] + verge[1]),
        side=side,
        end=rng.uniform(60, 160),
    )


def _vehicles(rng: np.random.Generator, layout: Layout, most: int) -> list[Stander]:
    """Cars and trucks in the lanes and parked beside them, none of them inside another."""
    lanes = [(layout.centre + layout.side * layout.lane / 2, False, 9.0)]
    lanes.append((layout.centre - layout.side * layout.lane / 2, True, 5.0))
    for place, parked in enumerate(layout.parking):
        if parked:
            x = layout.road[place] + (1.05 if place == 0 else -1.05)
            lanes.append((x, bool(rng.random() < 0.5), 3.5))
    weights = np.array([0.8, 1.0, 1.6, 1.6][: len(lanes)])
    taken: list[list[tuple[float, float]]] = [[] for _ in lanes]
    standers = []
    for _ in range(int(rng.integers(0, most + 1))):
        number = int(rng.choice(len(lanes), p=weights / weights.sum()))
        x, oncoming, nearest = lanes[number]
        z = nearest + rng.exponential(12)
        heavy = number < 2 and rng.random() < 0.18
        length = 10.5 if heavy else 5.4
        if z > layout.end * 0.8 or any(z < high and low < z + length for low, high in taken[number]):
            continue
        taken[number].append((z, z + length))
        size = (2.4, 3.0, 8.0) if heavy else (1.8, 1.45, 4.3)
        standers.append(Stander(TRUCK if heavy else CAR, x + rng.normal(0, 0.12), z, size, oncoming))
    return standers


def _people(rng: np.random.Generator, layout: Layout, most: int) -> list[Stander]:
    """People alone and in pairs on the pavements; some cross the road."""
    wanted = int(rng.integers(0, most + 1))
    standers: list[Stander] = []
    while len(standers) < wanted:
        side = int(rng.integers(2))
        crossing = rng.random() < 0.15
        x = rng.uniform(*(layout.road if crossing else sorted((layout.road[side], layout.pavement[side]))))
        z = 4.5 + min(40.0, rng.exponential(9))
        for number in range(int(rng.integers(1, 3))):
            beside = x + number * rng.uniform(0.5, 0.7)
            standers.append(Stander(PERSON, beside, z + number * 0.3, (0.5, 1.7, 0.4)))
    return standers[:wanted]


def _furniture(rng: np.random.Generator, layout: Layout, greenery: float) -> list[Stander]:
    """Lamp posts, signs and rows of trees along the kerbs."""
    standers = []
    for place, sign in ((0, 1), (1, -1)):
        kerb = layout.road[place] - sign * 0.5
        for z in np.arange(rng.uniform(5, 22), layout.end, rng.uniform(18, 30)):
            standers.append(Stander(POLE, kerb, float(z), (0.15, 6.5, 0.15)))
        if rng.random() < 0.7:
            standers.append(Stander(SIGN, kerb - sign * 0.2, rng.uniform(6, 30), (0.5, 2.5, 0.1)))
        if rng.random() < 0.7 * greenery + 0.1:
            for z in np.arange(rng.uniform(7, 16), layout.end, rng.uniform(7, 13)):
                standers.append(Stander(VEGETATION, kerb - sign * 0.3, float(z), (2.5, 4.5, 2.5)))
    return standers


def _stand(rng: np.random.Generator, stage: Stage, one: Stander) -> bool:
    """Draw what stands there; False where nothing of it shows."""
    if one.class_id == SIGN:
        plate, pole = figures.road_sign(rng, stage, one.x, one.z)
        shown = stage.put(SIGN, plate, one.z, min_px=2)
        return stage.put(POLE, pole, one.z, min_px=2) or shown
    thing = one.class_id in (CAR, TRUCK, PERSON)
    draw = {
        CAR: partial(vehicles.car, oncoming=one.oncoming),
        TRUCK: partial(vehicles.truck, oncoming=one.oncoming),
        PERSON: figures.person,
        POLE: figures.lamp_post,
        VEGETATION: figures.tree,
    }[one.class_id]
    raster = draw(rng, stage, one.x, one.z)  # type: ignore[operator]  # mypy joins the functions to object
    middle = one.z + one.size[2] / 2
    return stage.put(one.class_id, raster, middle, stuff=not thing, min_px=MIN_THING_PX if thing else 2)


def _draw_sides(
    rng: np.random.Generator, stage: Stage, layout: Layout, blocks: list[list[Block]], greenery: float
) -> None:
    """Buildings and what grows in the gaps between them, from near to far."""
    view, canvas, light = stage.view, stage.canvas, stage.light
    exposed = rng.uniform(0.7, 1.0)
    for side, line in enumerate(layout.building):
        across, opposite = blocks[1 - side], layout.building[1 - side]
        last = 0.0
        for block in blocks[side]:
            for z in np.arange(max(4.0, last + 1.5), block.near - 1, 3.0):
                if rng.random() < 0.35 + 0.5 * greenery:
                    x = line + np.sign(line) * rng.uniform(1, 6)
                    plant = figures.tree(rng, stage, float(x), float(z), shrub=rng.random() < 0.5)
                    stage.put(VEGETATION, plant, float(z))
            last = block.far
            for drawn in (
                draw_wall(view, block, line, opposite, across, exposed, canvas.labels),
                draw_front(view, block, line, exposed, canvas.labels),
            ):
                if drawn is not None:
                    place, mask, shaded = drawn
                    visible = canvas.claim(BUILDING, mask, place, stuff=True)
                    if visible is not None:
                        light[place][visible] = shaded[visible]


def _shadows(view: View, shown: list[Stander]) -> np.ndarray:
    """How much of the sun (plane 0) and of the sky (plane 1) the standers keep from the ground, (2, H, W) float32."""
    shadow = np.zeros((2, *view.size_hw), np.float32)
    tip = -view.sun[[0, 2]] / view.sun[1]  # where the shadow of a point 1 m up falls
    for one in sorted(shown, key=lambda one: one.class_id == VEGETATION, reverse=True):  # solid over leafy
        across, up, ahead = one.size
        leafy = one.class_id == VEGETATION
        x = (one.x - 1.4, one.x + 1.4) if leafy else (one.x - across / 2, one.x + across / 2)
        z = (one.z - 1.4, one.z + 1.4) if leafy else (one.z, one.z + ahead)
        foot = np.array([(a, 0.0, b) for a in x for b in z])
        levels = (2.5, 5.5) if leafy else (0.0, up)
        cast = np.concatenate([foot + (tip[0] * level, 0, tip[1] * level) for level in levels])
        _fill_hull(shadow[0], view, cast, 0.75 if leafy else 1.0)
        if one.class_id in (CAR, TRUCK, PERSON):
            _fill_hull(shadow[1], view, foot, 0.75)
    shadow[0] = cv2.GaussianBlur(shadow[0], (0, 0), 0.8)
    shadow[1] = cv2.GaussianBlur(shadow[1], (0, 0), 2.0)
    return shadow


def _fill_hull(plane: np.ndarray, view: View, ground: np.ndarray, value: float) -> None:
    """Fill the convex hull of points (N, 3) on the ground; those behind the camera are pulled before it."""
    flat = view.project(np.maximum(ground, (-1e6, 0, 0.8)))
    whole = np.round(flat.clip(-1e5, 1e5) * 2**_SHIFT).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillConvexPoly(plane, cv2.convexHull(whole), value, cv2.LINE_8, _SHIFT)
