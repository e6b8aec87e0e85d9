"""How soon the explorer answers a slider, and how near its previews are to the full picture.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/explorer_speed.py RUN [RUN ...]

Seconds are those of one core at work, the least of three, the HTML that shows a picture included.
The error of a preview is |preview - full| over |full - photo|, so that 1 is no preview at all:
means over the strongest sliders at +2 on held-out photos. `vae` adds the change of the VAE's
pictures. Writes results/explorer_speed.json.
"""

from __future__ import annotations

import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import torch
from shared import RESULTS, provenance

from cldis.explorer.actions import Actions
from cldis.explorer.received import Received
from cldis.explorer.sessions import Sessions
from cldis.explorer.studio import Begin, Studio
from cldis.io import write_json

ROWS, PHOTOS = 4, 2
STEPS = (1, 2, 4, 6, 8)


def seconds(work: Callable[[], object]) -> float:
    return round(min(timeit.repeat(work, time.process_time, repeat=3, number=1)), 3)


def speed(studio: Studio) -> dict[str, float]:
    actions = Actions(studio, Sessions(len(studio.rows)), Received(Path("unused")))
    session, amounts = actions.sessions.get("x"), [2.0] + [0.0] * (len(studio.rows) - 1)
    session.photo = studio.sample(0)
    return {
        "photo": seconds(lambda: studio.begin(studio.samples.images[0], "photo")),
        "preview": seconds(lambda: actions.preview("x", amounts)),
        "full": seconds(lambda: actions.settle("x", amounts)),
    }


def errors(studio: Studio) -> dict[str, float]:
    model = studio.model
    begins = [studio.sample(i) for i in range(PHOTOS)]
    rows = [[2.0 * (k == row) for k in range(len(studio.rows))] for row in range(ROWS)]
    pairs = [(begin, begin.z + studio.change(amounts)) for begin in begins for amounts in rows]
    full = [studio.full(begin, z) for begin, z in pairs]
    moved = sum(float((f - b.image).abs().mean()) for f, (b, _) in zip(full, pairs, strict=True))

    def error(draw: Callable[[Begin, torch.Tensor], torch.Tensor]) -> float:
        off = 0.0
        for (begin, z), f in zip(pairs, full, strict=True):
            change = draw(begin, z[None]) - draw(begin, begin.z[None])
            off += float((begin.start.edited(begin.start.again + change)[0] - f).abs().mean())
        return round(off / moved, 3)

    quick = {n: lambda b, z, n=n: model.decode(z, b.start.noise, n, fast=True) for n in STEPS}
    found = {f"{n} steps": error(quick[n]) for n in STEPS}
    if model.loop.vae is not None:
        found["vae"] = error(lambda _, z: model.decode_vae(z))
    return found


def main(*runs: str) -> None:
    torch.set_num_threads(1)
    found = []
    for run in runs:
        studio = Studio.open(run)
        name = f"{studio.run.about['data']['name']} {studio.resolution} {studio.run.config.method}"
        found.append({"run": name, "seconds": speed(studio), "error": errors(studio)})
    write_json(RESULTS / "explorer_speed.json", {"runs": found, **provenance()})


if __name__ == "__main__":
    main(*sys.argv[1:])
