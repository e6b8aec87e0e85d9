"""Scores as pure functions on arrays; they know no model.

Labelled metrics take codes [n, d] and factors [n, k] and return a dict: see each function.
Label-free ones take codes alone, codes of several seeds (`udr`), or images before and after a
shift (`variation_predictability`).
Importing this loads NumPy alone; scikit-learn, SciPy and torch come with the first score.
"""

from cldis.metrics.beta_vae import beta_vae_of_pool, beta_vae_score
from cldis.metrics.dci import dci
from cldis.metrics.factor_vae import factor_vae_of_pool, factor_vae_score
from cldis.metrics.infomec import infomec
from cldis.metrics.mig import mig
from cldis.metrics.modularity import modularity_explicitness
from cldis.metrics.mutual_information import pairwise_mutual_information
from cldis.metrics.sap import sap
from cldis.metrics.self_mig import self_mig
from cldis.metrics.suite import evaluate
from cldis.metrics.tad import tad
from cldis.metrics.total_correlation import gaussian_total_correlation
from cldis.metrics.udr import udr
from cldis.metrics.variation_predictability import variation_predictability

__all__ = [
    "beta_vae_of_pool",
    "beta_vae_score",
    "dci",
    "evaluate",
    "factor_vae_of_pool",
    "factor_vae_score",
    "gaussian_total_correlation",
    "infomec",
    "mig",
    "modularity_explicitness",
    "pairwise_mutual_information",
    "sap",
    "self_mig",
    "tad",
    "udr",
    "variation_predictability",
]
