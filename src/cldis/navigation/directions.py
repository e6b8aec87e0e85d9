"""Directions of the code: z' = z + unit_std * (matrix @ amounts)."""

from __future__ import annotations

import dataclasses
import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cldis.checks import finite
from cldis.text import folded

MAX_NAME = 60
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Directions:
    """K orthonormal directions of a d-dimensional code, in z divided by `unit_std`.

    An amount of 1 along a direction that is one unit moves that unit by one standard deviation
    over the training images.
    """

    matrix: Tensor  # [d, K] float32, orthonormal columns
    origin: str  # "navigated", "identity" (the raw units), "random" or "pca"
    names: dict[int, str] = field(default_factory=dict)  # number -> name that a person gave
    recognised: list[float] = field(default_factory=list)  # [K] accuracy of the predictor, or []

    def __post_init__(self) -> None:
        """Raises ValueError: a part that is not as said above, or names that cannot stand."""
        if self.matrix.dim() != 2 or self.matrix.dtype != torch.float32:
            raise ValueError(
                f"the matrix of directions is {self.matrix.dtype} of shape "
                f"{tuple(self.matrix.shape)}; it must be float32 [d, K]"
            )
        d, count = self.matrix.shape
        check_count(count, d)
        gram = self.matrix.T @ self.matrix
        if not bool(((gram - torch.eye(count)).abs() < TOLERANCE).all()):  # NaN is not below
            raise ValueError("the columns of the matrix of directions are not orthonormal")
        if len(self.recognised) not in (0, count):
            raise ValueError(
                f"{len(self.recognised)} accuracies were given for {count} directions; give one "
                f"each, or none"
            )
        seen: dict[str, int] = {}
        for number, name in self.names.items():
            self._existing(number)
            check_name(name)
            if folded(name) in seen:
                other = seen[folded(name)]
                raise ValueError(
                    f"direction {other} is named {self.names[other]!r} already; give direction "
                    f"{number} another name, or rename {other} first"
                )
            seen[folded(name)] = number

    @property
    def units(self) -> int:
        return self.matrix.shape[0]

    @property
    def count(self) -> int:
        return self.matrix.shape[1]

    def label(self, number: int) -> str:
        """What to call a direction: its name, else its number."""
        return self.names.get(number, str(number))

    def shift(self, unit_std: Tensor, amounts: Mapping[int, float]) -> Tensor:
        """The change of z, [d] float32, for amounts {number: standard deviations}.

        Raises:
            ValueError: a number that does not exist, or an amount that is not finite.
        """
        assert unit_std.shape == (self.units,)
        vector = torch.zeros(self.count)
        for number, amount in amounts.items():
            vector[self._existing(number)] += finite(amount, f"along direction {number}")
        return unit_std.cpu().float() * (self.matrix @ vector)

    def number(self, key: str) -> int:
        """`"3"` or a name -> number; case does not matter.

        Raises:
            ValueError: no such direction; names near to it are told.
        """
        text = key.strip()
        if _is_number(text):
            whole = text.removeprefix("+").isdigit()
            return self._existing(int(text) if whole else text)
        known = {folded(name): number for number, name in self.names.items()}
        if folded(text) in known:
            return known[folded(text)]
        near = difflib.get_close_matches(folded(text), known, n=3)
        if near:
            hint = f"did you mean {' or '.join(repr(self.names[known[name]]) for name in near)}?"
        elif known:
            hint = f"names: {', '.join(self.names[number] for number in sorted(self.names))}"
        else:
            hint = "none has a name yet; `cldis name RUN NUMBER NAME` gives one"
        raise ValueError(
            f"direction {key!r} does not exist; directions are 0..{self.count - 1}; {hint}"
        )

    @property
    def kind(self) -> str:
        """What a person calls one of them: a raw `unit`, or a `direction`."""
        return "unit" if self.origin == "identity" else "direction"

    def amounts(self, given: Iterable[tuple[str, float]]) -> dict[int, float]:
        """(number or name, amount) -> {number: amount}.

        Raises:
            ValueError: a direction that does not exist, or one that is given twice.
        """
        by_number: dict[int, float] = {}
        for key, amount in given:
            number = self.number(key)
            if number in by_number:
                raise ValueError(f"direction {number} is given twice; give it once")
            by_number[number] = amount
        return by_number

    def named(self, number: int, name: str) -> Directions:
        """The same directions, one of them named (anew).

        Raises:
            ValueError: no such number, or a name that is empty, too long, not printable, a number,
                or taken by another direction.
        """
        number, name = self._existing(number), unicodedata.normalize("NFC", name.strip())
        others = {other: taken for other, taken in self.names.items() if other != number}
        return dataclasses.replace(self, names={**others, number: name})

    @classmethod
    def identity(cls, units: int) -> Directions:
        """The raw units, each a direction."""
        return cls(torch.eye(units), "identity")

    @classmethod
    def random(cls, units: int, count: int, seed: int) -> Directions:
        """`count` columns of a rotation, uniform over all rotations (Mezzadri 2007)."""
        check_count(count, units)
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(units, count, generator=generator, dtype=torch.float64)
        q, r = torch.linalg.qr(normal)
        return cls((q * r.diagonal().sign()).float(), "random")

    @classmethod
    def pca(cls, codes: Tensor, count: int) -> Directions:
        """Principal axes of codes [n, d] that were divided by `unit_std`, largest variance first.

        Raises:
            ValueError: fewer than 2 codes, codes that are not finite, or a wrong count.
        """
        check_count(count, codes.shape[1])
        if len(codes) < 2:
            raise ValueError(f"PCA needs at least 2 images, got {len(codes)}; give more images")
        if not bool(torch.isfinite(codes).all()):
            raise ValueError("codes hold NaN or infinity; PCA needs finite codes")
        centred = codes.double() - codes.double().mean(dim=0)
        _, axes = torch.linalg.eigh(centred.T @ centred)  # [d, d], variance rising
        axes = axes.flip(1)[:, :count]
        largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))  # [1, count]
        return cls((axes * largest.sign()).float().contiguous(), "pca")

    def _existing(self, number: Any) -> int:
        if isinstance(number, bool) or not isinstance(number, int):
            number = int(number) if hasattr(number, "__index__") else number
        if not isinstance(number, int) or not 0 <= number < self.count:
            raise ValueError(
                f"direction {number} does not exist; directions are 0..{self.count - 1}"
            )
        return number


def check_count(count: int, units: int) -> None:
    """Raises ValueError: a number of directions outside 1..units."""
    if not 1 <= count <= units:
        raise ValueError(
            f"{count} directions cannot be had from {units} units: directions are orthogonal; "
            f"give a number in 1..{units}"
        )


def check_name(name: str) -> None:
    """Raises ValueError: a name that is empty, too long, not printable, or a number."""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(
            f"{name[: 2 * MAX_NAME]!r} cannot be the name of a direction; give 1 to {MAX_NAME} "
            f"printable characters"
        )
    if _is_number(name):
        raise ValueError(
            f"{name!r} cannot be the name of a direction: it is a number, and numbers already "
            f"mean directions; give a word"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
