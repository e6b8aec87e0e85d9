"""The table of tracking_validation.py: rank correlations with intervals, and the controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from cldis.bench.table import markdown
from cldis.io import read_json

# Score -> its head, where to find it, and +1 where high is good, -1 where low is.
COLUMNS: dict[str, tuple[str, str, int]] = {
    "content tracking": ("content_tracking", "score", 1),
    "- purity": ("content_tracking", "purity", 1),
    "- own": ("content_tracking", "own", 1),
    "former content tracking": ("tracking", "score", 1),
    "- control": ("tracking", "control", 1),
    "- consistency": ("tracking", "consistency", 1),
    "- separation": ("tracking", "separation", 1),
    "- monotonicity": ("tracking", "monotonicity", 1),
    "- smoothness": ("tracking", "smoothness", 1),
    "- active directions": ("tracking", "active", 1),
    "- activity": ("tracking", "activity", 1),
    "variation predictability": ("variation_predictability", "score", 1),
    "UDR (Spearman)": ("udr", "score", 1),
    "self-MIG": ("self_mig", "score", 1),
    "pairwise mutual information": ("mutual_information", "score", -1),
    "Gaussian total correlation": ("total_correlation", "score", -1),
    "informative units": ("informative", "score", 1),
}
WITH_LABELS = "DCI-D (fast), with labels"  # of raw codes and controls
CONTROLS = ("rotated", "mixed")
TRUTH = {"DCI-D": "dci", "FactorVAE": "factor_vae"}
DRAWS = 2_000
FEWEST = 5  # runs for a correlation
TUNED_ON = "rooms"
# The form of the former content tracking was chosen on these runs of `ablation`, seed 0.
TUNED_METHODS = (
    "closed",
    "closed_adagn",
    "closed_let_go",
    "closed_mse",
    "open",
    "open_adagn",
    "open_mse",
    "open_softmax",
)
Run = dict[str, Any]


def spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    """Rank correlation; None where one of them is constant."""
    a, b = rankdata(x), rankdata(y)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else None


def interval(
    x: np.ndarray, y: np.ndarray, statistic: Callable[[np.ndarray, np.ndarray], float | None]
) -> tuple[float, float] | None:
    """Percentile bootstrap over runs, 95 %; draws in which it is not defined are left out."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(DRAWS):
        rows = rng.integers(0, len(x), len(x))
        value = statistic(x[rows], y[rows])
        if value is not None:
            found.append(value)
    if len(found) < DRAWS // 2:
        return None
    low, top = np.quantile(found, [0.025, 0.975])
    return float(low), float(top)


def auc(good: np.ndarray, bad: np.ndarray) -> float:
    """Chance that one of `good` is above one of `bad`; ties count half."""
    above = good[:, None] - bad[None]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def value(run: Run, column: str, variant: str = "raw") -> float | None:
    """A score, so turned that high is good; None where it was not taken."""
    name, part, sign = COLUMNS.get(column, ("dci_fast", "score", 1))
    found = run["scores"].get(name, {}).get(variant, {}).get(part)
    return None if found is None else sign * found


def read_runs(folder: Path, settings: dict[str, Any]) -> tuple[list[Run], int]:
    """All scored runs, with UDR beside the other scores, and how many scores were left out.

    Left out are those that were taken with other settings than `settings` (score -> its own). A
    checkpoint that two suites share counts once.
    """
    runs, stale, seen = {}, 0, set()
    for path in sorted(folder.glob("*.json")):
        run = read_json(path)
        # Two suites may hold the same training: seed, images and scores agree to the last digit.
        same = (run["method"], run["data"], run["seed"], run["images"], str(run["labels"]["fast"]))
        if same in seen:
            continue
        seen.add(same)
        kept = {n: s for n, s in run["scores"].items() if s["settings"] == settings.get(n)}
        stale += len(run["scores"]) - len(kept)
        run["scores"] = kept
        run["scores"]["informative"] = {"raw": {"score": run["informative"]}}
        runs[path.stem] = run
    for path in sorted((folder / "udr").glob("*.json")):
        for variant, scores in read_json(path)["scores"].items():
            for name, score in scores.items():
                if name in runs:
                    found = runs[name]["scores"].setdefault("udr", {})
                    found[variant] = {"score": score}
    return list(runs.values()), stale


def both(pairs: Iterable[tuple[float | None, float | None]]) -> np.ndarray:
    """The pairs of which neither is missing, [2, n]."""
    return np.array([pair for pair in pairs if None not in pair], dtype=float).reshape(-1, 2).T


def setting_of(runs: list[Run]) -> str:
    """`standard` where every run has it; intermediate checkpoints have `fast` alone."""
    return "standard" if all("standard" in run["labels"] for run in runs) else "fast"


def correlation(runs: list[Run], column: str, truth: Callable[[Run], float]) -> str:
    x, y = both((value(run, column), truth(run)) for run in runs)
    if len(x) < FEWEST:
        return "–"
    rho, span = spearman(x, y), interval(x, y, spearman)
    if rho is None or span is None:
        return "constant"
    fewer = f" (n = {len(x)})" if len(x) < len(runs) else ""
    return f"{rho:+.2f} [{span[0]:+.2f}, {span[1]:+.2f}]{fewer}"


def with_truth(runs: list[Run], column: str) -> list[str]:
    """Its correlation with each of `TRUTH`."""
    setting = setting_of(runs)
    return [
        correlation(runs, column, lambda run, key=key: run["labels"][setting][key])
        for key in TRUTH.values()
    ]


def correlations(runs: list[Run]) -> list[str]:
    rows = [[column, *with_truth(runs, column)] for column in COLUMNS]
    head = ["score", *(f"ρ with {head}" for head in TRUTH)]
    return markdown([head, *(row for row in rows if set(row[1:]) != {"–"})])


def chosen_on(run: Run) -> bool:
    """Whether the form of the former content tracking was chosen on this run."""
    cell = (run["suite"], run["data"], run["seed"], run["last"])
    return cell == ("ablation", TUNED_ON, 0, True) and run["method"] in TUNED_METHODS


def fresh(runs: list[Run]) -> list[str]:
    """The former content tracking on the runs that came after its form was chosen."""
    others = [run for run in runs if not chosen_on(run) and "tracking" in run["scores"]]
    if len(others) == len(runs) or len(others) < FEWEST:
        return []
    found = with_truth(others, "former content tracking")
    cells = [f"with {head} {cell}" for head, cell in zip(TRUTH, found, strict=True)]
    return [
        f"Former content tracking on the {len(others)} checkpoints that came after its form was "
        f"chosen: ρ {', '.join(cells)}.",
        "",
    ]


def share_lower(raw: np.ndarray, control: np.ndarray) -> float:
    return float(np.mean((raw > control) + 0.5 * (raw == control)))


def controls(runs: list[Run]) -> list[str]:
    """Per score and control: the share of runs in which the control is lower, and the AUC."""
    rows = [["score", *(f"{c}: {what}" for c in CONTROLS for what in ("share lower", "AUC"))]]
    for column in (WITH_LABELS, *COLUMNS):
        cells = []
        for control in CONTROLS:
            raw, worse = both((value(run, column), value(run, column, control)) for run in runs)
            if len(raw) < FEWEST:
                cells += ["–", "–"]
                continue
            span = interval(raw, worse, share_lower)
            assert span is not None
            words = f"{share_lower(raw, worse):.2f} [{span[0]:.2f}, {span[1]:.2f}]"
            cells += [words, f"{auc(raw, worse):.2f}"]
        if set(cells) != {"–"}:
            rows.append([column, *cells])
    return markdown(rows)


def together(runs: list[Run]) -> list[str]:
    """Raw codes and controls in one list, against the DCI-D that each of them has."""
    rows = [["score", "ρ with DCI-D (fast)"]]
    for column in COLUMNS:
        variants = [(run, v) for run in runs for v in ("raw", *CONTROLS)]
        x, y = both((value(run, column, v), value(run, WITH_LABELS, v)) for run, v in variants)
        if len(x) < 3 * FEWEST or column == "informative units":
            continue
        rho = spearman(x, y)
        rows.append([column, "constant" if rho is None else f"{rho:+.2f}"])
    return markdown(rows)


def upper_half(runs: list[Run]) -> list[Run]:
    """Runs whose raw code has a DCI-D at or above the median: those with something to lose."""
    setting = setting_of(runs)
    middle = np.median([run["labels"][setting]["dci"] for run in runs])
    return [run for run in runs if run["labels"][setting]["dci"] >= middle]


def of_data(data: str, runs: list[Run]) -> list[str]:
    setting = setting_of(runs)
    values = [run["labels"][setting]["dci"] for run in runs]
    methods = sorted({run["method"] for run in runs})
    role = "choices were made on this one" if data == TUNED_ON else "confirmation"
    lines = [
        f"## {data} ({role})",
        "",
        f"{len(runs)} checkpoints of {len(methods)} methods ({', '.join(methods)}); "
        f"DCI-D ({setting}) from {min(values):.2f} to {max(values):.2f}.",
        "",
        *correlations(runs),
        "",
        *(fresh(runs) if data == TUNED_ON else []),
    ]
    if len(runs) < FEWEST:
        return [*lines, f"Too few for a correlation; at least {FEWEST} are needed.", ""]
    return [
        *lines,
        "Raw codes and their controls in one list:",
        "",
        *together(runs),
        "",
        "Negative controls, all runs:",
        "",
        *controls(runs),
        "",
        "Negative controls, the half of the runs with the higher DCI-D:",
        "",
        *controls(upper_half(runs)),
        "",
    ]


INTRODUCTION = """# Checkpoints of earlier suites

From results/tracking_validation. `former content tracking` is the score of the package until
issue 18 (control times consistency, separation and monotonicity), with its parts. That of today is
not taken on these checkpoints, whose weights are gone.

Spearman's ρ over checkpoints, with percentile bootstrap intervals (95 %, 2,000 draws over
checkpoints). An interval says little with fewer than about ten checkpoints, and has no width where
the ranks agree fully. Scores of which low is good are turned, so that +1 is best everywhere. Runs
of one method with several seeds are counted as they are, so intervals are narrower than over
methods.
`informative units` is no score, only how many units have KL(q || p) > 0.01: a score that does not
correlate better than this says little.

Controls have the same content in worse directions. `rotated`: informative units, each divided by
its spread, under a random rotation; for image scores these are random orthogonal directions.
`mixed`: pairs of informative units turned by 45 degrees. `share lower`: in how many runs the
control scores below the raw units (ties count half, .5 is chance); AUC: over all pairs of a raw
and a control score. The first line says how much of that DCI itself sees.
"""


def page(folder: Path, settings: dict[str, Any]) -> str:
    """The page as Markdown, from the scores in a folder that were taken with `settings`.

    Raises:
        SystemExit: nothing is scored yet.
    """
    runs, stale = read_runs(folder, settings)
    if not runs:
        raise SystemExit(f"{folder} holds no scores yet; run with --runs first")
    which = f"Definition of former content tracking: {settings['tracking']['definition']}."
    lines = [INTRODUCTION, which, ""]
    if stale:
        lines += [f"{stale} scores taken with other settings are left out.", ""]
    for data in sorted({run["data"] for run in runs}, key=lambda name: (name != TUNED_ON, name)):
        lines += of_data(data, [run for run in runs if run["data"] == data])
    return "\n".join(lines)
