"""From a configuration to the method that it names."""

from __future__ import annotations

import importlib

import torch

from cldis.config import Config
from cldis.loop.two_branch import TwoBranch
from cldis.methods import find_method

MOST = 250_000_000  # parameters: 1 GB of float32, and more than twice recipe diffae64


def build(config: Config) -> TwoBranch:
    """The method of `config.method`, freshly initialised.

    Raises:
        ValueError: see `outline`; nothing is allocated.
    """
    outline(config)
    return _made(config)


def outline(config: Config) -> TwoBranch:
    """What `build` gives, on torch's `meta` device: shapes without numbers, at no cost.

    No random number is drawn.

    Raises:
        ValueError: the sizes make more than `MOST` parameters.
    """
    with torch.device("meta"):
        made = _made(config)
    count = sum(parameter.numel() for parameter in made.parameters())
    if count > MOST:
        raise ValueError(
            f"these sizes make {count / 1e6:,.0f} million parameters, more than the "
            f"{MOST / 1e6:,.0f} million allowed; lower model.width, model.multipliers, "
            f"model.embed or model.units"
        )
    return made


def _made(config: Config) -> TwoBranch:
    module, name = find_method(config.method).origin.split(":")
    made = getattr(importlib.import_module(module), name)(config)
    assert isinstance(made, TwoBranch), made
    return made
