"""Which curves of a run are drawn, and what each should look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cldis.config import Config
from cldis.pages.figures import BLUE, GREEN, ORANGE, Figure, Series, training_curves
from cldis.training.health import DEAD_GAP

Line = dict[str, Any]


@dataclass(frozen=True)
class Curve:
    """One line: a key of metrics.jsonl in lines of one kind."""

    kind: str
    key: str
    label: str
    colour: str
    dashes: str = "-"
    scale: float = 1.0


@dataclass(frozen=True)
class Plot:
    """One small diagram."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    caption: str
    log: bool = False
    level: float | None = None  # a dotted line that means something
    needs: str = ""  # a key without which the curves mean nothing


@dataclass(frozen=True)
class Drawn:
    """A diagram with its words."""

    title: str
    figure: Figure
    caption: str


def plots(config: Config) -> list[Plot]:
    """All diagrams; those whose keys a run never logged are dropped when drawing."""
    kind = config.distillation.kind
    rate = f"{config.feedback.rate:g} nats per 1,000 images"
    return [
        Plot(
            "Denoising loss",
            "mean squared error",
            (
                Curve("train", "diffusion", "training", BLUE),
                Curve("health", "heldout_diffusion", "held out", ORANGE, "--"),
            ),
            "Falls fast, then slowly. If the held-out line rises while the other falls, the model "
            "learns its images by heart: more images, or fewer rounds.",
            log=True,
        ),
        Plot(
            "What the VAE cannot draw",
            "nats per image",
            (Curve("train", "vae_nll", "-log p(x|z)", BLUE),),
            "Falls whenever the capacity C lets more into z_disen; flat with C at rest is normal."
            if config.uses_capacity
            else "Falls fast, then slowly; the penalty on the code keeps it from zero.",
        ),
        Plot(
            "Capacity of the VAE" if config.uses_capacity else "What the code says",
            "nats",
            (
                Curve("train", "vae_kl", "KL of z_disen", BLUE),
                Curve("train", "capacity", "C, its set point", ORANGE, "--"),
                Curve("train", "feedback", "feedback signal", GREEN, ":"),
            ),
            f"The KL should lie on C. C moves towards the feedback signal, by no more than {rate}; "
            "without feedback the signal is simply where C is going."
            if config.uses_capacity
            else "KL of the code from N(0, I): an upper bound of what it says about the image.",
            needs="vae_kl",
        ),
        Plot(
            "Distance of the two codes",
            "squared distance" if kind == "mse" else "nats",
            (Curve("train", "distillation", f"L_dt ({kind})", BLUE),),
            "Falls while the VAE pulls z_sem along; may rise again once distillation ends or C "
            "lets the VAE say more.",
            log=True,
        ),
        Plot(
            "Pull of the distillation",
            "weight",
            (Curve("train", "lambda_dt", "lambda_dt", BLUE),),
            "Zero in the warm-up, then the weight of the settings, then down to its end, if any.",
            needs="distillation",
        ),
        Plot(
            "Does the decoder use z_sem?",
            "% worse with a wrong code",
            (Curve("health", "gap", "gap", BLUE, scale=100),),
            f"How much the loss rises when images get each other's z_sem. Below the dotted line, "
            f"{100 * DEAD_GAP:g} %, the code is dead: the decoder ignores it.",
            level=100 * DEAD_GAP,
        ),
        Plot(
            "Active units",
            f"of {config.model.units}",
            (
                Curve("health", "sem_active_units", "z_sem", BLUE),
                Curve("health", "disen_active_units", "z_disen", ORANGE, "--"),
            ),
            "Units whose mean varies over images; none at all is a collapse."
            + (" z_disen gains units one by one as C grows." if config.uses_capacity else ""),
        ),
        Plot(
            "Speed",
            "images per second",
            (Curve("train", "images_per_second", "training", BLUE),),
            "Dips are checkpoints and sample grids; a lasting fall means the machine got busy.",
        ),
    ]


def draw_all(config: Config, lines: list[Line]) -> list[Drawn]:
    """The diagrams for which `lines` of metrics.jsonl hold at least one point."""
    logged = {key for line in lines for key in line}
    drawn = (draw(plot, lines) for plot in plots(config) if plot.needs in {"", *logged})
    return [item for item in drawn if item is not None]


def draw(plot: Plot, lines: list[Line]) -> Drawn | None:
    """One diagram, or None without a point."""
    series = [
        Series(curve.label, points(curve, lines), curve.colour, curve.dashes)
        for curve in plot.curves
    ]
    series = [line for line in series if line.points]
    if not series:
        return None
    seen = max(float(line["images"]) for line in lines)
    figure = training_curves(plot.title, plot.unit, series, seen, plot.log, plot.level)
    return Drawn(plot.title, figure, plot.caption)


def points(curve: Curve, lines: list[Line]) -> list[tuple[float, float]]:
    """(images, value) of every line that has the key; lost values (null) are left out."""
    own = [line for line in lines if line.get("kind") == curve.kind]
    return [
        (float(line["images"]), curve.scale * float(line[curve.key]))
        for line in own
        if isinstance(line.get(curve.key), int | float)
    ]
