"""Tiny random autoencoders of `diffusers`, written as their files are."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny

CHANNELS, PIXELS = 4, 2  # of the latents; pixels per latent along a side
# Settings of a run that diffuses its latents, beside `model.space`.
LATENTS = ("model.latent_channels=4", "model.latent_pixels=2", "model.patch=1")


def write_tiny(folder: Path, seed: int = 0, channels: int = CHANNELS, levels: int = 2) -> Path:
    """An AutoencoderTiny that halves the side at each level but the first; random weights."""
    torch.manual_seed(seed)
    AutoencoderTiny(
        encoder_block_out_channels=(8,) * levels,
        decoder_block_out_channels=(8,) * levels,
        num_encoder_blocks=(1,) * levels,
        num_decoder_blocks=(1,) * levels,
        latent_channels=channels,
    ).save_pretrained(folder)
    return folder


def write_kl(folder: Path, seed: int = 0) -> Path:
    """An AutoencoderKL of the same latents."""
    torch.manual_seed(seed)
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=CHANNELS,
        norm_num_groups=4,
    ).save_pretrained(folder)
    return folder
