"""The suites of the bench, as data. To add one, add a value to `SUITES`."""

from __future__ import annotations

import difflib
from fractions import Fraction

from cldis.bench.suite import CONTROLS, Overrides, Suite

# Feedback may move C as fast as its signal moves: the bound on the rate is wide.
FREE = "feedback.rate=0.6"
CLOSED = ("method=closed", "feedback.kind=reverse_kl", FREE)
CLOSED_INFORMATION = ("method=closed", "feedback.kind=information", FREE)
# Without feedback C rises evenly: to 8 nats at the end of a run, or to 2 (the slow one).
OPEN = ("method=open", "feedback.kind=linear")
SLOW = "feedback.rate=0.07"
# At eight times the budget: to 12.5 nats at the end, about what rooms and kuka hold.
GRADUAL = "feedback.rate=0.05"
LED = "loop.vae_alone=256000"
LET_GO = "distillation.end=384000"
# The pull on a code that is a point: the squared distance of the means.
POINT_PULL = ("model.gaussian=false", "distillation.kind=mse", "distillation.weight=2e-3")
ADAGN = "model.conditioning=adagn"
# The teacher as a plain beta-VAE: C stays at (almost) zero.
BETA4 = ("vae.beta=4", "feedback.capacity_max=1e-3")
# The feedback at 64 px looked at the SNR range of 32 px.
RANGE32 = "feedback.log_snr_max=-2"
# Recipe loop64 before a VAE led in it, and as it is now.
BEFORE64 = (
    *("feedback.kind=information", "feedback.rate=0.07", "feedback.warmup=20000", "vae.beta=50"),
    RANGE32,
    *("distillation.kind=kl", "distillation.weight=5e-5", "distillation.end=200000"),
)
LED64 = (
    *(*CLOSED_INFORMATION, *POINT_PULL, "feedback.rate=0.08", "vae.beta=200"),
    *("loop.vae_alone=160000", "distillation.end=208000"),
    *("feedback.warmup=5000", "training.batch=32", RANGE32),
)
# A teacher that says nothing: with C near zero the KL is, so the pull is towards the origin.
EMPTY = ("feedback.capacity_max=1e-3", "distillation.warmup=0")
ALONE: dict[str, Overrides] = {
    name: (f"method={name}",)
    for name in (
        "encdiff",
        "diffae",
        "disdiff",
        "beta_vae",
        "anneal_vae",
        "factor_vae",
        "beta_tcvae",
        "dip_vae",
    )
}
STRONGEST = ("encdiff", "beta_vae")  # of each family
OTHERS = {name: overrides for name, overrides in ALONE.items() if name not in STRONGEST}
UNTRAINED: dict[str, Overrides] = {name: () for name in CONTROLS}
ON_GPU = ("training.compile=true", "training.batch=64")
ROOMS_AND_KUKA = {"rooms": 32, "kuka": 32}
FIVE = (0, 1, 2, 3, 4)

SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "smoke",
            "does the bench work? Minutes on a small machine; its scores mean nothing",
            recipe="tiny",
            methods={"closed": CLOSED, "beta_vae": ALONE["beta_vae"]},
            data={"rooms": 32},
            seeds=(0, 1),
            images=(3_200,),
            shares=(Fraction(1, 2), Fraction(1)),
            pool=2_000,
            pairs=(("closed", "beta_vae"),),
        ),
        Suite(
            "study",
            "what each part of the closed loop adds, beside other methods at equal images",
            recipe="study32",
            methods={
                "vae": ("method=vae",),
                "backbone": ("method=diffusion",),
                "open": OPEN,
                "open_slow": (*OPEN, SLOW),
                "closed": CLOSED,
                "closed_information": CLOSED_INFORMATION,
                **ALONE,
                **UNTRAINED,
            },
            data=ROOMS_AND_KUKA,
            seeds=FIVE,
            images=(32_000,),
            standard=True,
            pairs=(
                ("closed", "open"),
                ("closed", "open_slow"),
                ("closed_information", "open"),
                ("closed", "backbone"),
                ("closed", "vae"),
                ("closed", "encdiff"),
                ("closed", "beta_vae"),
            ),
        ),
        Suite(
            "peers",
            "the other methods at the images of the study",
            recipe="study32",
            methods={
                **OTHERS,  # the strongest are in `ablation`, with the same scores
                **UNTRAINED,
            },
            data=ROOMS_AND_KUKA,
            seeds=FIVE,
            images=(32_000,),
            shares=(Fraction(1),),
            standard=True,
        ),
        Suite(
            "ablation",
            "how the VAE teaches: kind of distillation, conditioning, teacher and end",
            recipe="study32",
            methods={
                "open": OPEN,
                "closed": CLOSED,
                "open_mse": (*OPEN, *POINT_PULL),
                "closed_mse": (*CLOSED, *POINT_PULL),
                "closed_let_go": (*CLOSED, *POINT_PULL, "distillation.end=16000"),
                "open_softmax": (*OPEN, "distillation.kind=softmax_kl"),
                "open_adagn": (*OPEN, ADAGN),
                "closed_adagn": (*CLOSED, ADAGN),
                "open_beta4": (*OPEN, *POINT_PULL, *BETA4),
                "closed_beta4": (*CLOSED_INFORMATION, *POINT_PULL, "vae.beta=4"),
                "encdiff": ALONE["encdiff"],
                "beta_vae": ALONE["beta_vae"],
            },
            data=ROOMS_AND_KUKA,
            seeds=FIVE,
            images=(32_000,),
            shares=(Fraction(1),),
            standard=True,
            pairs=(
                ("closed", "open"),
                ("closed_mse", "open_mse"),
                ("closed_adagn", "open_adagn"),
                ("closed_beta4", "open_beta4"),
                ("open_mse", "open"),
                ("open_softmax", "open"),
                ("open_adagn", "open"),
                ("closed_let_go", "closed_mse"),
                ("closed_let_go", "encdiff"),
                ("open_mse", "encdiff"),
                ("open_beta4", "encdiff"),
            ),
        ),
        Suite(
            "long",
            "eight times the images of the study: does the order of the methods stay?",
            recipe="study32",
            methods={
                "encdiff": ALONE["encdiff"],
                "closed_let_go": (*CLOSED, *POINT_PULL, "distillation.end=64000"),
                "beta_vae": ALONE["beta_vae"],
                "vae_slow": ("method=vae", "feedback.kind=linear", GRADUAL),
                "closed_slow": (*CLOSED_INFORMATION, GRADUAL, *POINT_PULL),
                "open_slow": (*OPEN, GRADUAL, *POINT_PULL),
                "pull_to_zero": (*OPEN, *POINT_PULL, *EMPTY, "distillation.end=128000"),
            },
            data=ROOMS_AND_KUKA,
            seeds=FIVE,
            images=(256_000,),
            standard=True,
            pairs=(
                ("pull_to_zero", "encdiff"),
                ("closed_slow", "open_slow"),
                ("closed_slow", "encdiff"),
                ("closed_slow", "vae_slow"),
                ("closed_let_go", "encdiff"),
                ("closed_let_go", "beta_vae"),
            ),
        ),
        Suite(
            "lead",
            "the VAE first, 256,000 cheap images alone; then both, and distillation from the start",
            recipe="study32",
            methods={
                "closed_led": (*CLOSED_INFORMATION, GRADUAL, *POINT_PULL, LED),
                "open_led": (*OPEN, GRADUAL, *POINT_PULL, LED),
            },
            data=ROOMS_AND_KUKA,
            seeds=FIVE,
            images=(320_000,),
            shares=tuple(Fraction(n, 20) for n in (16, 17, 18, 19, 20)),
            standard=True,
            pairs=(("closed_led", "open_led"),),
        ),
        Suite(
            "led",
            "as `lead`, but both then train for 256,000 images; EncDiff has 512,000 of its own",
            recipe="study32",
            methods={
                "closed_led_go": (*CLOSED_INFORMATION, GRADUAL, *POINT_PULL, LED, LET_GO),
                "open_led_go": (*OPEN, GRADUAL, *POINT_PULL, LED, LET_GO),
                "vae_slow": ("method=vae", "feedback.kind=linear", GRADUAL),
                "encdiff": ALONE["encdiff"],
            },
            data=ROOMS_AND_KUKA,
            seeds=FIVE,
            images=(512_000,),
            shares=tuple(Fraction(n, 32) for n in (16, 18, 20, 24, 32)),
            standard=True,
            pairs=(
                ("closed_led_go", "open_led_go"),
                ("closed_led_go", "vae_slow"),
                ("closed_led_go", "encdiff"),
            ),
        ),
        Suite(
            "px64",
            "64 px: the closed loop from the start (`closed`) or led; the branch alone (`encdiff`)",
            recipe="loop64",
            methods={
                "closed": (
                    *(*BEFORE64, "distillation.end=128000", "training.batch=64"),
                    *("method=closed", "loop.vae_alone=0", "model.gaussian=true"),
                ),
                "closed_led_go": LED64,
                "closed_led_early": (
                    *(*LED64, "loop.vae_alone=96000", "distillation.end=144000"),
                    "feedback.rate=0.1",
                ),
                "closed_led_16": (
                    *(*LED64, "loop.vae_alone=128000", "distillation.end=160000"),
                    *("feedback.rate=0.1", "feedback.log_snr_max=-3.4", "training.batch=16"),
                ),
                "encdiff": (*BEFORE64, *ALONE["encdiff"], "training.batch=32"),
                "encdiff_16": (*BEFORE64, *ALONE["encdiff"], "training.batch=16"),
            },
            data={"rooms": 64, "kuka": 64},
            seeds=FIVE,
            images=(256_000,),
            standard=True,
            pairs=(
                ("closed_led_go", "closed"),
                ("closed_led_go", "encdiff"),
                ("closed_led_early", "closed_led_go"),
                ("closed_led_early", "encdiff"),
                ("closed_led_16", "encdiff_16"),
                ("closed_led_16", "closed_led_go"),
                ("encdiff_16", "encdiff"),
            ),
        ),
        Suite(
            "hours64",
            "64 px, as `px64` but twice the images: how far it gets in two hours on one core",
            recipe="cpu64",
            methods={"encdiff_16": ()},
            data={"rooms": 64},
            seeds=FIVE,
            images=(512_000,),
            shares=tuple(Fraction(n, 8) for n in (1, 2, 4, 6, 8)),
            standard=True,
        ),
        Suite(
            "gpu_rooms",
            "full budget on rooms at 64 px: the closed loop and the strongest of each other family",
            recipe="loop64",
            methods={
                "closed": ON_GPU,
                "encdiff": (*ALONE["encdiff"], *ON_GPU),
                "beta_vae": (*ALONE["beta_vae"], *ON_GPU),
            },
            data={"rooms": 64},
            seeds=(0, 1, 2),
            images=(960_000,),
            stretch=True,
            standard=True,
            pairs=(("closed", "encdiff"), ("closed", "beta_vae")),
        ),
        Suite(
            "gpu_rest",
            "full budget on rooms at 64 px: the ablation of the loop and the other methods",
            recipe="loop64",
            methods={
                "vae": ("method=vae", *ON_GPU),
                "open": (*OPEN, *ON_GPU),
                **{name: (*overrides, *ON_GPU) for name, overrides in OTHERS.items()},
                **UNTRAINED,
            },
            data={"rooms": 64},
            seeds=(0, 1, 2),
            images=(960_000,),
            stretch=True,
            standard=True,
        ),
    )
}


def find_suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        ValueError: unknown name; the nearest is suggested.
    """
    if name not in SUITES:
        near = difflib.get_close_matches(name, SUITES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown suite {name!r}; {hint}suites: {', '.join(SUITES)}")
    return SUITES[name]
