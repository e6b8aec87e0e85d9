"""A trained model: encode, invert, decode, edit, traverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cldis.checks import check_codes, check_images, check_start, finite, same_length
from cldis.config import Config
from cldis.data.source import ImageSource
from cldis.diffusion import sampling
from cldis.diffusion.kept import Start
from cldis.hub.contents import is_saved_model
from cldis.images import to_model
from cldis.loop.two_branch import TwoBranch
from cldis.networks.gaussian import Codes, Gaussian, joined
from cldis.networks.space import Space, at_side
from cldis.networks.unet import Denoiser
from cldis.training.checkpoint import read_state
from cldis.training.contents import unit_tensors
from cldis.training.precision import arithmetic, pays
from cldis.training.run_folder import RunFolder
from cldis.training.space import open_space, plain_space
from cldis.training.weights import Origin, open_networks

STEPS = 20
SHOWN = 0.1  # of the largest standard deviation of a unit
CHUNK = 256  # images of a source that are read at a time


class Model:
    """A CL-Dis model with averaged weights.

    Images are float tensors [n, 3, H, W] in [-1, 1] with H = W = `resolution`; n is free, work is
    done `batch` images at a time on `device`, and results come back on the CPU. Shifts of units are
    in standard deviations of that unit over the training images.

    All methods raise ValueError for what is no tensor of floats, a wrong shape, images outside
    [-1, 1], a unit that does not exist, a value that is not finite, or a branch that the method
    lacks.

    A VAE alone draws too: with its mean picture, which has no x_T. A model that diffuses latents
    takes and gives images all the same: `space` is the way in and out, and x_T is one of latents.
    """

    def __init__(
        self,
        loop: TwoBranch,
        unit_mean: Tensor,
        unit_std: Tensor,
        device: str | torch.device = "cpu",
        batch: int = 64,
        origin: Origin | None = None,
        space: Space | None = None,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch={batch} must be at least 1, the images worked on at a time")
        self.device, self.batch = torch.device(device), batch
        self.loop = loop.eval().requires_grad_(False).to(self.device)
        self.space = (space or plain_space(loop.config)).to(self.device)
        self.unit_mean, self.unit_std = unit_mean, unit_std  # [d] each
        self.origin = origin

    @property
    def config(self) -> Config:
        return self.loop.config

    @property
    def resolution(self) -> int:
        return self.config.model.resolution

    @property
    def start_shape(self) -> tuple[int, int, int]:
        """Shape of one x_T: that of an image or of its latents."""
        return self.config.model.diffused

    @property
    def units(self) -> int:
        return self.config.model.units

    @property
    def shown_units(self) -> list[int]:
        """Units whose standard deviation is at least a tenth of the largest, the largest first.

        The others are not drawn, as they say next to nothing: the rate loop switches units off, and
        a VAE does. They may be active in the sense of `cldis.training.health`, whose yardstick is
        the prior and not the other units.
        """
        order = torch.argsort(self.unit_std, descending=True, stable=True).tolist()
        return [unit for unit in order if self.unit_std[unit] >= SHOWN * self.unit_std.max()]

    @property
    def diffuses(self) -> bool:
        """Whether pictures are drawn by diffusion; else by the VAE, without x_T."""
        return self.loop.denoiser is not None

    @torch.no_grad()
    def encode(self, images: Tensor) -> Codes:
        """q_sem(z|x) and q_phi(z|x), each with mean and scale [n, d]."""
        check_images(images, self.resolution)
        sem = self._gaussian(self.loop.semantic, images) if self.loop.semantic else None
        disen = self._gaussian(self.loop.vae.encode, images) if self.loop.vae else None
        return Codes(sem, disen)

    def encode_source(self, source: ImageSource, indices: NDArray[np.int64] | None = None) -> Codes:
        """As `encode`, of the images `indices` of a source; None takes all of them."""
        chosen = np.arange(len(source)) if indices is None else indices
        parts = [
            self.encode(to_model(source.batch(chosen[start : start + CHUNK])))
            for start in range(0, len(chosen), CHUNK)
        ] or [self.encode(torch.zeros(0, 3, self.resolution, self.resolution))]
        sem = [part.sem for part in parts if part.sem is not None]
        disen = [part.disen for part in parts if part.disen is not None]
        return Codes(*(joined(own, self.units) if own else None for own in (sem, disen)))

    @torch.no_grad()
    def invert(
        self,
        images: Tensor,
        z: Tensor | None = None,
        steps: int = STEPS,
        sigma: float = sampling.END,
        seed: int = 0,
    ) -> Tensor:
        """x_T [n, *start_shape] from which `decode(z, x_T, steps)` gives the images back.

        Args:
            sigma: noise level that inversion starts at, from `sampling.END` to below 1. At `END`
                the image comes back whole. Above it, noise takes the place of what the network
                cannot explain: less comes back, and x_T is as normal as the network knows it.
            seed: of that noise, which is the same for every image of a call.
        """
        check_images(images, self.resolution)
        z = self.encode(images).z if z is None else check_codes(z, self.units)
        same_length(images, z)
        process, noise = self.loop.process, self.random_start(1, seed).to(self.device)

        def inverted(x: Tensor, code: Tensor) -> Tensor:
            x0 = self.space.to_space(x)
            if sigma != sampling.END:
                x0 = sampling.noised(process, x0, noise.expand_as(x0), sigma)
            return sampling.invert(self._predict(code), process, x0, steps, sigma=sigma)

        exact = sigma == sampling.END or None
        return self._each(inverted, self.start_shape, exact, images, z)

    @torch.no_grad()
    def decode(
        self,
        z: Tensor,
        x_T: Tensor | None = None,
        steps: int = STEPS,
        seed: int = 0,
        fast: bool = False,
        exact: bool | None = None,
    ) -> Tensor:
        """Images [n, 3, H, W] in [-1, 1] from codes z [n, d].

        Args:
            x_T: from `invert`; None draws one from `seed`.
            fast: DPM-Solver++ instead of DDIM: fewer steps, but no inverse of `invert`.
            exact: in float32, as images are inverted; False: bf16; None: what is faster here.

        A VAE alone has no x_T and no steps: its mean picture is all there is.
        """
        if not self.diffuses:
            return self.decode_vae(z)
        z = check_codes(z, self.units)
        if x_T is None:
            x_T = self.random_start(len(z), seed)
        check_start(x_T, self.start_shape)
        same_length(x_T, z)
        solver = sampling.fast if fast else sampling.ddim

        def drawn(x: Tensor, code: Tensor) -> Tensor:
            return self.space.to_images(solver(self._predict(code), self.loop.process, x, steps))

        return self._each(drawn, (3, self.resolution, self.resolution), exact, x_T, z)

    @torch.no_grad()
    def decode_vae(self, z: Tensor) -> Tensor:
        """The mean picture of p_theta(x|z), [n, 3, H, W] in [-1, 1], from codes z [n, d]."""
        z, vae = check_codes(z, self.units), self.loop.vae
        if vae is None:
            raise ValueError(f"this run is of method {self.config.method!r}, which has no VAE")

        def drawn(code: Tensor) -> Tensor:
            return at_side(vae.decode(code).float().sigmoid().mul(2).sub(1), self.resolution)

        return self._each(drawn, (3, self.resolution, self.resolution), None, z)

    def start(self, images: Tensor, steps: int = STEPS, exact: bool = False) -> Start:
        """Where edits of images begin: codes, x_T and what the edits are to keep.

        Inversion starts at noise level `sampling.EDITS`. With `exact` it starts at
        `sampling.END`, and edits are plain decodes: the x_T then holds the outlines of the photo.
        """
        z = self.encode(images).z
        sigma = sampling.END if exact else sampling.EDITS
        x_T = self.invert(images, z, steps, sigma) if self.diffuses else None
        plain = exact or not self._half(len(images))  # and so are all its edits
        again = self.decode(z, x_T, steps, exact=plain)
        return Start(z, x_T, steps, again, None if exact else images.float().cpu(), plain)

    def reconstruct(self, images: Tensor, steps: int = STEPS, seed: int = 0) -> dict[str, Tensor]:
        """`inverted` and `random`, decoded from the inverted x_T (all of it, as with `invert`) and
        from a random one, and `vae`, the picture of the VAE; those that the method has.

        With the inverted x_T even an empty z_sem reconstructs; only `random` shows what it holds.
        """
        codes = self.encode(images)
        drawn = {}
        if codes.sem is not None:
            z = codes.sem.mean
            drawn["inverted"] = self.decode(z, self.invert(images, z, steps), steps, exact=True)
            drawn["random"] = self.decode(z, None, steps, seed)
        if codes.disen is not None:
            drawn["vae"] = self.decode_vae(codes.disen.mean)
        return drawn

    def edit(
        self, images: Tensor, shifts: Mapping[int, float], steps: int = STEPS, exact: bool = False
    ) -> Tensor:
        """Images with units moved by `shifts` {unit: standard deviations}; see `move`."""
        return self.move(images, self.shift(shifts), steps, exact)

    def move(
        self, images: Tensor, change: Tensor, steps: int = STEPS, exact: bool = False
    ) -> Tensor:
        """Images with z changed by `change` [d]; `Directions.shift` makes a change.

        What the change does not touch comes from the images, so none at all gives them back; the
        rest is decoded from the x_T of `start`. With `exact` all of it is, as `start` says.
        """
        if not isinstance(change, Tensor) or change.shape != (self.units,):
            raise ValueError(
                f"the change of z must be a tensor ({self.units},), as `shift` and "
                f"`Directions.shift` make it"
            )
        start = self.start(images, steps, exact)
        return self.edited(start, start.z + change)

    def edited(self, start: Start, z: Tensor) -> Tensor:
        """The images [n, 3, H, W] of `start` with codes z [n, d] in place of theirs."""
        return start.edited(self.decode(z, start.noise, start.steps, exact=start.exact))

    def traverse(
        self, images: Tensor, unit: int, amounts: Sequence[float], steps: int = STEPS
    ) -> Tensor:
        """One unit moved by each amount, from one x_T per image: [n, len(amounts), 3, H, W]."""
        return self.traverse_from(self.start(images, steps), unit, amounts)

    def traverse_from(self, start: Start, unit: int, amounts: Sequence[float]) -> Tensor:
        """As `traverse`, of images that were started."""
        checked = [finite(amount, f"of unit {unit}") for amount in amounts]
        return self.move_along(start, self.shift({unit: 1.0}), checked)

    def move_along(self, start: Start, change: Tensor, amounts: Sequence[float]) -> Tensor:
        """The images of `start` moved by each amount of `change`: [n, len(amounts), 3, H, W].

        `change` is a standard deviation of a unit or along a direction: `shift({unit: 1.0})`,
        `Directions.shift(unit_std, {number: 1.0})`.
        """
        count = len(amounts)
        if not count:
            return torch.zeros(len(start), 0, 3, self.resolution, self.resolution)
        factors = torch.tensor(amounts, dtype=torch.float32)
        moved = (start.z[:, None] + factors[:, None] * change).flatten(0, 1)
        return self.edited(start.repeated(count), moved).unflatten(0, (len(start), count))

    def shift(self, shifts: Mapping[int, float]) -> Tensor:
        """The change of z [d] for shifts in standard deviations."""
        change = torch.zeros(self.units)
        for unit, amount in shifts.items():
            if not isinstance(unit, Integral) or not 0 <= unit < self.units:
                raise ValueError(f"unit {unit!r} does not exist; units are 0..{self.units - 1}")
            change[int(unit)] += finite(amount, f"of unit {unit}") * self.unit_std[unit]
        return change

    def random_codes(self, n: int, seed: int = 0) -> Tensor:
        """Codes [n, d] drawn at random: normal, as each unit is over the training images."""
        generator = torch.Generator().manual_seed(seed)
        return self.unit_mean + self.unit_std * torch.randn(n, self.units, generator=generator)

    def random_start(self, n: int, seed: int = 0) -> Tensor:
        """Standard normal [n, *start_shape]."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n, *self.start_shape, generator=generator)

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
        loop, mean, std, space = load_model(folder)
        return cls(loop, mean, std, device, batch, Origin(folder, None), space)

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
                f"this run is of method {self.config.method!r}, which has no diffusion decoder and "
                f"so no x_T; train with method=encdiff or closed to invert"
            )
        return self.loop.denoiser

    def _gaussian(self, encoder: Callable[[Tensor], Gaussian], images: Tensor) -> Gaussian:
        parts = [encoder(part.to(self.device)) for (part,) in self._batches(images)]
        return joined(parts, self.units)

    def _each(
        self, function: Callable[..., Tensor], shape: Sequence[int], exact: bool | None, *of: Tensor
    ) -> Tensor:
        """`function` of a batch at a time, [n, *shape] in all."""
        with arithmetic(self.device, self._half(len(of[0])) if exact is None else not exact):
            done = [
                function(*(part.to(self.device) for part in parts)).float().cpu()
                for parts in self._batches(*of)
            ]
        return torch.cat(done) if done else torch.zeros(0, *shape)

    def _half(self, images: int) -> bool:
        return pays(self.device, images, sum(p.numel() for p in self.loop.parameters()))

    def _batches(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        for start in range(0, len(tensors[0]), self.batch):
            yield tuple(tensor[start : start + self.batch].float() for tensor in tensors)


def load(run: str | Path, device: str | torch.device = "cpu", batch: int = 64) -> Model:
    """Open the newest checkpoint of a run folder, or a folder that `save_pretrained` wrote.

    Raises:
        ValueError: no run there, no checkpoint yet, damaged, or from a newer version.
    """
    if is_saved_model(run):
        return Model.from_pretrained(run, device, batch)
    folder = RunFolder.open(run)
    path = folder.used()
    units = read_state(path)["units"]
    mean, std = unit_tensors(units, folder.config.model.units, path / "state.json")
    loop = open_networks(folder.config, path / "ema.safetensors", path)
    space = open_space(folder.config, folder.about, folder.path)
    return Model(loop, mean, std, device, batch, Origin(folder.path, path.name), space)
