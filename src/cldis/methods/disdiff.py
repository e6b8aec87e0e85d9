"""DisDiff: a decoded change of one unit must be read back as that unit (Yang et al. 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from cldis.loop.feedback.base import Feedback
from cldis.loop.phases import TrainingPhase
from cldis.loop.step import StepNoise, StepOutput
from cldis.loop.two_branch import TwoBranch
from cldis.networks.space import Views


class DisDiff(TwoBranch):
    """L_diff + lambda * |x0_hat - x0_hat'|^2 * (L_invariant + L_variant)    (section 4.3).

    x0_hat is decoded from x_t with the code z of the image, x0_hat' from the same x_t with unit c
    of z replaced by that of the next image of the batch (z'). Both are read by E_sem with fixed
    weights, and `swap_losses` asks that unit c, and no other, tells them apart.
    `method_weight` is lambda, .05 as in the published training commands. Costs a second pass of
    the denoiser and two of the encoder.

    Differs from the paper: the paper splits the gradient field of a pretrained denoiser, compares
    "no unit" with "unit c alone", and has vector-valued units in the latent of a VQ autoencoder.
    Here all is trained from scratch in pixels, units are scalars seen through cross-attention,
    and the pair compared is the image and the image with one unit swapped, whose x0_hat the step
    has anyway. Rows that hide z_sem are left out of the pair.
    """

    def forward(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> StepOutput:
        assert self.denoiser is not None
        branch = self.denoised(x, noise)
        l_diff, z, x_t = branch.loss, branch.q.mean, branch.seen.x_t

        unit = noise.z_noise.argmax(dim=1)  # [n], uniform
        swapped = torch.where(F.one_hot(unit, z.shape[1]).bool(), z.roll(1, dims=0), z)
        other = self.denoiser(x_t, noise.t, swapped).float()
        # Clamped: at high noise an estimate from a predicted noise may be hundreds.
        x0 = branch.seen.x0_hat.clamp(-1, 1)
        x0_swapped = self.process.to_x0(other, x_t, noise.t).clamp(-1, 1)
        change = (x0 - x0_swapped.detach()).pow(2).flatten(1).mean(dim=1) * ~noise.drop  # [n]
        invariant, variant = swap_losses(
            self.read(x0).detach(), self.read(x0_swapped), swapped.detach(), unit
        )
        l_dis = (change * (invariant + variant)).mean()
        return StepOutput(
            l_diff + self.config.penalty_weight * l_dis,
            {
                **branch.terms,
                "invariant": invariant.mean().detach(),
                "variant": variant.mean().detach(),
            },
        )

    def read(self, images: Tensor) -> Tensor:
        """z_sem [n, d] of images, by E_sem with fixed weights; gradients reach the images."""
        assert self.semantic is not None
        fixed = {name: value.detach() for name, value in self.semantic.named_parameters()}
        return functional_call(self.semantic, fixed, (images,)).mean


def swap_losses(
    before: Tensor, after: Tensor, wanted: Tensor, unit: Tensor
) -> tuple[Tensor, Tensor]:
    """Invariant and variant loss per image, [n] each, in nats: cross-entropies over units.

    Args:
        before: code read from the image decoded before the swap, [n, d].
        after: code read after it, [n, d].
        wanted: the code that was decoded after the swap, [n, d].
        unit: which unit was swapped, [n] int64.

    The invariant loss takes as logits how far each unit moved; the variant loss how much nearer
    each unit came to the code that was decoded.
    """
    moved = (after - before).abs()
    nearer = (before - wanted).abs() - (after - wanted).abs()
    return (
        F.cross_entropy(moved, unit, reduction="none"),
        F.cross_entropy(nearer, unit, reduction="none"),
    )
