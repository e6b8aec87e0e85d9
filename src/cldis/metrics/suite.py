"""All labelled metrics of one pool of codes with known factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.batches import PoolBatches
from cldis.metrics.beta_vae import beta_vae_of
from cldis.metrics.dci import Estimator, dci_of
from cldis.metrics.factor_vae import MIN_STD, factor_vae_of
from cldis.metrics.infomec import infomec_of
from cldis.metrics.labelled import Labelled, labelled
from cldis.metrics.mig import mig_of
from cldis.metrics.modularity import modularity_of
from cldis.metrics.sap import sap_of

SettingName = Literal["fast", "standard"]


@dataclass(frozen=True)
class Setting:
    """Sizes of a protocol, at most; a smaller pool is shared in the same ratio.

    Settings differ in DCI alone, so that all other scores are taken once for all of them.
    """

    estimator: Estimator  # of DCI, which takes most of the time
    dci_train: int
    dci_test: int
    train: ClassVar[int] = 10_000  # rows for other predictors; also those of MIG and InfoMEC
    test: ClassVar[int] = 5_000
    votes: ClassVar[int] = 10_000  # of the FactorVAE score; also the points of the beta-VAE score
    evaluate: ClassVar[int] = 5_000
    batch: ClassVar[int] = 64


# `standard` has the sizes of disentanglement_lib; `fast` differs in DCI alone. What that costs in
# accuracy is measured in results/metric_parity.md.
SETTINGS: dict[str, Setting] = {
    "standard": Setting("gbt", 10_000, 5_000),
    "fast": Setting("gbt_30", 3_000, 1_500),
}


def evaluate(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    factor_sizes: Sequence[int],
    setting: SettingName = "fast",
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """Score codes [n, d] for factors [n, k] by every metric.

    Factors of size 1 are left out (`left_out` counts them). FactorVAE and beta-VAE batches are
    drawn from all rows of the pool. TAD, which is for binary attributes only, is not among them:
    see `tad`.

    Args:
        factor_sizes: how many values each factor has in the data set.
        setting: `standard` is the field's protocol; `fast` takes DCI from 4,500 rows by 30
            rounds of boosting. Both use up to 15,000 rows; fewer are shared in the same ratio.

    Returns:
        `setting`, `seed`, `pool` (rows), `units`, `left_out`, and one dict each under `dci`,
        `mig`, `sap`, `factor_vae`, `beta_vae`, `modularity_explicitness`, `infomec`: see the
        function of that name.

    Raises:
        ValueError: as `labelled`, an unknown setting, or factors outside their sizes.
    """
    return evaluate_settings(codes, factors, factor_sizes, (setting,), seed, unit_size)[setting]


def evaluate_settings(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    factor_sizes: Sequence[int],
    settings: Sequence[SettingName],
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, dict[str, Any]]:
    """`evaluate` in several settings, as {setting: scores}."""
    for setting in settings:
        if setting not in SETTINGS:
            raise ValueError(f"no setting {setting!r}; choose one of {', '.join(SETTINGS)}")
    data = labelled(codes, _varying(factors, factor_sizes), unit_size)
    fit_on, check_on = data.split(Setting.train, Setting.test, seed)
    votes = (Setting.votes, Setting.evaluate, Setting.batch)
    dci = {setting: _dci(SETTINGS[setting], fit_on, check_on, seed) for setting in settings}
    shared = {
        "mig": mig_of(fit_on),
        "sap": sap_of(fit_on, check_on),
        "factor_vae": factor_vae_of(PoolBatches(data, seed), data.codes, *votes, MIN_STD, seed),
        "beta_vae": beta_vae_of(PoolBatches(data, seed), data.codes, *votes, seed),
        "modularity_explicitness": modularity_of(fit_on, check_on),
        "infomec": infomec_of(fit_on, seed),
    }
    return {
        setting: {
            "setting": setting,
            "seed": seed,
            "pool": len(data.codes),
            "units": data.codes.shape[1],
            "left_out": len(factor_sizes) - len(data.sizes),
            "dci": dci[setting],
            **shared,
        }
        for setting in settings
    }


def _dci(setting: Setting, fit_on: Labelled, check_on: Labelled, seed: int) -> dict[str, Any]:
    few, check_few = (
        part.rows(np.arange(min(rows, len(part.codes))))
        for part, rows in ((fit_on, setting.dci_train), (check_on, setting.dci_test))
    )
    return dci_of(few, check_few, setting.estimator, seed)


def _varying(factors: NDArray[np.integer], sizes: Sequence[int]) -> NDArray[np.integer]:
    """The factors that can take more than one value, after a look at their range."""
    factors = np.asarray(factors)
    if factors.ndim != 2 or factors.shape[1] != len(sizes):
        raise ValueError(
            f"factors {list(factors.shape)} and {len(sizes)} factor sizes do not fit; "
            f"expected [n, k] and k sizes"
        )
    wrong = np.argwhere((factors < 0) | (factors >= np.array(sizes)))
    if len(wrong):
        row, j = wrong[0]
        raise ValueError(
            f"factor {j} is {factors[row, j]} in row {row}, but its size is {sizes[j]}; "
            f"values run from 0 to size - 1"
        )
    return factors[:, np.array(sizes) > 1]
