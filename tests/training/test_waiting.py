"""A training step does not make the host wait for its device: nothing is read between log lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from cldis.training.log import read_metrics
from training.harness import TwoFactors, trainer

# What a step may not call: each reads a number of a tensor, or sends one and waits.
READS = {"item", "tolist", "cpu", "numpy", "__array__", "__bool__", "__float__", "__int__"}
READS |= {"__index__", "nonzero", "argwhere", "masked_select", "unique", "equal", "allclose"}
SENDS = {"tensor", "as_tensor", "new_tensor"}
# Made on the CPU where no device is named, to be sent or mixed with what is on a GPU.
MAKES = {"zeros", "ones", "full", "empty", "arange", "linspace", "eye", "rand", "randn", "randint"}
# The same from within C++: the read of a scalar, and shapes that depend on values.
BENEATH = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal"}


class Calls(TorchFunctionMode):
    """Counts the forbidden names, and indexing by booleans, whose shape must be known first."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        boolean = name in ("__getitem__", "__setitem__") and is_boolean(args[1])
        homeless = name in MAKES and (kwargs or {}).get("device") is None
        if name in READS | SENDS or boolean or homeless:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


class Kernels(TorchDispatchMode):
    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in BENEATH:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def is_boolean(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)


@contextmanager
def waits() -> Iterator[Counter[str]]:
    found: Counter[str] = Counter()
    with Kernels(found), Calls(found):
        yield found


# The default method: the VAE alone up to 32 images, then taught, with the optimiser of the recipe.
DEFAULT = [
    "method=rate_loop",
    "distillation.kind=mse",
    "distillation.warmup=0",
    "loop.vae_alone=32",
    "training.optimizer=muon",
    "training.flip=true",
    "training.log_every=1000000",
]


@pytest.mark.parametrize("read", ["item", "tolist", "numpy", "bool", "mask", "send", "make"])
def test_a_read_is_noticed(read: str) -> None:
    x = torch.ones(3)
    with waits() as found:
        if read == "bool":
            bool(x.sum() > 0)
        elif read == "mask":
            x[x > 0]
        elif read == "send":
            x.new_tensor(1.0)
        elif read == "make":
            torch.zeros(2)
        else:
            getattr(x[0], read)()
    assert found


@pytest.mark.parametrize("images", [0, 40], ids=["alone", "taught"])
@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_a_step_of_the_default_method_reads_nothing(
    tmp_path: Path, images: int, optimizer: str
) -> None:
    made = trainer(tmp_path / "run", *DEFAULT, f"training.optimizer={optimizer}")
    made.images = images
    made.step(images // 8)  # the optimiser has its buffers
    made.images += 8
    with waits() as found:
        made.step(images // 8 + 1)
    assert not found
    assert len(made.unread) == 2 and not made.wants_terms()
    with waits() as found:
        terms = made.read_terms()
    assert found["tolist"] == 2 and made.unread == []
    assert all(("diffusion" in step) == (images > 0) for step in terms)


def test_encdiff_reads_nothing_either(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", "method=encdiff", "training.log_every=1000000")
    made.step(0)
    made.images = 8
    with waits() as found:
        made.step(1)
    assert not found


def test_when_terms_are_read_changes_no_weight_and_no_mean(tmp_path: Path) -> None:
    """Every step, or at the end: a log line is the mean of the same steps."""
    often = trainer(tmp_path / "often", *DEFAULT, "training.log_every=8", source=TwoFactors())
    rarely = trainer(tmp_path / "rarely", *DEFAULT, source=TwoFactors())
    assert often.fit() and rarely.fit()
    for one, other in zip(often.raw.parameters(), rarely.raw.parameters(), strict=True):
        assert torch.equal(one, other)
    steps, (line,) = (
        [line for line in read_metrics(made.run.metrics) if line["kind"] == "train"]
        for made in (often, rarely)
    )
    for name in ("loss", "vae_nll", "diffusion", "capacity", "vae_gradient_norm"):
        values = [step[name] for step in steps if name in step]
        assert line[name] == sum(values) / len(values)
