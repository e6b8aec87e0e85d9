"""How fast images come: mixes of rooms and kuka, and the second start of a folder; printed.

OMP_NUM_THREADS=1 python benchmarks/data_speed.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cldis.data import open_data

BATCH, BATCHES, IMAGES = 64, 40, 2000


def images_per_second(name: str) -> float:
    """Of processor time, at 64 px, the best of three."""
    source = open_data(name, 64)
    draws = np.random.default_rng(0).integers(0, len(source), (BATCHES, BATCH))
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        for draw in draws:
            source.batch(draw)
        best = max(best, draws.size / (time.process_time() - start))
    return best


def second_start() -> float:
    """Seconds to open a folder whose images are decoded already."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "photos"
        root.mkdir()
        for number in range(IMAGES):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"{number:04d}.bmp")
        open_data(root, 32, Path(place) / "cache")
        start = time.perf_counter()
        open_data(root, 32, Path(place) / "cache")
        return time.perf_counter() - start


if __name__ == "__main__":
    for name in ("rooms", "kuka"):
        print(f"{name}: {images_per_second(name):,.0f} images a second")
    print(f"second start of {IMAGES:,} photos: {second_start():.3f} s")
