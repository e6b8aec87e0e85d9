"""What the report says in words: verdict, health, and what every number means."""

from __future__ import annotations

from typing import Any

from cldis.text import number
from cldis.training.health import ACTIVE, DEAD_GAP
from cldis.training.run_folder import RunFolder

TELLING = 0.2
# Measurement -> term that explains it.
MEANINGS = {
    "sem_active_units": "active_units",
    "disen_active_units": "active_units",
    "vae_kl": "kl",
}
WAYS = {
    "inverted": ("From the code and the inverted x_T", "inverted x_T"),
    "random": ("From the code and a random x_T", "random x_T"),
    "vae": ("The VAE's own picture of z_disen", "VAE"),
}


def alive(numbers: dict[str, Any]) -> bool | None:
    """Whether the last look found nothing wrong; None when nobody has looked."""
    health = numbers["health"]
    return None if health is None else not health.get("warnings")


def verdict(run: RunFolder, numbers: dict[str, Any]) -> str:
    """How the run is, in a sentence (or one per warning)."""
    health = numbers["health"]
    if not numbers["images_seen"] and health is None:
        return "Nothing can be said yet: this run has no checkpoint and no measurement of health."
    if health is None:
        return (
            "Health was not measured: it takes two held-out images, and training looks at them "
            "with every sample grid."
        )
    if health.get("warnings"):
        return " ".join(health["warnings"])
    units = run.config.model.units
    parts = []
    if health.get("gap") is not None and "sem_active_units" in health:
        parts.append(
            f"with another image's z_sem the loss is {number(1 + health['gap'])} times as high, "
            f"and {health['sem_active_units']} of {units} units of z_sem vary over images"
        )
    if "disen_active_units" in health:
        parts.append(f"{health['disen_active_units']} of {units} units of z_disen do")
        if len(parts) == 1:
            parts = [f"{health['disen_active_units']} of {units} units of z_disen vary over images"]
    head = "Both codes are alive" if len(parts) == 2 else "The code is alive"
    return f"{head}: {', '.join(parts)}."


def reads(numbers: dict[str, Any]) -> dict[int, str]:
    """Per unit, the factor for which the probe leans on it most and the unit's share of what the
    probe uses for that factor; units without a share of `TELLING` are left out."""
    probe = numbers.get("factors", {}).get(numbers["code"])
    if probe is None:
        return {}
    found = {}
    names = list(probe["accuracy"])
    for unit, row in enumerate(probe["importance"]):
        best = max(range(len(row)), key=lambda k: row[k])
        if row[best] >= TELLING:
            found[unit] = f"{names[best].replace('_', ' ')} {100 * row[best]:.0f} %"
    return found


def health_rows(run: RunFolder, numbers: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(key of its term, what, value, what it should be) of the last measurements."""
    found = {**(numbers["training"] or {}), **(numbers["health"] or {})}
    for key, needs in (
        ("capacity", "vae_kl"),
        ("feedback", "vae_kl"),
        ("lambda_dt", "distillation"),
    ):
        if needs not in found:  # logged by older versions, but nothing to this method
            found.pop(key, None)
    units, kind = run.config.model.units, run.config.distillation.kind
    steered = run.config.uses_capacity
    rows = [
        (
            "gap",
            "Gap of z_sem",
            "%",
            100.0,
            f"above {100 * DEAD_GAP:g} %: how much worse the denoiser is with another image's code",
        ),
        (
            "heldout_diffusion",
            "Denoising loss, held out",
            "",
            1.0,
            "close to the loss in training; far above it means learnt by heart",
        ),
        ("diffusion", "Denoising loss, training", "", 1.0, "falls, ever more slowly"),
        (
            "sem_active_units",
            "Active units of z_sem",
            f"of {units}",
            1.0,
            f"more than 0; active: variance of the unit's mean over images above {ACTIVE:g}",
        ),
        (
            "disen_active_units",
            "Active units of z_disen",
            f"of {units}",
            1.0,
            "more than 0, and growing with C" if steered else "more than 0",
        ),
        ("capacity", "Capacity C", "nats", 1.0, "rises; the VAE may say this much"),
        (
            "vae_kl",
            "KL of z_disen",
            "nats",
            1.0,
            "close to C" if steered else "more than 0",
        ),
        ("feedback", "Feedback signal", "nats", 1.0, "where C is pulled to"),
        (
            "distillation",
            f"Distance of the codes ({kind})",
            "" if kind == "mse" else "nats",
            1.0,
            "falls while the pull is on",
        ),
        ("lambda_dt", "Weight of the distillation", "", 1.0, "0 in warm-up and after its end"),
        (
            "z_gradient",
            "Gradient at z_sem",
            "",
            1.0,
            "not 0: what the denoiser's loss asks of the code",
        ),
        ("images_per_second", "Speed", "images/s", 1.0, "steady"),
    ]
    return [
        (MEANINGS.get(key, key), label, f"{number(scale * found[key])} {unit}".strip(), words)
        for key, label, unit, scale, words in rows
        if found.get(key) is not None
    ]
