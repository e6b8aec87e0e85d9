"""Diff-AE: a diffusion autoencoder alone (Preechakul et al. 2022)."""

from __future__ import annotations

from cldis.loop.closed_loop import ClosedLoop


class DiffAE(ClosedLoop):
    """L_diff (eq. 6), with a z_sem that is a point and conditions every block by AdaGN (eq. 7).

    The loss is that of the backbone of the closed loop, so nothing is added here; the settings
    that make it Diff-AE are in `cldis.config.BASELINES`. Differs from the paper: the networks,
    the patches and the prediction (`diffusion.prediction`; the paper predicts the noise) are those
    of the recipe, rows hide z_sem as `diffusion.condition_dropout` says (the paper: never), and
    there is no latent prior.
    """
