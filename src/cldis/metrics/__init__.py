"""Scores as pure functions on arrays; they know no model.

Labelled metrics take codes [n, d] and factors [n, k] and return a dict: see each function.
Importing this loads NumPy alone; scikit-learn and SciPy come with the first score.
"""

from cldis.metrics.beta_vae import beta_vae_of_pool, beta_vae_score
from cldis.metrics.dci import dci
from cldis.metrics.factor_vae import factor_vae_of_pool, factor_vae_score
from cldis.metrics.infomec import infomec
from cldis.metrics.mig import mig
from cldis.metrics.modularity import modularity_explicitness
from cldis.metrics.sap import sap
from cldis.metrics.suite import evaluate
from cldis.metrics.tad import tad

__all__ = [
    "beta_vae_of_pool",
    "beta_vae_score",
    "dci",
    "evaluate",
    "factor_vae_of_pool",
    "factor_vae_score",
    "infomec",
    "mig",
    "modularity_explicitness",
    "sap",
    "tad",
]
