"""An autoencoder of `diffusers`: found in a folder or on the Hub, judged, and opened.

It is two files, settings and safetensors. The settings are checked against a typed description and
made into networks without numbers; names and shapes of the weights must be theirs before any
memory is taken. Nothing is loaded with pickle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from cldis.config_model import ModelConfig
from cldis.data.cache import default_cache_dir
from cldis.io import NO_SPACE, read_json, sha256_of, user_path
from cldis.networks.space import decoded, encoded
from cldis.training.checkpoint import finite_floats, load_tensors
from cldis.training.contents import Content, checked
from cldis.training.weights import shapes

SETTINGS, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"
FILES = (SETTINGS, WEIGHTS)
BESIDE = "autoencoder"  # folder in a run or a saved model that may hold the two files
LARGEST = 2**20, 2**31  # bytes of each
MOST = 250_000_000  # parameters
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*")
PATIENCE = 10  # seconds for the first answer of the Hub
AGAIN = "get it again"

Channels = Annotated[int, Field(ge=1, le=2048)]
Levels = Annotated[list[Channels], Field(min_length=1, max_length=8)]
Counts = Annotated[list[Annotated[int, Field(ge=1, le=16)]], Field(min_length=1, max_length=8)]
Latent = Annotated[int, Field(ge=1, le=64)]
Activation = Literal["relu", "silu", "swish", "mish", "gelu"]


class Settings(Content):
    """What both kinds have. What is not named keeps the value that `diffusers` gives it."""

    in_channels: Literal[3] = 3
    out_channels: Literal[3] = 3
    latent_channels: Latent = 4
    act_fn: Activation


class TinySettings(Settings):
    encoder_block_out_channels: Levels = [64] * 4
    decoder_block_out_channels: Levels = [64] * 4
    num_encoder_blocks: Counts = [1, 3, 3, 3]
    num_decoder_blocks: Counts = [3, 3, 3, 1]
    act_fn: Activation = "relu"
    upsample_fn: Literal["nearest", "bilinear", "bicubic"] = "nearest"
    upsampling_scaling_factor: Annotated[int, Field(ge=1, le=4)] = 2


class KLSettings(Settings):
    down_block_types: Annotated[
        list[Literal["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]], Field(max_length=8)
    ] = ["DownEncoderBlock2D"]
    up_block_types: Annotated[
        list[Literal["UpDecoderBlock2D", "AttnUpDecoderBlock2D"]], Field(max_length=8)
    ] = ["UpDecoderBlock2D"]
    block_out_channels: Levels = [64]
    layers_per_block: Annotated[int, Field(ge=1, le=16)] = 1
    act_fn: Activation = "silu"
    norm_num_groups: Annotated[int, Field(ge=1, le=256)] = 32
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True


KINDS: dict[str, type[Settings]] = {"AutoencoderTiny": TinySettings, "AutoencoderKL": KLSettings}
# Attention of older AutoencoderKL files, in the names of today.
RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True)
class Place:
    """Where an autoencoder lies, what it is called, and its revision on the Hub."""

    folder: Path
    name: str
    revision: str = ""


def find(name: str) -> Place:
    """The autoencoder that a person named: a folder, or `owner/name` or `owner/name@revision` of
    the Hub, which is asked for it if it is not here yet.

    Raises:
        ValueError: not here, and the Hub does not give it; says which files to put where.
        OSError: the disk is full.
    """
    here = find_here(name)
    if here is not None:
        return here
    repository, _, revision = name.partition("@")
    if user_path(name).is_dir():
        raise ValueError(
            f"autoencoder {name}: the folder does not hold {SETTINGS} and {WEIGHTS} (.bin "
            f"files are pickles, and not read); put both there"
        )
    if not REPOSITORY.fullmatch(repository):
        raise ValueError(
            f"autoencoder {name!r} is neither a folder here nor owner/name of the Hub; give a "
            f"folder with {SETTINGS} and {WEIGHTS} as model.space"
        )
    try:
        found = _of_hub(repository, revision, offline=False)
    except Exception as error:  # network, rights, names: each library below raises its own types
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise
        raise ValueError(
            f"autoencoder {name} is not on this machine, and the Hub does not give it; "
            f"{how_to_get(name)}, or name a folder that has them with --set model.space=FOLDER"
        ) from None
    assert found is not None, "asked online, it is there or says why not"
    return found


def find_here(name: str) -> Place | None:
    """As `find`, on this machine alone: the folder, ours in the cache, or the cache of the Hub."""
    path = user_path(name)
    if path.is_dir():
        return Place(path.resolve(), path.resolve().name) if holds(path) else None
    kept = _kept(name)
    if holds(kept):
        return Place(kept, name)
    repository, _, revision = name.partition("@")
    return _in_cache_of_hub(repository, revision)


def how_to_get(name: str) -> str:
    """What to do where an autoencoder of the Hub is not here."""
    return f"get {SETTINGS} and {WEIGHTS} of {name} from the Hub and put both into {_kept(name)}"


def find_again(sha256: str, places: list[Place], offline: str = "") -> Place | None:
    """The first of `places`, then of the Hub's cache, whose weights have this hash.

    Nothing is downloaded.

    Args:
        offline: `owner/name` to look for in the cache of the Hub; empty: nowhere.
    """
    for place in places:
        if holds(place.folder) and hash_of(place.folder) == sha256:
            return place
    repository, _, revision = offline.partition("@")
    found = _in_cache_of_hub(repository, revision)
    return found if found is not None and hash_of(found.folder) == sha256 else None


def holds(folder: Path) -> bool:
    """Whether a folder has both files, of a size that such files have."""
    try:
        return all(
            (folder / name).is_file() and (folder / name).stat().st_size <= most
            for name, most in zip(FILES, LARGEST, strict=True)
        )
    except (OSError, ValueError):  # not to be read, or no path at all
        return False


def hash_of(folder: Path) -> str:
    """sha256 of the weights."""
    return sha256_of(folder / WEIGHTS)


def open_autoencoder(folder: Path, model: ModelConfig) -> nn.Module:
    """The autoencoder in a folder, float32.

    Raises:
        ValueError: no autoencoder that is read, damaged, tensors are missing or too many, not
            finite, or its latents have other channels or another scale than `model` says.
    """
    empty = _outline(folder, model)
    path = folder / WEIGHTS
    wanted = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    try:
        found = {_today(name): shape for name, shape in shapes(path).items()}
        wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        if wrong:
            missing = sum(name not in found for name in wrong)
            extra = sum(name not in wanted for name in wrong)
            raise ValueError(
                f"{path} does not fit {SETTINGS} beside it: {missing} tensors are missing, "
                f"{extra} too many, {len(wrong) - missing - extra} of another shape, first "
                f"{wrong[0]}; {AGAIN}, both files"
            )
        tensors = {_today(name): tensor for name, tensor in load_tensors(path).items()}
    except ValueError as error:
        if str(error).startswith(f"{path} does not fit"):
            raise
        raise ValueError(f"{path} is no whole safetensors file; {AGAIN}") from None
    bad = [name for name, tensor in tensors.items() if not finite_floats(tensor)]
    if bad:
        raise ValueError(f"{path} holds weights that are no finite floats, first {bad[0]}; {AGAIN}")
    floats = {name: tensor.float() for name, tensor in tensors.items()}
    empty.load_state_dict(floats, assign=True)
    # The layout in which a processor convolves fastest: two thirds of the time per picture.
    return empty.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _outline(folder: Path, model: ModelConfig) -> nn.Module:
    """The networks on torch's `meta` device, which costs nothing."""
    path = folder / SETTINGS
    settings: Any = read_json(path, LARGEST[0])
    name = settings.get("_class_name") if isinstance(settings, dict) else None
    if name not in KINDS:
        raise ValueError(
            f"{path} is of {str(name)[:60]!r}, no autoencoder that is read; give one of class "
            f"{' or '.join(KINDS)}"
        )
    kind = KINDS[name]
    checked(kind, settings, path, AGAIN)
    given = {key: settings[key] for key in kind.model_fields if key in settings}
    import diffusers

    try:
        with torch.device("meta"):
            made: nn.Module = getattr(diffusers, name)(**given)
            count = sum(parameter.numel() for parameter in made.parameters())
            if count <= MOST:
                side = model.resolution
                latents = encoded(made, torch.zeros(1, 3, side, side))
                drawn = decoded(made, latents)
    except Exception as error:  # sizes that do not go together
        reason = str(error).split("\n")[0][:200]
        raise ValueError(f"{path} has settings that no {name} has ({reason}); {AGAIN}") from None
    if count > MOST:
        raise ValueError(
            f"{path} makes {count / 1e6:,.0f} million parameters, more than the {MOST / 1e6:,.0f} "
            f"million allowed; use a smaller autoencoder"
        )
    shape = tuple(latents.shape[1:])
    if shape != model.diffused:
        c, h, _ = shape
        raise ValueError(
            f"the autoencoder in {folder} makes {c} channels of {h} x {h} of an image of "
            f"{side} px, but the settings say {model.diffused[0]} of {model.diffused[1]} x "
            f"{model.diffused[1]}; set model.latent_channels={c} and "
            f"model.latent_pixels={side // max(h, 1)}, or use another autoencoder"
        )
    if tuple(drawn.shape[1:]) != (3, side, side):
        raise ValueError(
            f"the autoencoder in {folder} draws images of {tuple(drawn.shape[1:])} of images "
            f"{(3, side, side)}; use another autoencoder"
        )
    return made


def _kept(name: str) -> Path:
    """Where a person may put the two files of an autoencoder of the Hub."""
    return default_cache_dir() / "autoencoders" / Path(name.partition("@")[0]).name


def _in_cache_of_hub(repository: str, revision: str) -> Place | None:
    if not REPOSITORY.fullmatch(repository):
        return None
    try:
        return _of_hub(repository, revision, offline=True)
    except Exception:  # not there; each library below raises its own types
        return None


def _of_hub(repository: str, revision: str, offline: bool) -> Place | None:
    """A repository of the Hub, fetched to its cache; None if it does not hold both files."""
    import huggingface_hub

    fetched = huggingface_hub.snapshot_download(
        repository,
        revision=revision or None,
        allow_patterns=list(FILES),
        local_files_only=offline,
        etag_timeout=PATIENCE,
        library_name="cldis",
    )
    folder = Path(fetched)
    if holds(folder):
        return Place(folder, repository, folder.name)
    if offline:
        return None
    raise ValueError(f"{repository} does not hold {WEIGHTS}")


def _today(name: str) -> str:
    head, dot, rest = name.rpartition(".attentions.0.")
    part, _, end = rest.partition(".")
    return f"{head}{dot}{RENAMED[part]}.{end}" if dot and part in RENAMED else name
