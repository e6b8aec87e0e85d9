"""Saving and opening a model: bit for bit, whole or not at all, and refusals in one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cldis
from cldis.cli import main
from cldis.data.rendered.rooms import Rooms
from cldis.hub.card import header, plain
from cldis.hub.facts import checked_licence
from cldis.hub.folder import AUTOENCODER, FILES
from cldis.images import to_model
from cldis.io import read_json, write_json
from cldis.methods import METHODS
from cldis.methods.build import build
from cldis.metrics.probe import factor_probe
from cldis.model import Model
from cldis.navigation.directions import Directions
from cldis.navigation.store import load_directions, save_directions
from cldis.training.prior import Prior, save_prior, weights_hash
from cldis.training.recipes import recipe_config
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer
from loop.small import LOOP, SMALL, perturbed, pictures
from support.command import refused
from support.made import tracking_scores

UNITS = 4
NUMBERS = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)


def small_model(method: str = "closed", seed: int = 0) -> Model:
    torch.manual_seed(seed)
    loop = build(LOOP.with_overrides([*SMALL, f"method={method}"]))
    perturbed(loop, seed, 0.1)
    std = torch.rand(UNITS, generator=torch.Generator().manual_seed(seed))
    return Model(loop, std - 0.3, std)


def same(one: Model, other: Model) -> bool:
    left, right = one.loop.state_dict(), other.loop.state_dict()
    return (
        one.config == other.config
        and list(left) == list(right)
        and all(torch.equal(left[name], right[name]) for name in left)
        and torch.equal(one.unit_mean, other.unit_mean)
        and torch.equal(one.unit_std, other.unit_std)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny trained run on rooms, so with labels, with named directions and a tracking score."""
    out = tmp_path_factory.mktemp("private_place") / "run"
    source = Rooms(32)
    sizes = ("model.resolution=32", "training.images=64", "training.batch=32")
    config = recipe_config("tiny").with_overrides([*SMALL, *sizes])
    folder = RunFolder.create(out, config, source, "rooms")
    assert Trainer(folder, source).fit()
    few = np.arange(0, len(source), 2400)
    codes = cldis.load(out).encode(to_model(source.batch(few))).z.numpy()
    probe = factor_probe(codes, source.factors(few), source.factor_names)
    ways = {"random": {"ssim": 0.5, "psnr": 17.0}}
    write_json(  # what `write_report` keeps, which would draw for half a minute
        out / "report.json",
        {"images_seen": 64, "factors": {"z_sem": probe}, "reconstruction": ways},
    )
    save_directions(out, Directions.random(UNITS, 2, 0).named(1, "light | <b>"), {"images": 8})
    checkpoint = cldis.load(out).origin
    assert checkpoint is not None
    scores = tracking_scores([None, 0.75])
    scores |= {"score": 0.25, "control": 0.5, "checkpoint": checkpoint.checkpoint}
    write_json(out / "tracking" / "scores.json", scores)
    far = {kind: {"joint": 0.1, "marginal": 0.1} for kind in ("prior", "gaussian", "training")}
    record = {"weights": weights_hash(cldis.load(out).loop), "codes": 64, "heldout": 8, "seed": 0}
    save_prior(out, Prior(UNITS), {**record, "distances": far})
    return out


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_back_bit_for_bit(method: str, tmp_path: Path) -> None:
    model = small_model(method)
    model.save_pretrained(tmp_path / "saved")
    back = Model.from_pretrained(tmp_path / "saved")
    assert same(model, back) and type(back.loop) is type(model.loop)
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "model_index.json",
    ]
    assert "not recorded" in (tmp_path / "saved" / "README.md").read_text().lower()


@settings(max_examples=10)
@given(mean=st.lists(NUMBERS, min_size=UNITS, max_size=UNITS), seed=st.integers(0, 99))
def test_any_unit_statistics_come_back(
    mean: list[float], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = small_model(seed=seed)
    model.unit_mean, model.unit_std = torch.tensor(mean), torch.tensor(mean).abs()
    folder = tmp_path_factory.mktemp("units") / "saved"
    assert same(model, Model.from_pretrained(model.save_pretrained(folder)))


def test_a_run_comes_back_with_its_directions_scores_and_licence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shared"
    assert main(["export", str(run), "--out", str(out), "--licence", "cc-by-4.0"]) == 0
    assert capsys.readouterr().out.strip() == str(out / "README.md")
    model, back = cldis.load(run), cldis.load(out)  # `load` takes either
    assert same(model, back)
    x = pictures(2, 32)
    for call in (lambda m: m.encode(x).z, lambda m: m.edit(x, {1: 1.0}, 3)):
        assert torch.equal(call(model), call(back))
    assert torch.equal(load_directions(out).matrix, load_directions(run).matrix)
    assert load_directions(out).names == {1: "light | <b>"}
    # Saved again, without a word on the licence, nothing is lost.
    again = back.save_pretrained(tmp_path / "again")
    for name in FILES:
        assert (again / name).read_bytes() == (out / name).read_bytes(), name
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert "| rooms |" in card and "| images | 480,000 |" in card and "64 images seen" in card
    assert "| 0.25 | 0.5 |" in card and "DCI disentanglement" in card
    assert "| 1 | light \\| \\<b\\> | – | 0.75 |" in card
    assert "not validated" in card and "SSIM" in card and "floor\\_hue" in card


def test_nothing_of_the_machine_travels(run: Path, tmp_path: Path) -> None:
    model = cldis.load(run)
    changed = model.config.with_overrides([f"training.start_from={run}"])
    model.loop.config = changed  # as of a run that went on from another
    out = model.save_pretrained(tmp_path / "shared")
    assert read_json(out / "config.json")["config"]["training"]["start_from"] == run.name
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == sorted(
        FILES
    )
    for path in out.rglob("*"):
        if path.is_file():
            assert b"private_place" not in path.read_bytes(), path


def test_scores_of_other_weights_are_left_out(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(run, other)
    for name, change in (
        ("tracking/scores.json", {"checkpoint": "000000000032"}),
        ("report.json", {"images_seen": 32}),
    ):
        write_json(other / name, {**read_json(other / name), **change})
    record = read_json(cldis.load(other).save_pretrained(tmp_path / "a") / "config.json")
    assert set(record["scores"]) <= {"health"}
    # A model opened before training went on is saved as what it is.
    model = cldis.load(run)
    record = read_json(model.save_pretrained(tmp_path / "b") / "config.json")
    assert {"label_free", "labelled"} <= set(record["scores"])


def test_commands_take_a_saved_model(run: Path, tmp_path: Path) -> None:
    shared = cldis.load(run).save_pretrained(tmp_path / "shared")
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 40), "teal").save(photo)
    made = {}
    for origin in (run, shared):
        out = tmp_path / f"edited_{origin.name}"
        moves = ["--direction", "light | <b>=1", "--shift", "0=1"]
        assert main(["edit", str(origin), str(photo), *moves, "--out", str(out)]) == 0
        made[origin.name] = (out / "photo_edited.png").read_bytes()
    assert made["run"] == made["shared"]
    # Its card tells the names, so they are given in the run, and the run is exported again.
    assert main(["name", str(shared), "0", "turn"]) == 2


# --- whole or not at all


def test_an_earlier_saved_model_is_replaced_and_a_stranger_is_not(tmp_path: Path) -> None:
    folder = small_model(seed=1).save_pretrained(tmp_path / "saved")
    (folder / ".gitattributes").write_text("x")
    model = small_model(seed=2)
    model.save_pretrained(folder)
    assert same(model, Model.from_pretrained(folder))
    (folder / "thesis.tex").write_text("years of work")
    before = (folder / "model.safetensors").read_bytes()
    assert "thesis.tex" in refused(lambda: small_model(seed=3).save_pretrained(folder))
    assert (folder / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved"]
    file = tmp_path / "file"
    file.write_text("x")
    assert "is a file" in refused(lambda: model.save_pretrained(file))


@pytest.mark.parametrize("broken", ["write_bytes", "write_json", "write_text", "_put"])
def test_a_failure_leaves_the_old_model(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = small_model(seed=1)
    folder = old.save_pretrained(tmp_path / "saved")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"cldis.hub.folder.{broken}", full)
    for target in (folder, tmp_path / "new"):
        with pytest.raises(OSError):
            small_model(seed=2).save_pretrained(target)
    monkeypatch.undo()
    assert same(old, Model.from_pretrained(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


# --- refusals


@pytest.mark.parametrize("licence", ["", "  ", "a\nb", "x" * 201, "\x1b[0m"])
def test_a_licence_is_one_line(licence: str, tmp_path: Path) -> None:
    assert "licence" in refused(lambda: small_model().save_pretrained(tmp_path / "s", licence))
    assert not (tmp_path / "s").exists()


def _without(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != key}


DAMAGE: dict[str, Any] = {
    "another type": lambda r: {**r, "model_type": "bert"},
    "no type": lambda r: _without(r, "model_type"),
    "newer": lambda r: {**r, "format": 99},
    "no format": lambda r: _without(r, "format"),
    "no units": lambda r: _without(r, "units"),
    "too few units": lambda r: {**r, "units": {"mean": [0.0], "std": [1.0]}},
    "negative spread": lambda r: {**r, "units": {**r["units"], "std": [-1.0] * UNITS}},
    "text for a number": lambda r: {**r, "units": {**r["units"], "mean": ["0"] * UNITS}},
    "no settings": lambda r: _without(r, "config"),
    "unknown setting": lambda r: {**r, "config": {**r["config"], "colour": 1}},
    "other sizes": lambda r: {**r, "config": {**r["config"], "model": {}}},
    "a list": lambda r: [r],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_settings_are_refused(what: str, tmp_path: Path) -> None:
    folder = small_model().save_pretrained(tmp_path / "saved")
    record = read_json(folder / "config.json")
    (folder / "config.json").write_text(json.dumps(DAMAGE[what](record)))
    refused(lambda: Model.from_pretrained(folder))


@pytest.mark.parametrize(
    "facts",
    [
        {"data": "rooms"},
        {"data": {"name": "rooms"}},
        {"training": []},
        {"scores": {"labelled": {}}},
        {"scores": {"label_free": {"score": "high"}}},
        {"licence": "a\nb"},
    ],
)
def test_damaged_facts_do_not_get_onto_a_card(facts: dict[str, Any], tmp_path: Path) -> None:
    folder = small_model().save_pretrained(tmp_path / "saved")
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **facts})
    model = Model.from_pretrained(folder)  # the model itself is sound
    refused(lambda: model.save_pretrained(tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_what_a_run_says_is_text_on_its_card(run: Path, tmp_path: Path) -> None:
    """Warnings, names, versions, all of it: no tag, no picture, no link, no escape sequence."""
    hostile = (
        "<script>alert(1)</script> ![x](http://evil.example/x.png) <img src=x onerror=y> "
        "[a](javascript:b) `c` www.evil.example $x$ @someone &lt; \x1b[2J \u202e | end"
    )
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    about = read_json(copy / "run.json")
    about |= {"created": hostile, "git": hostile, "versions": {hostile: hostile}}
    about["data"] |= {"name": hostile, "fingerprint": hostile, "factors": {hostile: 3}}
    write_json(copy / "run.json", about)
    settings = read_json(copy / "config.json")
    write_json(copy / "config.json", {**settings, "recipe": hostile})
    line = {"kind": "health", "images": 64, "gap": 0.5, "sem_active_units": 1}
    with (copy / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({**line, "warnings": [hostile, f"# {hostile}"]}) + "\n")
    card = (cldis.load(copy).save_pretrained(tmp_path / "out") / "README.md").read_text()
    bare = re.sub(r"\\.", "", card.partition("## Use")[0] + card.partition("## Data")[2])
    assert bare.count("evil") >= 10
    for mark in ("<", "](", "![", "://", "www.", "`c`", "$", "@", "&", "\x1b", "\u202e"):
        assert mark not in bare, mark
    seed = read_json(tmp_path / "out" / "config.json")
    seed["training"]["seed"] = "<script>"
    write_json(tmp_path / "out" / "config.json", seed)
    model = Model.from_pretrained(tmp_path / "out")
    assert "training.seed" in refused(lambda: model.save_pretrained(tmp_path / "again"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_cut_off_files_are_refused(name: str, share: float, tmp_path: Path) -> None:
    path = small_model().save_pretrained(tmp_path / "saved") / name
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert name in refused(lambda: Model.from_pretrained(tmp_path / "saved"))


def test_damaged_directions_are_refused(run: Path, tmp_path: Path) -> None:
    folder = cldis.load(run).save_pretrained(tmp_path / "saved")
    save_directions(folder, Directions.identity(2), {})
    assert "2 units" in refused(lambda: Model.from_pretrained(folder))
    (folder / "navigation" / "directions.safetensors").write_bytes(b"no tensors")
    refused(lambda: Model.from_pretrained(folder))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "holds no" in refused(lambda: Model.from_pretrained(tmp_path))
    assert "does not exist" in refused(lambda: Model.from_pretrained(tmp_path / "gone"))
    assert "newer" not in refused(lambda: Model.from_pretrained("no/such/path"))
    assert "revision" in refused(lambda: Model.from_pretrained(tmp_path, revision="main"))
    model = Model.from_pretrained(small_model().save_pretrained(tmp_path / "saved"))
    shutil.rmtree(tmp_path / "saved")
    refused(lambda: model.save_pretrained(tmp_path / "other"))


# --- the Hub


def test_a_hub_out_of_reach_is_one_line() -> None:
    text = refused(lambda: Model.from_pretrained("someone/some-model"))  # offline, as all tests
    assert text.startswith("someone/some-model is no folder here") and "network" in text
    text = refused(lambda: small_model().push_to_hub("someone/some-model"))
    assert text.startswith("the Hub does not take someone/some-model")
    assert "owner/name" in refused(lambda: small_model().push_to_hub("some-model"))


def test_a_hub_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    code = "import cldis; cldis.Model.from_pretrained('someone/some-model')"
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    last = answer.stderr.strip().splitlines()[-1]
    assert answer.returncode and last.startswith("ValueError: someone/some-model is no folder")


def test_push_sends_what_from_pretrained_opens(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub's client is a stand-in; what it is handed is real."""
    calls: list[tuple[str, Any]] = []

    class Client:
        def __init__(self, token: str | None) -> None:
            calls.append(("token", token))

        def create_repo(self, repo_id: str, private: bool, exist_ok: bool) -> str:
            calls.append(("create", (repo_id, private, exist_ok)))
            return f"https://hub/{repo_id}"

        def upload_folder(self, repo_id: str, folder_path: str, commit_message: str) -> None:
            shutil.copytree(folder_path, tmp_path / "hub")
            calls.append(("upload", (repo_id, commit_message)))

    monkeypatch.setattr("huggingface_hub.HfApi", Client)
    model = cldis.load(run)
    address = model.push_to_hub("me/rooms", "mit", private=True, token="secret", message="first")
    assert address == "https://hub/me/rooms"
    assert calls == [
        ("token", "secret"),
        ("create", ("me/rooms", True, True)),
        ("upload", ("me/rooms", "first")),
    ]
    fetched: dict[str, Any] = {}

    def snapshot(repo_id: str, **asked: Any) -> str:
        fetched.update(repo_id=repo_id, **asked)
        return str(tmp_path / "hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert same(model, Model.from_pretrained("me/rooms", revision="v1"))
    assert fetched["repo_id"] == "me/rooms" and fetched["revision"] == "v1"
    allowed = {*FILES, *AUTOENCODER}  # nothing else is fetched, code least
    assert set(fetched["allow_patterns"]) == allowed


# --- the card


@given(st.text(max_size=200).filter(lambda text: text.strip() and text.isprintable()))
def test_no_licence_breaks_out_of_the_header(licence: str) -> None:
    licence = checked_licence(licence)
    lines = header(licence).splitlines()
    assert lines[0].startswith("license: ") and "---" not in lines
    read = yaml.safe_load("\n".join(lines))
    assert read["library_name"] == "cldis"
    assert (
        licence in (read.get("license_name"), read["license"]) or read["license"] == licence.lower()
    )


@given(st.text(max_size=200))
def test_texts_of_others_mean_only_themselves(text: str) -> None:
    line = plain(text)
    assert len(line.splitlines()) <= 1
    bare = np.array(list(line))
    for i in np.flatnonzero(np.isin(bare, list("|<>[]`*_#"))):
        assert i and bare[i - 1] == "\\"
