"""The closed loop of CL-Dis, as one step over both branches (docs/method.md, section 5).

theta_diff <- L_diff + lambda_dt * L_dt          L_dt = KL(q_phi(z|x) || q_sem(z|x)), q_phi fixed
phi_vae    <- L_vae = -E log p_theta(x|z) + beta * |KL(q_phi(z|x) || N(0, I)) - C|,    C fixed
C          <- feedback of the reverse process
"""

from __future__ import annotations

import torch
from torch import Tensor

from cldis.loop.distillation import distillation_loss
from cldis.loop.feedback.base import Feedback
from cldis.loop.phases import TrainingPhase
from cldis.loop.step import StepNoise, StepOutput
from cldis.loop.two_branch import Coded, TwoBranch
from cldis.networks.space import Views


class ClosedLoop(TwoBranch):
    """Both branches train together; alone where the phase says so. Without feedback: open loop."""

    def forward(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> StepOutput:
        if not phase.diffusion:
            coded = self.coded(x, noise)
            return StepOutput(self.l_vae(coded, feedback.capacity), terms_of(coded))
        if not phase.vae:
            denoised = self.denoised(x, noise)
            return StepOutput(denoised.loss, denoised.terms)
        return self.joint(x, noise, phase.lambda_dt, feedback)

    def joint(self, x: Views, noise: StepNoise, lambda_dt: float, feedback: Feedback) -> StepOutput:
        """The step of the paper: L_vae + L_diff + lambda_dt * L_dt, and the signal for C."""
        coded = self.coded(x, noise)
        denoised = self.denoised(x, noise)
        l_vae = self.l_vae(coded, feedback.capacity)
        l_diff = denoised.loss
        l_dt = distillation_loss(self.config.distillation.kind, coded.q, denoised.q).mean()
        assert self.denoiser is not None
        with torch.no_grad():
            signal = feedback.observe(self.denoiser, denoised.seen)
        return StepOutput(
            l_vae + l_diff + lambda_dt * l_dt,
            {**terms_of(coded), **denoised.terms, "distillation": l_dt.detach()},
            signal,
        )

    def l_vae(self, coded: Coded, capacity: float) -> Tensor:
        """-E log p_theta(x|z) + beta * |KL(q_phi(z|x) || N(0, I)) - C|."""
        return coded.nll + self.config.vae.beta * (coded.kl - capacity).abs()


def terms_of(coded: Coded) -> dict[str, Tensor]:
    """The terms of the VAE for the log."""
    return {"vae_nll": coded.nll.detach(), "vae_kl": coded.kl.detach()}
