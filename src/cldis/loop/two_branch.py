"""The module behind every method: the networks of both branches, and what each makes of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from cldis.config import Config
from cldis.diffusion.process import NoiseProcess
from cldis.loop.feedback.base import Feedback, ReverseSample
from cldis.loop.phases import TrainingPhase
from cldis.loop.redundancy import Redundancy
from cldis.loop.step import StepNoise, StepOutput
from cldis.networks import build
from cldis.networks.gaussian import Gaussian, kl_to_standard
from cldis.networks.space import Views


@dataclass(frozen=True)
class Coded:
    """A batch behind the VAE."""

    q: Gaussian  # q_phi(z|x), [n, d]
    z: Tensor  # [n, d], one sample of it
    nll: Tensor  # scalar: -E log p_theta(x|z) in nats, summed over pixels, mean over the batch
    kl: Tensor  # scalar: KL(q_phi(z|x) || N(0, I)) in nats, mean over the batch


@dataclass(frozen=True)
class Denoised:
    """A batch behind the diffusion branch."""

    q: Gaussian  # q_sem(z|x), [n, d]
    loss: Tensor  # scalar: L_diff, and the redundancy of q's means by its price
    terms: dict[str, Tensor]  # of the loss, for the log
    seen: ReverseSample  # what the feedback may look at


class TwoBranch(nn.Module, ABC):
    """Networks; a method adds its losses as `forward`. A branch that it lacks is not built."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        diffusion, vae = "diffusion" in config.branches, "vae" in config.branches
        self.process = NoiseProcess(config.diffusion)
        self.semantic = build.semantic_encoder(config.model) if diffusion else None
        self.denoiser = build.denoiser(config.model) if diffusion else None
        self.vae = build.vae(config.model) if vae else None
        weighed = diffusion and config.diffusion.redundancy > 0
        self.redundancy = Redundancy(config.model.units) if weighed else None

    def enter(self, phase: TrainingPhase, x: Tensor) -> None:
        """Change what a new phase begins with; x [n, 3, H, W] are training images."""

    def listen(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> Tensor | None:
        """What the feedback hears of the averaged weights; None: it hears the step itself."""
        return None

    @abstractmethod
    def forward(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> StepOutput:
        """One micro-batch x; `phase` says who learns, `feedback` holds C.

        A branch that does not learn in this phase gets no gradient.
        """

    def branches(self) -> dict[str, list[nn.Parameter]]:
        """Parameters of `diffusion` (theta_diff: E_sem and U-Net) and of `vae` (phi_vae)."""
        found = {}
        if self.semantic is not None and self.denoiser is not None:
            found["diffusion"] = [*self.semantic.parameters(), *self.denoiser.parameters()]
        if self.vae is not None:
            found["vae"] = list(self.vae.parameters())
        return found

    def encode(self, x: Tensor) -> Gaussian:
        """The main code of x [n, 3, H, W]: q_sem(z|x), or q_phi(z|x) where there is no E_sem."""
        if self.semantic is not None:
            return self.semantic(x)
        assert self.vae is not None
        return self.vae.encode(x)

    def coded(self, x: Views, noise: StepNoise) -> Coded:
        """The two terms of a VAE: -E log p_theta(x|z) and KL(q_phi(z|x) || N(0, I))."""
        assert self.vae is not None
        q = self.vae.encode(x.images)
        z = q.sample(noise.vae_noise)
        nll = self.vae.negative_log_likelihood(self.vae.decode(z), x.images).mean()
        return Coded(q, z, nll, kl_to_standard(q).sum(dim=1).mean())

    def denoised(self, x: Views, noise: StepNoise, sampled: bool | None = None) -> Denoised:
        """L_diff: the squared error of what the U-Net predicts from x_t and z_sem.

        Where the settings ask for it the redundancy of z_sem is added.

        `sampled`: z_sem is a sample of q_sem, else its mean; None: if E_sem is Gaussian.
        """
        assert self.semantic is not None and self.denoiser is not None
        q = self.semantic(x.images)
        sampled = self.config.model.gaussian if sampled is None else sampled
        z = q.sample(noise.z_noise) if sampled else q.mean
        x_t = self.process.add_noise(x.x0, noise.t, noise.noise)
        prediction = self.denoiser(x_t, noise.t, z, noise.drop)
        loss = F.mse_loss(prediction.float(), self.process.target(x.x0, noise.t, noise.noise))
        terms = {"diffusion": loss.detach()}
        if self.redundancy is not None:
            told_twice, level = self.redundancy(q.mean, loss)
            loss = loss + self.config.diffusion.redundancy * level * told_twice
            terms["redundancy"] = told_twice.detach()
        x0_hat = self.process.to_x0(prediction.detach().float(), x_t, noise.t)
        seen = ReverseSample(
            x.x0,
            z.detach(),
            x_t,
            noise.t,
            x0_hat,
            noise.probe_noise,
            noise.probe_uniform,
        )
        return Denoised(q, loss, terms, seen)
