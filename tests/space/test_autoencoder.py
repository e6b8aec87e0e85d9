"""An autoencoder is judged before anything is built, and its latents go through one way."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cldis.config import Config
from cldis.config_model import ModelConfig
from cldis.networks.space import SPREAD, Latents, Pixels, at_side, decoded, encoded
from cldis.training.autoencoder import (
    SETTINGS,
    WEIGHTS,
    Place,
    find,
    find_again,
    hash_of,
    open_autoencoder,
)
from loop.small import pictures
from support.autoencoders import CHANNELS, LATENTS, write_kl, write_tiny
from support.command import refused

SIDE = 16


def model(*more: str, folder: str = "x") -> ModelConfig:
    settings = (f"model.space={folder}", f"model.resolution={SIDE}", *LATENTS, *more)
    return Config().with_overrides(settings).model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("autoencoders") / "tiny")


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


# --- the space


def test_pixels_are_the_images_themselves() -> None:
    x = pictures(2)
    assert Pixels().to_space(x) is x and Pixels().views(x).x0 is x
    assert torch.equal(Pixels().to_images(3 * x), (3 * x).clamp(-1, 1))


@pytest.mark.parametrize("write", [write_tiny, write_kl])
def test_latents_are_those_of_diffusers_scaled(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    import diffusers

    folder = write(tmp_path / "autoencoder")
    kind = json.loads((folder / SETTINGS).read_text())["_class_name"]
    theirs = getattr(diffusers, kind).from_pretrained(folder, use_safetensors=True)
    network, x = open_autoencoder(folder, model()), pictures(3, SIDE)
    with torch.no_grad():
        made = theirs.encode(x)
        expected = made.latents if kind == "AutoencoderTiny" else made.latent_dist.mode()
        torch.testing.assert_close(encoded(network, x), expected)
        torch.testing.assert_close(decoded(network, expected), theirs.decode(expected).sample)
        mean, std = expected.mean(dim=(0, 2, 3)), expected.std(dim=(0, 2, 3), correction=0)
        space = Latents(network, mean.tolist(), std.tolist())
        x0 = space.to_space(x)
        torch.testing.assert_close(x0.mean(dim=(0, 2, 3)), torch.zeros(CHANNELS))
        torch.testing.assert_close(
            x0.std(dim=(0, 2, 3), correction=0), torch.full((CHANNELS,), SPREAD)
        )
        again = theirs.decode(expected).sample.clamp(-1, 1)
        torch.testing.assert_close(space.to_images(x0), again)
    assert x0.shape == (3, *model().diffused)


def test_gradients_pass_and_the_autoencoder_stays(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cldis.networks.space.WORK", 2 * (8 * 8) ** 2)  # two images at a time
    space = Latents(open_autoencoder(made, model()), [0.1] * CHANNELS, [2.0] * CHANNELS)
    x0 = torch.randn(5, *model().diffused, generator=torch.Generator().manual_seed(0))
    whole = space.to_images(x0)
    free = x0.clone().requires_grad_()
    drawn = space.to_images(free)
    torch.testing.assert_close(drawn, whole)
    drawn.square().sum().backward()
    assert free.grad is not None and bool((free.grad.abs().sum(dim=(1, 2, 3)) > 0).all())
    assert all(p.grad is None and not p.requires_grad for p in space.parameters())


def test_images_at_another_side() -> None:
    x = pictures(2, 16)
    assert at_side(x, 16) is x
    torch.testing.assert_close(at_side(x, 8), torch.nn.functional.avg_pool2d(x, 2))
    larger = at_side(x, 32)
    assert larger.shape == (2, 3, 32, 32)
    torch.testing.assert_close(larger.mean(), x.mean(), atol=0.02, rtol=0)


# --- judged before it is built


def settings(change: dict[str, object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        value = json.loads((folder / SETTINGS).read_text())
        (folder / SETTINGS).write_text(json.dumps({**value, **change}))

    return damage


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        change(found)
        save_file(found, folder / WEIGHTS)

    return damage


NAME = "encoder.layers.0.weight"
DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "another class": (settings({"_class_name": "VQModel"}), "no autoencoder that is read"),
    "no class": (settings({"_class_name": None}), "no autoencoder that is read"),
    "grey images": (settings({"in_channels": 1}), "in_channels"),
    "absurd width": (settings({"encoder_block_out_channels": [2**40, 8]}), "2048"),
    "absurd depth": (settings({"num_encoder_blocks": [10**9, 1]}), "num_encoder_blocks.0"),
    "large": (
        settings(
            {
                "num_encoder_blocks": [16] * 8,
                "num_decoder_blocks": [16] * 8,
                "encoder_block_out_channels": [2048] * 8,
                "decoder_block_out_channels": [2048] * 8,
            }
        ),
        "million parameters",
    ),
    "lengths": (settings({"num_encoder_blocks": [1]}), "settings that no AutoencoderTiny has"),
    "activation": (settings({"act_fn": "os.system"}), "act_fn"),
    "no JSON": (lambda f: (f / SETTINGS).write_text("{"), "not valid JSON"),  # type: ignore[dict-item,return-value]
    "missing": (
        tensors(lambda t: t.pop(NAME)),
        f"1 tensors are missing, 0 too many, 0 of another shape, first {NAME}",
    ),
    "extra": (
        tensors(lambda t: t.update(more=torch.zeros(1))),
        "0 tensors are missing, 1 too many",
    ),
    "shape": (tensors(lambda t: t.update({NAME: torch.zeros(9, 3, 3, 3)})), "1 of another shape"),
    "not a number": (tensors(lambda t: t[NAME].fill_(torch.nan)), "no finite floats"),
    "whole numbers": (tensors(lambda t: t.update({NAME: t[NAME].int()})), "no finite floats"),
    "cut off": (
        lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-9]),
        "no whole safetensors",
    ),  # type: ignore[dict-item,return-value]
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_in_one_line(damage: str, copy: Path) -> None:
    change, words = DAMAGE[damage]
    change(copy)
    tracemalloc.start()
    refused(lambda: open_autoencoder(copy, model()), words, str(copy), longest=600)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.latent_channels=8", "set model.latent_channels=4 and model.latent_pixels=2"),
        ("model.latent_pixels=4", "makes 4 channels of 8 x 8 of an image of 16 px"),
    ],
)
def test_other_channels_or_scale_are_told(change: str, words: str, made: Path) -> None:
    refused(lambda: open_autoencoder(made, model(change)), words)


def test_older_names_of_attention_are_known(tmp_path: Path) -> None:
    folder = write_kl(tmp_path / "kl")
    network = open_autoencoder(folder, model())
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def renamed(name: str) -> str:
        head, dot, rest = name.rpartition(".attentions.0.")
        part, _, end = rest.rpartition(".")
        return f"{head}{dot}{old.get(part, part)}.{end}" if dot else name

    found = {renamed(name): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    assert any(".query." in name for name in found)
    save_file(found, folder / WEIGHTS)
    again = open_autoencoder(folder, model()).state_dict()
    assert all(torch.equal(again[name], value) for name, value in network.state_dict().items())


# --- found


def test_a_folder_and_the_kept_folder_are_found(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "cache"))
    assert find(str(copy)) == Place(copy.resolve(), "copy")
    kept = tmp_path / "cache" / "autoencoders" / "tiny"
    refused(lambda: find("somebody/tiny"), SETTINGS, WEIGHTS, str(kept), "model.space=")
    shutil.copytree(copy, kept)
    assert find("somebody/tiny") == Place(kept, "somebody/tiny")
    (copy / WEIGHTS).rename(copy / "diffusion_pytorch_model.bin")
    refused(lambda: find(str(copy)), "pickles")
    for name in ("no such folder", "a/b/c", "\0", "../x"):
        refused(lambda name=name: find(name), "model.space")  # type: ignore[misc]


def test_it_is_found_again_by_its_hash_alone(copy: Path, tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "other", seed=1)
    places = [Place(tmp_path / "gone", "a"), Place(other, "b"), Place(copy, "c")]
    assert find_again(hash_of(copy), places) == places[2]
    assert find_again("0" * 64, places, "somebody/tiny") is None
    assert find_again(hash_of(copy), [Place(Path("\0"), "x")]) is None


def test_the_cache_of_the_hub_is_looked_into(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "cache"))
    commit, sha256 = "a" * 40, hash_of(copy)
    repository = tmp_path / "hub" / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = Path(shutil.copytree(copy, repository / "snapshots" / commit))
    there = Place(snapshot, "somebody/tiny", commit)
    assert find("somebody/tiny") == find(f"somebody/tiny@{commit}") == there
    assert find_again(sha256, [], f"somebody/tiny@{commit}") == there
    assert find_again("0" * 64, [], "somebody/tiny") is None
    refused(lambda: find(f"somebody/tiny@{'b' * 40}"), "from the Hub")
    (snapshot / WEIGHTS).unlink()  # fetched in part
    refused(lambda: find("somebody/tiny"), "from the Hub")
