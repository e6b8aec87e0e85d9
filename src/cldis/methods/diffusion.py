"""The diffusion branch of the loop alone, in any form that the settings give it."""

from __future__ import annotations

from cldis.loop.feedback.base import Feedback
from cldis.loop.phases import TrainingPhase
from cldis.loop.step import StepNoise, StepOutput
from cldis.loop.two_branch import TwoBranch
from cldis.networks.space import Views


class DiffusionBranch(TwoBranch):
    """L_diff, and the redundancy of z_sem where that has a price.

    The code is a Gaussian or a point (`model.gaussian`).
    """

    def forward(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> StepOutput:
        denoised = self.denoised(x, noise)
        return StepOutput(denoised.loss, denoised.terms)
