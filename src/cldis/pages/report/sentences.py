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
    factor_of = {}
    names = list(probe["accuracy"])
    for unit, row in enumerate(probe["importance"]):
        best = max(range(len(row)), key=lambda k: row[k])
        if row[best] >= TELLING:
            factor_of[unit] = f"{names[best].replace('_', ' ')} {100 * row[best]:.0f} %"
    return factor_of


def health_rows(run: RunFolder, numbers: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(key of its term, what, value, what it should be) of the last measurements."""
    measured = {**(numbers["training"] or {}), **(numbers["health"] or {})}
    for key in ("capacity", "feedback", "lambda_dt"):
        needs = "distillation" if key == "lambda_dt" else "vae_kl"
        if needs not in measured:  # logged by older versions, but nothing to this method
            measured.pop(key, None)
    units, kind = run.config.model.units, run.config.distillation.kind
    grows, kl = ", and growing with C", "close to C"
    if not run.config.uses_capacity:
        grows, kl = "", "more than 0"
    loss, varies = "Denoising loss, ", f"variance of the mean over images above {ACTIVE:g}"
    worse = "how much worse the denoiser is with another image's code"
    nats = "" if kind == "mse" else "nats"
    rows = [
        ("gap", "Gap of z_sem", "%", f"above {100 * DEAD_GAP:g} %: {worse}"),
        ("heldout_diffusion", f"{loss}held out", "", "near that in training; else learnt by heart"),
        ("diffusion", f"{loss}training", "", "falls, ever more slowly"),
        ("sem_active_units", "Active units of z_sem", f"of {units}", f"more than 0: {varies}"),
        ("disen_active_units", "Active units of z_disen", f"of {units}", f"more than 0{grows}"),
        ("capacity", "Capacity C", "nats", "rises; the VAE may say this much"),
        ("vae_kl", "KL of z_disen", "nats", kl),
        ("feedback", "Feedback signal", "nats", "where C is pulled to"),
        ("distillation", f"Distance of the codes ({kind})", nats, "falls while the pull is on"),
        ("lambda_dt", "Weight of the distillation", "", "0 in warm-up and after its end"),
        ("z_gradient", "Gradient at z_sem", "", "not 0: what the denoiser's loss asks of the code"),
        ("images_per_second", "Speed", "images/s", "steady"),
    ]
    return [
        (
            MEANINGS.get(key, key),
            label,
            f"{number(measured[key] * (100 if unit == '%' else 1))} {unit}".strip(),
            words,
        )
        for key, label, unit, words in rows
        if measured.get(key) is not None
    ]
