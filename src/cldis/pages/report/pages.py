"""From numbers and pictures to the page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor

from cldis.methods import find_method
from cldis.pages.page import Terms, environment, uri
from cldis.pages.report import measure, sentences
from cldis.pages.report.directions import Shown
from cldis.pages.report.glossary import TERMS
from cldis.pages.report.plots import Drawn
from cldis.training.run_folder import RunFolder


@dataclass
class Pictures:
    """What the page draws, as far as the run allows."""

    curves: list[Drawn]
    originals: Tensor | None = None  # [n, 3, H, W]
    traversals: list[measure.Traversal] = field(default_factory=list)
    reconstructions: list[measure.Reconstruction] = field(default_factory=list)
    edits: dict[int, Tensor] = field(default_factory=dict)
    directions: Shown = field(default_factory=Shown)


def render(run: RunFolder, numbers: dict[str, Any], pictures: Pictures) -> str:
    """The page as HTML that refers to nothing outside itself."""
    shown = pictures.directions
    numbered = {sheet.facts["number"] for sheet in shown.sheets}
    units = numbers.get("directions", {}).get("origin") == "identity"
    loud = [item for item in pictures.traversals if item.change >= measure.QUIET]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=f"{run.path.name} – CL-Dis report",
            side=run.config.model.resolution,
            terms=Terms(TERMS),
            run=run,
            about=run.about,
            config=run.config,
            config_text=json.dumps(run.config.to_dict(), indent=2, ensure_ascii=False),
            command=" ".join(run.about.get("command", [])),
            n=numbers,
            method_words=find_method(run.config.method).summary,
            code=numbers["code"],
            verdict=sentences.verdict(run, numbers),
            alive=sentences.alive(numbers),
            pictures=pictures,
            shown=shown,
            sheet_numbers=numbered,
            tracked_units=numbered if units else set(),
            drawn_units={item.unit for item in pictures.traversals},
            loud=loud,
            quiet=[item for item in pictures.traversals if item.change < measure.QUIET],
            amounts=measure.AMOUNTS,
            edit=measure.EDIT,
            reads=sentences.reads(numbers),
            ways=sentences.WAYS,
            health_rows=sentences.health_rows(run, numbers),
            heat=heat(numbers),
            sample=sample(run),
        )
    )


def heat(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Per code, the probe's table: importance by unit and factor, with a shade 0..1 each."""
    tables = []
    for code, probe in numbers.get("factors", {}).items():
        matrix = probe["importance"]
        top = max((value for row in matrix for value in row), default=0.0) or 1.0
        order = sorted(range(len(matrix)), key=lambda unit: -max(matrix[unit]))
        kept = sorted(order[: measure.MAX_UNITS])
        tables.append(
            {
                "code": code,
                "probe": probe,
                "rows": [
                    (unit, [(value, round(value / top, 3)) for value in matrix[unit]])
                    for unit in kept
                ],
                "left_out": len(matrix) - len(kept),
            }
        )
    return tables


def sample(run: RunFolder) -> dict[str, Any] | None:
    """The newest sample grid of training."""
    found = sorted(run.samples.glob("*.png")) if run.samples.is_dir() else []
    if not found:
        return None
    data = found[-1].read_bytes()
    rows = ["held-out images"]
    if "diffusion" in run.config.branches:
        rows.append("z_sem decoded from a random x_T")
    if "vae" in run.config.branches:
        rows.append("the VAE's picture")
    with Image.open(found[-1], formats=("PNG",)) as image:
        width, height = image.size
    return {
        "uri": uri("image/png", data),
        "width": width,
        "height": height,
        "images": int(found[-1].stem) if found[-1].stem.isdigit() else None,
        "rows": rows,
    }
