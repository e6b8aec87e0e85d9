"""What a stranger's run may hold: refused in one line before anything is built, or true."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import cldis
from cldis.cli import main
from cldis.config import Config
from cldis.io import DEEPEST, parse_json
from cldis.loop.closed_loop import ClosedLoop
from cldis.methods.build import MOST, build, outline
from cldis.navigation.directions import Directions
from cldis.navigation.store import folder_of, load_directions, save_directions
from cldis.training.contents import unit_tensors
from cldis.training.info import info_text, run_info
from cldis.training.recipes import RECIPES, recipe_config
from cldis.training.run_folder import RunFolder
from cldis.training.weights import open_networks
from support.command import refused
from support.scripts import load_script

FILES = 285


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("fuzz_runs")


@pytest.fixture(scope="module")
def made(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = script.make(tmp_path_factory.mktemp("stranger") / "made")
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file in place: `change` alters the value, or gives another one."""
    value = json.loads(path.read_text())
    other = change(value)
    path.write_text(json.dumps(value if other is None else other))


def test_damaged_files_are_refused_or_true(script: ModuleType, made: Path) -> None:
    result = script.fuzz(made, FILES, seed=1)
    assert result["defects"] == []
    rows = result["counts"].values()
    assert sum(row["opened"] + row["refused"] for row in rows) == FILES
    assert all(row["refused"] for row in rows)  # it does damage
    assert sum(row["opened"] for row in rows) > FILES // 20


def test_the_fuzz_finds_what_it_looks_for(script: ModuleType, made: Path) -> None:
    def raises(error: Exception) -> Callable[[Path], object]:
        def use(folder: Path) -> object:
            raise error

        return use

    errors = [KeyError("a"), AssertionError(), TypeError("x"), ValueError("two\nrun.json")]
    for error in [*errors, ValueError("no file is named"), RecursionError()]:
        found = script.outcome(script.Target("run/run.json", "test", raises(error)), made)
        assert found not in ("opened", "refused"), error
    good = script.Target(
        "run/run.json", "test", raises(ValueError("run.json is damaged; restore it"))
    )
    assert script.outcome(good, made) == "refused"


# --- JSON


@pytest.mark.parametrize(
    "text",
    ["", "NaN", "[-Infinity]", "1e999", "9" * 25, "[" * 9999 + "]" * 9999, b"\xff", '{"a": 1'],
)
def test_what_is_no_json_of_ours(text: str | bytes) -> None:
    assert refused(lambda: parse_json(text)).startswith("not valid JSON (")


def test_json_as_deep_as_allowed_and_one_deeper() -> None:
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    assert "nested deeper" in refused(lambda: parse_json("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)))
    assert parse_json('{"a": [1, -2.5, 9007199254740993]}') == {"a": [1, -2.5, 9007199254740993]}


# --- unit statistics


UNITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "short": lambda units: units["mean"].pop(),
    "long": lambda units: units["std"].append(1.0),
    "negative": lambda units: units["std"].__setitem__(0, -1.0),
    "not a number": lambda units: units["mean"].__setitem__(0, float("nan")),
    "infinite as float32": lambda units: units["mean"].__setitem__(0, 1e300),
    "text": lambda units: units["mean"].__setitem__(0, "0"),
    "true": lambda units: units["mean"].__setitem__(0, True),
    "nested": lambda units: units["mean"].__setitem__(0, [0.0]),
    "missing": lambda units: units.pop("std"),
    "null": lambda units: units.__setitem__("std", None),
}


@pytest.mark.parametrize("damage", UNITS)
def test_unit_statistics_are_true_or_refused(damage: str, made: Path, tmp_path: Path) -> None:
    """In a run and in a saved model alike; and nothing of them is exported."""
    run = shutil.copytree(made / "run", tmp_path / "run")
    saved = shutil.copytree(made / "saved", tmp_path / "saved")
    edit(
        next(run.glob("checkpoints/*/state.json")),
        lambda state: UNITS[damage](state["units"]) and None,
    )
    edit(saved / "config.json", lambda record: UNITS[damage](record["units"]) and None)
    assert "state.json" in refused(lambda: cldis.load(run))
    assert "config.json" in refused(lambda: cldis.load(saved))
    assert main(["export", str(run), "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_unit_statistics_come_back() -> None:
    mean, std = unit_tensors({"mean": [-1, 2.5], "std": [0.0, 3]}, 2, "here")
    assert mean.tolist() == [-1, 2.5] and std.tolist() == [0, 3] and std.dtype == torch.float32


# --- sizes


def test_a_configuration_cannot_ask_for_gigabytes(run: Path) -> None:
    wide = {"width": 2048, "multipliers": [8, 8], "blocks": 8}
    edit(run / "config.json", lambda config: config["model"].update(wide))
    tracemalloc.start()
    words = refused(lambda: cldis.load(run))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "million parameters" in words and peak < 50e6
    whole = json.loads((run / "config.json").read_text())
    for huge in ({"width": 10**6}, {"blocks": 10**6}, {"multipliers": [1] * 99}, {"embed": 10**9}):
        (run / "config.json").write_text(json.dumps({**whole, "model": huge}))
        assert f"config.json: model.{next(iter(huge))}" in refused(lambda: cldis.load(run))


def test_shapes_are_compared_before_weights_are_allocated(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration of 200 million parameters beside small weights: no network is built."""
    large = Config().with_overrides(
        ["model.width=200", "model.multipliers=[1,2,4,4]", "model.patch=1"]
    )
    count = sum(parameter.numel() for parameter in outline(large).parameters())
    assert 100e6 < count < MOST
    weights = next(run.glob("checkpoints/*/ema.safetensors"))
    built: list[Config] = []
    monkeypatch.setattr("cldis.training.weights.build", built.append)
    assert "does not fit its settings" in refused(lambda: open_networks(large, weights, run))
    assert built == []


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_within_the_bounds_and_starts_as_before(name: str) -> None:
    config = recipe_config(name)
    torch.manual_seed(0)
    assert all(parameter.is_meta for parameter in outline(config).parameters())
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(0)))
    large = config.with_overrides(["model.units=512"])
    assert sum(parameter.numel() for parameter in outline(large).parameters()) < MOST


def test_weights_that_are_not_finite_floats_are_refused(run: Path) -> None:
    path = next(run.glob("checkpoints/*/ema.safetensors"))
    tensors = load_file(path)
    name = next(iter(tensors))
    for wrong in (torch.full_like(tensors[name], torch.nan), tensors[name].long()):
        save_file({**tensors, name: wrong}, path)
        assert name in refused(lambda: cldis.load(run))
    save_file({**tensors, name: tensors[name].double()}, path)  # other floats will do
    assert torch.equal(cldis.load(run).loop.state_dict()[name], tensors[name])


# --- directions


MATRICES = {
    "not orthogonal": torch.ones(4, 2),
    "not normal": 2 * torch.eye(4)[:, :2],
    "NaN": torch.full((4, 2), torch.nan),
    "wide": torch.eye(2, 4),
    "empty": torch.zeros(4, 0),
    "flat": torch.ones(4),
    "double": torch.eye(4, 2, dtype=torch.float64),
    "whole numbers": torch.eye(4, 2).long(),
}
RECORDS: dict[str, dict[str, Any]] = {
    "one name twice": {"names": {"0": "light", "1": "Light"}},
    "a name for none": {"names": {"7": "light"}},
    "a name for minus one": {"names": {"-1": "light"}},
    "a number for a name": {"names": {"0": "3"}},
    "a name that is no text": {"names": {"0": 3}},
    "a name with an escape": {"names": {"0": "\x1b[2J"}},
    "a name that turns text round": {"names": {"0": "a\u202eb"}},
    "names in a list": {"names": ["light"]},
    "an accuracy too few": {"recognised": [0.5]},
    "an accuracy above 1": {"recognised": [0.5, 3.0]},
    "an origin that is no text": {"origin": None},
    "another number of units": {"units": 9},
    "nothing kept": {"about": {"kept": [], "chance": 0.5}},
    "a list for about": {"about": [1]},
}


@pytest.mark.parametrize("damage", [*MATRICES, *RECORDS])
def test_damaged_directions_are_refused(damage: str, tmp_path: Path) -> None:
    save_directions(tmp_path, Directions.identity(4), {})
    record: dict[str, Any] = {"origin": "random", "units": 4, "directions": 2, "names": {}}
    record |= {"recognised": [], "about": {}, **RECORDS.get(damage, {})}
    matrix = MATRICES.get(damage, torch.eye(4)[:, :2])
    file = folder_of(tmp_path) / "directions.safetensors"
    save_file({"matrix": matrix.contiguous()}, file, {"directions": json.dumps(record)})
    words = refused(lambda: load_directions(tmp_path))
    assert "directions.safetensors" in words and "cldis navigate" in words


# --- text


def test_info_and_errors_show_no_control_character(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "\x1b]0;owned\x07\r\u202e\nwarning     all is lost"
    edit(run / "run.json", lambda about: about.update(created=hostile, git=hostile))
    edit(run / "run.json", lambda about: about["data"].update(source=hostile))
    for command in (["info", str(run)], ["info", str(run), "--json"]):
        assert main(command) == 0
        out = capsys.readouterr().out
        assert out.replace("\n", "").isprintable() and "owned" in out
    assert not any(line.startswith("warning     all") for line in out.splitlines())
    assert len(info_text(run_info(RunFolder.open(run))).splitlines()) < 12
    edit(run / "run.json", lambda about: about.update(seed=hostile))
    assert main(["info", str(run)]) == 2
    told = capsys.readouterr().err
    assert told.strip().isprintable() and told.count("\n") == 1 and "run.json" in told


def test_settings_of_a_file_are_told_with_the_file(run: Path) -> None:
    edit(run / "config.json", lambda config: config["training"].update(batch=[1] * 10_000))
    assert "config.json: training.batch" in refused(lambda: RunFolder.open(run))


def test_what_is_built_is_what_was_built_before() -> None:
    """Counting parameters draws no random number: a seed starts the weights that it always did."""
    config = Config().with_overrides(["method=closed", "model.gaussian=true"])
    torch.manual_seed(3)
    one = build(config).state_dict()
    torch.manual_seed(3)
    other = ClosedLoop(config).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
