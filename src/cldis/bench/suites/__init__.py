"""The suites of the bench: a TOML file each in this folder, which is how they are found.

A file holds the fields of `cldis.bench.suite.Suite`. Below `methods` stand the settings of each
method over the recipe, all of them and each once; none is taken over from another method or suite.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from cldis.bench.suite import Fork, Suite
from cldis.text import named


def read_suite(path: Path) -> Suite:
    """The suite in a TOML file, named after it."""
    found = tomllib.loads(path.read_text("utf-8"))
    found["methods"] = {name: (*_overrides(given),) for name, given in found["methods"].items()}
    found["forks"] = {name: Fork(**fork) for name, fork in found.get("forks", {}).items()}
    for key, kind in (("shares", Fraction), ("pairs", tuple), ("seeds", int), ("images", int)):
        if key in found:
            found[key] = tuple(map(kind, found[key]))
    return Suite(name=path.stem, **found)


def _overrides(settings: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """`section.key=value` for `Config.with_overrides`."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _overrides(value, f"{section}{key}.")
        else:
            yield f"{section}{key}={json.dumps(value)}"


SUITES = {path.stem: read_suite(path) for path in sorted(Path(__file__).parent.glob("*.toml"))}


def find_suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        ValueError: unknown name; the nearest is suggested.
    """
    return named("suite", name, SUITES)
