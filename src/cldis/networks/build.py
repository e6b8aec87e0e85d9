"""From a configuration to networks."""

from __future__ import annotations

from torch import Tensor, nn

from cldis.config_model import ModelConfig

from .encoder import BurgessEncoder, DiffAEEncoder
from .gaussian import Gaussian
from .space import at_side
from .unet import Denoiser, UNet
from .vae import VAE

START_LOG_VARIANCE = -3.0  # a code that starts as pure noise is ignored by the denoiser for long
POINT_LOG_VARIANCE = -12.0  # scale .0025: what a deterministic E_sem reports


class SemanticEncoder(nn.Module):
    """E_sem: images [n, 3, H, W] in [-1, 1] -> q_sem(z|x), a Gaussian over d units.

    The network reads them at its own `side`.
    """

    def __init__(self, network: nn.Module, gaussian: bool, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side
        self.gaussian = gaussian
        if gaussian:
            head = self.head
            nn.init.constant_(head.bias[head.out_features // 2 :], START_LOG_VARIANCE)

    @property
    def head(self) -> nn.Linear:
        """The last layer: d means, then, of a Gaussian, d log-variances."""
        return [layer for layer in self.network.modules() if isinstance(layer, nn.Linear)][-1]

    def forward(self, images: Tensor) -> Gaussian:
        head = self.network(at_side(images, self.side))
        if self.gaussian:
            return Gaussian.from_head(head)
        mean = head.float()
        return Gaussian(mean, mean.new_full(mean.shape, POINT_LOG_VARIANCE))


def semantic_encoder(config: ModelConfig) -> SemanticEncoder:
    out = config.units * (2 if config.gaussian else 1)
    if config.encoder == "burgess":
        network: nn.Module = BurgessEncoder(config.seen, config.encoder_width, out)
    else:
        network = DiffAEEncoder(
            side=config.seen // config.patch,
            channels=3 * config.patch**2,
            width=config.encoder_width,
            multipliers=config.encoder_multipliers,
            blocks=config.blocks,
            attention=config.attention,
            out=out,
            patch=config.patch,
        )
    return SemanticEncoder(network, config.gaussian, config.seen)


def denoiser(config: ModelConfig) -> Denoiser:
    tokens = config.conditioning == "cross_attention"
    channels, side, _ = config.diffused
    unet = UNet(
        side=side // config.patch,
        channels=channels * config.patch**2,
        width=config.width,
        multipliers=config.multipliers,
        blocks=config.blocks,
        attention=config.attention,
        embed=config.embed,
        condition_channels=config.embed if tokens else config.units,
        tokens=tokens,
        dropout=config.dropout,
    )
    return Denoiser(unet, config.units, config.embed, tokens, config.patch)


def vae(config: ModelConfig) -> VAE:
    return VAE(config.seen, config.units, config.vae_width)
