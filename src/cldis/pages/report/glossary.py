"""What every number of the report means, in a sentence or two: {key: (label, meaning)}."""

from __future__ import annotations

from cldis.metrics.tracking.score import ACTIVE, SHARE
from cldis.training.health import ACTIVE as VARIES
from cldis.training.health import DEAD_GAP

IN_BRIEF = "From 0 to 1; "

TERMS = {
    "unit": ("unit", "One number of the code. The code of an image is as many numbers as units."),
    "std": (
        "standard deviation",
        "How much a unit varies over training images; shifts are given in it.",
    ),
    "grey": (
        "grey level",
        "A step of brightness of one colour of one pixel, of 255 from black to full.",
    ),
    "share": (
        "share",
        "Of all that the factor probe uses to guess a factor, the part that this unit gives.",
    ),
    "x_T": (
        "x_T",
        "The noise from which the decoder starts. What the code does not hold, x_T decides; "
        "inverted means computed back from the image itself.",
    ),
    "ssim": (
        "SSIM",
        "Structural similarity of two pictures (Wang et al. 2004), 1 for equal ones.",
    ),
    "psnr": (
        "PSNR",
        "Peak signal-to-noise ratio in dB: higher is closer, infinite for equal pictures.",
    ),
    "seen": ("images seen", "Training images, counted again each time they come by."),
    "active_units": (
        "active units",
        f"Units whose mean varies over images by a variance above {VARIES:g} (Burda et al. 2016).",
    ),
    "gap": (
        "gap",
        "How much worse the denoiser gets when images are given each other's code. Below "
        f"{100 * DEAD_GAP:g} % the decoder ignores the code.",
    ),
    "nats": ("nats", "Information, as bits are: 1 nat is 1.44 bits."),
    "kl": (
        "KL",
        "Kullback-Leibler divergence of the code from a standard normal: an upper bound of what "
        "the code says about the image.",
    ),
    "capacity": ("C", "How many nats the VAE is allowed to say; feedback moves it."),
    "dci_d": (
        "DCI disentanglement",
        f"{IN_BRIEF}1 when every unit serves one factor only (Eastwood and Williams 2018). Needs "
        "known factors; compare only what the same estimator measured.",
    ),
    "dci_c": (
        "DCI completeness",
        f"{IN_BRIEF}1 when every factor is held by one unit only (Eastwood and Williams 2018).",
    ),
    "accuracy": (
        "accuracy",
        "How often the probe guesses a factor of an image that it was not trained on.",
    ),
    "chance": ("chance", "What guessing the most frequent answer, or any answer, would give."),
    "direction": (
        "direction",
        "A way to move the code: one unit, or the mixture of units that navigation found.",
    ),
    "score": (
        "tracking score",
        f"{IN_BRIEF}purity times own: does it change one thing, and is it the only direction "
        "that does? Measured without labels; the definition is this project's own "
        "(docs/content_tracking.md).",
    ),
    "run_score": (
        "tracking score of the run",
        f"{IN_BRIEF}mean score of the directions, times control; near 1 when each changes one "
        "thing of its own and the code holds what varies.",
    ),
    "control": (
        "control",
        f"{IN_BRIEF}how much of what varies over the images the code holds; the rest is up to x_T.",
    ),
    "purity": (
        "purity",
        f"{IN_BRIEF}1 when the direction changes one thing, 1/2 when it mixes two that no other "
        "direction keeps apart as evenly. It cannot see a mixture that all directions share.",
    ),
    "own": (
        "own",
        f"{IN_BRIEF}1 when no other direction changes the same, 1/2 when one other does.",
    ),
    "activity": (
        "activity",
        "How much the direction changes pictures, in grey levels above the noise floor. Below "
        f"{ACTIVE:g}, or below {100 * SHARE:g} % of the strongest, it is inactive and gets no "
        "score.",
    ),
    "floor": (
        "noise floor",
        "What already changes between two pictures of one code with different x_T, in grey levels.",
    ),
    "motion": (
        "motion",
        "Change that comes from things being elsewhere, found by optical flow: its part of all "
        "change, and in grey levels above the noise floor.",
    ),
    "appearance": (
        "appearance",
        "Change of colour and light that remains once motion is undone, in grey levels above the "
        "noise floor.",
    ),
    "closest": (
        "most alike",
        "The direction that changes the same places in the most similar way, and how similar: 1 "
        "is the same.",
    ),
    "recognised": (
        "recognised",
        "How often a network that sees the picture before and after tells which direction was "
        "moved, on held-out images.",
    ),
    "sign": (
        "sign told",
        "How often the same network tells to which side; guessing gives 50 %.",
    ),
    "pixel_change": (
        "change of a pixel",
        "Mean change of a pixel over random shifts, in grey levels of 255.",
    ),
}
