"""Scores of the codes in metric_codes.py by disent 0.8, an implementation that is not ours.

    python benchmarks/metric_oracle.py --train 3000 --test 1500 --votes 2000 > oracle.json

For an environment of its own that has disent; the project does not depend on it. DCI, MIG and SAP
see exactly the rows that metric_parity.py scores; the FactorVAE score draws its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import warnings
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from metric_codes import KINDS, SIZES, UNITS, codes, drawn

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def load() -> Any:
    """disent's metrics; torchvision, which only its networks need, is stood in for."""
    import lightning  # noqa: F401  (looks for torchvision itself, so it comes first)

    for name in ("", ".transforms", ".transforms.functional", ".datasets", ".models", ".utils"):
        sys.modules[f"torchvision{name}"] = MagicMock()
    import disent.metrics

    return disent.metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=5_000)
    parser.add_argument("--votes", type=int, default=10_000)
    options = parser.parse_args()
    metrics = load()
    found = {kind: score(metrics, kind, options) for kind in options.kinds}
    result = {
        "source": "disent 0.8",
        "train": options.train,
        "test": options.test,
        "votes": options.votes,
        "scores": {kind: scores for kind, (scores, _) in found.items()},
        "cpu_seconds": {kind: seconds for kind, (_, seconds) in found.items()},
    }
    print(json.dumps(result, indent=2))


def score(metrics: Any, kind: str, options: Any) -> tuple[dict[str, float], dict[str, float]]:
    """Scores and processor seconds of the four metrics that we share with disent."""
    from disent.dataset import DisentDataset
    from disent.dataset.data import ArrayGroundTruthData

    class Grid(ArrayGroundTruthData):
        """The codes as images of 1 x 1 pixel, and rows that come in a set order."""

        rows = drawn(options.train + options.test, seed=0)
        used: int | None = None

        def sample_factors(self, size: int | None = None, *rest: Any, **more: Any) -> np.ndarray:
            if self.used is None or size is None:
                return super().sample_factors(size, *rest, **more)
            self.used += size
            return self.rows[self.used - size : self.used]

    names = tuple("abcd")
    data = Grid(codes(kind).reshape(-1, 1, 1, UNITS), names, SIZES)
    dataset = DisentDataset(data)
    calls = {
        "mig": (metrics.metric_mig, {"num_train": options.train}),
        "sap": (metrics.metric_sap, {"num_train": options.train, "num_test": options.test}),
        "dci": (metrics.metric_dci, {"num_train": options.train, "num_test": options.test}),
        "factor_vae": (
            metrics.metric_factor_vae,
            {
                "num_train": options.votes,
                "num_eval": options.votes // 2,
                "num_variance_estimate": np.prod(SIZES),
            },
        ),
    }
    scores: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for name, (metric, settings) in calls.items():
        np.random.seed(0)
        data.used = None if name == "factor_vae" else 0
        start = time.process_time()
        scores |= metric(dataset, lambda x: x.reshape(len(x), -1), **settings)
        seconds[name] = round(time.process_time() - start, 2)
    return {name: float(value) for name, value in scores.items()}, seconds


if __name__ == "__main__":
    main()
