"""Typed configuration: one model per component, validated, JSON in and out.

`Config` is all that is needed to rebuild a run. Values are changed by `Config.with_overrides`
with dotted keys, the same that `--set section.key=value` takes on the command line.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Multipliers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(Section):
    """Sizes of the networks. `units` is d, the same for both latents."""

    resolution: int = Field(64, ge=8, le=1024, description="image side in pixels")
    units: int = Field(16, ge=1, le=4096)
    patch: int = Field(4, ge=1, le=16, description="space-to-depth side; 1 denoises raw pixels")
    width: int = Field(40, ge=8, description="base channels of the U-Net")
    multipliers: Multipliers = (1, 2)
    blocks: int = Field(1, ge=1, description="residual blocks per resolution")
    attention: tuple[int, ...] = Field((8,), description="sides of feature maps that self-attend")
    dropout: float = Field(0.0, ge=0, lt=1)
    conditioning: Literal["adagn", "cross_attention"] = "cross_attention"
    embed: int = Field(128, ge=8, description="channels of the time embedding and unit tokens")
    encoder: Literal["burgess", "diffae"] = "burgess"
    encoder_width: int = Field(32, ge=8)
    encoder_multipliers: Multipliers = (1, 2, 2)
    gaussian: bool = Field(True, description="E_sem gives a Gaussian (False: a point)")
    vae_width: int = Field(32, ge=8)

    @model_validator(mode="after")
    def _sides_divide(self) -> ModelConfig:
        needed = self.patch * 2 ** (len(self.multipliers) - 1)
        if self.encoder == "diffae":
            needed = max(needed, self.patch * 2 ** (len(self.encoder_multipliers) - 1))
        needed = math.lcm(needed, 8)
        if self.resolution % needed:
            below = max(needed, self.resolution // needed * needed)
            raise ValueError(
                f"resolution {self.resolution} must be a multiple of {needed} for patch "
                f"{self.patch} and this model's levels; try {below} or {below + needed}"
            )
        return self


class DiffusionConfig(Section):
    """Noise process of Diff-AE (Preechakul et al. 2022)."""

    steps: int = Field(1000, ge=10, description="T")
    schedule: Literal["linear", "squaredcos_cap_v2"] = "linear"
    prediction: Literal["epsilon", "x0", "v"] = "x0"
    condition_dropout: float = Field(0.1, ge=0, lt=1, description="share of rows with z_sem hidden")


class VAEConfig(Section):
    """The capacity objective beta * |KL - C| (Burgess et al. 2018)."""

    beta: float = Field(50.0, ge=0)


class DistillationConfig(Section):
    """L_dt, weighted by lambda_dt: zero in warm-up, then `weight`, then released to zero."""

    kind: Literal["kl", "softmax_kl", "mse"] = "kl"
    weight: float = Field(5e-5, ge=0)
    warmup: int = Field(20_000, ge=0, description="images before the pull starts")
    release: int = Field(0, ge=0, description="images at which the pull has ended; 0: never")


class FeedbackConfig(Section):
    """How C moves. `rate` bounds its rise for every kind (nats per 1,000 images)."""

    kind: Literal["linear", "reverse_kl", "information"] = "information"
    capacity_max: float = Field(20.0, gt=0, description="nats")
    rate: float = Field(0.07, gt=0)
    warmup: int = Field(20_000, ge=0, description="images before C may move")
    memory: int = Field(32_000, ge=1, description="images in the moving average of the signal")
    log_snr_max: float = Field(
        -3.4, description="upper end of the SNR range of `information`; -2 at 32 px, -3.4 at 64"
    )
    bins: int = Field(16, ge=2, le=256)


class LoopConfig(Section):
    """Which branches run: the ablation of the paper's claim."""

    arm: Literal["vae", "diffae", "open", "closed"] = "closed"
    lead: int = Field(0, ge=0, description="images at the start that train the VAE alone")


# Of one branch, none can lead; `--set loop.arm=NAME` sets these along with it.
ARMS: dict[str, dict[str, Any]] = {"vae": {"loop.lead": 0}, "diffae": {"loop.lead": 0}}
# What a baseline is made of; `--set baseline.method=NAME` sets these along with it.
VAE_BASELINE: dict[str, Any] = {"loop.arm": "vae", **ARMS["vae"]}
POINT_TOKENS: dict[str, Any] = {
    "loop.arm": "diffae",
    **ARMS["diffae"],
    "model.gaussian": False,
    "model.conditioning": "cross_attention",
}
BASELINES: dict[str, dict[str, Any]] = {
    "none": {},
    "beta_vae": VAE_BASELINE,
    "anneal_vae": VAE_BASELINE,
    "factor_vae": VAE_BASELINE,
    "beta_tcvae": VAE_BASELINE,
    "dip_vae": VAE_BASELINE,
    "diffae": {**POINT_TOKENS, "model.conditioning": "adagn"},
    "encdiff": POINT_TOKENS,
    "disdiff": POINT_TOKENS,
}
UNWEIGHTED = ("none", "diffae", "encdiff")


class BaselineConfig(Section):
    """Another method in the place of the closed loop (`cldis.methods`)."""

    method: Literal[
        "none",
        "beta_vae",
        "anneal_vae",
        "factor_vae",
        "beta_tcvae",
        "dip_vae",
        "diffae",
        "encdiff",
        "disdiff",
    ] = "none"
    weight: float | None = Field(
        None, ge=0, description="of its main regulariser; null: that method's usual value"
    )


class TrainingConfig(Section):
    images: int = Field(400_000, ge=1, description="total images to see")
    batch: int = Field(64, ge=1, description="global batch: over all processes and accumulation")
    accumulate: int = Field(1, ge=1, description="micro-batches per step")
    learning_rate: float = Field(6e-4, gt=0)
    learning_rate_warmup: int = Field(10_000, ge=0, description="images of linear warm-up")
    gradient_clip: float = Field(1.0, gt=0)
    ema: int = Field(20_000, ge=1, description="images in the moving average of the weights")
    precision: Literal["auto", "no", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware has it; settled when a run starts"
    )
    compile: bool = Field(False, description="torch.compile the networks; for long runs on a GPU")
    seed: int = Field(0, ge=0, lt=2**31)
    log_every: int = Field(3_200, ge=1, description="images between log lines")
    checkpoint_every: int = Field(32_000, ge=1, description="images between checkpoints")
    sample_every: int = Field(64_000, ge=1, description="images between sample grids")
    keep: int = Field(2, ge=1, description="checkpoints kept")
    start_from: str = Field("", description="starter:NAME or a run to start from")


class Config(Section):
    """All settings of a run."""

    recipe: str = "cpu64"
    model: ModelConfig = ModelConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    vae: VAEConfig = VAEConfig()
    distillation: DistillationConfig = DistillationConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    loop: LoopConfig = LoopConfig()
    baseline: BaselineConfig = BaselineConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _baseline_is_itself(self) -> Config:
        method = self.baseline.method
        for key, needed in BASELINES[method].items():
            section, name = key.split(".")
            found = getattr(getattr(self, section), name)
            if found != needed:
                words = json.dumps(needed).strip('"')
                raise ValueError(
                    f"baseline.method {method!r} is defined with {key}={words}, not {found!r}; "
                    f"set {key}={words}, or baseline.method=none"
                )
        if self.baseline.weight is not None and method in UNWEIGHTED:
            raise ValueError(
                f"baseline.weight {self.baseline.weight:g} weighs nothing: baseline.method "
                f"{method!r} has no regulariser; leave it out (null)"
            )
        return self

    @model_validator(mode="after")
    def _micro_batches(self) -> Config:
        if self.training.batch % self.training.accumulate:
            raise ValueError(
                f"training.batch {self.training.batch} must be a multiple of "
                f"training.accumulate {self.training.accumulate}"
            )
        if self.loop.arm == "closed" and self.feedback.kind == "linear":
            raise ValueError(
                "feedback.kind 'linear' is no feedback, so arm 'closed' would be 'open'; use "
                "loop.arm=open, or feedback.kind=information or reverse_kl"
            )
        if 0 < self.distillation.release <= self.distillation.warmup:
            raise ValueError(
                f"distillation.release {self.distillation.release} must be above "
                f"distillation.warmup {self.distillation.warmup}, or 0 to never let go"
            )
        if self.loop.lead and not self.distils:
            raise ValueError(
                f"loop.lead {self.loop.lead} needs a VAE that leads and a branch that follows; "
                f"set loop.arm=open or closed, or loop.lead=0"
            )
        if self.loop.lead >= self.training.images:
            raise ValueError(
                f"loop.lead {self.loop.lead} must be below training.images "
                f"{self.training.images}, else the diffusion branch never trains"
            )
        if 0 < self.distillation.release <= self.loop.lead:
            raise ValueError(
                f"distillation.release {self.distillation.release} must be above loop.lead "
                f"{self.loop.lead}, or 0 to never let go"
            )
        if self.distils and self.distillation.kind == "kl" and not self.model.gaussian:
            raise ValueError(
                "distillation.kind 'kl' needs a Gaussian E_sem; set model.gaussian=true, or "
                "distillation.kind=mse"
            )
        return self

    @property
    def distils(self) -> bool:
        """Whether both branches run, so that z_disen can be distilled into z_sem."""
        return self.loop.arm in ("open", "closed")

    @property
    def uses_capacity(self) -> bool:
        """Whether this method may steer by the capacity C."""
        return self.baseline.method in ("none", "anneal_vae")

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """Build and validate.

        Raises:
            ValueError: unknown key (the nearest known one is named), wrong type or range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ValueError(_one_line(error)) from None

    def with_overrides(self, overrides: Iterable[str]) -> Config:
        """A copy with `section.key=value` applied; values are JSON, or plain text.

        `baseline.method` also sets what that method is made of (`BASELINES`), and `loop.arm`
        what that arm cannot do without (`ARMS`).

        Raises:
            ValueError: not of the form key=value, unknown key, or a value out of range.
        """
        wanted: dict[str, Any] = {}
        for item in overrides:
            key, separator, text = item.partition("=")
            key = key.strip()
            if not separator:
                raise ValueError(f"--set {item!r}: expected section.key=value")
            _require_known(key)
            wanted[key] = _value(text.strip())
        implied: dict[str, Any] = {}
        for key, known in (("loop.arm", ARMS), ("baseline.method", BASELINES)):
            implied |= known.get(str(wanted.get(key)), {})
        values = self.to_dict()
        for key, value in {**implied, **wanted}.items():
            *sections, name = key.split(".")
            target = values
            for section in sections:
                target = target[section]
            target[name] = value
        return Config.from_dict(values)


def keys() -> list[str]:
    """Every settable dotted key."""
    found = []
    for section, value in Config().to_dict().items():
        if isinstance(value, dict):
            found += [f"{section}.{name}" for name in value]
    return found


def _require_known(key: str) -> None:
    known = keys()
    if key in known:
        return
    short = [full for full in known if full.split(".")[-1] == key.split(".")[-1]]
    near = short or difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
    raise ValueError(f"unknown setting {key!r}; {hint}")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _one_line(error: ValidationError) -> str:
    parts = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(where, keys(), n=1, cutoff=0.4)
            message = "unknown setting" + (f"; did you mean {near[0]}?" if near else "")
        got = "" if isinstance(item["input"], dict | BaseModel) else f" (got {item['input']!r})"
        parts.append(f"{where}: {message}{got}" if where else f"{message}{got}")
    return "; ".join(parts)
