"""What is in a run folder, as data and as words."""

from __future__ import annotations

from typing import Any

from cldis.text import shown
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder


def run_info(run: RunFolder) -> dict[str, Any]:
    """Self-description, configuration, progress and the latest health of a run."""
    lines = read_metrics(run.metrics)
    train = [line for line in lines if line["kind"] == "train"]
    health = [line for line in lines if line["kind"] == "health"]
    latest = run.latest()
    return {
        "run": str(run.path),
        **run.about,
        "progress": {
            "images": int(latest.name) if latest else 0,
            "of": run.config.training.images,
            "checkpoint": latest.name if latest else None,
            "images_per_second": train[-1].get("images_per_second") if train else None,
        },
        "health": {"warnings": [], **health[-1]} if health else None,
        "config": run.config.to_dict(),
    }


def info_text(info: dict[str, Any]) -> str:
    """A page of plain text for a terminal; what the run says stays on its line."""
    data, progress, config = info["data"], info["progress"], info["config"]
    rate = progress["images_per_second"]
    lines = [
        f"run         {info['run']}",
        f"created     {info['created']}, git {info['git']}, seed {info['seed']}",
        f"recipe      {config['recipe']}, method {config['method']}, "
        f"{config['model']['units']} units, {config['model']['resolution']} px",
        f"data        {data['source']}: {data['images']} images, {data['skipped']} skipped, "
        f"fingerprint {data['fingerprint'][:12]}",
        f"imported    {made['model']} of the official Diff-AE code, from {made['file']}, "
        f"sha256 {made['sha256'][:12]}"
        if (made := info.get("imported"))
        else f"progress    {progress['images']} of {progress['of']} images"
        + (f", {rate:.0f} images/s" if rate else ""),
        *(
            [
                f"autoencoder {found['name']}, revision {found['revision'] or 'none'}, "
                f"sha256 {found['sha256'][:12]}"
            ]
            if (found := info.get("autoencoder"))
            else []
        ),
        "versions    " + ", ".join(f"{name} {number}" for name, number in info["versions"].items()),
    ]
    health = info["health"]
    if health:
        numbers = {k: v for k, v in health.items() if isinstance(v, int | float) and k != "images"}
        lines.append("health      " + ", ".join(f"{k} {v:.3g}" for k, v in numbers.items()))
        lines += [f"warning     {words}" for words in health["warnings"]]
    return "\n".join(shown(line) for line in lines)
