"""What the VAE baselines share: -E log p_theta(x|z) + penalty, with the co-pilot's networks.

Where all of them differ from their papers: encoder and decoder are those of the co-pilot
(`models/vae.py`: SiLU, a Bernoulli likelihood over RGB, width `model.vae_width`), and
optimiser, batch and number of images are those of the recipe, so that methods are compared at
equal capacity and equal images.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from cldis.config import Config
from cldis.loop.closed_loop import ClosedLoop, Draws, StepOutput
from cldis.loop.feedback import Feedback
from cldis.loop.phases import Stage
from cldis.networks.gaussian import Gaussian, kl_to_standard


@dataclass(frozen=True)
class Coded:
    """One micro-batch behind the encoder."""

    q: Gaussian  # q_phi(z|x), [n, d]
    z: Tensor  # [n, d], one sample of it
    kl: Tensor  # scalar: KL(q_phi(z|x) || N(0, I)) in nats, mean over the batch
    draws: Draws
    capacity: float  # C in nats, which rises linearly


class VAEBaseline(ClosedLoop):
    """A VAE whose loss is the negative log-likelihood in nats, summed over pixels, + `penalty`.

    `usual_weight` stands in where `baseline.weight` is null.
    """

    usual_weight: float

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        chosen = config.baseline.weight
        self.weight = self.usual_weight if chosen is None else chosen

    def forward(self, x: Tensor, draws: Draws, stage: Stage, feedback: Feedback) -> StepOutput:
        """One micro-batch: x [n, 3, H, W] in [-1, 1]; nothing is distilled."""
        assert self.vae is not None
        q = self.vae.encode(x)
        z = q.sample(draws.vae_noise)
        nll = self.vae.negative_log_likelihood(self.vae.decode(z), x).mean()
        kl = kl_to_standard(q).sum(dim=1).mean()
        out = StepOutput(nll, {"vae_nll": nll.detach(), "vae_kl": kl.detach()})
        out.loss = nll + self.penalty(Coded(q, z, kl, draws, feedback.capacity), out.terms)
        return out

    @abstractmethod
    def penalty(self, coded: Coded, terms: dict[str, Tensor]) -> Tensor:
        """All of the loss but the likelihood, a scalar; detached parts of it go into `terms`."""
