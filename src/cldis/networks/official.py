"""Weights of the official Diff-AE code (github.com/phizaz/diffae) in our networks, one to one.

Structure and arithmetic of `adagn` networks are those of the official code, so conversion is pure
renaming; the one change of shape is the encoder's head, a 1x1 convolution there and a linear layer
here. `cldis.training.import_diffae` makes a run of a published checkpoint with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from cldis.config_model import ModelConfig

from .blocks import SelfAttention
from .build import SemanticEncoder, denoiser, semantic_encoder
from .encoder import DiffAEEncoder
from .unet import UNet, UNetLevel


def template(
    resolution: int,
    width: int,
    multipliers: tuple[int, ...],
    encoder_multipliers: tuple[int, ...],
    units: int = 512,
) -> ModelConfig:
    """What the templates of the official code have in common; the time embedding has `units`
    channels too."""
    return ModelConfig(
        resolution=resolution,
        units=units,
        patch=1,
        width=width,
        multipliers=multipliers,
        blocks=2,
        attention=(16,),
        dropout=0.1,
        conditioning="adagn",
        embed=units,
        encoder="diffae",
        encoder_width=width,
        encoder_multipliers=encoder_multipliers,
        gaussian=False,
    )


# The autoencoders that were published, by what their names share: those of 128 px have one
# architecture, so nothing in their weights tells faces from horses. Their noise process: 1,000
# steps, linear schedule, predicting epsilon.
PUBLISHED = {
    "celeba64": template(64, 64, (1, 2, 4, 8), (1, 2, 4, 8, 8)),
    "ffhq128, bedroom128 or horse128": template(128, 128, (1, 1, 2, 3, 4), (1, 1, 2, 3, 4, 4)),
    "ffhq256": template(256, 128, (1, 1, 2, 2, 4, 4), (1, 1, 2, 2, 4, 4, 4)),
}

BLOCK = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time": "emb_layers.1",
    "condition": "cond_emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "skip": "skip_connection",
}
ENCODER_BLOCK = {"norm": "in_layers.0", "conv": "in_layers.2", "skip": "skip_connection"}
ATTENTION = {"norm": "norm", "qkv": "qkv", "out": "proj_out"}

EMA = "ema_model."
RAW = "model."
# What the official training module keeps beside its networks.
BUFFERS = frozenset({"x_T", "conds_mean", "conds_std"})
# The prior over z_sem in the checkpoints that can sample. It was trained on the codes of the
# finished autoencoder, which lies beside it unchanged.
PRIOR = "latent_net."


class OfficialDiffAE(nn.Module):
    """E_sem (a point, not a Gaussian) and the denoiser, as `build` makes them.

    `encoder(images [n, 3, H, H] in [-1, 1]).mean` is z_sem [n, units];
    `denoiser(x_t, t, z_sem)` predicts the noise [n, 3, H, H] for t in 0..999.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder: SemanticEncoder = semantic_encoder(config)
        self.denoiser = denoiser(config)


def convert_official(
    state_dict: Mapping[str, Tensor], known: Mapping[str, ModelConfig] = PUBLISHED
) -> tuple[str, dict[str, Tensor]]:
    """Which of the known models it is, and its tensors by the names of `OfficialDiffAE`, float32.

    Takes the state dict of the official autoencoder, or of its Lightning training module, of which
    the averaged weights (`ema_model.`) are used where present and `model.` otherwise. Names and
    shapes tell the model. Every tensor of the autoencoder is used exactly once; a prior over z_sem
    is left out. The denoiser's null condition, which the official model does not have, is zero.

    Raises:
        ValueError: it is none of them; the first few differences from the nearest are named.
    """
    given = _network_weights(state_dict)
    problems: dict[str, list[tuple[int, str]]] = {}
    for name, config in known.items():
        with torch.device("meta"):
            model = OfficialDiffAE(config)
        problems[name] = _differences(given, official_shapes(model))
        if not problems[name]:
            return name, _converted(given, model)
    nearest = min(known, key=lambda name: sum(count for count, _ in problems[name]))
    raise ValueError(
        f"not an autoencoder of the official Diff-AE code (accepted: {'; '.join(known)}); from "
        f"{nearest}, the nearest, it differs: {'; '.join(words for _, words in problems[nearest])}"
    )


def official_shapes(model: OfficialDiffAE) -> dict[str, tuple[int, ...]]:
    """The official names and shapes of all tensors of a model."""
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    names = dict(_official_names(model))
    assert set(names) == set(shapes) - {"denoiser.null"}, "a parameter has no official name"
    assert len(set(names.values())) == len(names), "an official tensor would be used twice"
    wanted = {theirs: shapes[ours] for ours, theirs in names.items()}
    head = names["encoder.network.head.weight"]
    wanted[head] = (*wanted[head], 1, 1)  # a 1x1 convolution there
    return wanted


def _differences(
    given: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, str]]:
    """How many tensors differ in which way, in words."""
    shaped = [
        f"{name} {list(given[name].shape)} instead of {list(shape)}"
        for name, shape in wanted.items()
        if name in given and tuple(given[name].shape) != shape
    ]
    found = (
        ("missing", [name for name in wanted if name not in given]),
        ("unexpected", [name for name in given if name not in wanted]),
        ("of another shape", shaped),
    )
    return [(len(names), _listed(what, names)) for what, names in found if names]


def _converted(given: Mapping[str, Tensor], model: OfficialDiffAE) -> dict[str, Tensor]:
    shapes = {name: value.shape for name, value in model.named_parameters()}
    converted = {
        ours: given[theirs].reshape(shapes[ours]).float() for ours, theirs in _official_names(model)
    }
    converted["denoiser.null"] = torch.zeros(shapes["denoiser.null"])
    return converted


def _network_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The autoencoder's own tensors, without the prefix of the official training module."""
    prefix = next((p for p in (EMA, RAW) if any(key.startswith(p) for key in state_dict)), "")
    if prefix:
        state_dict = {
            key.removeprefix(prefix): value
            for key, value in state_dict.items()
            if key.startswith(prefix) or not (key.startswith(RAW) or key in BUFFERS)
        }
    return {key: value for key, value in state_dict.items() if not key.startswith(PRIOR)}


def _listed(what: str, names: Sequence[str], shown: int = 3) -> str:
    more = ", ..." if len(names) > shown else ""
    return f"{len(names)} {what} ({', '.join(name[:100] for name in names[:shown])}{more})"


def _official_names(model: OfficialDiffAE) -> Iterator[tuple[str, str]]:
    """Pairs (our name, official name) of all parameters that the official model has."""
    network = model.encoder.network
    assert isinstance(network, DiffAEEncoder)
    for ours, official in _encoder_names(network):
        yield f"encoder.network.{ours}", f"encoder.{official}"
    for ours, official in _unet_names(model.denoiser.unet):
        yield f"denoiser.unet.{ours}", official


def _encoder_names(encoder: DiffAEEncoder) -> Iterator[tuple[str, str]]:
    yield from _leaves(encoder.layers[0], "layers.0", "input_blocks.0.0")
    middle = len(encoder.layers) - 3
    block = 0
    for index, layer in enumerate(encoder.layers):
        attends = isinstance(layer, SelfAttention)
        if index == 0:
            continue
        if index >= middle:
            place = f"middle_block.{index - middle}"
        else:  # attention shares the official block of the residual block before it
            block += not attends
            place = f"input_blocks.{block}.{int(attends)}"
        table = ATTENTION if attends else ENCODER_BLOCK
        yield from _leaves(layer, f"layers.{index}", place, table)
    yield from _leaves(encoder.norm, "norm", "out.0")
    yield from _leaves(encoder.head, "head", "out.3")


def _unet_names(unet: UNet) -> Iterator[tuple[str, str]]:
    yield from _leaves(unet.time, "time", "time_embed.time_embed")
    yield from _leaves(unet.stem, "stem", "input_blocks.0.0")
    for index, layer in enumerate(unet.down):
        yield from _level_names(layer, f"down.{index}", f"input_blocks.{index + 1}")
    yield from _level_names(unet.middle[0], "middle.0", "middle_block")
    yield from _level_names(unet.middle[1], "middle.1", "middle_block", 2)
    block, position = -1, 0
    for index, (layer, takes_lateral) in enumerate(zip(unet.up, unet.takes_lateral, strict=True)):
        if takes_lateral:  # upsampling shares the official block of the level before it
            block, position = block + 1, 0
        yield from _level_names(layer, f"up.{index}", f"output_blocks.{block}", position)
        assert isinstance(layer, UNetLevel)
        position += 1 if layer.attention is None else 2
    yield from _leaves(unet.norm, "norm", "out.0")
    yield from _leaves(unet.out, "out", "out.2")


def _level_names(
    layer: nn.Module, ours: str, official: str, position: int = 0
) -> Iterator[tuple[str, str]]:
    assert isinstance(layer, UNetLevel) and layer.units is None
    yield from _leaves(layer.block, f"{ours}.block", f"{official}.{position}", BLOCK)
    if layer.attention is not None:
        place = f"{official}.{position + 1}"
        yield from _leaves(layer.attention, f"{ours}.attention", place, ATTENTION)


def _leaves(
    module: nn.Module, ours: str, official: str, table: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str]]:
    """All parameters of a module; `table` renames its children."""
    for name, _ in module.named_parameters():
        child, _, leaf = name.rpartition(".")
        renamed = f"{table[child]}.{leaf}" if table else name
        yield f"{ours}.{name}", f"{official}.{renamed}"
