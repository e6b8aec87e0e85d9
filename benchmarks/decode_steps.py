"""How many steps a picture needs: DDIM, DPM-Solver++ and UniPC against 100 steps of DDIM.

    OMP_NUM_THREADS=1 python benchmarks/decode_steps.py NAME=RUN ...    (a run, or a saved model)

Codes drawn at random are decoded from random x_T by each solver with each count of steps, on the
ladder of `cldis.diffusion.sampling`, in the arithmetic that `Model.decode` takes. `ssim`: mean and
lowest over the pictures, against 100 steps of DDIM from the same x_T and, as `own`, against 100 of
the same solver. `least`: the fewest steps from which the mean stays within 1 % of those 100.
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
from cldis.io import read_json, write_json
from cldis.metrics.image import ssim
from cldis.model import Model
from cldis.training.precision import arithmetic

STEPS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 100)
PICTURES = 16
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
    with arithmetic(model.device, PICTURES):
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
            score = ssim(pictures[name, steps], pictures["ddim", 100])
            own = ssim(pictures[name, steps], pictures[name, 100])
            rows[steps] = {
                "ssim": round(float(score.mean()), 4),
                "lowest": round(float(score.min()), 4),
                "own": round(float(own.mean()), 4),
            }
        least = {
            key: next(
                (k for k in STEPS if all(rows[j][key] >= WITHIN for j in STEPS if j >= k)), None
            )
            for key in ("ssim", "own")
        }
        found[name] = {"steps": rows, "least": least}
        print(name, least, {k: r["ssim"] for k, r in rows.items()}, flush=True)
    return {"diffuses": list(model.start_shape), "pictures": PICTURES, "solvers": found}


def main() -> None:
    path = RESULTS / "decode_steps.json"
    runs = read_json(path)["runs"] if path.is_file() else {}
    for word in sys.argv[1:]:
        name, _, run = word.partition("=")
        runs[name] = measured(load(run))
        write_json(path, {"runs": runs, **provenance()})


if __name__ == "__main__":
    main()
