"""From numbers and pictures to the page: what is said, and how pictures get into the file."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from cldis.apps import report_measure as measure
from cldis.apps.report_plots import Drawn
from cldis.images import grid, png_bytes
from cldis.training.health import ACTIVE, DEAD_GAP
from cldis.training.run import RunFolder

GAP = 2
TELLING = 0.2
ARMS = {
    "closed": "the closed loop: a diffusion autoencoder and a β-VAE that teach each other",
    "open": "the open loop: a β-VAE teaches a diffusion autoencoder and hears nothing back",
    "diffae": "a diffusion autoencoder alone",
    "vae": "a β-VAE alone",
}
BASELINES = {
    "beta_vae": "the baseline β-VAE",
    "anneal_vae": "the baseline AnnealVAE, a β-VAE whose capacity rises at a fixed rate",
    "factor_vae": "the baseline FactorVAE",
    "beta_tcvae": "the baseline β-TCVAE",
    "dip_vae": "the baseline DIP-VAE-II",
    "diffae": "the baseline Diff-AE",
    "encdiff": "the baseline EncDiff",
    "disdiff": "the baseline DisDiff",
}
WAYS = {
    "inverted": ("From the code and the inverted x_T", "inverted x_T"),
    "random": ("From the code and a random x_T", "random x_T"),
    "vae": ("The VAE's own picture of z_disen", "VAE"),
}


@dataclass
class Pictures:
    """What the page draws, as far as the run allows."""

    curves: list[Drawn]
    originals: Tensor | None = None  # [n, 3, H, W]
    traversals: list[measure.Traversal] = field(default_factory=list)
    reconstructions: list[measure.Reconstruction] = field(default_factory=list)
    edits: dict[int, Tensor] = field(default_factory=dict)


def render(run: RunFolder, numbers: dict[str, Any], pictures: Pictures) -> str:
    """The page as HTML that refers to nothing outside itself."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "picture": picture, "svg": svg, "signed": signed}
    arm = run.config.loop.arm
    loud = [item for item in pictures.traversals if item.change >= measure.QUIET]
    return environment.get_template("report.html.j2").render(
        run=run,
        about=run.about,
        config=run.config,
        config_text=json.dumps(run.config.to_dict(), indent=2, ensure_ascii=False),
        command=" ".join(run.about.get("command", [])),
        n=numbers,
        arm_words=BASELINES.get(run.config.baseline.method, ARMS[arm]),
        code="z_disen" if arm == "vae" else "z_sem",
        verdict=verdict(run, numbers),
        alive=alive(numbers),
        pictures=pictures,
        loud=loud,
        quiet=[item for item in pictures.traversals if item.change < measure.QUIET],
        amounts=measure.AMOUNTS,
        edit=measure.EDIT,
        reads=reads(numbers),
        ways=WAYS,
        health_rows=health_rows(run, numbers),
        heat=heat(numbers),
        sample=sample(run),
    )


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
    if health.get("gap") is not None:
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
    name = "z_disen" if numbers["arm"] == "vae" else "z_sem"
    probe = numbers.get("factors", {}).get(name)
    if probe is None:
        return {}
    found = {}
    names = list(probe["accuracy"])
    for unit, row in enumerate(probe["importance"]):
        best = max(range(len(row)), key=lambda k: row[k])
        if row[best] >= TELLING:
            found[unit] = f"{names[best].replace('_', ' ')} {100 * row[best]:.0f} %"
    return found


def health_rows(run: RunFolder, numbers: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, value, what it should be) of the last measurements."""
    found = {**(numbers["training"] or {}), **(numbers["health"] or {})}
    for key, needs in (
        ("capacity", "vae_kl"),
        ("feedback", "vae_kl"),
        ("lambda_dt", "distillation"),
    ):
        if needs not in found:  # logged by every arm, but nothing to this one
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
        ("lambda_dt", "Weight of the distillation", "", 1.0, "0 in warm-up and after release"),
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
        (label, f"{number(scale * found[key])} {unit}".strip(), words)
        for key, label, unit, scale, words in rows
        if found.get(key) is not None
    ]


def heat(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Per code, the probe's table: importance by unit and factor, with a shade 0..1 each."""
    tables = []
    for code, probe in numbers.get("factors", {}).items():
        matrix = probe["importance"]
        top = max((value for row in matrix for value in row), default=0.0) or 1.0
        order = sorted(range(len(matrix)), key=lambda unit: -max(matrix[unit]))
        kept = sorted(order[: measure.MAX_UNITS])
        tables.append(
            {
                "code": code,
                "probe": probe,
                "rows": [
                    (unit, [(value, round(value / top, 3)) for value in matrix[unit]])
                    for unit in kept
                ],
                "left_out": len(matrix) - len(kept),
            }
        )
    return tables


def sample(run: RunFolder) -> dict[str, Any] | None:
    """The newest sample grid of training."""
    found = sorted(run.samples.glob("*.png")) if run.samples.is_dir() else []
    if not found:
        return None
    data = found[-1].read_bytes()
    rows = ["held-out images"]
    if run.config.loop.arm != "vae":
        rows.append("z_sem decoded from a random x_T")
    if run.config.loop.arm != "diffae":
        rows.append("the VAE's picture")
    with Image.open(found[-1]) as image:
        width, height = image.size
    return {
        "uri": uri("image/png", data),
        "width": width,
        "height": height,
        "images": int(found[-1].stem) if found[-1].stem.isdigit() else None,
        "rows": rows,
    }


def picture(cells: Tensor, alt: str) -> dict[str, Any]:
    """A grid [rows, columns, 3, H, W] (or one row [columns, 3, H, W]) as attributes of an img."""
    if cells.dim() == 4:
        cells = cells[None]
    rows, columns = cells.shape[:2]
    page = transparent_gaps(grid(measure.reduced(cells), GAP), rows, columns)
    return {"src": uri("image/png", png_bytes(page)), "alt": alt, "size": page.size}


def transparent_gaps(page: Image.Image, rows: int, columns: int) -> Image.Image:
    """The picture of `grid` with its gaps seen through, so that it sits well on any paper."""
    width, height = (page.width - GAP) // columns - GAP, (page.height - GAP) // rows - GAP
    mask = torch.zeros(page.height, page.width, dtype=torch.uint8)
    for r in range(rows):
        for c in range(columns):
            top, left = GAP + r * (height + GAP), GAP + c * (width + GAP)
            mask[top : top + height, left : left + width] = 255
    page.putalpha(Image.fromarray(mask.numpy()))
    return page


def svg(data: bytes) -> str:
    return uri("image/svg+xml", data)


def uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def number(value: float | int | None, digits: int = 3) -> str:
    """A number for people: `digits` significant digits, thousands set apart, never 1e+03."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "∞" if value > 0 else "not a number"
    if isinstance(value, int) or abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def signed(value: float) -> str:
    """-2 with a true minus sign, +2, and 0."""
    return f"{value:+g}".replace("-", "−") if value else "0"
