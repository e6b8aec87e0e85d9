"""Settings: round trips, overrides, ranges, and errors that say what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from cldis.config import Config, keys
from cldis.config_model import ModelConfig
from cldis.config_upgrade import NOW
from support.command import refused

SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation  # type: ignore[misc]
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def _limits() -> list[tuple[str, str, float]]:
    """(dotted key, kind of limit, limit) of every field that has one."""
    found = []
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            for rule in field.metadata:
                for kind in ("ge", "gt", "le", "lt"):
                    if hasattr(rule, kind):
                        found.append((f"{section}.{name}", kind, getattr(rule, kind)))
    return found


LIMITS = _limits()
NUMBERS = [
    f"{section}.{name}"
    for section, model in SECTIONS.items()
    for name, field in model.model_fields.items()
    if field.annotation in (int, float)
]
CHOICES = {
    "diffusion.prediction": ["epsilon", "x0", "v"],
    "diffusion.schedule": ["linear", "squaredcos_cap_v2"],
    "model.conditioning": ["adagn", "cross_attention"],
    "model.encoder": ["burgess", "diffae"],
    "distillation.kind": ["kl", "softmax_kl", "mse"],
    "feedback.kind": ["information", "reverse_kl"],
    "training.precision": ["auto", "no", "bf16"],
}


# Of a method that takes every kind of code and distillation.
ANY_CODE = Config.from_dict({"method": "open", "model": {"gaussian": True}})


def _refused(values: Any) -> str:
    if isinstance(values, list):
        return refused(lambda: Config().with_overrides(values))
    return refused(lambda: Config.from_dict(values))


def _at(config: Config, key: str) -> Any:
    return config.flat()[key]


overrides = st.fixed_dictionaries(
    {},
    optional={
        **{key: st.sampled_from(values) for key, values in CHOICES.items()},
        "model.units": st.integers(1, 4096),
        "model.attention": st.lists(st.integers(1, 64), max_size=3),
        "vae.beta": st.floats(0, 1e6),
        "feedback.rate": st.floats(1e-6, 1e3),
        "feedback.log_snr_max": st.floats(-5, 5),
        "training.learning_rate": st.floats(1e-9, 1),
        "training.seed": st.integers(0, 2**31 - 1),
        "training.images": st.integers(1, 10**12),
        "training.start_from": st.text(alphabet="abc/:._-= ", max_size=12).map(str.strip),
    },
)


@given(values=overrides)
def test_settings_survive_json_and_the_command_line(values: dict[str, Any]) -> None:
    words = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in values.items()
    ]
    config = ANY_CODE.with_overrides(words)
    for key, value in values.items():
        assert _at(config, key) == value
    for key in set(keys()) - set(values):
        assert _at(config, key) == _at(ANY_CODE, key)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert ANY_CODE.with_overrides(words[::-1]) == config


def test_an_empty_dictionary_is_the_default_and_parts_are_completed() -> None:
    assert Config.from_dict({}) == Config()
    assert Config.from_dict({"model": {"units": 3}}) == Config().with_overrides(["model.units=3"])
    assert Config().with_overrides([]) == Config()


def test_every_key_can_be_set_to_what_it_is() -> None:
    words = [f"{key}={json.dumps(value)}" for key, value in Config().flat().items()]
    assert len(words) == len(keys()) == len(set(keys()))
    assert Config().with_overrides(words) == Config()


def test_later_overrides_win_and_spaces_do_not_matter() -> None:
    config = Config().with_overrides([" model.units = 3", "model.units=5 "])
    assert config.model.units == 5


@pytest.mark.parametrize("name", [*SECTIONS, "recipe"])
def test_settings_are_frozen(name: str) -> None:
    with pytest.raises(ValidationError):
        setattr(Config(), name, None)
    if name in SECTIONS:
        part = getattr(Config(), name)
        with pytest.raises(ValidationError):
            setattr(part, next(iter(SECTIONS[name].model_fields)), 1)


def test_overrides_leave_the_original_alone() -> None:
    config = Config()
    config.with_overrides(["model.units=3"])
    assert config == Config()


# --- refusals


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("model.unit", "model.units"),
        ("modle.units", "model.units"),
        ("units", "model.units"),
        ("training.batch_size", "training.batch"),
        ("feedback.capacity", "feedback.capacity_max"),
        ("learning_rate", "training.learning_rate"),
        ("training.Seed", "training.seed"),
    ],
)
def test_an_unknown_setting_names_the_nearest(key: str, near: str) -> None:
    assert f"did you mean {near}?" in _refused([f"{key}=1"])


@pytest.mark.parametrize("old", ["loop.arm", "loop.lead", "distillation.release"])
def test_a_renamed_name_in_a_file_names_its_new_key(old: str) -> None:
    section, name = old.split(".")
    assert f"{old}: unknown setting; it is called {NOW[old]} now" in _refused({section: {name: 1}})


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_name_in_a_file_names_the_nearest(section: str) -> None:
    name = next(iter(SECTIONS[section].model_fields))
    text = _refused({section: {name + "x": 1}})
    assert f"{section}.{name}x: unknown setting; did you mean {section}." in text


@given(key=st.text(min_size=1, max_size=30))
def test_any_unknown_key_is_one_line_of_refusal(key: str) -> None:
    assume("=" not in key and key.strip() not in keys())
    assert "unknown setting" in _refused([f"{key}=1"])


@pytest.mark.parametrize("word", ["model.units", "", "model", "model.units:3"])
def test_an_override_without_a_value_is_refused(word: str) -> None:
    assert "expected section.key=value" in _refused([word])


@pytest.mark.parametrize("word", ["model=3", "model={}", "=3"])
def test_a_section_is_no_setting(word: str) -> None:
    assert "unknown setting" in _refused([word])


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("loop.arm", "method"),
        ("baseline.method", "method"),
        ("baseline.weight", "method_weight"),
        ("loop.lead", "loop.vae_alone"),
        ("distillation.release", "distillation.end"),
    ],
)
def test_a_setting_of_an_earlier_version_is_told_by_its_name_of_today(
    before: str, now: str
) -> None:
    assert f"it is called {now} now" in _refused([f"{before}=1"])


@pytest.mark.parametrize(("key", "kind", "limit"), LIMITS)
@given(beyond=st.floats(1e-3, 1e6))
def test_beyond_a_limit_is_refused_with_the_key_and_the_value(
    key: str, kind: str, limit: float, beyond: float
) -> None:
    section, name = key.split(".")
    whole = SECTIONS[section].model_fields[name].annotation is int
    step: float = max(1, round(beyond)) if whole else beyond
    value = limit - step if kind in ("ge", "gt") else limit + step
    if kind in ("gt", "lt") and beyond < 1:
        value = limit  # the limit itself is out
    text = _refused([f"{key}={json.dumps(int(value) if whole else value)}"])
    assert key in text and "got" in text


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize(
    "word", ["NaN", "Infinity", "-Infinity", "1e999", "many", "[1]", "null", ""]
)
def test_a_number_must_be_a_finite_number(key: str, word: str) -> None:
    assert key in _refused([f"{key}={word}"])


@pytest.mark.parametrize("key", CHOICES)
def test_a_choice_names_its_options(key: str) -> None:
    text = _refused([f"{key}=nonsense"])
    assert key in text and "nonsense" in text
    assert all(option in text for option in CHOICES[key])


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
any_json = st.recursive(
    leaves,
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=5,
)


@given(value=any_json)
def test_any_json_for_a_section_is_taken_or_refused_in_one_line(value: Any) -> None:
    try:
        config = Config.from_dict({"model": value})
    except ValueError as error:
        assert not isinstance(error, ValidationError)
        assert "model" in str(error) and "\n" not in str(error)
    else:
        assert config == Config()


def test_several_faults_are_all_named() -> None:
    text = _refused({"model": {"units": 0, "width": 1}, "training": {"batch": -1}})
    assert all(key in text for key in ("model.units", "model.width", "training.batch"))


# --- rules between settings


@given(batch=st.integers(1, 512), accumulate=st.integers(1, 64))
def test_a_batch_is_made_of_whole_micro_batches(batch: int, accumulate: int) -> None:
    words = [f"training.batch={batch}", f"training.accumulate={accumulate}"]
    if batch % accumulate:
        text = _refused(words)
        assert f"training.batch {batch}" in text and f"accumulate {accumulate}" in text
    else:
        assert Config().with_overrides(words).training.batch == batch


def test_a_closed_loop_needs_feedback() -> None:
    words = ["feedback.kind=linear", "model.gaussian=true"]
    assert "method=open" in _refused([*words, "method=closed"])
    assert Config().with_overrides([*words, "method=open"]).method == "open"


def test_a_kl_of_points_is_refused() -> None:
    words = ["method=closed", "model.gaussian=false"]
    assert "distillation.kind=mse" in _refused(words)
    for kind in ("mse", "softmax_kl"):
        Config().with_overrides([*words, f"distillation.kind={kind}"])


sizes = {
    "resolution": st.integers(8, 256),
    "patch": st.integers(1, 16),
    "multipliers": st.lists(st.integers(1, 4), min_size=1, max_size=4),
    "encoder": st.sampled_from(["burgess", "diffae"]),
    "encoder_multipliers": st.lists(st.integers(1, 4), min_size=1, max_size=4),
}


@given(values=st.fixed_dictionaries(sizes))
def test_a_resolution_that_is_taken_can_be_halved_as_often_as_needed(
    values: dict[str, Any],
) -> None:
    needed = [8, values["patch"] * 2 ** (len(values["multipliers"]) - 1)]
    if values["encoder"] == "diffae":
        needed.append(values["patch"] * 2 ** (len(values["encoder_multipliers"]) - 1))
    fits = all(values["resolution"] % side == 0 for side in needed)
    if fits:
        assert ModelConfig.model_validate(values).resolution == values["resolution"]
        return
    text = _refused({"model": values})
    assert str(values["resolution"]) in text
    # what it proposes works
    words = text.split("try ")[1].split(" or ")
    for word in words:
        proposed = int("".join(c for c in word if c.isdigit()))
        if proposed <= 1024:
            ModelConfig.model_validate({**values, "resolution": proposed})


@pytest.mark.parametrize("name", ["multipliers", "encoder_multipliers"])
@pytest.mark.parametrize("word", ["[]", "[0]", "[1,-2]"])
def test_multipliers_are_positive_and_at_least_one(name: str, word: str) -> None:
    assert f"model.{name}" in _refused([f"model.{name}={word}"])


@given(warmup=st.integers(0, 10**6), end=st.integers(1, 10**6))
def test_distillation_ends_after_it_began(warmup: int, end: int) -> None:
    words = [f"distillation.warmup={warmup}", f"distillation.end={end}"]
    if end <= warmup:
        assert "distillation" in _refused(words) and str(end) in _refused(words)
    else:
        assert Config().with_overrides(words).distillation.end == end
