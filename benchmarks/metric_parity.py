"""Our labelled metrics beside other implementations, and the fast setting beside the standard one.

    python benchmarks/metric_parity.py

The oracle's numbers are those of results/metric_oracle.json, recorded by metric_oracle.py (and, for
metrics that disent lacks, by the public code that the file names under `source`). Ours are computed
here on the same codes. Writes results/metric_parity.json and .md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from metric_codes import KINDS, SIZES, codes, drawn, index, pool
from shared import RESULTS

from cldis.bench.table import markdown
from cldis.io import read_json, write_json, write_text
from cldis.metrics import beta_vae_score, evaluate, factor_vae_score, tad
from cldis.metrics.dci import dci_of
from cldis.metrics.infomec import infomec_of
from cldis.metrics.labelled import Labelled
from cldis.metrics.mig import mig_of
from cldis.metrics.modularity import modularity_of
from cldis.metrics.sap import sap_of
from cldis.metrics.suite import SettingName

# What it is called -> our metric and its entry, and the oracle's name.
NAMES = {
    "DCI disentanglement": ("dci", "disentanglement", "dci.disentanglement"),
    "DCI completeness": ("dci", "completeness", "dci.completeness"),
    "DCI informativeness": ("dci", "informativeness", "dci.informativeness_test"),
    "MIG": ("mig", "score", "mig.discrete_score"),
    "SAP": ("sap", "score", "sap.score"),
    "FactorVAE": ("factor_vae", "score", "factor_vae.eval_accuracy"),
    "beta-VAE": ("beta_vae", "score", "beta_vae"),
    "modularity": ("modularity", "modularity", "modularity"),
    "explicitness": ("modularity", "explicitness", "explicitness"),
    "InfoM": ("infomec", "modularity", "infom"),
    "InfoC": ("infomec", "compactness", "infoc"),
    "InfoE": ("infomec", "explicitness", "infoe"),
    "TAD": ("tad", "score", "tad"),
}
DCI = ("disentanglement", "completeness", "informativeness")
SEEDS = range(3)
Table = dict[str, dict[str, tuple[float, float]]]  # metric -> kind -> two scores


def main() -> None:
    oracle = read_json(RESULTS / "metric_oracle.json")
    parity: Table = {name: {} for name in NAMES}
    speed: Table = {f"DCI {part}": {} for part in DCI}
    for kind in KINDS:
        mine = ours(kind, oracle["train"], oracle["test"], oracle["votes"])
        for name, (metric, key, theirs) in NAMES.items():
            parity[name][kind] = (mine[metric][key], oracle["scores"][kind][theirs])
        for part, both in settings(kind).items():
            speed[f"DCI {part}"][kind] = both
    about = {key: value for key, value in oracle.items() if key != "scores"}
    found = {"oracle": about, "ours_and_oracle": parity, "fast_and_standard": speed}
    write_json(RESULTS / "metric_parity.json", found)
    write_text(RESULTS / "metric_parity.md", page(found))


def settings(kind: str) -> dict[str, tuple[float, float]]:
    """DCI in the settings `fast` and `standard`, means over seeds."""
    rows, factors = pool(kind, 15_000, seed=1)

    def mean(setting: SettingName, part: str) -> float:
        return float(np.mean([found["dci"][part] for found in scores[setting]]))

    scores: dict[SettingName, list[dict[str, Any]]] = {
        setting: [evaluate(rows, factors, SIZES, setting, seed) for seed in SEEDS]
        for setting in ("fast", "standard")
    }
    return {part: (mean("fast", part), mean("standard", part)) for part in DCI}


def ours(kind: str, train: int, test: int, votes: int) -> dict[str, dict[str, Any]]:
    """Scores on the oracle's rows; the FactorVAE and beta-VAE scores draw their own."""
    factors, table = drawn(train + test, seed=0), codes(kind)
    data = Labelled(table[index(factors)], factors, SIZES)
    fit_on, check_on = data.rows(np.arange(train)), data.rows(np.arange(train, train + test))
    halves = (fit_on.factors >= np.array(SIZES) // 2).astype(np.int64)

    def sample(values: np.ndarray) -> np.ndarray:
        return table[index(values)]

    return {
        "dci": dci_of(fit_on, check_on, "gbt", 0),
        "mig": mig_of(fit_on),
        "sap": sap_of(fit_on, check_on),
        "factor_vae": factor_vae_score(sample, SIZES, votes, votes // 2, min_std=0),
        "beta_vae": beta_vae_score(sample, SIZES, votes, votes // 2),
        "modularity": modularity_of(fit_on, check_on),
        "infomec": infomec_of(fit_on, 0),
        "tad": tad(fit_on.codes, halves),
    }


def page(found: dict[str, Any]) -> str:
    """The two tables in Markdown."""
    oracle = found["oracle"]
    sources = "\n".join(f"- {metrics}: {text}" for metrics, text in oracle["source"].items())
    return f"""# Labelled metrics: agreement

Written by `benchmarks/metric_parity.py` from `results/metric_oracle.json`; the codes are those of
`benchmarks/metric_codes.py` ({len(SIZES)} factors of {", ".join(map(str, SIZES))} values, 8 units).

## Ours beside others

{oracle["train"]:,} rows to learn from, {oracle["test"]:,} to test on, the same rows for both;
{oracle["votes"]:,} votes or points to learn from for FactorVAE and beta-VAE, which draw rows of
their own.
Each cell: ours / theirs.

{sources}

{table(found["ours_and_oracle"], "largest difference")}

## The fast setting beside the standard one

Mean of {len(SEEDS)} seeds over one pool of 15,000 rows, with noise of .2 added to each. The two
differ in DCI alone: `fast` learns from 3,000 rows in 30 rounds of boosting, `standard` from 10,000
in 100. Each cell: fast / standard.

{table(found["fast_and_standard"], "largest error")}
"""


def table(scores: Table, last: str) -> str:
    rows = [["metric", *KINDS, last]]
    for name, row in scores.items():
        worst = max(abs(a - b) for a, b in row.values())
        rows.append([name, *(f"{a:.3f} / {b:.3f}" for a, b in row.values()), f"{worst:.3f}"])
    return "\n".join(markdown(rows))


if __name__ == "__main__":
    main()
