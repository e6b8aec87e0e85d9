"""The moving average of the weights: what a run is used with."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from cldis.config import Config
from cldis.loop.two_branch import TwoBranch


class Average:
    """A copy of a model whose weights follow those of the model over `training.ema` images.

    Over fewer while few steps have been made. The count of steps is a number of Python: as a tensor
    on a GPU it would make every step wait for it.
    """

    def __init__(self, model: TwoBranch, config: Config) -> None:
        self.module = copy.deepcopy(model).eval()
        self.limit = math.exp(-config.training.batch / config.training.ema)
        self.count = 0  # of steps that it follows; 0: the next one is taken as it is

    @torch.no_grad()
    def update(self, model: TwoBranch) -> None:
        """Take in the weights of `model` after one more step."""
        share = 1 - min(self.limit, (1 + self.count) / (10 + self.count)) if self.count else 1.0
        averages: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(averages, current, share)
        self.count += 1
