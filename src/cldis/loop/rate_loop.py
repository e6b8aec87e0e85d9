"""The closed loop in its second form: the feedback sets the rate of the code that people use.

alone   phi   <- -E log p_theta(x|z) + beta * |KL(q_phi(z|x) || N(0, I)) - C|,  C rising evenly
taught  theta <- L_diff + lambda_dt * sum_j (1 - sigma_phi,j^2) (mu_phi,j - mu_sem,j)^2,  phi fixed
rate    theta <- L_diff + mu * KL(q_sem(z|x) || N(0, I)),  mu such that this KL is C
        C     <- (1 + margin) * I(x; z_sem), measured in the reverse process
        phi   <- -E log p_theta(x|z_sem) + KL(q_sem || q_phi),  q_sem fixed

The rate R = E KL(q_sem || p) is I(x; z) + KL(q(z) || p(z)), and the second term is total
correlation and mismatch of the marginals (Hoffman & Johnson 2016): what lies above the information
is redundancy. A VAE cannot know I; the diffusion branch measures it (docs/method.md, section 6).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cldis.loop.circles import circles, straighten
from cldis.loop.closed_loop import terms_of
from cldis.loop.feedback.base import Feedback
from cldis.loop.feedback.rate import RateFeedback
from cldis.loop.phases import TrainingPhase
from cldis.loop.step import StepNoise, StepOutput
from cldis.loop.two_branch import TwoBranch
from cldis.loop.unmixing import independent_axes
from cldis.networks.blocks import UnitTokens
from cldis.networks.gaussian import kl, kl_to_standard
from cldis.networks.space import Views

SILENT = 0.3  # nats: a unit of the VAE below this says nothing, and is left free
FREE = 0.3  # size of a free unit at the hand-over, as a share of the others'
ROWS = 1  # of each micro-batch are denoised twice for the feedback
NOISE = 0.1  # standard deviation of q_sem when its rate begins to count; units have 1


class RateLoop(TwoBranch):
    """The VAE begins the code, the diffusion branch completes it, the feedback compacts it."""

    def forward(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> StepOutput:
        assert isinstance(feedback, RateFeedback)
        if not phase.diffusion:
            return self.alone(x, noise, feedback.capacity)
        if not phase.rate:
            return self.taught(x, noise, phase.lambda_dt)
        return self.compact(x, noise, feedback.multiplier)

    def alone(self, x: Views, noise: StepNoise, capacity: float) -> StepOutput:
        """L_vae."""
        coded = self.coded(x, noise)
        l_vae = coded.nll + self.config.vae.beta * (coded.kl - capacity).abs()
        return StepOutput(l_vae, terms_of(coded))

    def taught(self, x: Views, noise: StepNoise, lambda_dt: float) -> StepOutput:
        """L_diff + lambda_dt * L_dt: the units that the VAE is sure of are held near it."""
        assert self.vae is not None
        denoised = self.denoised(x, noise, sampled=False)
        if not lambda_dt:
            return StepOutput(denoised.loss, denoised.terms)
        with torch.no_grad():
            teacher = self.vae.encode(x.images)
        sure = (1 - teacher.log_variance.exp()).clamp(min=0)
        l_dt = (sure * (teacher.mean - denoised.q.mean) ** 2).sum(dim=1).mean()
        loss = denoised.loss + lambda_dt * l_dt
        return StepOutput(loss, {**denoised.terms, "distillation": l_dt.detach()})

    def compact(self, x: Views, noise: StepNoise, multiplier: float) -> StepOutput:
        """L_diff + mu * R, and the VAE learns to read and to draw z_sem."""
        assert self.vae is not None
        denoised = self.denoised(x, noise, sampled=True)
        rate = kl_to_standard(denoised.q).sum(dim=1).mean()
        l_sem = denoised.loss + multiplier * rate
        z_sem = denoised.q.detach().sample(noise.vae_noise)
        nll = self.vae.negative_log_likelihood(self.vae.decode(z_sem), x.images).mean()
        l_back = kl(denoised.q.detach(), self.vae.encode(x.images)).sum(dim=1).mean()
        return StepOutput(
            l_sem + nll + l_back,
            {
                **denoised.terms,
                "rate": rate.detach(),
                "vae_nll": nll.detach(),
                "distillation": l_back.detach(),
            },
        )

    @torch.no_grad()
    def listen(
        self, x: Views, noise: StepNoise, phase: TrainingPhase, feedback: Feedback
    ) -> Tensor | None:
        """The meter's sums; the averaged weights say less of noise and more of the code.

        None while the VAE is alone, and where no rate is ever lowered to what is heard.
        """
        assert isinstance(feedback, RateFeedback)
        if not phase.diffusion or not self.config.loop.rate_from:
            return None
        assert self.semantic is not None and self.denoiser is not None
        semantic, few = self.semantic, x.images[:ROWS]
        q = semantic(few)
        z = q.sample(noise.z_noise[:ROWS]) if phase.rate else q.mean
        heard = noise.rows(0, len(few))
        return feedback.meter.listen(
            self.denoiser,
            lambda images: semantic(images).mean,
            few,
            z,
            heard.probe_noise,
            heard.probe_uniform,
        )

    @torch.no_grad()
    def enter(self, phase: TrainingPhase, x: Tensor) -> None:
        """The hand-over of the encoder to E_sem, and back to the VAE once the rate counts."""
        if phase.rate:
            self.standardise(x)
            self.hand_back()
        elif phase.diffusion:
            self.hand_over(x)

    def hand_over(self, x: Tensor) -> None:
        """E_sem begins as the encoder of the VAE, its units unmixed where the settings ask for it;
        units that say nothing begin small and free."""
        assert self.vae is not None and self.semantic is not None
        head, d = self.semantic.head, self.config.model.units
        fresh = head.weight[:d].clone()
        q = self.vae.encode(x)
        silent = kl_to_standard(q).mean(dim=0) < SILENT
        axes = independent_axes(q, ~silent) if self.config.loop.unmix else None
        if axes is not None:
            self.vae.turn(axes.unmixing, axes.center, axes.variance, ~silent)
            u = self.vae.encode(x).mean
            straighten(self.vae, x, u, circles(u, ~silent))
        self.semantic.network.load_state_dict(self.vae.encoder.state_dict())
        size = fresh.norm(dim=1).mean()
        if not bool(silent.all()):
            size = head.weight[:d][~silent].norm(dim=1).mean()
        head.weight[:d][silent] = fresh[silent] * FREE * size / fresh.norm(dim=1).mean()
        head.bias[:d][silent] = 0
        if self.redundancy is not None:
            self.redundancy.reset()

    def standardise(self, x: Tensor) -> None:
        """Each unit to mean 0 and standard deviation 1 over x, the function of the network as it
        was; the noise of q_sem becomes `NOISE`."""
        assert self.semantic is not None and self.denoiser is not None
        head, d = self.semantic.head, self.config.model.units
        means = self.semantic(x).mean
        mean, scale = means.mean(dim=0), means.std(dim=0) + 1e-6
        head.weight[:d] /= scale[:, None]
        head.bias[:d] = (head.bias[:d] - mean) / scale
        head.weight[d:] = 0
        head.bias[d:] = 2 * math.log(NOISE)
        assert isinstance(self.denoiser.tokens, UnitTokens)
        self.denoiser.tokens.absorb(mean, scale)

    def hand_back(self) -> None:
        """The encoder of the VAE goes on from E_sem: both are the same function from there."""
        assert self.vae is not None and self.semantic is not None
        self.vae.encoder.load_state_dict(self.semantic.network.state_dict())
