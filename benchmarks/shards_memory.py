"""Memory over many images in tar shards, read where they lie.

    OMP_NUM_THREADS=1 python benchmarks/shards_memory.py FOLDER

Writes 1,000 shards of small JPEGs into FOLDER where it is not there, indexes them, and asks for the
batches of a training in its order: each image is read and decoded once. `memory` is that of the
process by images read, in MB (/proc/self/status): all of it, and the part that is no file. Times
are of the processor. Nothing is trained. Writes results/shards_memory.json.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from shared import RESULTS, provenance

from cldis.data.shards import Shards
from cldis.data.split import split
from cldis.io import folder_beside, write_json
from cldis.training.sampler import DataOrder

SHARDS, SIDE, BATCH, LOOKS = 1000, 32, 256, 20


def memory() -> list[float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    kb = {line.split()[0]: float(line.split()[1]) for line in lines if line.endswith("kB")}
    return [round(kb[name] / 1e3, 1) for name in ("VmRSS:", "RssAnon:")]


def generate(folder: Path, images: int) -> None:
    """Shards of a few JPEGs over and over, with bytes behind them that make each its own."""
    generator = np.random.default_rng(0)
    files = []
    for _ in range(64):
        small = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(small).resize((SIDE, SIDE)).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    each = images // SHARDS
    for shard in range(SHARDS):
        with tarfile.open(folder / f"{shard:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(shard * each, (shard + 1) * each):
                content = files[number % len(files)] + number.to_bytes(4, "big")
                member = tarfile.TarInfo(f"{number:08d}.jpg")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
                tar.members.clear()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--read", type=int, default=20_000, help="how many of them are read")
    options = parser.parse_args()
    folder = options.folder
    if not folder.exists():
        with folder_beside(folder) as made:
            generate(made, options.images)
            made.rename(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    with tempfile.TemporaryDirectory() as name:
        cache, before = Path(name), memory()
        began = time.process_time()
        Shards(folder, SIDE, cache)
        first = time.process_time() - began
        began = time.process_time()
        source = Shards(folder, SIDE, cache)
        again = time.process_time() - began
        train, _ = split(len(source))
        order = DataOrder(train, BATCH, 0, source.blocks(train))
        steps = min(options.read, len(train)) // BATCH
        order.step(0)
        looks = [[0, *memory()]]
        began, seen = time.process_time(), np.zeros(len(source), bool)
        for step in range(steps):
            chosen = order.step(step)
            assert not seen[chosen].any()
            seen[chosen] = True
            source.batch(chosen)
            if (step + 1) % max(1, steps // LOOKS) == 0:
                looks.append([(step + 1) * BATCH, *memory()])
        seconds = time.process_time() - began
        later = looks[len(looks) // 4 :]  # the first quarter warms up
        slope = np.polyfit([x[0] for x in later], [x[2] for x in later], 1)[0]
        write_json(
            RESULTS / "shards_memory.json",
            {
                "command": f"python benchmarks/shards_memory.py FOLDER --images {options.images} "
                f"--read {options.read}",
                "images": len(source),
                "shards": SHARDS,
                "bytes": size,
                "index_bytes": sum(p.stat().st_size for p in cache.rglob("*.*")),
                "memory_columns": ["images", "resident MB", "anonymous MB"],
                "memory_before_opening": before,
                "seconds_to_index": first,
                "seconds_to_open_again": again,
                "milliseconds_an_image_read": 1e3 * seconds / (steps * BATCH),
                "megabytes_per_million_images_read": slope * 1e6,
                "memory": looks,
                **provenance(),
            },
        )


if __name__ == "__main__":
    main()
