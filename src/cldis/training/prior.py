"""A prior over codes, so that a model draws new images: fitted, stored, sampled.

It is a small diffusion model of z, each unit at mean 0 and deviation 1 (the latent DDIM of Diff-AE,
Preechakul et al. 2022), with the noise process and the sampler of pictures. It belongs to the
weights that made the codes: `PRIOR/prior.safetensors` names their hash, and holds all; the JSON
beside it says what is known of the prior to people.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn

from cldis.config import DiffusionConfig
from cldis.diffusion.process import NoiseProcess
from cldis.diffusion.sampling import ddim
from cldis.io import write_bytes, write_json
from cldis.networks.prior import CodeDenoiser
from cldis.progress import progress_bar
from cldis.training.checkpoint import described, finite_floats, load_into
from cldis.training.contents import Content, Count, checked
from cldis.training.sampler import step_seed
from cldis.training.weights import shapes

FOLDER, TENSORS, TEXT = "prior", "prior.safetensors", "prior.json"
FILES = (f"{FOLDER}/{TENSORS}", f"{FOLDER}/{TEXT}")
BATCH, STEPS, RATE = 256, 4000, 1e-3
LOOKS = 20  # how often a fit looks at codes that it does not learn from
DRAWN_STEPS = 100  # of DDIM, of codes
AFRESH = "remove it, and `cldis sample` fits a new one to the run"


class Distance(Content):
    """Energy distance: of all units together, and the mean over single units."""

    joint: float
    marginal: float


class Distances(Content):
    """Of held-out codes, from codes of each kind; see `distances`."""

    prior: Distance
    gaussian: Distance
    training: Distance


class Record(Content):
    """The metadata of `prior.safetensors`."""

    weights: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # `weights_hash` of its model
    codes: Count  # that it was fitted to
    heldout: Count
    seed: Count
    distances: Distances


class Prior(nn.Module):
    """Draws codes z [n, d]; `mean` and `std` [d] are those of the codes that it was fitted to."""

    mean: Tensor
    std: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.denoiser = CodeDenoiser(units)
        self.process = NoiseProcess(DiffusionConfig(prediction="v", schedule="linear", steps=1000))
        self.register_buffer("mean", torch.zeros(units))
        self.register_buffer("std", torch.ones(units))

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Codes [n, d] drawn at random."""
        noise = torch.randn(n, len(self.mean), 1, 1, generator=_generator(seed, 0))
        return (
            self.mean + self.std * ddim(self.denoiser, self.process, noise, DRAWN_STEPS)[..., 0, 0]
        )


def fit_prior(codes: Tensor, seed: int = 0, progress: bool = True) -> Prior:
    """The prior of codes [n, d]; one in ten, from ten on, chooses the moment and is not learnt.

    Raises:
        ValueError: no codes, or some are not finite.
    """
    if not len(codes) or not finite_floats(codes):
        raise ValueError("a prior needs codes, all finite: these weights give none")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        prior = Prior(codes.shape[1])
    prior.mean.copy_(codes.mean(dim=0))
    prior.std.copy_(codes.std(dim=0, correction=0).clamp(min=1e-6))
    x = ((codes - prior.mean) / prior.std)[..., None, None]
    kept = torch.arange(len(x)) % 10 == 9
    learnt, watched = (x[~kept], x[kept]) if kept.any() else (x, x)
    watched = watched[torch.arange(4 * BATCH) % len(watched)]
    weights = list(prior.denoiser.parameters())
    optimizer = torch.optim.Adam(weights, lr=RATE)
    average, best, least = copy.deepcopy(prior.denoiser), prior.denoiser.state_dict(), math.inf
    with progress_bar(STEPS, "prior", "steps", not progress) as bar:
        for step in range(STEPS):
            generator = _generator(seed, step + 1)
            batch = learnt[torch.randint(len(learnt), (BATCH,), generator=generator)]
            loss = _loss(prior.denoiser, prior.process, batch, generator)
            optimizer.zero_grad()
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
            optimizer.step()
            with torch.no_grad():
                share = max(1 / (step + 1), 5e-3)
                for ours, theirs in zip(average.parameters(), weights, strict=True):
                    ours.lerp_(theirs, share)
                if (step + 1) % (STEPS // LOOKS) == 0:
                    found = float(_loss(average, prior.process, watched, _generator(seed, 0)))
                    if found < least:
                        least, best = found, copy.deepcopy(average.state_dict())
            bar.update()
    prior.denoiser.load_state_dict(best)
    return prior.requires_grad_(False)


def distances(prior: Prior, codes: Tensor, heldout: Tensor, seed: int = 0) -> dict[str, Any]:
    """How far held-out codes [m, d] are from draws of the prior, from those of a Gaussian with the
    mean and covariance of the training codes [n, d], and from training codes themselves."""
    count = 4 * len(heldout)
    rows = torch.randperm(len(codes), generator=_generator(seed, 0))[:count]
    centred = ((codes - prior.mean) / prior.std).double()
    values, axes = torch.linalg.eigh(centred.T.cov(correction=0).reshape(len(prior.mean), -1))
    noise = torch.randn(count, len(values), generator=_generator(seed, 1), dtype=torch.float64)
    found = {
        "prior": (prior.sample(count, seed + 1) - prior.mean) / prior.std,
        "gaussian": (noise * values.clamp(min=0).sqrt()) @ axes.T,
        "training": centred[rows],
    }
    wanted = (heldout - prior.mean) / prior.std
    return {
        name: {
            "joint": energy_distance(drawn, wanted),
            "marginal": float(
                np.mean([energy_distance(a, b) for a, b in zip(drawn.T, wanted.T, strict=True)])
            ),
        }
        for name, drawn in found.items()
    }


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'| (Szekely & Rizzo 2013) of samples [n, d] or [n], without
    bias: 0 on average where both are of one distribution, so it may be slightly negative."""
    a, b = (part.double().reshape(len(part), -1) for part in (a, b))

    def within(x: Tensor) -> float:
        return float(torch.cdist(x, x).sum()) / max(len(x) * (len(x) - 1), 1)

    return 2 * float(torch.cdist(a, b).mean()) - within(a) - within(b)


def weights_hash(model: nn.Module) -> str:
    """sha256 (hex) over the names and values of all weights, in whatever file they lie."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_prior(folder: Path, prior: Prior, record: dict[str, Any]) -> Path:
    """Store a prior in a run or a saved model; returns the path of the JSON file."""
    path = folder / FOLDER
    tensors = {name: tensor.contiguous() for name, tensor in prior.state_dict().items()}
    text = json.dumps(record, allow_nan=False)
    write_bytes(path / TENSORS, save(tensors, metadata={"prior": text}))
    write_json(path / TEXT, record)
    return path / TEXT


def has_prior(folder: Path) -> bool:
    return (folder / FOLDER / TENSORS).is_file()


def load_prior(folder: Path | None, model: nn.Module, units: int) -> tuple[Prior, dict[str, Any]]:
    """The prior of these weights that a run or a saved model holds, and its `Record`; nothing is
    built before names and shapes fit.

    Raises:
        ValueError: there is none, damaged, or of other weights.
    """
    if folder is None or not has_prior(folder):
        raise ValueError(
            f"{folder or 'this model'} has no prior over codes; run `cldis sample` on its run, "
            f"whose images it needs, and save the model again"
        )
    path = folder / FOLDER / TENSORS
    with torch.device("meta"):
        outline = {name: tuple(t.shape) for name, t in Prior(units).state_dict().items()}
    try:
        if shapes(path) != outline:
            raise ValueError(f"it is no prior of {units} units")
        tensors, record = described(path, "prior")
    except Exception as error:  # safetensors raises its own types
        raise ValueError(f"{path} cannot be read ({error}); {AFRESH}") from None
    checked(Record, record, path, AFRESH)
    if record["weights"] != weights_hash(model):
        raise ValueError(f"{path} belongs to other weights than the model has now; {AFRESH}")
    prior = Prior(units)
    load_into(prior, tensors, str(path))
    return prior.requires_grad_(False), record


def _loss(
    denoiser: CodeDenoiser, process: NoiseProcess, x0: Tensor, generator: torch.Generator
) -> Tensor:
    t = torch.randint(process.config.steps, (len(x0),), generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    predicted = denoiser(process.add_noise(x0, t, noise), t)
    return (predicted - process.target(x0, t, noise)).pow(2).mean()


def _generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(step_seed(seed, number))
