"""The closed loop of CL-Dis, as one step over both branches (docs/method.md, section 5).

theta_diff <- L_diff + lambda_dt * L_dt          L_dt = KL(q_phi(z|x) || q_sem(z|x)), q_phi fixed
phi_vae    <- -E log p_theta(x|z) + beta * |KL(q_phi(z|x) || N(0, I)) - C|,    C fixed
C          <- feedback of the reverse process
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cldis.config import Config
from cldis.diffusion.process import NoiseProcess
from cldis.loop.distillation import distillation_loss
from cldis.loop.feedback import Feedback, Observation
from cldis.loop.phases import Stage
from cldis.networks import build
from cldis.networks.gaussian import Gaussian, kl_to_standard


@dataclass(frozen=True)
class Draws:
    """All randomness of a step, one row per image."""

    t: Tensor  # [n] int64
    noise: Tensor  # [n, 3, H, W]
    z_noise: Tensor  # [n, d]
    vae_noise: Tensor  # [n, d]
    drop: Tensor  # [n] bool
    probe_noise: Tensor  # [n, 3, H, W]
    probe_uniform: Tensor  # [n]

    @classmethod
    def draw(cls, config: Config, n: int, generator: torch.Generator) -> Draws:
        side, d, device = config.model.resolution, config.model.units, generator.device

        def normal(*shape: int) -> Tensor:
            return torch.randn(n, *shape, generator=generator, device=device)

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator, device=device)

        return cls(
            t=(uniform() * config.diffusion.steps).long(),
            noise=normal(3, side, side),
            z_noise=normal(d),
            vae_noise=normal(d),
            drop=uniform() < config.diffusion.condition_dropout,
            probe_noise=normal(3, side, side),
            probe_uniform=uniform(),
        )

    def rows(self, start: int, stop: int) -> Draws:
        return Draws(**{name: value[start:stop] for name, value in vars(self).items()})


@dataclass
class StepOutput:
    """What one micro-batch gives back."""

    loss: Tensor  # scalar, to be minimised
    terms: dict[str, Tensor] = field(default_factory=dict)  # scalars for the log
    signal: Tensor | None = None  # feedback sums


class ClosedLoop(nn.Module):
    """Both branches. An arm without a branch does not build it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        arm = config.loop.arm
        self.process = NoiseProcess(config.diffusion)
        self.semantic = None if arm == "vae" else build.semantic_encoder(config.model)
        self.denoiser = None if arm == "vae" else build.denoiser(config.model)
        self.vae = None if arm == "diffae" else build.vae(config.model)

    def branches(self) -> dict[str, list[nn.Parameter]]:
        """Parameters of `diffusion` (theta_diff: E_sem and U-Net) and of `vae` (phi_vae)."""
        found = {}
        if self.semantic is not None and self.denoiser is not None:
            found["diffusion"] = [*self.semantic.parameters(), *self.denoiser.parameters()]
        if self.vae is not None:
            found["vae"] = list(self.vae.parameters())
        return found

    def forward(self, x: Tensor, draws: Draws, stage: Stage, feedback: Feedback) -> StepOutput:
        """One micro-batch: x [n, 3, H, W] in [-1, 1]; `stage` holds lambda_dt, `feedback` C.

        A branch that does not learn in this stage gets no gradient.
        """
        out = StepOutput(loss=x.new_zeros(()))
        q_disen = self.vae_step(x, draws, feedback.capacity, out) if stage.vae else None
        reverse = self.diffusion_step(x, draws, out) if stage.diffusion else None
        if q_disen is not None and reverse is not None:
            q_sem, seen = reverse
            l_dt = distillation_loss(self.config.distillation.kind, q_disen, q_sem).mean()
            out.terms["distillation"] = l_dt.detach()
            out.loss = out.loss + stage.weight * l_dt
            assert self.denoiser is not None
            with torch.no_grad():
                out.signal = feedback.observe(self.denoiser, seen)
        return out

    def vae_step(self, x: Tensor, draws: Draws, capacity: float, out: StepOutput) -> Gaussian:
        """-E log p_theta(x|z) + beta * |KL(q_phi(z|x) || N(0, I)) - C|."""
        assert self.vae is not None
        q = self.vae.encode(x)
        nll = self.vae.negative_log_likelihood(self.vae.decode(q.sample(draws.vae_noise)), x).mean()
        kl = kl_to_standard(q).sum(dim=1).mean()
        out.loss = out.loss + nll + self.config.vae.beta * (kl - capacity).abs()
        out.terms |= {"vae_nll": nll.detach(), "vae_kl": kl.detach()}
        return q

    def diffusion_step(
        self, x: Tensor, draws: Draws, out: StepOutput
    ) -> tuple[Gaussian, Observation]:
        """L_diff. Returns q_sem(z|x) and what the feedback may see of the reverse process."""
        assert self.semantic is not None and self.denoiser is not None
        q = self.semantic(x)
        z = q.sample(draws.z_noise) if self.config.model.gaussian else q.mean
        if z.requires_grad:
            # The hook may hold the terms, not `out`: out.loss holds the graph that holds the hook.
            terms = out.terms
            z.register_hook(lambda g: terms.update(z_gradient=g.detach().norm(dim=1).mean()))
        x_t = self.process.add_noise(x, draws.t, draws.noise)
        prediction = self.denoiser(x_t, draws.t, z, draws.drop)
        l_diff = F.mse_loss(prediction.float(), self.process.target(x, draws.t, draws.noise))
        out.loss = out.loss + l_diff
        out.terms["diffusion"] = l_diff.detach()
        x0_hat = self.process.to_x0(prediction.detach().float(), x_t, draws.t)
        seen = Observation(
            x, z.detach(), x_t, draws.t, x0_hat, draws.probe_noise, draws.probe_uniform
        )
        return q, seen
