"""A training step, encoding and DDIM of the official celeba64 networks: our code against theirs.

    git clone https://github.com/phizaz/diffae CHECKOUT
    OMP_NUM_THREADS=1 python benchmarks/throughput.py CHECKOUT

Both hold the same weights. A step is encoder, U-Net, loss, backward, gradient norm, Adam and the
average of the weights, on BATCH images; theirs is that of their training module (Adam as PyTorch
has it by default, their `ema`), ours what `Trainer` uses. Either also runs under bf16 autocast, our
default for a step here; `ratio_mixed`: theirs in float32, ours in bf16. Medians of processor
seconds of one thread, the codes in turns within one process. Then the parts of a step of the
default recipe. Writes results/throughput.json.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from record_diffae_fixture import TEMPLATE, official_config, official_ddim
from shared import RESULTS, provenance
from torch import Tensor, nn

from cldis.config import DiffusionConfig, TrainingConfig
from cldis.diffusion.process import NoiseProcess
from cldis.diffusion.sampling import ddim, ladder
from cldis.io import write_json
from cldis.loop.phases import phase_at
from cldis.loop.step import StepNoise
from cldis.networks.official import PUBLISHED, OfficialDiffAE, convert_official
from cldis.training.average import Average
from cldis.training.device import keep_memory
from cldis.training.optimizer import build_optimizer
from cldis.training.recipes import recipe_config
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer

BATCH, ROUNDS, STEPS = 2, 5, 3
RATE = 1e-4
Run = Callable[[], Any]


class Noise:
    """512 images of noise: what they show does not change how long a step takes."""

    name, resolution, fingerprint = "noise", 64, "noise"
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    def __init__(self) -> None:
        shape = (512, 3, self.resolution, self.resolution)
        self.images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        return self.images[indices]

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        return np.zeros((len(indices), 0), np.int64)

    def label(self, index: int) -> str:
        return str(index)


def medians(runs: Mapping[str, Run], rounds: int = ROUNDS) -> dict[str, float]:
    """Processor seconds of each, in turns, after one round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            taken[name].append(time.process_time() - start)
    found = {name: round(statistics.median(values[1:]), 4) for name, values in taken.items()}
    print(found, flush=True)
    return found


def half(run: Run) -> Run:
    """The same under bf16 autocast."""

    def within() -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return run()

    return within


def compared(checkout: Path) -> dict[str, Any]:
    """Processor seconds of both codes: a step, encoding, DDIM."""
    config = official_config(checkout, TEMPLATE)
    theirs = config.model_conf.make_model()
    known, weights = convert_official(theirs.state_dict())
    ours = OfficialDiffAE(PUBLISHED[known])
    ours.load_state_dict(weights)
    settings = config.make_diffusion_conf()
    settings.fp16 = False
    losses = settings.make_sampler().training_losses
    average = importlib.import_module("experiment").ema
    process = NoiseProcess(DiffusionConfig(prediction="epsilon"))
    g = torch.Generator().manual_seed(0)
    x = torch.rand(BATCH, 3, 64, 64, generator=g) * 2 - 1
    noise = torch.randn(x.shape, generator=g)
    t = torch.randint(1000, (BATCH,), generator=g)

    def our_loss() -> Tensor:
        x_t = process.add_noise(x, t, noise)
        return F.mse_loss(ours.denoiser(x_t, t, ours.encoder(x).mean).float(), noise)

    def their_loss() -> Tensor:
        return losses(model=theirs, x_start=x, t=t, noise=noise)["loss"].mean()

    def step(model: nn.Module, loss: Run, optimiser: torch.optim.Optimizer, update: Run) -> Run:
        parameters = list(model.parameters())

        def run(bf16: bool) -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                value = loss()
            value.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            update()

        return run

    adam = TrainingConfig(learning_rate=RATE)
    kept = Average(ours, recipe_config("cpu64"))
    target = config.model_conf.make_model()
    our_step = step(
        ours.train(), our_loss, build_optimizer(adam, ours.parameters()), lambda: kept.update(ours)
    )
    their_step = step(
        theirs.train(),
        their_loss,
        torch.optim.Adam(theirs.parameters(), lr=RATE),
        lambda: average(theirs, target, 0.9999),
    )
    found: dict[str, Any] = {"batch": BATCH, "ddim_steps": STEPS}
    found["step"] = medians(
        {
            "theirs": lambda: their_step(False),
            "ours": lambda: our_step(False),
            "theirs_bf16": lambda: their_step(True),
            "ours_bf16": lambda: our_step(True),
        }
    )
    ours.eval().requires_grad_(False)
    theirs.eval().requires_grad_(False)
    z, levels = ours.encoder(x).mean, ladder(process, STEPS)

    def our_ddim() -> Tensor:
        return ddim(lambda x_t, t: ours.denoiser(x_t, t, z), process, noise, STEPS)

    for name, one, other in (
        ("encode", lambda: theirs.encoder(x), lambda: ours.encoder(x)),
        ("ddim", lambda: official_ddim(config, theirs, noise, z, levels), our_ddim),
    ):
        runs = {"theirs": one, "ours": other, "theirs_bf16": half(one), "ours_bf16": half(other)}
        with torch.no_grad():
            found[name] = medians(runs)
    for name in ("step", "encode", "ddim"):
        row = found[name]
        row["ratio"] = round(row["theirs"] / row["ours"], 3)
        row["ratio_bf16"] = round(row["theirs_bf16"] / row["ours_bf16"], 3)
        row["ratio_mixed"] = round(row["theirs"] / row["ours_bf16"], 3)
    return found


def profile() -> dict[str, Any]:
    """Processor seconds of the parts of a step of the default recipe, and of the whole."""
    with tempfile.TemporaryDirectory() as folder:
        config, source = recipe_config("cpu64"), Noise()
        trainer = Trainer(RunFolder.create(Path(folder), config, source, "noise"), source, True)
        n = config.training.batch
        noise = StepNoise.draw(trainer.config, n, torch.Generator().manual_seed(0))
        x, phase = trainer.load(np.arange(n)), phase_at(config, 0)
        parameters = list(trainer.raw.parameters())
        gradients = [torch.randn_like(parameter) for parameter in parameters]

        def loss() -> Tensor:
            return trainer.model(x, noise, phase, trainer.feedback).loss

        def backward() -> None:
            trainer.accelerator.backward(loss())
            trainer.optimizer.zero_grad()

        def with_gradients(run: Run) -> Run:
            def within() -> None:
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                run()

            return within

        return {
            "batch": n,
            "precision": trainer.config.training.precision,
            **medians(
                {
                    "step": lambda: trainer.step(0),
                    "forward": loss,
                    "forward_and_backward": backward,
                    "clip": with_gradients(trainer.clip),
                    "optimiser": with_gradients(trainer.optimizer.step),
                    "average": lambda: trainer.ema.update(trainer.raw),
                    "load": lambda: trainer.load(trainer.order.step(1)),
                    "noise": lambda: StepNoise.draw(
                        trainer.config, n, torch.Generator().manual_seed(0)
                    ),
                },
                15,
            ),
        }


def main() -> None:
    keep_memory()
    torch.manual_seed(0)
    found = {"default": profile(), "celeba64": compared(Path(sys.argv[1]).resolve())}
    write_json(RESULTS / "throughput.json", {**found, **provenance()})


if __name__ == "__main__":
    main()
