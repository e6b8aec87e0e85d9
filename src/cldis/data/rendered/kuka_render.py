"""An industrial arm that carries an object, drawn by PyBullet's software renderer.

World frame: metres, z up, the arm's base at the origin, the camera on the positive x axis. Shoulder
and base turn; the wrist makes up for the shoulder, so that the object always stands upright on
the flange. Everything is drawn white and without shadows. A picture is then split by what each
pixel shows into coefficient maps (background, arm, object): with colours c_k the coloured picture
is sum_k map_k * c_k, and the maps of a pixel sum to at most 1.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.catalogue import install_command
from cldis.progress import progress_bar

SHAPES = ("cube", "cylinder", "sphere", "cone")
SIZES = (0.10, 0.155)  # metres, half the side of the cube
HEIGHTS = {"cube": 1.0, "cylinder": 1.45, "sphere": 1.2, "cone": 1.35}  # half height per size
AWAY = [0.0, 0.0, -50.0]  # out of sight
# x and height of the camera, height of what it looks at
CAMERAS = ((3.10, 0.35, 0.70), (2.95, 1.55, 0.76), (2.25, 2.60, 0.75))
HORIZONTAL = (-60.0, 60.0)  # degrees, turn of the base
VERTICAL = (-15.0, 65.0)  # degrees, tilt of the shoulder
MAPS = ("background", "arm", "object")
STEPS = 20  # values of each angle
SIDE = 64  # pixels of the maps
SAMPLES = 2  # per pixel and axis

ELBOW = 80.0  # degrees
TARGET_X = 0.25
FIELD_OF_VIEW = 34.0  # degrees
WALL_X = -1.2
FLANGE = 0.05  # metres from the last joint to where the object stands
SIDES = 24  # of the polygons that stand for circles


def render_maps(steps: int = STEPS, progress: bool = False) -> NDArray[np.uint8]:
    """Draw every geometry.

    Args:
        steps: number of values of each of the two angles, at least 2.
        progress: show a bar on stderr.

    Returns:
        uint8 [4 * 2 * 3 * steps * steps, 3, 64, 64] in the order shape, size, camera, horizontal,
        vertical (last fastest); 255 stands for a coefficient of 1.

    Raises:
        ValueError: PyBullet is not installed.
    """

    cells = product(
        range(len(SHAPES)), range(len(SIZES)), range(len(CAMERAS)), range(steps), range(steps)
    )
    count = len(SHAPES) * len(SIZES) * len(CAMERAS) * steps**2
    across, up = np.linspace(*HORIZONTAL, steps), np.linspace(*VERTICAL, steps)
    maps = np.empty((count, len(MAPS), SIDE, SIDE), np.uint8)
    with (
        arm_scene() as arm,
        progress_bar(count, "rendering kuka", "images", not progress) as bar,
    ):
        for number, (shape, size, camera, horizontal, vertical) in enumerate(cells):
            arm.pose(float(across[horizontal]), float(up[vertical]))
            arm.carry(SHAPES[shape], SIZES[size])
            maps[number] = np.rint(arm.picture(camera) * 255.0)
            bar.update()
    return maps


@contextmanager
def arm_scene() -> Iterator[ArmScene]:
    """A scene of its own; whatever else the process does with PyBullet is left alone.

    Raises:
        ValueError: PyBullet is not installed.
    """
    bullet = _bullet()
    client = bullet.connect(bullet.DIRECT)
    try:
        yield ArmScene(bullet, client)
    finally:
        bullet.disconnect(client)


class ArmScene:
    """Room, arm and objects. `pose` the arm, let it `carry` an object, take the `picture`."""

    def __init__(self, bullet: ModuleType, client: int) -> None:
        import pybullet_data

        self.bullet, self.client = bullet, client
        model = os.path.join(pybullet_data.getDataPath(), "kuka_iiwa", "model.urdf")
        self.arm = int(bullet.loadURDF(model, useFixedBase=True, physicsClientId=client))
        for link in range(-1, 7):
            bullet.changeVisualShape(self.arm, link, rgbaColor=[1] * 4, physicsClientId=client)
        self._body([0, 0, -0.01], shapeType=bullet.GEOM_BOX, halfExtents=[6, 6, 0.01])
        self._body([WALL_X, 0, 0], shapeType=bullet.GEOM_BOX, halfExtents=[0.05, 6, 6])
        self.objects = {
            (shape, size): self._body(AWAY, **_solid(bullet, shape, size))
            for shape in SHAPES
            for size in SIZES
        }
        self.carried = next(iter(self.objects.values()))
        self.turn = 0.0
        self.projection = bullet.computeProjectionMatrixFOV(FIELD_OF_VIEW, 1.0, 0.1, 12.0)
        self.views = [
            bullet.computeViewMatrix([x, 0, height], [TARGET_X, 0, target], [0, 0, 1])
            for x, height, target in CAMERAS
        ]

    def _body(self, position: list[float], **shape: Any) -> int:
        """A white body that nothing moves."""
        bullet, client = self.bullet, self.client
        drawn = bullet.createVisualShape(**shape, rgbaColor=[1] * 4, physicsClientId=client)
        return int(bullet.createMultiBody(0, -1, drawn, position, physicsClientId=client))

    def pose(self, horizontal: float, vertical: float) -> None:
        """Turn the base and tilt the shoulder, in degrees."""
        wrist = -(vertical + ELBOW)
        angles = np.radians([horizontal, vertical, 0.0, -ELBOW, 0.0, wrist, 0.0])
        for joint, angle in enumerate(angles):
            self.bullet.resetJointState(self.arm, joint, float(angle), physicsClientId=self.client)
        self.turn = float(angles[0])

    def carry(self, shape: str, size: float) -> None:
        """Stand one object upright on the flange and put the last one away."""
        bullet, client = self.bullet, self.client
        link = bullet.getLinkState(
            self.arm, 6, computeForwardKinematics=True, physicsClientId=client
        )
        x, y, z = link[4]
        self._place(self.carried, AWAY)
        self.carried = self.objects[shape, size]
        self._place(self.carried, [x, y, z + FLANGE + size * HEIGHTS[shape]])

    def _place(self, body: int, position: list[float]) -> None:
        upright = self.bullet.getQuaternionFromEuler([0, 0, self.turn])
        self.bullet.resetBasePositionAndOrientation(
            body, position, upright, physicsClientId=self.client
        )

    def picture(self, camera: int) -> NDArray[np.float64]:
        """Coefficient maps float64 [3, 64, 64] in [0, 1] seen from camera 0, 1 or 2."""
        side = SIDE * SAMPLES
        _, _, pixels, _, bodies = self.bullet.getCameraImage(
            side,
            side,
            self.views[camera],
            self.projection,
            shadow=0,
            lightDirection=[2.0, 1.5, 4.0],
            lightAmbientCoeff=0.5,
            lightDiffuseCoeff=0.5,
            lightSpecularCoeff=0.1,
            renderer=self.bullet.ER_TINY_RENDERER,
            physicsClientId=self.client,
        )
        light = np.asarray(pixels, np.uint8).reshape(side, side, 4)[..., 0] / 255.0
        bodies = np.asarray(bodies).reshape(side, side)
        arm, carried = bodies == self.arm, bodies == self.carried
        shares = np.stack([~(arm | carried), arm, carried]) * light
        maps: NDArray[np.float64] = shares.reshape(3, SIDE, SAMPLES, SIDE, SAMPLES).mean((2, 4))
        return maps


def _solid(bullet: ModuleType, shape: str, size: float) -> dict[str, Any]:
    """Arguments of createVisualShape; the origin is at half height."""
    half = size * HEIGHTS[shape]
    if shape == "cube":
        return {"shapeType": bullet.GEOM_BOX, "halfExtents": [size] * 3}
    if shape == "sphere":
        return {"shapeType": bullet.GEOM_SPHERE, "radius": half}
    if shape == "cylinder":
        return {"shapeType": bullet.GEOM_CYLINDER, "radius": 0.65 * size, "length": 2 * half}
    assert shape == "cone"
    return {"shapeType": bullet.GEOM_MESH, **_cone(1.35 * size, half)}


def _cone(radius: float, half: float) -> dict[str, Any]:
    """Mantle and base; every face has its own vertices, so that the edge stays sharp."""
    ring = 2 * np.pi * np.arange(SIDES + 1) / SIDES
    rise = np.arctan2(radius, 2 * half)
    vertices: list[list[float]] = []
    normals: list[list[float]] = []
    for start, end in zip(ring[:-1], ring[1:], strict=True):
        corners = [[radius * np.cos(a), radius * np.sin(a), -half] for a in (start, end)]
        for a, corner in ((start, corners[0]), (end, corners[1]), ((start + end) / 2, None)):
            vertices.append(corner or [0.0, 0.0, half])
            normals.append([np.cos(rise) * np.cos(a), np.cos(rise) * np.sin(a), np.sin(rise)])
        vertices += [corners[1], corners[0], [0.0, 0.0, -half]]
        normals += [[0.0, 0.0, -1.0]] * 3
    indices = list(range(len(vertices)))
    return {"vertices": vertices, "normals": normals, "indices": indices}


def _bullet() -> ModuleType:
    """PyBullet. Its import prints one line with its build time to standard output.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return importlib.import_module("pybullet")
    except ImportError:
        raise ValueError(
            f"kuka is drawn by PyBullet, which is not installed: {install_command('kuka')}"
        ) from None
