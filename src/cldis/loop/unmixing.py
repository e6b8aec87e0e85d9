"""Independent axes for the code of a VAE, found without labels.

Where two units of a VAE have the same variance, turning them into each other changes neither term
of its objective: which turn it learns is left to chance, and two factors may lie at 45 degrees
between two units. If the factors are independent and not Gaussian the turn can be found
afterwards (Comon 1994, "Independent component analysis"), here by FastICA (Hyvarinen 1999). Its
contrast is the fourth moment: factors that are spread evenly have a negative excess of it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from cldis.networks.gaussian import Gaussian

FEWEST = 100  # images per unit that is turned
ITERATIONS = 1_000
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Axes:
    """New units u = unmixing (z - center), [d, d] and [d]; `variance` [d] of q(u|x), its mean."""

    unmixing: Tensor
    center: Tensor
    variance: Tensor


def independent_axes(q: Gaussian, active: Tensor) -> Axes | None:
    """The axes along which the active units of q are most independent; None: one unit, few images.

    Each new unit has variance 1 over the images, what q(u|x) is unsure of counted in. The other
    units stay as they are. The same every time for the same q.

    Args:
        q: posteriors of images, [n, d].
        active: units that say something, boolean [d].
    """
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    k, d = int(active.sum()), len(active)
    if k < 2 or len(q.mean) < FEWEST * k:
        return None
    ica = FastICA(
        whiten="unit-variance", fun="cube", max_iter=ITERATIONS, tol=TOLERANCE, random_state=0
    )
    # Gaussian units have no turn of their own, and any is as good: no warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica.fit(q.mean[:, active].double().cpu().numpy())
    turn, center = torch.from_numpy(ica.components_), torch.from_numpy(ica.mean_)
    variance = q.log_variance.double().exp().mean(dim=0).cpu()
    unsure = turn.pow(2) @ variance[active.cpu()]
    scale = (1 + unsure).rsqrt()
    chosen = active.nonzero().flatten().cpu()
    axes = Axes(torch.eye(d).double(), torch.zeros(d).double(), variance)
    axes.unmixing[chosen[:, None], chosen] = scale[:, None] * turn
    axes.center[chosen] = center
    axes.variance[chosen] = scale**2 * unsure
    return Axes(*(a.to(q.mean) for a in (axes.unmixing, axes.center, axes.variance)))
