"""A street seen from a car: road with markings, pavements, buildings, trees, poles, cars and people, in perspective."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from . import figures
from .camera import photograph
from .facades import Block, draw_front, draw_wall, street_blocks
from .perspective import Raster, View
from .scene import Canvas, Scene, SceneKind, check_size, colored
from .street_ground import Layout, draw_ground, draw_horizon, draw_sky

ROAD, PAVEMENT, GRASS, BUILDING, VEGETATION, POLE, SIGN, SKY, CAR, TRUCK, PERSON = range(1, 12)

MIN_THING_PX = 16  # less than this of a car or person is not drawn at all
"""A thing of which fewer pixels would show is left out of picture and truth alike."""


@dataclass(frozen=True)
class Stander:
    """Something that stands at x, z: its class, how it is drawn, and its footprint and height for its shadow."""

    class_id: int
    x: float
    z: float
    size: tuple[float, float, float]  # across, up, ahead
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
        light = np.zeros((*self.size_hw, 3), np.float32)

        standers = _populate(rng, layout, self.max_vehicles, self.max_people, self.greenery)
        shown = [
            one for one in sorted(standers, key=lambda one: one.z) if _stand(rng, view, canvas, light, one)
        ]
        _draw_sides(rng, view, layout, blocks, self.greenery, canvas, light)
        shadow = _shadows(view, shown)
        for class_id, mask in draw_ground(rng, view, layout, blocks, shadow, canvas.labels == 0, light):
            canvas.claim({"road": ROAD, "pavement": PAVEMENT, "grass": GRASS}[class_id], mask, stuff=True)
        for class_id, mask in draw_horizon(rng, view, layout, canvas.labels == 0, light):
            canvas.claim({"building": BUILDING, "vegetation": VEGETATION}[class_id], mask, stuff=True)
        draw_sky(rng, view, canvas.labels == 0, light)
        canvas.claim(SKY, canvas.labels == 0, stuff=True)
        pixels = photograph(
            rng,
            light * np.float32(rng.uniform(0.85, 1.2)),
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
    sun = np.array(
        [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]
    )
    sunlight = ((1.9, 1.75, 1.5), (0.12, 0.12, 0.12), (1.9, 1.2, 0.65))[weather]
    skylight = ((0.5, 0.58, 0.72), (0.9, 0.93, 0.98), (0.5, 0.5, 0.62))[weather]
    haze = ((0.62, 0.7, 0.8), (0.72, 0.74, 0.77), (0.85, 0.66, 0.5))[weather]
    return View(
        size_hw,
        focal_px=width / 2 / np.tan(fov / 2),
        middle_x=width * rng.uniform(0.4, 0.6),
        horizon_y=height * rng.uniform(0.4, 0.52),
        height_m=rng.uniform(1.35, 2.3),
        sun=sun,
        sunlight=np.float32(sunlight),
        skylight=np.float32(skylight),
        haze=np.float32(haze),
        clear_m=rng.uniform(150, 500),
    )


def _lay_out(rng: np.random.Generator, greenery: float) -> Layout:
    """Widths across the street; the camera drives in one of the lanes."""
    drives_right = rng.random() < 0.75
    side = 1 if drives_right else -1
    lane = rng.uniform(2.9, 3.6)
    centre = -side * lane * rng.uniform(0.4, 0.6)
    parking = (bool(rng.random() < 0.6), bool(rng.random() < 0.6))
    road = (
        centre - lane - (2.1 if parking[0] else 0.3),
        centre + lane + (2.1 if parking[1] else 0.3),
    )
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


def _populate(
    rng: np.random.Generator, layout: Layout, max_vehicles: int, max_people: int, greenery: float
) -> list[Stander]:
    """Who and what stands where; vehicles keep to their lanes and do not run into each other."""
    standers: list[Stander] = []
    vehicles = int(rng.integers(0, max_vehicles + 1)) if max_vehicles else 0
    lanes = [(layout.centre + layout.side * layout.lane / 2, False, 9.0)]
    lanes.append((layout.centre - layout.side * layout.lane / 2, True, 5.0))
    for place, parked in enumerate(layout.parking):
        if parked:
            edge = layout.road[place]
            lanes.append((edge + (1.05 if place == 0 else -1.05), bool(rng.random() < 0.5), 3.5))
    taken: dict[int, list[tuple[float, float]]] = {}
    for _ in range(vehicles):
        number = int(rng.choice(len(lanes), p=_shares([0.8, 1.0] + [1.6] * (len(lanes) - 2))))
        x, oncoming, nearest = lanes[number]
        z = nearest + rng.exponential(12)
        heavy = number < 2 and rng.random() < 0.18
        length = 10.5 if heavy else 5.4
        if z > layout.end * 0.8 or any(z < high and low < z + length for low, high in taken.get(number, [])):
            continue
        taken.setdefault(number, []).append((z, z + length))
        size = (2.4, 3.0, 8.0) if heavy else (1.8, 1.45, 4.3)
        standers.append(Stander(TRUCK if heavy else CAR, x + rng.normal(0, 0.12), z, size, oncoming))
    for _ in range(int(rng.integers(0, max_people + 1)) if max_people else 0):
        side = int(rng.integers(2))
        if rng.random() < 0.15:  # crossing
            x = rng.uniform(*layout.road)
        else:
            x = rng.uniform(*sorted((layout.road[side], layout.pavement[side])))
        z = 4.5 + rng.exponential(9)
        for near in range(int(rng.integers(1, 3))):
            standers.append(
                Stander(PERSON, x + near * rng.uniform(0.5, 0.7), z + near * 0.3, (0.5, 1.7, 0.4))
            )
    standers = [one for one in standers if one.class_id != PERSON or one.z < 45]
    people = [one for one in standers if one.class_id == PERSON][:max_people]
    standers = [one for one in standers if one.class_id != PERSON] + people
    for place, sign in ((0, 1), (1, -1)):
        kerb = layout.road[place] - sign * 0.5
        for z in np.arange(rng.uniform(5, 22), layout.end, rng.uniform(18, 30)):
            standers.append(Stander(POLE, kerb, float(z), (0.15, 6.5, 0.15)))
        if rng.random() < 0.7:
            standers.append(Stander(SIGN, kerb - sign * 0.2, rng.uniform(6, 30), (0.5, 2.5, 0.1)))
        if rng.random() < 0.7 * greenery + 0.1:
            start, step = rng.uniform(7, 16), rng.uniform(7, 13)
            for z in np.arange(start, layout.end, step):
                standers.append(Stander(VEGETATION, kerb - sign * 0.3, float(z), (2.5, 4.5, 2.5)))
    return standers


def _shares(weights: list[float]) -> np.ndarray:
    return np.array(weights) / sum(weights)


def _stand(rng: np.random.Generator, view: View, canvas: Canvas, light: np.ndarray, one: Stander) -> bool:
    """Draw what stands there; False where nothing of it shows."""
    rasters: list[tuple[int, Raster | None]]
    if one.class_id == SIGN:
        plate, pole = figures.road_sign(rng, view, one.x, one.z)
        rasters = [(SIGN, plate), (POLE, pole)]
    else:
        draw = {
            CAR: partial(figures.car, oncoming=one.oncoming),
            TRUCK: partial(figures.truck, oncoming=one.oncoming),
            PERSON: figures.person,
            POLE: figures.lamp_post,
            VEGETATION: figures.tree,
        }[one.class_id]
        rasters = [(one.class_id, draw(rng, view, one.x, one.z))]
    thing = one.class_id in (CAR, TRUCK, PERSON)
    shown = False
    for class_id, raster in rasters:
        if raster is None:
            continue
        visible = canvas.claim(
            class_id,
            raster.mask.view(bool),
            raster.place,
            stuff=not thing,
            min_px=MIN_THING_PX if thing else 2,
        )
        if visible is not None:
            light[raster.place][visible] = view.through_air(raster.light[visible], one.z + one.size[2] / 2)
            shown = True
    return shown


def _draw_sides(
    rng: np.random.Generator,
    view: View,
    layout: Layout,
    blocks: list[list[Block]],
    greenery: float,
    canvas: Canvas,
    light: np.ndarray,
) -> None:
    """Buildings and what grows in the gaps between them, from near to far."""
    exposed = rng.uniform(0.7, 1.0)
    for side, line in enumerate(layout.building):
        across, opposite = blocks[1 - side], layout.building[1 - side]
        last = 0.0
        for block in blocks[side]:
            for z in np.arange(last + 1.5, block.near - 1, 3.0):
                if rng.random() < 0.35 + 0.5 * greenery:
                    x = line + np.sign(line) * rng.uniform(1, 6)
                    raster = figures.tree(rng, view, x, max(4.0, float(z)), shrub=rng.random() < 0.5)
                    _put(canvas, light, VEGETATION, raster, view, float(z))
            last = block.far
            for drawn in (
                draw_wall(view, block, line, opposite, across, exposed),
                draw_front(view, block, line, exposed),
            ):
                if drawn is None:
                    continue
                place, mask, shaded = drawn
                visible = canvas.claim(BUILDING, mask, place, stuff=True)
                if visible is not None:
                    light[place][visible] = shaded[visible]


def _put(
    canvas: Canvas, light: np.ndarray, class_id: int, raster: Raster | None, view: View, z: float
) -> None:
    if raster is None:
        return
    visible = canvas.claim(class_id, raster.mask.view(bool), raster.place, stuff=True)
    if visible is not None:
        light[raster.place][visible] = view.through_air(raster.light[visible], z)


def _shadows(view: View, shown: list[Stander]) -> np.ndarray:
    """How much of the sun (plane 0) and of the sky (plane 1) the standers keep from the ground, (2, H, W) float32."""
    shadow = np.zeros((2, *view.size_hw), np.float32)
    shift = 4
    for one in shown:
        across, up, ahead = one.size
        if one.class_id == VEGETATION:
            x, z = (one.x - 1.4, one.x + 1.4), (one.z - 1.4, one.z + 1.4)
            low, high = 2.5, 5.5
        else:
            x, z = (one.x - across / 2, one.x + across / 2), (one.z, one.z + ahead)
            low, high = 0.0, up
        foot = np.array([(a, 0.0, b) for a in x for b in z])
        tip = -view.sun[[0, 2]] / view.sun[1]
        cast = np.concatenate([foot + (tip[0] * h, 0, tip[1] * h) for h in (low, high)])
        for plane, ground in ((0, cast), (1, foot)):
            if plane == 1 and one.class_id in (VEGETATION, POLE, SIGN):
                continue
            ground = np.maximum(ground, (-1e6, 0, 0.8))
            hull = cv2.convexHull(
                np.round(view.project(ground) * 2**shift).astype(np.int32).reshape(-1, 1, 2)
            )
            strength = (0.75 if one.class_id == VEGETATION else 1.0) if plane == 0 else 0.75
            layer = np.zeros(view.size_hw, np.float32)
            cv2.fillConvexPoly(layer, hull, strength, cv2.LINE_8, shift)
            np.maximum(shadow[plane], layer, out=shadow[plane])
    shadow[0] = cv2.GaussianBlur(shadow[0], (0, 0), 0.8)
    shadow[1] = cv2.GaussianBlur(shadow[1], (0, 0), 2.0)
    return shadow
