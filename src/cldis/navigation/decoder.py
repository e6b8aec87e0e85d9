"""What navigation needs of a trained model: codes of images, and a decoder to go through."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from cldis.diffusion import sampling
from cldis.model import Model
from cldis.networks.space import at_side

Decode = Callable[[Tensor, Tensor], Tensor]  # z [n, d], x_T [n, *start_shape] -> images in [-1, 1]


def few_step_decoder(model: Model, steps: int) -> Decode:
    """A decoder that gradients of z pass: DDIM in `steps` steps, or the VAE's mean.

    Each call of the denoiser is checkpointed, so memory does not grow with `steps`. Where the
    model has no diffusion decoder, x_T is not looked at.
    """
    loop = model.loop
    if loop.denoiser is None:
        assert loop.vae is not None
        vae = loop.vae
        return lambda z, x_T: at_side(vae.decode(z).sigmoid() * 2 - 1, model.resolution)
    denoiser, process = loop.denoiser, loop.process

    def decode(z: Tensor, x_T: Tensor) -> Tensor:
        def predict(x_t: Tensor, t: Tensor) -> Tensor:
            if not (torch.is_grad_enabled() and z.requires_grad):
                return denoiser(x_t, t, z)
            prediction: Tensor = checkpoint(denoiser, x_t, t, z, use_reentrant=False)
            return prediction

        return model.space.to_images(sampling.ddim(predict, process, x_T, steps))

    return decode
