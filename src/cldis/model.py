"""A trained model: encode, invert, decode, edit, traverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cldis.config import Config
from cldis.diffusion import sampling
from cldis.loop.two_branch import TwoBranch
from cldis.networks.build import SemanticEncoder
from cldis.networks.gaussian import Gaussian
from cldis.networks.unet import Denoiser
from cldis.training.checkpoint import read_state
from cldis.training.contents import unit_tensors
from cldis.training.run_folder import RunFolder
from cldis.training.weights import open_networks

STEPS = 20
TOLERANCE = 0.01  # beyond [-1, 1], from rounding in half precision
TO_MODEL = (
    "cldis.images.to_model makes them of bytes 0..255 in a NumPy array (n, 3, H, W), which is "
    "x / 127.5 - 1; of floats in [0, 1] it is 2 * x - 1"
)


@dataclass(frozen=True)
class Codes:
    """Both latents of a batch; a branch that the method lacks is None."""

    sem: Gaussian | None
    disen: Gaussian | None

    @property
    def z(self) -> Tensor:
        """The code that conditions the decoder, [n, d]: the mean of z_sem."""
        if self.sem is None:
            raise ValueError("a VAE alone has no z_sem; use `.disen`, or a run of another method")
        return self.sem.mean


@dataclass(frozen=True)
class Origin:
    """Where a model was opened: a run and the name of its checkpoint, or a saved model."""

    path: Path
    checkpoint: str | None


class Model:
    """A CL-Dis model with averaged weights.

    Images are float tensors [n, 3, H, W] in [-1, 1] with H = W = `resolution`; n is free, work is
    done `batch` images at a time on `device`, and results come back on the CPU. Shifts of units are
    in standard deviations of that unit over the training images.

    All methods raise ValueError for what is no tensor of floats, a wrong shape, images outside
    [-1, 1], a unit that does not exist, a value that is not finite, or a branch that the method
    lacks.
    """

    def __init__(
        self,
        loop: TwoBranch,
        unit_mean: Tensor,
        unit_std: Tensor,
        device: str | torch.device = "cpu",
        batch: int = 64,
        origin: Origin | None = None,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch={batch} must be at least 1, the images worked on at a time")
        self.device, self.batch = torch.device(device), batch
        self.loop = loop.eval().requires_grad_(False).to(self.device)
        self.unit_mean, self.unit_std = unit_mean, unit_std  # [d] each
        self.origin = origin

    @property
    def config(self) -> Config:
        return self.loop.config

    @property
    def resolution(self) -> int:
        return self.config.model.resolution

    @property
    def units(self) -> int:
        return self.config.model.units

    @torch.no_grad()
    def encode(self, images: Tensor) -> Codes:
        """q_sem(z|x) and q_phi(z|x), each with mean and scale [n, d]."""
        self._check_images(images)
        sem = self._gaussian(self.loop.semantic, images) if self.loop.semantic else None
        disen = self._gaussian(self.loop.vae.encode, images) if self.loop.vae else None
        return Codes(sem, disen)

    @torch.no_grad()
    def invert(self, images: Tensor, z: Tensor | None = None, steps: int = STEPS) -> Tensor:
        """x_T [n, 3, H, W] from which `decode(z, x_T, steps)` gives the images back."""
        self._check_images(images)
        z = self.encode(images).z if z is None else self._check_codes(z)
        _same_length(images, z)
        return self._each(
            lambda x, code: sampling.invert(self._predict(code), self.loop.process, x, steps),
            images,
            z,
        )

    @torch.no_grad()
    def decode(
        self,
        z: Tensor,
        x_T: Tensor | None = None,
        steps: int = STEPS,
        seed: int = 0,
        fast: bool = False,
    ) -> Tensor:
        """Images [n, 3, H, W] in [-1, 1] from codes z [n, d].

        Args:
            x_T: from `invert`; None draws one from `seed`.
            fast: DPM-Solver++ instead of DDIM: fewer steps, but no inverse of `invert`.
        """
        z = self._check_codes(z)
        if x_T is None:
            x_T = self.random_start(len(z), seed)
        self._check_start(x_T)
        _same_length(x_T, z)
        solver = sampling.fast if fast else sampling.ddim
        return self._each(
            lambda x, code: solver(self._predict(code), self.loop.process, x, steps).clamp(-1, 1),
            x_T,
            z,
        )

    def reconstruct(self, images: Tensor, steps: int = STEPS, seed: int = 0) -> dict[str, Tensor]:
        """`inverted` and `random`: decoded from the inverted x_T, and from a random one.

        With the inverted x_T even an empty z_sem reconstructs; only `random` shows what it holds.
        """
        z = self.encode(images).z
        x_T = self.invert(images, z, steps)
        return {
            "inverted": self.decode(z, x_T, steps),
            "random": self.decode(z, None, steps, seed),
        }

    def edit(self, images: Tensor, shifts: Mapping[int, float], steps: int = STEPS) -> Tensor:
        """Images with units moved by `shifts` {unit: standard deviations}, same x_T."""
        return self.move(images, self.shift(shifts), steps)

    def move(self, images: Tensor, change: Tensor, steps: int = STEPS) -> Tensor:
        """Images with z changed by `change` [d], same x_T; `Directions.shift` makes a change."""
        z = self.encode(images).z
        if not isinstance(change, Tensor) or change.shape != (self.units,):
            raise ValueError(
                f"the change of z must be a tensor ({self.units},), as `shift` and "
                f"`Directions.shift` make it"
            )
        return self.decode(z + change, self.invert(images, z, steps), steps)

    def traverse(
        self, images: Tensor, unit: int, amounts: Sequence[float], steps: int = STEPS
    ) -> Tensor:
        """One unit moved by each amount, from one x_T per image: [n, len(amounts), 3, H, W]."""
        z = self.encode(images).z
        x_T = self.invert(images, z, steps)
        return self.traverse_from(z, x_T, unit, amounts, steps)

    def traverse_from(
        self, z: Tensor, x_T: Tensor, unit: int, amounts: Sequence[float], steps: int = STEPS
    ) -> Tensor:
        """As `traverse`, from codes and x_T that were inverted before."""
        z = self._check_codes(z)
        self._check_start(x_T)
        _same_length(x_T, z)
        if not len(amounts):
            return torch.zeros(len(z), 0, 3, self.resolution, self.resolution)
        moved = torch.stack([z + self.shift({unit: amount}) for amount in amounts], dim=1)
        starts = x_T[:, None].expand(-1, len(amounts), -1, -1, -1)
        flat = self.decode(moved.flatten(0, 1), starts.flatten(0, 1), steps)
        return flat.unflatten(0, (len(z), len(amounts)))

    def shift(self, shifts: Mapping[int, float]) -> Tensor:
        """The change of z [d] for shifts in standard deviations."""
        change = torch.zeros(self.units)
        for unit, amount in shifts.items():
            if not isinstance(unit, Integral) or not 0 <= unit < self.units:
                raise ValueError(f"unit {unit!r} does not exist; units are 0..{self.units - 1}")
            change[int(unit)] += _finite(amount, unit) * self.unit_std[unit]
        return change

    def random_start(self, n: int, seed: int = 0) -> Tensor:
        """Standard normal [n, 3, H, W]."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n, 3, self.resolution, self.resolution, generator=generator)

    def save_pretrained(self, folder: str | Path, licence: str | None = None) -> Path:
        """Write weights, settings, unit statistics, directions and a model card to `folder`.

        Args:
            folder: new, empty, or an earlier saved model, which is replaced.
            licence: of the weights; None keeps what is recorded, else "unknown".

        Raises:
            ValueError: the folder holds other files, the licence is no line of text, or the run
                that the model came from is gone or damaged.
            OSError: full disk or no permission; what was there before is kept.
        """
        from cldis.hub.folder import save_model

        return save_model(self, folder, licence)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        device: str | torch.device = "cpu",
        batch: int = 64,
        revision: str | None = None,
        token: str | None = None,
    ) -> Model:
        """Open what `save_pretrained` wrote: a folder here, or `owner/name` on the Hub.

        Raises:
            ValueError: no such folder or repository, the Hub not reachable, damaged, or from a
                newer version.
        """
        from cldis.hub.folder import load_model
        from cldis.hub.remote import local_folder

        folder = local_folder(name, revision, token)
        return cls(*load_model(folder), device, batch, Origin(folder, None))

    def push_to_hub(
        self,
        repo_id: str,
        licence: str | None = None,
        private: bool = False,
        token: str | None = None,
        message: str = "Upload a CL-Dis model",
    ) -> str:
        """`save_pretrained` to the repository `owner/name` of the Hub; returns its address.

        Raises:
            ValueError: a wrong name or licence, or the Hub does not take it.
        """
        from cldis.hub.remote import push_model

        return push_model(self, repo_id, licence, private, token, message)

    def _predict(self, z: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        denoiser = self._denoiser()
        return lambda x_t, t: denoiser(x_t, t, z)

    def _denoiser(self) -> Denoiser:
        if self.loop.denoiser is None:
            raise ValueError(
                f"this run is of method {self.config.method!r}, which has no diffusion decoder; "
                f"train with method=encdiff or closed to decode and edit"
            )
        return self.loop.denoiser

    def _gaussian(
        self, encoder: SemanticEncoder | Callable[[Tensor], Gaussian], images: Tensor
    ) -> Gaussian:
        parts = [encoder(part.to(self.device)) for (part,) in self._batches(images)]
        empty = torch.zeros(0, self.units)
        return Gaussian(
            torch.cat([empty, *(part.mean.cpu() for part in parts)]),
            torch.cat([empty, *(part.log_variance.cpu() for part in parts)]),
        )

    def _each(self, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        self._denoiser()
        done = [
            function(*(part.to(self.device) for part in parts)).cpu()
            for parts in self._batches(*tensors)
        ]
        return torch.cat(done) if done else torch.zeros(tensors[0].shape)

    def _batches(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        for start in range(0, len(tensors[0]), self.batch):
            yield tuple(tensor[start : start + self.batch].float() for tensor in tensors)

    def _check_images(self, images: Tensor) -> None:
        self._check_pictures(images, "images", "floats in [-1, 1]")
        least, most = (float(images.min()), float(images.max())) if images.numel() else (0, 0)
        if max(-least, most) > 1 + TOLERANCE:
            raise ValueError(
                f"images have values from {least:.3g} to {most:.3g}; expected floats in [-1, 1]: "
                f"{TO_MODEL}"
            )

    def _check_start(self, x_T: Tensor) -> None:
        self._check_pictures(x_T, "x_T", "floats as `invert` makes them of images")

    def _check_pictures(self, given: Tensor, name: str, floats: str) -> None:
        expected = (3, self.resolution, self.resolution)
        if not isinstance(given, Tensor):
            kind = f"{type(given).__module__.partition('.')[0]}.{type(given).__name__}"
            raise ValueError(f"{name}: expected a tensor of {floats}, got {kind}: {TO_MODEL}")
        if given.dim() != 4 or tuple(given.shape[1:]) != expected:
            raise ValueError(
                f"{name}: shape {tuple(given.shape)} is not that of images for this model, "
                f"(n, *{expected})"
            )
        if not torch.is_floating_point(given):
            raise ValueError(f"{name}: {given.dtype} given, expected {floats}: {TO_MODEL}")
        if not bool(torch.isfinite(given).all()):
            raise ValueError(f"{name}: NaN or infinity given, expected {floats}")

    def _check_codes(self, z: Tensor) -> Tensor:
        if not isinstance(z, Tensor):
            raise ValueError(
                f"codes are a {type(z).__name__}; expected a tensor, as `encode` gives it; "
                f"torch.from_numpy makes one of a NumPy array"
            )
        if z.dim() != 2 or z.shape[1] != self.units:
            raise ValueError(f"codes have shape {tuple(z.shape)}; expected (n, {self.units})")
        if not torch.is_floating_point(z):
            raise ValueError(f"codes are {z.dtype}; expected floats, as `encode` gives them")
        if not bool(torch.isfinite(z).all()):
            raise ValueError("codes hold NaN or infinity; expected finite floats")
        return z.float().cpu()


def load(run: str | Path, device: str | torch.device = "cpu", batch: int = 64) -> Model:
    """Open the newest checkpoint of a run folder, or a folder that `save_pretrained` wrote.

    Raises:
        ValueError: no run there, no checkpoint yet, damaged, or from a newer version.
    """
    from cldis.hub.folder import is_saved_model

    if is_saved_model(run):
        return Model.from_pretrained(run, device, batch)
    folder = RunFolder.open(run)
    path = folder.used()
    units = read_state(path)["units"]
    mean, std = unit_tensors(units, folder.config.model.units, path / "state.json")
    loop = open_networks(folder.config, path / "ema.safetensors", path)
    return Model(loop, mean, std, device, batch, Origin(folder.path, path.name))


def _same_length(images: Tensor, z: Tensor) -> None:
    if len(images) != len(z):
        raise ValueError(f"{len(images)} images but {len(z)} codes; give one code per image")


def _finite(amount: Any, unit: Any) -> float:
    try:
        value = float(amount)
    except (TypeError, ValueError):
        value = float("nan")
    if not abs(value) < float("inf"):
        raise ValueError(f"shift {amount!r} of unit {unit} is not a finite number")
    return value
