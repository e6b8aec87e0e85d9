"""What a suite of the bench is: a grid of cells, and how they are scored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from cldis.config import Config
from cldis.training.recipes import recipe_config, stretched

POOL_SEED = 0  # of the draw of images that are scored
CONTROLS = ("pca", "random_encoder")  # labels of what is not trained

Overrides = tuple[str, ...]


@dataclass(frozen=True)
class Fork:
    """Up to `images` a method trains exactly as another one does, so that it may begin there.

    The result is the same as from scratch, and the time up to there counts in both.
    """

    method: str
    images: int


@dataclass(frozen=True)
class Suite:
    """A grid, and how its cells are scored. Everything here but `purpose` is part of the result."""

    name: str
    purpose: str
    recipe: str
    methods: Mapping[str, Overrides]  # label -> settings on top of the recipe
    data: Mapping[str, int]  # name for open_data -> resolution
    seeds: tuple[int, ...]
    images: tuple[int, ...]  # budgets
    shares: tuple[Fraction, ...]  # of a budget, at which the codes are scored
    pool: int  # images that are encoded for a score
    stretch: bool = False  # the phases of the recipe keep their share of the budget
    standard: bool = False  # at the last point also the field's protocol, 12 s a code
    pairs: tuple[tuple[str, str], ...] = ()  # differences that the table shows
    forks: Mapping[str, Fork] = field(default_factory=dict)  # label -> where it leaves another
    budgets: Mapping[str, int] = field(default_factory=dict)  # label -> its own, not `images`

    def __post_init__(self) -> None:
        assert self.shares and self.shares[-1] == 1 and list(self.shares) == sorted(self.shares)
        for label in (*self.methods, *self.data):
            assert label.replace("_", "").isalnum(), f"{label} must do for a file name"
        assert all(name in self.methods for pair in self.pairs for name in pair)
        for label, fork in self.forks.items():
            assert {label, fork.method} <= set(self.methods), f"fork of {label}: unknown method"
        assert set(self.budgets) <= set(self.methods), "budgets: unknown method"

    def config(self, cell: Cell) -> Config:
        """The whole configuration of a cell.

        Checkpoints fall on the points of `shares` (see `points`) and all are kept.
        """
        recipe = recipe_config(self.recipe)
        if self.stretch:
            recipe = stretched(recipe, cell.images)
        base = recipe.with_overrides(
            [
                f"model.resolution={self.data[cell.data]}",
                f"training.images={cell.images}",
                *self.methods[cell.method],
            ]
        )
        every = self.every(cell.images)
        return base.with_overrides(
            [
                f"training.seed={cell.seed}",
                f"training.checkpoint_every={every}",
                f"training.log_every={min(base.training.log_every, every)}",
                f"training.sample_every={cell.images}",
                "training.keep=1000",
            ]
        )

    def scoring(self) -> dict[str, int]:
        """How codes are scored, as part of a result."""
        return {"pool": self.pool, "pool_seed": POOL_SEED}

    def parts(self) -> int:
        """Equal parts of a budget such that every share is a whole number of them."""
        return math.lcm(*(share.denominator for share in self.shares))

    def every(self, images: int) -> int:
        """Images between checkpoints."""
        return math.ceil(images / self.parts())

    def points(self, images: int, batch: int) -> list[int]:
        """Images seen at each score: where the engine's checkpoints for `shares` fall."""
        end = math.ceil(images / batch) * batch
        marks = [int(share * self.parts()) * self.every(images) for share in self.shares[:-1]]
        return sorted({min(math.ceil(mark / batch) * batch, end) for mark in marks} | {end})

    def curve(self, cell: Cell, batch: int) -> list[int]:
        """Images seen at each score of a cell: up to a fork those of the method that it leaves."""
        own, beginning = self.points(cell.images, batch), self.beginning(cell)
        if beginning is None:
            return own
        other, shared = beginning
        before = [point for point in self.curve(other, batch) if point <= shared]
        return before + [point for point in own if point > shared]

    def cells(self) -> list[Cell]:
        """In the order of work: all methods of the first seed first, small budgets first."""
        return [
            Cell(self.name, method, data, images, seed)
            for seed in self.seeds
            for images in sorted({*self.images, *self.budgets.values()})
            for data in self.data
            for method in self.methods
            if images in self.images_of(method)
        ]

    def images_of(self, method: str) -> tuple[int, ...]:
        """The budgets of a method."""
        return (self.budgets[method],) if method in self.budgets else self.images

    def beginning(self, cell: Cell) -> tuple[Cell, int] | None:
        """The cell that this one may begin with, and up to how many images."""
        fork = self.forks.get(cell.method)
        if fork is None:
            return None
        own = self.images_of(fork.method)
        images = cell.images if cell.images in own else max(own)
        return replace(cell, method=fork.method, images=images), fork.images

    def with_budget(self, images: int) -> Suite:
        """The same grid with one other budget.

        Raises:
            ValueError: no positive number of images.
        """
        if images < 1:
            raise ValueError(f"--images {images} must be at least 1, the images each run sees")
        return replace(self, images=(images,), budgets={})


@dataclass(frozen=True)
class Cell:
    """One training and its scores."""

    suite: str
    method: str
    data: str
    images: int
    seed: int

    @property
    def name(self) -> str:
        """Also the stem of the result file and the name of the run folder."""
        return f"{self.method}-{self.data}-{self.images}-s{self.seed}"
