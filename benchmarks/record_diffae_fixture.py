"""Record what the official Diff-AE code computes, as a small regression fixture.

    git clone https://github.com/phizaz/diffae CHECKOUT
    python benchmarks/record_diffae_fixture.py CHECKOUT

The official celeba64d2c_autoenc model is built by the official templates. Its 100M parameters
are not stored: every value follows from the parameter's official name and shape, through raw
PCG64 integers, whose stream NumPy guarantees. So the fixture holds only names, shapes, seeds and
outputs, and a test that rebuilds the weights can check any other implementation.

Recorded too: z_sem, prediction and DDIM of a tiny model of the same code, and what tells the
published models of 128 and 256 px apart (a hash of all names and shapes).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
REPOSITORY = "https://github.com/phizaz/diffae"
TEMPLATE = "celeba64d2c_autoenc"
OTHERS = ("ffhq128_autoenc_130M", "bedroom128_autoenc", "horse128_autoenc", "ffhq256_autoenc")
# A model of the official code with few weights; group norm needs 32 channels.
TINY = {
    "img_size": 32,
    "net_ch": 32,
    "net_ch_mult": (1, 1, 2),
    "net_enc_channel_mult": (1, 1, 2, 2),
    "net_beatgans_embed_channels": 64,
    "style_ch": 64,
}
DDIM_STEPS = 4
TIMESTEPS = (3, 700)
# What the official training code imports and its model never uses.
STUBBED = (
    "lmdb",
    "lpips",
    "numpy.lib.function_base",
    "pandas",
    "pytorch_fid",
    "pytorch_lightning",
    "torchvision",
)
GAINS = {"out_layers": 0.5, "proj_out": 0.5, "cond_emb_layers": 2.0, "emb_layers": 1.0}
Float32Array = npt.NDArray[np.float32]


def uniform_noise(name: str, shape: Sequence[int]) -> Float32Array:
    """Values of mean 0 and variance 1, uniform in ±√3, that depend on `name` and `shape` only.

    Raw PCG64 output is stable over NumPy versions and machines; the normal generators are not
    promised to be.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "little")
    raw = np.random.PCG64(seed).random_raw(math.prod(shape)) >> np.uint64(40)  # 24 random bits
    unit = (raw.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-24)  # (0, 1)
    values = (unit * np.float32(2.0) - np.float32(1.0)) * np.float32(math.sqrt(3.0))
    return values.astype(np.float32).reshape(tuple(shape))


def parameter_value(name: str, shape: Sequence[int]) -> Float32Array:
    """The value of the official parameter `name`; no layer is left at zero.

    Matrices and convolutions: standard deviation gain/√fan_in, with a small gain where a block
    adds to its input, so that activations stay O(1), and a larger one where the embeddings
    modulate a block, so that the output depends on t and z_sem. Group norms: 1 ± 0.1. Biases:
    ± 0.1.
    """
    noise = uniform_noise(name, shape)
    if len(shape) > 1:
        gain = next((gain for part, gain in GAINS.items() if part in name), 1.0)
        return noise * np.float32(gain / math.sqrt(math.prod(shape[1:])))
    if name.endswith(".weight"):
        return np.float32(1.0) + np.float32(0.1) * noise
    return np.float32(0.1) * noise


def official_state(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """The whole reproducible state dict, official names in the given order."""
    return {name: torch.from_numpy(parameter_value(name, shape)) for name, shape in shapes.items()}


def inputs(side: int = 64) -> dict[str, Tensor]:
    """x0 and x_t as float32 [2, 3, side, side] (x0 in [-1, 1], x_t of variance 1), t int64 [2].

    x0 is coarse (4 x 4 cells under fine noise): a code pooled over pure noise would hardly differ
    between two images.
    """
    shape, cell = (2, 3, side, side), side // 4
    cells = uniform_noise("input.x0.cells", (2, 3, 4, 4)).repeat(cell, axis=2).repeat(cell, axis=3)
    fine = uniform_noise("input.x0.fine", shape)
    images = (np.float32(0.8) * cells + np.float32(0.2) * fine) / np.float32(math.sqrt(3.0))
    return {
        "x0": torch.from_numpy(images),
        "x_t": torch.from_numpy(uniform_noise("input.x_t", shape)),
        "t": torch.tensor(TIMESTEPS),
    }


class _Placeholder:
    """Stands for anything the official training code imports but the model does not use."""


class _PlaceholderModule(ModuleType):
    __path__: list[str] = []
    __all__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Placeholder


class _PlaceholderFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for the modules of `STUBBED`, installed or not."""

    def find_spec(
        self, fullname: str, path: Any, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if any(f"{fullname}.".startswith(f"{stub}.") for stub in STUBBED):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _PlaceholderModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@contextlib.contextmanager
def _official_imports(checkout: Path) -> Iterator[None]:
    finder = _PlaceholderFinder()
    sys.path.insert(0, str(checkout))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.path.remove(str(checkout))


def official_config(checkout: Path, template: str, changes: Mapping[str, Any] | None = None) -> Any:
    """The settings of an official template, with some changed."""
    with _official_imports(checkout), contextlib.redirect_stdout(io.StringIO()):
        config = getattr(importlib.import_module("templates"), template)()
        for name, value in (changes or {}).items():
            setattr(config, name, value)
        config.make_model_conf()
    return config


def shapes_of(config: Any) -> dict[str, list[int]]:
    """Official names and shapes; no weight is made."""
    with torch.device("meta"):
        state = config.model_conf.make_model().state_dict()
    return {name: list(value.shape) for name, value in state.items()}


def names_hash(shapes: Mapping[str, Sequence[int]]) -> str:
    """One hash of all names and shapes, in any order."""
    lines = sorted(f"{name} {list(shape)}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def official_ddim(
    config: Any, model: torch.nn.Module, x_T: Tensor, z_sem: Tensor, levels: Sequence[int]
) -> Tensor:
    """From the last of these timesteps to the first by the official rule; nothing is clipped."""
    settings = config.make_eval_diffusion_conf()
    settings.use_timesteps, settings.fp16 = set(levels), False
    sampler, x = settings.make_sampler(), x_T
    for place in range(len(levels) - 1, 0, -1):
        t = torch.full((len(x),), place)
        given = {"clip_denoised": False, "model_kwargs": {"cond": z_sem}}
        x = sampler.ddim_sample(model, x, t, **given)["sample"]
    return x


def our_ladder() -> list[int]:
    """The timesteps that `cldis.diffusion.sampling` goes through, for the official noise."""
    from cldis.config import DiffusionConfig
    from cldis.diffusion.process import NoiseProcess
    from cldis.diffusion.sampling import ladder

    return ladder(NoiseProcess(DiffusionConfig(prediction="epsilon")), DDIM_STEPS)


@torch.no_grad()
def record(
    checkout: Path, commit: str, changes: Mapping[str, Any] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Outputs of the official model, and the description that makes them reproducible.

    `changes` makes a small model of the template; its DDIM is recorded too.
    """
    settings = official_config(checkout, TEMPLATE, changes)
    config = settings.model_conf
    shapes = shapes_of(settings)
    model = config.make_model().eval()
    model.load_state_dict(official_state(shapes), strict=True)
    given = inputs(settings.img_size)
    x0, x_t, t = given["x0"], given["x_t"], given["t"]
    z_sem = model.get_submodule("encoder")(x0)  # [2, 512]
    pred = model(x_t, t, cond=z_sem).pred  # [2, 3, 64, 64]
    outputs = {"z_sem": z_sem.contiguous(), "pred": pred.contiguous()}
    effects = {
        "t": model(x_t, t.flip(0), cond=z_sem).pred,
        "z_sem": model(x_t, t, cond=z_sem.flip(0)).pred,
        "x_t": model(x_t.flip(0), t, cond=z_sem).pred,
    }
    description = {
        "source": {"repository": REPOSITORY, "commit": commit, "template": TEMPLATE},
        "recorded_by": "benchmarks/record_diffae_fixture.py CHECKOUT",
        "torch": torch.__version__.split("+")[0],
        "stubbed_imports": list(STUBBED),
        "config": {
            key: value
            for key, value in vars(config).items()
            if value is None or isinstance(value, bool | int | float | str | tuple | list)
        },
        "timesteps": list(TIMESTEPS),
        "statistics": {
            "z_sem_std": z_sem.std().item(),
            "z_sem_std_between_images": (z_sem[0] - z_sem[1]).std().item(),
            "pred_std": pred.std().item(),
            "pred_rms_change_when_swapping": {
                key: (value - pred).square().mean().sqrt().item() for key, value in effects.items()
            },
        },
        "parameters": shapes,
    }
    if changes:
        levels = our_ladder()
        description["levels"] = levels
        outputs["ddim"] = official_ddim(settings, model, x_t, z_sem, levels).contiguous()
    return outputs, description


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkout", type=Path, help="folder of the official code")
    checkout = parser.parse_args().checkout.resolve()
    asked = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    commit = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    from safetensors.torch import save

    from cldis.io import write_bytes, write_json, write_text

    for name, changes in (("celeba64", None), ("tiny", TINY)):
        outputs, description = record(checkout, commit, changes)
        write_bytes(FIXTURES / f"diffae_{name}.safetensors", save(outputs))
        write_text(FIXTURES / f"diffae_{name}.json", _compact_json(description))
        print(name, json.dumps(description["statistics"], indent=2))
    others = {name: names_hash(shapes_of(official_config(checkout, name))) for name in OTHERS}
    write_json(FIXTURES / "diffae_names.json", {"commit": commit, "names_and_shapes": others})


def _compact_json(description: Mapping[str, Any]) -> str:
    """Indented JSON with one parameter a line."""
    head = {key: value for key, value in description.items() if key != "parameters"}
    lines = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(shape)}"
        for name, shape in description["parameters"].items()
    )
    return json.dumps(head, indent=2)[:-2] + ',\n  "parameters": {\n' + lines + "\n  }\n}\n"


if __name__ == "__main__":
    main()
