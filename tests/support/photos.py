"""Tiny pictures that look a little like photos: a coloured disc on a gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_photos(folder: Path, count: int, side: int = 48, seed: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    paths = []
    for i in range(count):
        cx, cy = generator.uniform(0.3, 0.7, 2)
        inside = ((x - cx) ** 2 + (y - cy) ** 2 < 0.05)[..., None]
        back = np.stack([y, y, y], axis=2) * generator.uniform(0.3, 1, 3)
        picture = np.where(inside, generator.uniform(0, 1, 3), back)
        paths.append(folder / f"photo_{i:03d}.png")
        Image.fromarray((picture * 255).astype(np.uint8)).save(paths[-1])
    return paths
