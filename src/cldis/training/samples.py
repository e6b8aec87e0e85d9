"""Pictures drawn while training."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from cldis.diffusion.sampling import fast
from cldis.images import grid, save_png
from cldis.loop.two_branch import TwoBranch


@torch.no_grad()
def sample_grid(model: TwoBranch, x: Tensor, path: Path, steps: int = 10) -> None:
    """Columns: images; rows: the image, z_sem decoded from random x_T, the VAE's mean.

    x [n, 3, H, W] in [-1, 1]. Rows of branches that the method lacks are left out.
    """
    rows = [x]
    if model.denoiser is not None and model.semantic is not None:
        denoiser, z = model.denoiser, model.semantic(x).mean
        x_T = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
        rows.append(fast(lambda x_t, t: denoiser(x_t, t, z), model.process, x_T, steps))
    if model.vae is not None:
        rows.append(model.vae.decode(model.vae.encode(x).mean).sigmoid() * 2 - 1)
    save_png(grid(torch.stack(rows)), path)
