"""How many steps a picture needs: DDIM, DPM-Solver++ and UniPC against 100 steps of DDIM.

    OMP_NUM_THREADS=1 python benchmarks/decode_steps.py NAME=RUN ...    (its data must be there)

Codes drawn at random are decoded from random x_T by each solver with each count of steps, on the
ladder of `cldis.diffusion.sampling`, in the arithmetic that `Model.decode` takes. `ssim`: mean and
lowest over the pictures, against 100 steps of DDIM from the same x_T and, as `own`, against 100 of
the same solver. `least`: the fewest steps from which the mean stays within 1 % of those 100.
`edits`: held-out photos, the most active unit moved by two standard deviations, inverted and
decoded with each count of steps, against the same edit with 100; `exact`: mean PSNR in dB of what
comes back from an exact inversion with so many steps; `previews`: what the explorer shows while a
slider moves, the change that 6 steps of DDIM or DPM-Solver++ make, against the edit in 20.
Writes results/decode_steps.json; what it holds of other runs stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from diffusers import UniPCMultistepScheduler
from shared import RESULTS, provenance
from torch import Tensor

from cldis import load
from cldis.diffusion import sampling
from cldis.diffusion.process import NoiseProcess
from cldis.editing.photos import heldout_photos
from cldis.io import read_json, write_json
from cldis.metrics.image import psnr, ssim
from cldis.model import Model
from cldis.training.precision import arithmetic
from cldis.training.run_folder import RunFolder

STEPS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 100)
PICTURES = 16
EDIT_STEPS = (3, 5, 8, 10, 15, 20, 50, 100)
PREVIEW_STEPS = 6
WITHIN = 0.99
Solver = Callable[[sampling.Predict, NoiseProcess, Tensor, int], Tensor]


def unipc(predict: sampling.Predict, process: NoiseProcess, x_T: Tensor, steps: int) -> Tensor:
    """UniPC (Zhao et al. 2023), of second order, on the same ladder."""
    levels = sampling.ladder(process, steps)
    scheduler = UniPCMultistepScheduler(num_train_timesteps=len(levels))
    scheduler.alphas_cumprod = process.alpha_bar[levels].cpu()
    scheduler.set_timesteps(len(levels) - 1)
    x = x_T
    for index in range(len(levels) - 1, 0, -1):
        noise = sampling.predicted_noise(predict, process, x, levels[index])
        x = scheduler.step(noise, index, x).prev_sample
    return x


SOLVERS: dict[str, Solver] = {"ddim": sampling.ddim, "dpm": sampling.fast, "unipc": unipc}


@torch.no_grad()
def drawn(model: Model, solver: Solver, steps: int) -> Tensor:
    """Pictures [PICTURES, 3, H, W] of the same codes and x_T every time."""
    z, x_T, denoiser = (
        model.random_codes(PICTURES),
        model.random_start(PICTURES),
        model.loop.denoiser,
    )
    assert denoiser is not None
    with arithmetic(model.device, half=True):
        x0 = solver(lambda x_t, t: denoiser(x_t, t, z), model.loop.process, x_T, steps)
        return model.space.to_images(x0).float()


def measured(model: Model) -> dict[str, Any]:
    """SSIM by solver and steps, and the fewest steps of each."""
    pictures = {
        (name, steps): drawn(model, solver, steps)
        for name, solver in SOLVERS.items()
        for steps in STEPS
    }
    found: dict[str, Any] = {}
    for name in SOLVERS:
        rows = {}
        for steps in STEPS:
            own = scores(pictures[name, steps], pictures[name, 100])["ssim"]
            rows[steps] = {**scores(pictures[name, steps], pictures["ddim", 100]), "own": own}
        least = {
            key: next(
                (k for k in STEPS if all(rows[j][key] >= WITHIN for j in STEPS if j >= k)), None
            )
            for key in ("ssim", "own")
        }
        found[name] = {"steps": rows, "least": least}
        print(name, least, {k: r["ssim"] for k, r in rows.items()}, flush=True)
    return {"diffuses": list(model.start_shape), "pictures": PICTURES, "solvers": found}


def edited(model: Model, photos: Tensor) -> dict[str, Any]:
    """SSIM of edits and previews, and PSNR of exact reconstructions of photos."""
    change = {int(model.unit_std.argmax()): 2.0}
    wanted, z = model.edit(photos, change, 100), model.encode(photos).z
    rows: dict[int, dict[str, float]] = {}
    for steps in EDIT_STEPS:
        again = model.decode(z, model.invert(photos, z, steps), steps, exact=True)
        rows[steps] = {
            **scores(model.edit(photos, change, steps), wanted),
            "exact": round(float(psnr(again, photos).mean()), 1),
        }
        print(steps, rows[steps], flush=True)
    start = model.start(photos)
    moved, previews = start.z + model.shift(change), {}
    for name in ("ddim", "dpm"):
        before, after = (
            model.decode(z, start.noise, PREVIEW_STEPS, fast=name == "dpm", exact=start.exact)
            for z in (start.z, moved)
        )
        shown = start.edited(start.again + after - before)
        previews[name] = scores(shown, model.edited(start, moved))
    print(previews, flush=True)
    return {"edits": rows, "previews": previews}


def scores(found: Tensor, wanted: Tensor) -> dict[str, float]:
    score = ssim(found, wanted)
    return {"ssim": round(float(score.mean()), 4), "lowest": round(float(score.min()), 4)}


def main() -> None:
    path = RESULTS / "decode_steps.json"
    runs = read_json(path)["runs"] if path.is_file() else {}
    for word in sys.argv[1:]:
        name, _, run = word.partition("=")
        model, photos = load(run), heldout_photos(RunFolder.open(run), PICTURES).images
        runs[name] = {**measured(model), **edited(model, photos)}
        write_json(path, {"runs": runs, **provenance()})


if __name__ == "__main__":
    main()
