"""VAEs alone: -E log p_theta(x|z) + penalty, with the networks of the loop's VAE.

Where all of them differ from their papers: encoder and decoder are those of `networks/vae.py`
(SiLU, a Bernoulli likelihood over RGB, width `model.vae_width`), and optimiser, batch and number of
images are those of the recipe, so that methods are compared at equal capacity and equal images.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

from torch import Tensor

from cldis.loop.feedback.base import Feedback
from cldis.loop.phases import TrainingPhase
from cldis.loop.step import StepNoise, StepOutput
from cldis.loop.two_branch import Coded, TwoBranch
from cldis.networks.space import Views


@dataclass(frozen=True)
class Penalty:
    """All of a VAE's loss but the likelihood."""

    value: Tensor  # scalar
    terms: dict[str, Tensor] = field(default_factory=dict)  # parts of it for the log, detached


class VAEAlone(TwoBranch):
    """A VAE whose loss is the negative log-likelihood in nats, summed over pixels, + `penalty`."""

    def forward(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> StepOutput:
        coded = self.coded(x, noise)
        penalty = self.penalty(coded, noise, feedback.capacity)
        return StepOutput(
            coded.nll + penalty.value,
            {"vae_nll": coded.nll.detach(), "vae_kl": coded.kl.detach(), **penalty.terms},
        )

    @abstractmethod
    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        """The rest of the loss; `capacity` is C in nats, which rises linearly."""


class CapacityVAE(VAEAlone):
    """The VAE of the loop: -E log p_theta(x|z) + beta * |KL(q_phi(z|x) || N(0, I)) - C|.

    beta is `vae.beta`; C rises linearly, by `feedback.warmup`, `rate` and `capacity_max`.
    """

    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        return Penalty(self.config.vae.beta * (coded.kl - capacity).abs())
