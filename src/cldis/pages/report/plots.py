"""The curves of a run as small SVG pictures that read well on light and on dark paper."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from cldis.config import Config
from cldis.training.health import DEAD_GAP

# Okabe and Ito's palette: distinct under every common colour blindness, and on black and white.
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
INK = "#010203"  # stands for the colour of text until the SVG is written
STYLE = (
    "<style>svg{color:#333}@media screen and (prefers-color-scheme:dark){svg{color:#ccc}}</style>"
)
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
    """A diagram as SVG, with its words."""

    title: str
    svg: bytes
    alt: str
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
            "Falls while the VAE pulls z_sem along; may rise again once the pull is released or C "
            "lets the VAE say more.",
            log=True,
        ),
        Plot(
            "Pull of the distillation",
            "weight",
            (Curve("train", "lambda_dt", "lambda_dt", BLUE),),
            "Zero in the warm-up, then the weight of the settings, then released if they say so.",
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
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    series = [(curve, points(curve, lines)) for curve in plot.curves]
    series = [(curve, xy) for curve, xy in series if xy]
    if not series:
        return None
    with matplotlib.rc_context({"svg.hashsalt": plot.title, "font.size": 11}):
        figure = Figure(figsize=(4.4, 2.7), layout="constrained")
        axes = figure.subplots()
        for curve, xy in series:
            few = "o" if len(xy) < 3 else ""
            axes.plot(
                *zip(*xy, strict=True),
                curve.dashes,
                color=curve.colour,
                marker=few,
                lw=1.8,
                ms=4,
                label=curve.label,
                clip_on=not few,
            )
        if plot.level is not None:
            axes.axhline(plot.level, color=INK, lw=1, ls=":")
        if plot.log and all(y > 0 for _, xy in series for _, y in xy):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            low, high = axes.get_ylim()
            flat = all(y == 0 for _, xy in series for _, y in xy)
            axes.set_ylim(*((0.0, 1.0) if flat else (min(0.0, low), high)))
        _ink(axes)
        seen = max(float(line["images"]) for line in lines)
        axes.set_xlim(0, seen)
        axes.set_xlabel("images seen")
        axes.set_ylabel(plot.unit)
        short = seen < 2000
        axes.xaxis.set_major_formatter(
            lambda x, _: f"{x:g}" if short or not x else f"{x / 1000:g}k"
        )
        if len(plot.curves) > 1:
            axes.legend(frameon=False, labelcolor=INK, fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = buffer.getvalue().decode("utf-8").replace(INK, "currentColor")
    head, tag, rest = text.partition("<defs>")
    assert tag, "matplotlib writes <defs> first"
    svg = (head + STYLE + tag + rest).encode("utf-8")
    return Drawn(plot.title, svg, _alt(plot, series), plot.caption)


def points(curve: Curve, lines: list[Line]) -> list[tuple[float, float]]:
    """(images, value) of every line that has the key; lost values (null) are left out."""
    found = [line for line in lines if line.get("kind") == curve.kind]
    return [
        (float(line["images"]), curve.scale * float(line[curve.key]))
        for line in found
        if isinstance(line.get(curve.key), int | float)
    ]


def _ink(axes: Any) -> None:
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    axes.tick_params(which="both", colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(color=INK, alpha=0.15, lw=0.6)


def _alt(plot: Plot, series: list[tuple[Curve, list[tuple[float, float]]]]) -> str:
    parts = []
    for curve, xy in series:
        (_, first), (_, last) = xy[0], xy[-1]
        parts.append(f"{curve.label} from {first:.3g} to {last:.3g}")
    seen = max(xy[-1][0] for _, xy in series)
    return f"{plot.title} ({plot.unit}) over {seen:,.0f} images: {', '.join(parts)}."
