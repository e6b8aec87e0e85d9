"""EncDiff: units as concept tokens, seen through cross-attention (Yang et al. 2024)."""

from __future__ import annotations

from cldis.methods.diffusion import DiffusionBranch


class EncDiff(DiffusionBranch):
    """L_diff (eq. 4), with a scalar per unit that becomes its own token through its own small MLP.

    The denoiser attends to the tokens; no term asks for disentanglement. The settings that make it
    EncDiff are in the table of methods. Differs from the paper: it diffuses pixels in patches
    instead of the latent of a VQ autoencoder, the prediction is `diffusion.prediction` (the paper
    predicts the noise), rows hide z_sem as `diffusion.condition_dropout` says (the paper: never),
    and the sizes are those of the recipe.
    """
