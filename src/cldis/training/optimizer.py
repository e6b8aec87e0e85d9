"""The optimiser: Adam, or Muon for matrices and convolutions with Adam for the rest.

Muon (Jordan et al. 2024) replaces the momentum of a matrix by its nearest semi-orthogonal matrix,
by Newton-Schulz steps. Scaled by .2 sqrt(max(rows, columns)) an update is as large as one of Adam
(Liu et al. 2025, "Muon is scalable for LLM training"), so both take the same learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from cldis.config import TrainingConfig

BETAS = (0.9, 0.99)
SMALLEST_SIDE = 8  # a matrix with fewer rows or columns has little to orthogonalise


def build_optimizer(
    config: TrainingConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimiser that `config.optimizer` names.

    For Muon a convolution [out, in, h, w] is the matrix [out, in h w].
    """
    known = list(parameters)
    if config.optimizer == "adam":
        return torch.optim.Adam(known, lr=config.learning_rate, betas=BETAS, fused=True)
    from pytorch_optimizer import Muon

    matrices = [p for p in known if is_matrix(p)]
    rest = [p for p in known if not is_matrix(p)]
    groups = [
        {"params": matrices, "lr": config.learning_rate, "use_muon": True, "use_adjusted_lr": True},
        {
            "params": rest,
            "lr": config.learning_rate,
            "use_muon": False,
            "betas": BETAS,
            "eps": 1e-8,
        },
    ]
    return Muon([group for group in groups if group["params"]])


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether Muon updates it: a matrix or a convolution whose smaller side is at least 8."""
    rows = parameter.shape[0] if parameter.ndim else 0
    columns = math.prod(parameter.shape[1:])
    return parameter.ndim in (2, 4) and min(rows, columns) >= SMALLEST_SIDE


def clip(parameters: Sequence[nn.Parameter], limit: float) -> Tensor:
    """Scale gradients down to a norm of at most `limit`; returns the norm before, a scalar.

    It is on their device also where they have no gradient: PyTorch would make a zero on the CPU.
    """
    if all(parameter.grad is None for parameter in parameters):
        return parameters[0].new_zeros(())
    return clip_grad_norm_(parameters, limit, foreach=True)


def in_order(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[str]:
    """Names of the parameters in the order in which the optimiser numbers them."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(p)] for group in optimizer.param_groups for p in group["params"]]


def slots(optimizer: torch.optim.Optimizer) -> list[set[str]]:
    """What the optimiser keeps of each parameter, in its own order."""
    found = []
    for group in optimizer.param_groups:
        kept = {"step", "exp_avg", "exp_avg_sq"}
        if "use_muon" in group:
            kept = {"momentum_buffer"} if group["use_muon"] else {"exp_avg", "exp_avg_sq"}
        found += [kept] * len(group["params"])
    return found


def set_steps(optimizer: torch.optim.Optimizer, steps: int) -> None:
    """Say how many steps were made, where the optimiser counts them by group (Muon)."""
    for group in optimizer.param_groups:
        if "use_muon" in group:
            group["step"] = steps
