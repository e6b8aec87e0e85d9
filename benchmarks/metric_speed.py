"""Time of our labelled metrics beside an oracle's, in turns; to results/metric_speed.json, .md.

    OMP_NUM_THREADS=1 python benchmarks/metric_speed.py --oracle \\
        "OTHER/python benchmarks/metric_oracle.py --kinds mixed" --repeats 3

The oracle command must print the JSON of metric_oracle.py. Processor seconds without start-up
count, so that a busy machine does not decide.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from metric_codes import SIZES, codes, drawn, index

from cldis.io import write_json, write_text
from cldis.metrics import dci, evaluate, factor_vae_of_pool, mig, sap

RESULTS = Path(__file__).parent.parent / "results"
KIND = "mixed"
OURS = ("same", "standard", "fast")  # `same`: the oracle's four metrics and no more
ROWS = 15_000  # 10,000 to learn from, 5,000 to test on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--oracle", help="command of the other implementation")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ours", choices=OURS, help="time one run of ours, here")
    options = parser.parse_args()
    if options.ours:
        print(ours(options.ours))
        return
    if not options.oracle:
        parser.error("give --oracle, the command that prints the other implementation's JSON")
    spent: dict[str, list[float]] = {name: [] for name in OURS}
    theirs = []
    for _ in range(options.repeats):
        theirs.append(json.loads(run(shlex.split(options.oracle))))
        for name in OURS:
            spent[name].append(float(run([sys.executable, __file__, "--ours", name])))
    totals = [sum(found["cpu_seconds"][KIND].values()) for found in theirs]
    result: dict[str, Any] = {
        "oracle": theirs[0]["source"],
        "oracle_metrics": list(theirs[0]["cpu_seconds"][KIND]),
        "train": theirs[0]["train"],
        "test": theirs[0]["test"],
        "votes": theirs[0]["votes"],
        "oracle_cpu_seconds": totals,
        "oracle_by_metric": [found["cpu_seconds"][KIND] for found in theirs],
        **{f"ours_{name}_cpu_seconds": seconds for name, seconds in spent.items()},
        "ratio_of_medians": statistics.median(totals) / statistics.median(spent["same"]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
    }
    write_json(RESULTS / "metric_speed.json", result)
    write_text(RESULTS / "metric_speed.md", page(result))


def ours(setting: str) -> float:
    """Processor seconds of our metrics; the first score also loads scikit-learn."""
    factors = drawn(ROWS, seed=0)
    pool = codes(KIND)[index(factors)]
    start = time.process_time()
    if setting == "same":
        dci(pool, factors)
        mig(pool[:10_000], factors[:10_000])
        sap(pool, factors)
        factor_vae_of_pool(pool, factors)
    else:
        evaluate(pool, factors, SIZES, setting=setting)  # type: ignore[arg-type]
    return round(time.process_time() - start, 2)


def run(command: list[str]) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


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
