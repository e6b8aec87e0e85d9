"""Time of our labelled metrics beside an oracle's, in turns; to results/metric_speed.json, .md.

    OMP_NUM_THREADS=1 python benchmarks/metric_speed.py OTHER/python

OTHER/python is that of an environment with the other implementation, which runs metric_oracle.py.
Processor seconds without start-up count, so that a busy machine does not decide.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from metric_codes import SIZES, codes, drawn, index
from shared import RESULTS, provenance

from cldis.io import write_json, write_text
from cldis.metrics import dci, evaluate, factor_vae_of_pool, mig, sap

KIND = "mixed"
OURS = ("same", "standard", "fast")  # `same`: the oracle's four metrics and no more
ROWS = 15_000  # 10,000 to learn from, 5,000 to test on
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("python", help="interpreter of the other implementation")
    oracle = [
        parser.parse_args().python,
        str(Path(__file__).with_name("metric_oracle.py")),
        "speed",
    ]
    spent: dict[str, list[float]] = {name: [] for name in OURS}
    theirs = []
    for _ in range(REPEATS):
        answer = subprocess.run(oracle, check=True, capture_output=True, text=True).stdout
        theirs.append(json.loads(answer))
        for name in OURS:
            spent[name].append(ours(name))
    totals = [sum(found["cpu_seconds"][KIND].values()) for found in theirs]
    result: dict[str, Any] = {
        "oracle": theirs[0]["source"],
        "oracle_metrics": list(theirs[0]["cpu_seconds"][KIND]),
        **{key: theirs[0][key] for key in ("train", "test", "votes")},
        "oracle_cpu_seconds": totals,
        "oracle_by_metric": [found["cpu_seconds"][KIND] for found in theirs],
        **{f"ours_{name}_cpu_seconds": seconds for name, seconds in spent.items()},
        "ratio_of_medians": statistics.median(totals) / statistics.median(spent["same"]),
        **provenance(),
    }
    write_json(RESULTS / "metric_speed.json", result)
    write_text(RESULTS / "metric_speed.md", page(result))


def ours(setting: str) -> float:
    """Processor seconds of our metrics; the very first score also loads scikit-learn."""
    factors = drawn(ROWS, seed=0)
    pool = codes(KIND)[index(factors)]
    start = time.process_time()
    if setting == "same":
        dci(pool, factors)
        mig(pool[:10_000], factors[:10_000])
        sap(pool, factors)
        factor_vae_of_pool(pool, factors)
    else:
        evaluate(pool, factors, SIZES, setting=setting)
    return round(time.process_time() - start, 2)


def page(result: dict[str, Any]) -> str:
    def median(name: str) -> str:
        return f"{statistics.median(result[name]):.1f}"

    return f"""# Labelled metrics: speed

Written by `benchmarks/metric_speed.py`: {len(result["oracle_cpu_seconds"])} runs each, in turns, on
{result["train"]:,} codes to learn from and {result["test"]:,} to test on, {result["votes"]:,} votes
to learn from and half as many to score; {len(SIZES)} factors of {", ".join(map(str, SIZES))}
values, 8 units. Median processor seconds on one thread ({result["machine"]}).

| suite | seconds |
|---|---|
| {result["oracle"]}: {", ".join(result["oracle_metrics"])} | {median("oracle_cpu_seconds")} |
| ours: the same four | {median("ours_same_cpu_seconds")} |
| ours, standard: those, and beta-VAE, modularity, explicitness, InfoMEC | \
{median("ours_standard_cpu_seconds")} |
| ours, fast: the same | {median("ours_fast_cpu_seconds")} |

Ratio of the medians for the same four at equal protocol: {result["ratio_of_medians"]:.0f}.
"""


if __name__ == "__main__":
    main()
