"""Pictures drawn while training."""

from __future__ import annotations

from pathlib import Path

import torch

from cldis.diffusion.sampling import fast
from cldis.images import grid, save_png
from cldis.loop.two_branch import TwoBranch
from cldis.networks.space import Space, Views, at_side


@torch.no_grad()
def sample_grid(model: TwoBranch, space: Space, x: Views, path: Path, steps: int = 10) -> None:
    """Columns: images; rows: the image, z_sem decoded from random x_T, the VAE's mean.

    Rows of branches that the method lacks are left out.
    """
    rows = [x.images]
    if model.denoiser is not None and model.semantic is not None:
        denoiser, z = model.denoiser, model.semantic(x.images).mean
        x_T = torch.randn(x.x0.shape, generator=torch.Generator().manual_seed(0)).to(z.device)
        x0 = fast(lambda x_t, t: denoiser(x_t, t, z), model.process, x_T, steps)
        rows.append(space.to_images(x0))
    if model.vae is not None:
        small = model.vae.decode(model.vae.encode(x.images).mean).sigmoid() * 2 - 1
        rows.append(at_side(small, x.images.shape[-1]))
    save_png(grid(torch.stack(rows)), path)
