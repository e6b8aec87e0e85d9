"""One finished bench run as tracking_validation.py sees it: codes, directions and pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared import cached, model_at

from cldis.bench.score import pool
from cldis.data import open_data
from cldis.data.source import ImageSource
from cldis.model import Model
from cldis.networks.gaussian import Gaussian, kl_to_standard

CONTROLS = ("rotated", "mixed")
VARIANTS = ("raw", *CONTROLS)
ROWS = 6_000  # images that are encoded
INFORMATIVE = 0.01  # nats of KL(q || p) per unit, as UDR has it
IMAGES = 16  # that are moved along every direction
SHIFTS = (-2.0, -1.4, -0.7, 0.0, 0.7, 1.4, 2.0)  # in spreads of each unit
STEPS = 6  # of DPM-Solver++
CENTRE = SHIFTS.index(0.0)
TRAVERSALS = {"images": IMAGES, "shifts": list(SHIFTS), "steps": STEPS}
SCRATCH = Path(tempfile.gettempdir()) / "cldis-tracking-validation"  # locks and pictures


@dataclass
class Run:
    """One checkpoint of a finished bench cell, opened when first needed."""

    folder: Path
    record: dict[str, Any]
    point: dict[str, Any]  # of the record's curve

    @property
    def last(self) -> bool:
        return self.point is self.record["curve"][-1]

    @property
    def name(self) -> str:
        return self.folder.name + ("" if self.last else f"-at{self.point['images']}")

    @property
    def group(self) -> str:
        """The same for the seeds of a method."""
        return self.name.replace(f"-s{self.record['seed']}", "")

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / f"{self.point['images']:012d}"

    @property
    def code(self) -> str:
        return "z_sem" if "z_sem" in self.point["codes"] else "z_disen"

    @cached_property
    def source(self) -> ImageSource:
        return _source(self.record["data"], self.record["resolution"])

    @cached_property
    def indices(self) -> np.ndarray:
        return pool(self.source, self.record["scoring"]["pool"])[:ROWS]

    @cached_property
    def model(self) -> Model:
        return model_at(self.folder, self.checkpoint)

    @cached_property
    def encoded(self) -> Gaussian:
        codes = self.model.encode_source(self.source, self.indices)
        found = codes.sem if self.code == "z_sem" else codes.disen
        assert found is not None
        return found

    @cached_property
    def codes(self) -> np.ndarray:
        """[n, d]."""
        return self.encoded.mean.numpy()

    @cached_property
    def informative(self) -> np.ndarray:
        """Which units are, [d]."""
        varies = self.codes.std(axis=0) > 1e-6
        if self.code == "z_sem" and not self.model.config.model.gaussian:
            return varies  # a code of points has no KL
        return varies & (kl_to_standard(self.encoded).mean(dim=0).numpy() > INFORMATIVE)

    def directions(self, variant: str) -> np.ndarray:
        """Orthogonal [d, d]; column k is direction k in units of each unit's spread."""
        matrix = np.eye(self.codes.shape[1])
        rng = np.random.default_rng([self.record["seed"], VARIANTS.index(variant)])
        active = rng.permutation(np.flatnonzero(self.informative))
        if variant == "rotated":
            normal = rng.standard_normal((len(active), len(active)))
            matrix[np.ix_(active, active)] = np.linalg.qr(normal)[0]
        elif variant == "mixed":
            for one, other in zip(active[::2], active[1::2], strict=False):
                pair = np.ix_([one, other], [one, other])
                matrix[pair] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
        return matrix

    def turned(self, variant: str) -> np.ndarray:
        """The code read along the directions of a variant, [n, d]."""
        spread = np.maximum(self.codes.std(axis=0), 1e-12)
        scaled = (self.codes - self.codes.mean(axis=0)) / spread
        return np.where(spread > 1e-6, scaled, 0.0) @ self.directions(variant)

    def draw(self, z: torch.Tensor, x_T: torch.Tensor) -> np.ndarray:
        """Decoded uint8 [n, H, W, 3]; a VAE has no use for x_T."""
        pictures = self.model.decode(z, x_T, STEPS, fast=True)
        grey = pictures.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        return grey.permute(0, 2, 3, 1).numpy()

    def start(self, part: int) -> torch.Tensor:
        """An x_T for every image that is moved."""
        return self.model.random_start(IMAGES, 10 * self.record["seed"] + part)

    def traversals(self, variant: str) -> np.ndarray:
        """uint8 [n, k, j, H, W, 3]: each image, from one x_T of its own, along each direction."""

        def drawn() -> np.ndarray:
            z = torch.from_numpy(self.codes[:IMAGES]).float()
            n, d = z.shape
            x_T = self.start(0)
            spread = torch.from_numpy(self.codes.std(axis=0)).float()
            moves = torch.from_numpy(self.directions(variant)).float().T * spread  # [k, d]
            shifts = torch.tensor([shift for shift in SHIFTS if shift])
            moved = z[:, None, None] + shifts[:, None] * moves[:, None]  # [n, k, j - 1, d]
            starts = x_T[:, None, None].expand(-1, d, len(shifts), -1, -1, -1)
            found = self.draw(moved.flatten(0, 2), starts.flatten(0, 2))
            found = found.reshape(n, d, len(shifts), *found.shape[1:])
            centre = self.draw(z, x_T)[:, None, None].repeat(d, axis=1)
            return np.concatenate([found[:, :, :CENTRE], centre, found[:, :, CENTRE:]], axis=2)

        return self.kept(variant, drawn)

    def same_code(self) -> np.ndarray:
        """uint8 [n, 3, H, W, 3]: each code from its own x_T and two others (a VAE: none)."""

        def drawn() -> np.ndarray:
            z = torch.from_numpy(self.codes[:IMAGES]).float()
            parts = range(3 if self.code == "z_sem" else 1)
            return np.stack([self.draw(z, self.start(part)) for part in parts], axis=1)

        return self.kept("same_code", drawn)

    def kept(self, what: str, draw: Callable[[], np.ndarray]) -> np.ndarray:
        """Pictures on disk, so that a score can be taken anew without drawing them again."""
        about = f"{self.record['fingerprint']} {self.record['finished']} {TRAVERSALS}"
        path = SCRATCH / "pictures" / f"{self.name}-{what}.safetensors"
        made = cached(path, about, lambda: {"pictures": torch.from_numpy(draw())})
        return made["pictures"].numpy()


@lru_cache
def _source(name: str, resolution: int) -> ImageSource:
    return open_data(name, resolution)
