"""Ray caster for the 480 room geometries: an object in front of the corner of a room.

World frame: x right, y away from the viewer, z up, the object standing on z = 0 at the origin.
The camera orbits the object by the yaw angle, so the corner and the cube turn in the picture.
Every surface is closed form (planes, slabs, quadrics); nothing is marched or sampled at random.

A geometry is rendered to four coefficient maps (floor, wall, object, light): the picture with
colours c_k is sum_k map_k * c_k. The maps of a pixel sum to at most 1, so no colours clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.progress import each

Vector = tuple[Floats, Floats, Floats]
Hit = tuple[Floats, Vector]

SHAPES = ("cube", "cylinder", "sphere", "capsule")
SCALES = tuple(np.linspace(0.75, 1.25, 8).tolist())
YAWS = tuple(np.linspace(-30.0, 30.0, 15).tolist())  # degrees
MAPS = ("floor", "wall", "object", "light")
GEOMETRIES = len(SCALES) * len(SHAPES) * len(YAWS)

SAMPLES = 3  # rays per pixel and axis
CAMERA_DISTANCE = 6.4
CAMERA_HEIGHT = 3.0
TARGET_HEIGHT = 1.12
HALF_VIEW = 0.345  # tangent of half the field of view
CORNER_DISTANCE = 4.6
WALL_HEIGHT = 3.0
LIGHT = np.array([-0.62, -0.42, 0.80])  # towards the light, fixed in the room
LIGHT_SPREAD = 0.09  # half width of the light, in units of the vector above
AMBIENT, DIFFUSE = 0.50, 0.62


@dataclass(frozen=True)
class Solid:
    """An object at scale 1: radius (half the side for the cube) and height, in world units."""

    radius: float
    height: float
    footprint: float  # part of the radius that the contact shadow starts from


SOLIDS = {
    "cube": Solid(0.78, 1.56, 1.0),
    "cylinder": Solid(0.80, 1.60, 1.0),
    "sphere": Solid(0.98, 1.96, 0.45),
    "capsule": Solid(0.62, 2.30, 0.45),
}


def render_maps(resolution: int, progress: bool = False) -> NDArray[np.uint16]:
    """Render every geometry.

    Args:
        resolution: height and width in pixels, at least 1.
        progress: show a bar.

    Returns:
        uint16 [480, 4, resolution, resolution]; geometry index is
        (scale * 4 + shape) * 15 + orientation, 65535 stands for a coefficient of 1.
    """
    assert resolution >= 1
    maps = np.empty((GEOMETRIES, len(MAPS), resolution, resolution), np.uint16)
    yaws = each(YAWS, len(YAWS), "rendering rooms", "yaws", not progress)
    for turn, yaw in enumerate(yaws):
        scene = Scene(resolution, np.deg2rad(yaw))
        for size, scale in enumerate(SCALES):
            for form, shape in enumerate(SHAPES):
                geometry = (size * len(SHAPES) + form) * len(YAWS) + turn
                maps[geometry] = np.rint(scene.render(shape, scale) * 65535.0)
    return maps


class Scene:
    """The empty room seen from one yaw angle; `render` puts an object in it."""

    def __init__(self, resolution: int, yaw: float) -> None:
        self.resolution = resolution
        self.origin, self.rays = camera_rays(resolution * SAMPLES, yaw)
        self.light = LIGHT / np.linalg.norm(LIGHT)
        self._cast_room()

    def _cast_room(self) -> None:
        """Hit point and shading of floor and walls without the object."""
        (ox, oy, oz), (dx, dy, dz) = self.origin, self.rays
        with np.errstate(divide="ignore"):
            to_floor = np.where(dz < 0, -oz / dz, np.inf)
        offset = CORNER_DISTANCE * np.sqrt(0.5)
        depth = to_floor.copy()
        wall_light = np.zeros_like(dx)
        for side in (-1.0, 1.0):
            nx, ny = side * np.sqrt(0.5), np.sqrt(0.5)  # outwards
            toward = dx * nx + dy * ny
            with np.errstate(divide="ignore"):
                to_wall = np.where(toward > 0, (offset - (ox * nx + oy * ny)) / toward, np.inf)
            nearer = to_wall < depth
            depth = np.where(nearer, to_wall, depth)
            facing = max(0.0, -(nx * self.light[0] + ny * self.light[1]))
            wall_light = np.where(nearer, facing, wall_light)
        x, y, z = ox + depth * dx, oy + depth * dy, oz + depth * dz
        self.is_floor = depth == to_floor
        self.is_wall = ~self.is_floor & (z < WALL_HEIGHT)
        gap_left = np.maximum(offset - np.sqrt(0.5) * (y - x), 0.0)
        gap_right = np.maximum(offset - np.sqrt(0.5) * (y + x), 0.0)
        crease = np.exp(-gap_left / 0.7), np.exp(-gap_right / 0.7)
        self.floor_open = (1.0 - 0.45 * crease[0]) * (1.0 - 0.45 * crease[1])
        beside = np.exp(-np.maximum(gap_left, gap_right) / 0.7)
        wall_open = (1.0 - 0.40 * np.exp(-np.maximum(z, 0.0) / 0.7)) * (1.0 - 0.35 * beside)
        self.wall = np.where(self.is_wall, wall_open * (0.64 + 0.42 * wall_light), 0.0)
        above = np.clip((z - WALL_HEIGHT) / 4.0, 0.0, 1.0)
        self.sky = np.where(self.is_floor | self.is_wall, 0.0, 0.97 - 0.12 * above)
        self.depth, self.x, self.y = depth, x, y

    def render(self, shape: str, scale: float) -> Floats:
        """Coefficient maps float64 [4, resolution, resolution] in [0, 1]."""
        depth, normal = intersect(shape, scale, self.origin, self.rays)
        seen = depth < self.depth
        ground = self.is_floor & ~seen
        floor = np.zeros_like(depth)
        floor[ground] = self._shade_floor(shape, scale, ground)
        solid, shine = np.zeros_like(depth), np.zeros_like(depth)
        solid[seen], shine[seen] = self._shade_solid(depth, normal, seen)
        wall = np.where(seen, 0.0, self.wall)
        light = np.where(seen, shine, self.sky)
        maps: Floats = np.stack([floor, wall, solid, light])
        side = self.resolution
        maps = maps.reshape(len(MAPS), side, SAMPLES, side, SAMPLES).mean(axis=(2, 4))
        return maps

    def _shade_floor(self, shape: str, scale: float, ground: NDArray[np.bool_]) -> Floats:
        x, y = self.x[ground], self.y[ground]
        solid = SOLIDS[shape]
        lit = np.ones_like(x)
        reach = np.hypot(x, y) < scale * (2.0 * solid.height + solid.radius)
        lit[reach] = self._light_share(shape, scale, x[reach], y[reach])
        touch = np.exp(-footprint_gap(shape, scale, x, y) / (0.30 * scale))
        ambient = AMBIENT * self.floor_open[ground] * (1.0 - 0.75 * touch)
        shade: Floats = np.minimum(ambient + DIFFUSE * self.light[2] * lit, 1.0)
        return shade

    def _light_share(self, shape: str, scale: float, x: Floats, y: Floats) -> Floats:
        """Share of the area light that floor points see, in steps of 1/8."""
        blocked = np.zeros_like(x)
        across = np.array([-LIGHT[1], LIGHT[0], 0.0]) / np.hypot(LIGHT[0], LIGHT[1])
        upward = np.cross(LIGHT, across) / np.linalg.norm(LIGHT)
        for step in range(8):
            angle = (step + 0.5) * np.pi / 4
            spread = LIGHT_SPREAD * (1.0 if step % 2 else 0.5)
            toward = LIGHT + spread * (np.cos(angle) * across + np.sin(angle) * upward)
            dx, dy, dz = toward / np.linalg.norm(toward)
            rays = np.full_like(x, dx), np.full_like(x, dy), np.full_like(x, dz)
            depth, _ = intersect(shape, scale, (x, y, np.zeros_like(x)), rays)
            blocked += np.isfinite(depth)
        return 1.0 - blocked / 8.0

    def _shade_solid(
        self, depth: Floats, normal: Vector, seen: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        nx, ny, nz = (part[seen] for part in normal)
        dx, dy, dz = (part[seen] for part in self.rays)
        z = self.origin[2] + depth[seen] * dz
        lx, ly, lz = self.light
        facing = np.maximum(nx * lx + ny * ly + nz * lz, 0.0)
        near_floor = 1.0 - 0.45 * np.exp(-np.maximum(z, 0.0) / 0.35)
        ambient = (0.46 + 0.10 * nz) * near_floor
        hx, hy, hz = lx - dx, ly - dy, lz - dz  # Blinn half vector
        half = (nx * hx + ny * hy + nz * hz) / np.sqrt(hx * hx + hy * hy + hz * hz)
        shine = 0.40 * np.maximum(half, 0.0) ** 40
        return np.minimum(ambient + 0.58 * facing, 1.0) * (1.0 - shine), shine


def camera_rays(side: int, yaw: float) -> tuple[Vector, Vector]:
    """Camera position (parts of shape []) and unit rays (parts [side, side], row 0 at the top).

    Args:
        side: rays per row and column.
        yaw: turn of the camera around the object in radians; 0 looks straight at the corner.
    """
    position = np.array(
        [-CAMERA_DISTANCE * np.sin(yaw), -CAMERA_DISTANCE * np.cos(yaw), CAMERA_HEIGHT]
    )
    ahead = np.array([0.0, 0.0, TARGET_HEIGHT]) - position
    ahead /= np.linalg.norm(ahead)
    right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
    up = np.cross(right, ahead)
    grid = ((np.arange(side) + 0.5) / side * 2.0 - 1.0) * HALF_VIEW
    column, row = np.meshgrid(grid, -grid)
    length = np.sqrt(1.0 + column * column + row * row)
    rx, ry, rz = ((ahead[k] + column * right[k] + row * up[k]) / length for k in range(3))
    px, py, pz = (np.asarray(part) for part in position)
    return (px, py, pz), (rx, ry, rz)


def footprint_gap(shape: str, scale: float, x: Floats, y: Floats) -> Floats:
    """Distance of floor points from the object's footprint, 0 under it."""
    solid = SOLIDS[shape]
    radius = solid.radius * scale * solid.footprint
    if shape == "cube":
        u, v = turn_to_cube(x, y)
        beyond_u = np.maximum(np.abs(u) - radius, 0.0)
        return np.hypot(beyond_u, np.maximum(np.abs(v) - radius, 0.0))
    return np.maximum(np.hypot(x, y) - radius, 0.0)


def turn_to_cube(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """World x, y in the cube's frame: its faces are parallel to the two walls."""
    return (x + y) * np.sqrt(0.5), (y - x) * np.sqrt(0.5)


def intersect(shape: str, scale: float, origin: Vector, rays: Vector) -> Hit:
    """First entry of unit rays into the object from outside.

    Returns:
        Distance (inf where the ray misses) and outward unit normal, shaped like the rays.
    """
    solid = SOLIDS[shape]
    radius, height = solid.radius * scale, solid.height * scale
    if shape == "cube":
        return _cube(radius, origin, rays)
    if shape == "sphere":
        return _sphere(radius, radius, origin, rays)
    if shape == "cylinder":
        return _nearer(_tube(radius, 0.0, height, origin, rays), _lid(radius, height, origin, rays))
    ends = _nearer(
        _sphere(radius, radius, origin, rays), _sphere(radius, height - radius, origin, rays)
    )
    return _nearer(_tube(radius, radius, height - radius, origin, rays), ends)


def _nearer(one: Hit, two: Hit) -> Hit:
    first = one[0] <= two[0]
    nx, ny, nz = (np.where(first, a, b) for a, b in zip(one[1], two[1], strict=True))
    return np.where(first, one[0], two[0]), (nx, ny, nz)


def _sphere(radius: float, centre: float, origin: Vector, rays: Vector) -> Hit:
    (ox, oy, oz), (dx, dy, dz) = origin, rays
    oz = oz - centre
    along = ox * dx + oy * dy + oz * dz
    under = along * along - (ox * ox + oy * oy + oz * oz - radius * radius)
    depth = -along - np.sqrt(np.maximum(under, 0.0))
    hit = (under > 0) & (depth > 0)
    normal = (ox + depth * dx) / radius, (oy + depth * dy) / radius, (oz + depth * dz) / radius
    return np.where(hit, depth, np.inf), normal


def _tube(radius: float, low: float, high: float, origin: Vector, rays: Vector) -> Hit:
    (ox, oy, oz), (dx, dy, dz) = origin, rays
    square = dx * dx + dy * dy
    along = ox * dx + oy * dy
    under = along * along - square * (ox * ox + oy * oy - radius * radius)
    depth = (-along - np.sqrt(np.maximum(under, 0.0))) / square
    z = oz + depth * dz
    hit = (under > 0) & (depth > 0) & (z >= low) & (z <= high)
    normal = (ox + depth * dx) / radius, (oy + depth * dy) / radius, np.zeros_like(dx)
    return np.where(hit, depth, np.inf), normal


def _lid(radius: float, height: float, origin: Vector, rays: Vector) -> Hit:
    (ox, oy, oz), (dx, dy, dz) = origin, rays
    with np.errstate(divide="ignore"):
        depth = (height - oz) / dz
    x, y = ox + depth * dx, oy + depth * dy
    hit = (depth > 0) & (x * x + y * y <= radius * radius)
    return np.where(hit, depth, np.inf), (np.zeros_like(dx), np.zeros_like(dx), np.ones_like(dx))


def _cube(half: float, origin: Vector, rays: Vector) -> Hit:
    start = (*turn_to_cube(origin[0], origin[1]), origin[2] - half)
    toward = (*turn_to_cube(rays[0], rays[1]), rays[2])
    enter, leave = np.full_like(rays[0], -np.inf), np.full_like(rays[0], np.inf)
    face = [np.zeros_like(enter) for _ in range(3)]
    for axis in range(3):
        with np.errstate(divide="ignore"):
            near = (-half - start[axis]) / toward[axis]
            far = (half - start[axis]) / toward[axis]
        near, far = np.minimum(near, far), np.maximum(near, far)
        later = near > enter
        face = [np.where(later, 0.0, part) for part in face]
        face[axis] = np.where(later, -np.sign(toward[axis]), 0.0)
        enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    hit = (enter <= leave) & (enter > 0)
    u, v, z = face
    normal = (u - v) * np.sqrt(0.5), (u + v) * np.sqrt(0.5), z
    return np.where(hit, enter, np.inf), normal
