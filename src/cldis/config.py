"""Typed configuration: one model per component, validated, JSON in and out.

`Config` is all that is needed to rebuild a run. Values are changed by `Config.with_overrides`
with the keys that `--set section.key=value` takes on the command line.
"""

from __future__ import annotations

import difflib
import json
import reprlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from cldis.config_model import PIXELS, ModelConfig, Section, Text
from cldis.config_upgrade import NOW, upgrade
from cldis.io import parse_json
from cldis.methods import find_method

Images = Annotated[int, Field(le=10**12)]
Weight = Annotated[float, Field(ge=0, le=1e9)]
MOST_TOLD = 3  # mistakes of one configuration


class DiffusionConfig(Section):
    """Noise process of Diff-AE (Preechakul et al. 2022)."""

    steps: int = Field(1000, ge=10, le=100_000, description="T")
    schedule: Literal["linear", "squaredcos_cap_v2"] = "linear"
    prediction: Literal["epsilon", "x0", "v"] = "x0"
    condition_dropout: float = Field(0.1, ge=0, lt=1, description="share of rows with z_sem hidden")
    redundancy: Weight = Field(
        0.0, description="price of a nat that two units of z_sem tell twice, as a share of L_diff"
    )


class VAEConfig(Section):
    """The capacity objective beta * |KL - C| (Burgess et al. 2018)."""

    beta: Weight = 50.0


class DistillationConfig(Section):
    """L_dt, by lambda_dt: 0 in warm-up, then `weight`, falling to `rest` of it at `end`."""

    kind: Literal["kl", "softmax_kl", "mse"] = "kl"
    weight: Weight = 5e-5
    warmup: Images = Field(20_000, ge=0, description="images before distillation starts")
    end: Images = Field(0, ge=0, description="images at which distillation ends; 0: never")
    rest: float = Field(0.0, ge=0, le=1, description="share of the weight that stays after the end")


class FeedbackConfig(Section):
    """How C moves. `rate` bounds its rise for every kind (nats per 1,000 images)."""

    kind: Literal["linear", "reverse_kl", "information"] = "information"
    capacity_max: float = Field(20.0, gt=0, le=1e9, description="nats")
    rate: float = Field(0.07, gt=0, le=1e9)
    warmup: Images = Field(20_000, ge=0, description="images before C may move")
    memory: Images = Field(32_000, ge=1, description="images in the moving average of the signal")
    log_snr_max: float = Field(
        -3.4, description="upper end of the SNR range of `information`; -2 at 32 px, -3.4 at 64"
    )
    bins: int = Field(16, ge=2, le=256)


class LoopConfig(Section):
    """When the branches of the loop train."""

    vae_alone: Images = Field(0, ge=0, description="images at the start that train the VAE alone")
    unmix: bool = Field(
        False, description="turn the VAE's units to independent axes as they are handed over"
    )
    rate_from: Images = Field(
        0, ge=0, description="images from which the rate of z_sem is lowered (rate_loop); 0: never"
    )
    margin: float = Field(
        0.4, ge=0, le=10, description="the rate that is left, above the information, as a share"
    )


class TrainingConfig(Section):
    images: Images = Field(256_000, ge=1, description="total images to see")
    batch: int = Field(
        16, ge=1, le=65_536, description="global batch: over all processes and accumulation"
    )
    accumulate: int = Field(1, ge=1, le=65_536, description="micro-batches per step")
    optimizer: Literal["adam", "muon"] = Field(
        "adam", description="muon: for matrices and convolutions, Adam for the rest"
    )
    learning_rate: float = Field(6e-4, gt=0, le=1e3)
    learning_rate_warmup: Images = Field(10_000, ge=0, description="images of linear warm-up")
    gradient_clip: float = Field(1.0, gt=0, le=1e12)
    ema: Images = Field(20_000, ge=1, description="images in the moving average of the weights")
    flip: bool = Field(False, description="see half of the images mirrored, left to right")
    precision: Literal["auto", "no", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware has it; settled when a run starts"
    )
    compile: bool = Field(False, description="torch.compile the networks; for long runs on a GPU")
    seed: int = Field(0, ge=0, lt=2**31)
    log_every: Images = Field(3_200, ge=1, description="images between log lines")
    checkpoint_every: Images = Field(32_000, ge=1, description="images between checkpoints")
    sample_every: Images = Field(
        8_000, ge=1, description="images between looks at held-out images, and sample grids"
    )
    keep: int = Field(2, ge=1, le=10**6, description="checkpoints kept")
    start_from: Text = Field("", description="starter:NAME or a run to start from")


class Config(Section):
    """All settings of a run. The defaults are those of the recipe that they name."""

    recipe: Text = "cpu64"
    method: str = Field("encdiff", description="a name of the table `cldis.methods.METHODS`")
    method_weight: Weight | None = Field(
        None, description="of its main regulariser; null: that method's usual value"
    )
    model: ModelConfig = ModelConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    vae: VAEConfig = VAEConfig()
    distillation: DistillationConfig = DistillationConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    loop: LoopConfig = LoopConfig()
    training: TrainingConfig = TrainingConfig()

    @field_validator("method")
    @classmethod
    def _method_is_known(cls, name: str) -> str:
        find_method(name)
        return name

    @model_validator(mode="after")
    def _method_is_itself(self) -> Config:
        for key, needed in find_method(self.method).settings.items():
            section, name = key.split(".")
            found = getattr(getattr(self, section), name)
            if found != needed:
                words = json.dumps(needed).strip('"')
                raise ValueError(
                    f"method {self.method!r} is defined with {key}={words}, not {found!r}; "
                    f"set {key}={words}, or another method"
                )
        return self

    @model_validator(mode="after")
    def _weight_weighs_something(self) -> Config:
        if self.method_weight is not None and find_method(self.method).weight is None:
            raise ValueError(
                f"method_weight {self.method_weight:g} weighs nothing: method {self.method!r} has "
                f"no regulariser; leave it out (null)"
            )
        return self

    @model_validator(mode="after")
    def _micro_batches_are_whole(self) -> Config:
        if self.training.batch % self.training.accumulate:
            raise ValueError(
                f"training.batch {self.training.batch} must be a multiple of "
                f"training.accumulate {self.training.accumulate}"
            )
        return self

    @model_validator(mode="after")
    def _feedback_is_feedback(self) -> Config:
        if find_method(self.method).feedback and self.feedback.kind == "linear":
            raise ValueError(
                f"feedback.kind 'linear' is no feedback, so method {self.method!r} would be "
                f"'open'; set method=open, or feedback.kind=information or reverse_kl"
            )
        return self

    @model_validator(mode="after")
    def _diffusion_branch_trains(self) -> Config:
        if self.loop.vae_alone >= self.training.images:
            raise ValueError(
                f"loop.vae_alone {self.loop.vae_alone} must be below training.images "
                f"{self.training.images}, else the diffusion branch never trains; give the budget "
                "as --images N, which shrinks every phase, or set a smaller loop.vae_alone"
            )
        return self

    @model_validator(mode="after")
    def _distillation_ends_after_it_began(self) -> Config:
        end = self.distillation.end
        for key, start in (
            ("distillation.warmup", self.distillation.warmup),
            ("loop.vae_alone", self.loop.vae_alone),
        ):
            if 0 < end <= start:
                raise ValueError(
                    f"distillation.end {end} must be above {key} {start}, or 0 to never end"
                )
        return self

    @model_validator(mode="after")
    def _phases_of_the_rate_follow_each_other(self) -> Config:
        alone, start = self.loop.vae_alone, self.loop.rate_from
        if not self.lowers_rate:
            return self
        if 0 < start <= alone:
            raise ValueError(
                f"loop.rate_from {start} must be above loop.vae_alone {alone}, or 0 for never"
            )
        if start and self.model.space != PIXELS:
            raise ValueError(
                f"loop.rate_from {start} needs model.space=pixels, not {self.model.space!r}: the "
                "information is read from denoised images; set loop.rate_from=0"
            )
        if self.model.encoder_width != self.model.vae_width:
            raise ValueError(
                f"method {self.method!r} hands the VAE's encoder to E_sem, so model.encoder_width "
                f"{self.model.encoder_width} must equal model.vae_width {self.model.vae_width}"
            )
        return self

    @model_validator(mode="after")
    def _kl_is_between_gaussians(self) -> Config:
        if self.distils and self.distillation.kind == "kl" and not self.model.gaussian:
            raise ValueError(
                "distillation.kind 'kl' needs a Gaussian E_sem; set model.gaussian=true, or "
                "distillation.kind=mse"
            )
        return self

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that this method has, of `diffusion` and `vae`."""
        return find_method(self.method).branches

    @property
    def distils(self) -> bool:
        """Whether both branches run, so that z_disen can be distilled into z_sem."""
        return len(self.branches) == 2

    @property
    def lowers_rate(self) -> bool:
        """Whether E_sem begins as the VAE's encoder and its own rate is lowered at the end."""
        return find_method(self.method).rate

    @property
    def uses_capacity(self) -> bool:
        """Whether the capacity C is part of this method's loss."""
        return find_method(self.method).capacity

    @property
    def uses_feedback(self) -> bool:
        """Whether C follows the reverse process."""
        return find_method(self.method).feedback

    @property
    def penalty_weight(self) -> float:
        """Of the method's main regulariser: `method_weight`, or the usual one."""
        usual = find_method(self.method).weight
        assert usual is not None, self.method
        return usual if self.method_weight is None else self.method_weight

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def flat(self) -> dict[str, Any]:
        """Every setting by the key that `with_overrides` takes; all but the name of the recipe."""
        found: dict[str, Any] = {}
        for section, value in self.to_dict().items():
            if isinstance(value, dict):
                found |= {f"{section}.{name}": item for name, item in value.items()}
            elif section != "recipe":
                found[section] = value
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """Build and validate.

        Raises:
            ValueError: unknown key (the nearest known one is named), wrong type or range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ValueError(one_line(error)) from None

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> Config:
        """As `from_dict`, of settings that an earlier version may have written."""
        return cls.from_dict(upgrade(values))

    def with_overrides(self, overrides: Iterable[str]) -> Config:
        """A copy with `section.key=value` applied; values are JSON, or plain text.

        `method` also sets what that method is made of.

        Raises:
            ValueError: not of the form key=value, unknown key, or a value out of range.
        """
        values = self.to_dict()
        for key, value in settings_of(overrides).items():
            *sections, name = key.split(".")
            target = values
            for section in sections:
                target = target[section]
            target[name] = value
        return Config.from_dict(values)


def keys() -> list[str]:
    """Every settable key: dotted, or the name and weight of the method."""
    return list(Config().flat())


def settings_of(overrides: Iterable[str]) -> dict[str, Any]:
    """What `section.key=value` set, by key, and what the method among them is made of.

    Raises:
        ValueError: not of the form key=value, or an unknown key or method.
    """
    wanted: dict[str, Any] = {}
    for item in overrides:
        key, separator, text = item.partition("=")
        key = key.strip()
        if not separator:
            raise ValueError(f"--set {item!r}: expected section.key=value")
        _require_known(key)
        wanted[key] = _value(text.strip())
    implied = find_method(str(wanted["method"])).settings if "method" in wanted else {}
    return {**implied, **wanted}


def _require_known(key: str) -> None:
    known = keys()
    if key in known:
        return
    hint = _hint(key) or f"known keys: {', '.join(known)}"
    raise ValueError(f"unknown setting {key!r}; {hint}")


def _hint(key: str) -> str:
    """What an unknown key is called now, else the nearest that there is; empty if none is near."""
    if key in NOW:
        return f"it is called {NOW[key]} now"
    known = keys()
    short = [full for full in known if full.split(".")[-1] == key.split(".")[-1]]
    near = short or difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    return f"did you mean {near[0]}?" if near else ""


def _value(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def one_line(error: ValidationError) -> str:
    """The first `MOST_TOLD` mistakes as `place: what (got value)`, on one line."""
    parts, errors = [], error.errors()
    for item in errors[:MOST_TOLD]:
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            hint = _hint(where)
            message = "unknown setting" + (f"; {hint}" if hint else "")
        hidden = isinstance(item["input"], dict | BaseModel) or item["type"] == "missing"
        got = "" if hidden else f" (got {reprlib.repr(item['input'])})"
        parts.append(f"{where}: {message}{got}" if where else f"{message}{got}")
    if len(errors) > MOST_TOLD:
        parts.append(f"and {len(errors) - MOST_TOLD} more")
    return " ".join("; ".join(parts).split())
