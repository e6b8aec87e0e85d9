"""Scores of the codes in metric_codes.py by disent 0.8, an implementation that is not ours.

    OTHER/python benchmarks/metric_oracle.py parity > oracle.json

For an environment of its own that has disent; the project does not depend on it. DCI, MIG and SAP
see exactly the rows that metric_parity.py scores; the FactorVAE score draws its own. `speed` takes
one kind of codes at the sizes of metric_speed.py.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from metric_codes import KINDS, SIZES, UNITS, codes, drawn

VOTES = 10_000
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
    what = sys.argv[1]
    train, test = {"parity": (3_000, 1_500), "speed": (10_000, 5_000)}[what]
    metrics = load()
    kinds = ("mixed",) if what == "speed" else KINDS
    found = {kind: score(metrics, kind, train, test) for kind in kinds}
    result = {
        "source": "disent 0.8",
        "train": train,
        "test": test,
        "votes": VOTES,
        "scores": {kind: scores for kind, (scores, _) in found.items()},
        "cpu_seconds": {kind: seconds for kind, (_, seconds) in found.items()},
    }
    print(json.dumps(result, indent=2))


def score(
    metrics: Any, kind: str, train: int, test: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Scores and processor seconds of the four metrics that we share with disent."""
    from disent.dataset import DisentDataset
    from disent.dataset.data import ArrayGroundTruthData

    class Grid(ArrayGroundTruthData):
        """The codes as images of 1 x 1 pixel, and rows that come in a set order."""

        rows = drawn(train + test, seed=0)
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
        "mig": (metrics.metric_mig, {"num_train": train}),
        "sap": (metrics.metric_sap, {"num_train": train, "num_test": test}),
        "dci": (metrics.metric_dci, {"num_train": train, "num_test": test}),
        "factor_vae": (
            metrics.metric_factor_vae,
            {
                "num_train": VOTES,
                "num_eval": VOTES // 2,
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
