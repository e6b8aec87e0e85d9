"""Is the code alive? Measured on held-out images, said in words."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cldis.loop.two_branch import TwoBranch
from cldis.networks.gaussian import Gaussian, kl_to_standard
from cldis.networks.space import Views
from cldis.networks.unet import Denoiser

DEAD_GAP = 0.01  # relative rise of the loss when z_sem belongs to another image
ROWS = 16  # images whose gradient is taken: it costs memory
ACTIVE = 0.01  # variance of a unit's mean over images (Burda et al. 2016)


@torch.no_grad()
def measure(model: TwoBranch, x: Views, seed: int = 0) -> dict[str, Any]:
    """Health of both codes on images x, two or more.

    `gap` is loss(shuffled z_sem) / loss(true z_sem) - 1 at the same noise; `z_gradient` is what the
    loss of an image asks of its z_sem, the norm of the gradient, mean over images; active units are
    those whose mean varies over images by more than .01.
    """
    found: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(seed)
    if model.denoiser is not None and model.semantic is not None:
        q, x0 = model.semantic(x.images), x.x0
        steps = model.config.diffusion.steps
        t = torch.linspace(0, steps - 1, len(x)).long()[torch.randperm(len(x), generator=generator)]
        t = t.to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0.device)
        x_t = model.process.add_noise(x0, t, noise)
        target = model.process.target(x0, t, noise)
        true = F.mse_loss(model.denoiser(x_t, t, q.mean).float(), target)
        other = F.mse_loss(model.denoiser(x_t, t, q.mean.roll(1, dims=0)).float(), target)
        found["gap"] = float(other / true.clamp(min=1e-12) - 1)
        found["heldout_diffusion"] = float(true)
        few = slice(ROWS)
        found["z_gradient"] = z_gradient(model.denoiser, x_t[few], t[few], q.mean[few], target[few])
        found |= _code("sem", q)
    if model.vae is not None:
        found |= _code("disen", model.vae.encode(x.images))
    return found


@torch.enable_grad()
def z_gradient(denoiser: Denoiser, x_t: Tensor, t: Tensor, z: Tensor, target: Tensor) -> float:
    """Mean over images of |dL/dz|, where L is the image's own mean squared error."""
    z = z.detach().requires_grad_()
    errors = (denoiser(x_t, t, z).float() - target).pow(2).flatten(1).mean(dim=1)
    (gradient,) = torch.autograd.grad(errors.sum(), z)
    return float(gradient.norm(dim=1).mean())


def _code(name: str, q: Gaussian) -> dict[str, Any]:
    variance = q.mean.var(dim=0)
    return {
        f"{name}_active_units": int((variance > ACTIVE).sum()),
        f"{name}_kl_per_unit": [round(float(v), 4) for v in kl_to_standard(q).mean(dim=0)],
    }


def warnings(found: dict[str, Any], units: int) -> list[str]:
    """What a person should know, one sentence each; empty when all is well."""
    words = []
    if "gap" in found and found["gap"] < DEAD_GAP:
        words.append(
            f"z_sem is dead: with another image's code the denoiser is only "
            f"{100 * found['gap']:.2f} % worse. Train longer; where a VAE teaches it, lower "
            f"distillation.weight or raise feedback.rate."
        )
    if found.get("sem_active_units", units) == 0:
        words.append("No unit of z_sem varies over images: the semantic encoder has collapsed.")
    if found.get("disen_active_units", units) == 0:
        words.append(
            "No unit of z_disen varies over images: the VAE has collapsed; C may still be near "
            "zero (see capacity), else lower vae.beta, or method_weight of a VAE alone."
        )
    return words
