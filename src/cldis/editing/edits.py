"""What `cldis edit` is asked to move: units and directions, in standard deviations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from cldis.model import Model


@dataclass(frozen=True)
class Moves:
    """Shifts of units, amounts along stored directions, and the change of z they make."""

    change: Tensor  # [d]
    shifts: Mapping[int, float]  # unit -> amount
    directions: Mapping[int, float] = field(default_factory=dict)  # number -> amount
    names: Mapping[int, str] = field(default_factory=dict)  # number -> name, where it has one

    @classmethod
    def of(
        cls,
        model: Model,
        run: str | Path,
        shifts: Mapping[int, float],
        along: Sequence[tuple[str, float]],
    ) -> Moves:
        """From units, and (number or name, amount) along the directions that `run` stores.

        Raises:
            ValueError: a unit or direction that does not exist or is given twice, an amount that
                is not finite, or a run without directions where some are asked for.
        """
        change = model.shift(shifts)
        if not along:
            return cls(change, shifts)
        from cldis.navigation.store import load_directions

        stored = load_directions(run)
        amounts = stored.amounts(along)
        change = change + stored.shift(model.unit_std, amounts)
        names = {number: stored.names[number] for number in amounts if number in stored.names}
        return cls(change, shifts, amounts, names)

    def words(self) -> str:
        """`3=+2, smile=-1`: units by number, directions by name, else as `d3`."""
        parts = [f"{unit}={amount:+g}" for unit, amount in self.shifts.items()]
        parts += [
            f"{self.names.get(number, f'd{number}')}={amount:+g}"
            for number, amount in self.directions.items()
        ]
        return ", ".join(parts)

    def record(self) -> dict[str, Any]:
        """The moves as JSON values."""
        return {
            "shifts": {str(unit): amount for unit, amount in self.shifts.items()},
            "directions": {str(number): amount for number, amount in self.directions.items()},
            "direction_names": {str(number): name for number, name in self.names.items()},
        }


def parse_moves(
    shifts: Sequence[str], directions: Sequence[str]
) -> tuple[dict[int, float], list[tuple[str, float]]]:
    """The texts after `--shift` and `--direction`.

    Raises:
        ValueError: as `parse_shifts` and `parse_directions`, or nothing at all.
    """
    if not shifts and not directions:
        raise ValueError(
            "nothing to edit; give --shift UNIT=AMOUNT or --direction NUMBER_OR_NAME=AMOUNT"
        )
    return parse_shifts(shifts), parse_directions(directions)


def parse_shifts(texts: Sequence[str]) -> dict[int, float]:
    """`["3=+2.0"]` -> {3: 2.0}.

    Raises:
        ValueError: not of the form UNIT=AMOUNT, or a unit given twice.
    """
    shifts: dict[int, float] = {}
    for text in texts:
        unit_text, _, amount_text = text.partition("=")
        try:
            unit, amount = int(unit_text), float(amount_text)
        except ValueError:
            raise ValueError(
                f"--shift {text!r}: expected UNIT=AMOUNT with a unit number and a number of "
                f"standard deviations, e.g. 3=+2.0"
            ) from None
        if unit in shifts:
            raise ValueError(f"--shift gives unit {unit} twice; give it once")
        shifts[unit] = amount
    return shifts


def parse_directions(texts: Sequence[str]) -> list[tuple[str, float]]:
    """`["smile=+2.0"]` -> [("smile", 2.0)]; which direction that is, the run knows.

    Raises:
        ValueError: not of the form NUMBER_OR_NAME=AMOUNT.
    """
    directions = []
    for text in texts:
        key, _, amount = text.rpartition("=")
        try:
            directions.append((key.strip(), float(amount)))
        except ValueError:
            key = ""
        if not key.strip():
            raise ValueError(
                f"--direction {text!r}: expected NUMBER_OR_NAME=AMOUNT with a number of standard "
                f"deviations, e.g. 3=+2.0 or smile=-1"
            )
    return directions
