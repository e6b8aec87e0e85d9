"""Diff-AE: a diffusion autoencoder (Preechakul et al. 2022)."""

from __future__ import annotations

from cldis.methods.diffusion import DiffusionBranch


class DiffAE(DiffusionBranch):
    """L_diff (eq. 6), with a z_sem that is a point and conditions every block by AdaGN (eq. 7).

    The settings that make it Diff-AE are in the table of methods. Differs from the paper: the
    networks, the patches and the prediction (`diffusion.prediction`; the paper predicts the noise)
    are those of the recipe, rows hide z_sem as `diffusion.condition_dropout` says (the paper:
    never), and there is no latent prior.
    """
