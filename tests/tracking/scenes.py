"""Traversals of known answers: a disc in a room, drawn with exact edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.tracking.changes import image_changes
from cldis.metrics.tracking.floor import Floor
from cldis.metrics.tracking.score import score
from cldis.metrics.tracking.sums import TrackingSums

SIDE = 48
SHIFTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
Picture = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """A disc of radius 8 before a wall and a floor; colours in grey levels."""

    x: float = 24.0
    y: float = 26.0
    disc: tuple[float, float, float] = (200, 60, 60)
    wall: tuple[float, float, float] = (150, 150, 200)
    floor: tuple[float, float, float] = (80, 140, 80)
    light: float = 1.0

    def draw(self, side: int = SIDE) -> Picture:
        """[side, side, 3] in grey levels 0..255."""
        down, across = np.mgrid[0:side, 0:side].astype(np.float32)
        ground = np.clip(down - 30.5, 0, 1)[..., None]  # a soft edge
        picture = (1 - ground) * np.array(self.wall) + ground * np.array(self.floor)
        inside = np.clip(8.5 - np.hypot(across - self.x, down - self.y), 0, 1)[..., None]
        picture = inside * np.array(self.disc) + (1 - inside) * picture
        return np.clip(picture * self.light, 0, 255).astype(np.float32)


Change = Callable[[Scene, float], Scene]


def move(scene: Scene, amount: float) -> Scene:
    return replace(scene, x=scene.x + 2 * amount)


def disc_colour(scene: Scene, amount: float) -> Scene:
    r, g, b = scene.disc
    return replace(scene, disc=(r - 25 * amount, g + 25 * amount, b))


def floor_colour(scene: Scene, amount: float) -> Scene:
    r, g, b = scene.floor
    return replace(scene, floor=(r + 25 * amount, g, b - 25 * amount))


def wall_colour(scene: Scene, amount: float) -> Scene:
    r, g, b = scene.wall
    return replace(scene, wall=(r, g - 25 * amount, b + 10 * amount))


def light(scene: Scene, amount: float) -> Scene:
    return replace(scene, light=1 + 0.1 * amount)


def nothing(scene: Scene, amount: float) -> Scene:
    return scene


def both(*changes: Change) -> Change:
    def change(scene: Scene, amount: float) -> Scene:
        for one in changes:
            scene = one(scene, amount)
        return scene

    return change


def scenes(count: int, seed: int = 0) -> list[Scene]:
    """Scenes that differ in place and in every colour."""
    draws = np.random.default_rng(seed)

    def colour() -> Any:
        return tuple(draws.uniform(70, 185, 3))

    return [
        Scene(draws.uniform(20, 28), draws.uniform(24, 29), colour(), colour(), colour())
        for _ in range(count)
    ]


def frames(
    scene: Scene,
    changes: Sequence[Change],
    shifts: Sequence[float] = SHIFTS,
    noise: float = 0.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    """[K, J, SIDE, SIDE, 3]; `noise` in grey levels is fresh in every frame but that of shift 0."""
    draws = np.random.default_rng(seed)
    centre = list(shifts).index(0.0)
    found = np.stack([[change(scene, shift).draw() for shift in shifts] for change in changes])
    noisy = found + noise * draws.standard_normal(found.shape)
    noisy[:, centre] = found[:, centre]
    return np.clip(noisy, 0, 255).astype(np.float32)


def tally_of(
    changes: Sequence[Change],
    images: Sequence[Scene],
    noise: float = 0.0,
    shifts: Sequence[float] = SHIFTS,
    estimator: str = "farneback",
) -> TrackingSums:
    floor = Floor()
    if noise:
        for i, scene in enumerate(images):
            draws = np.random.default_rng(1000 + i)
            again = scene.draw() + noise * draws.standard_normal((2, SIDE, SIDE, 3))
            pair = np.concatenate([scene.draw()[None], again])
            floor.add(np.clip(pair, 0, 255).astype(np.float32))
    sums = TrackingSums(floor.level())
    for i, scene in enumerate(images):
        seen = image_changes(frames(scene, changes, shifts, noise, i), shifts, estimator)
        sums.add(seen, scene.draw(), scene.draw())
    return sums


def amounts(directions: int) -> NDArray[np.float64]:
    """Codes of a collection in which all directions vary independently, [n, directions]."""
    return np.random.default_rng(7).standard_normal((2_000, directions))


def scores_of(changes: Sequence[Change], count: int = 6, **options: Any) -> dict[str, Any]:
    return score(tally_of(changes, scenes(count), **options), amounts(len(changes)))
