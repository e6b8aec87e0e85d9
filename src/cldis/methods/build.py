"""From a configuration to the method that it names."""

from __future__ import annotations

import importlib

from cldis.config import Config
from cldis.loop.two_branch import TwoBranch
from cldis.methods import find_method


def build(config: Config) -> TwoBranch:
    """The method of `config.method`, freshly initialised."""
    module, name = find_method(config.method).origin.split(":")
    made = getattr(importlib.import_module(module), name)(config)
    assert isinstance(made, TwoBranch), made
    return made
