"""From a report to its page: pictures, diagrams and words; nothing is measured here."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from cldis.images import data_uri, reduced
from cldis.methods import find_method
from cldis.pages.figures import Figure, direction_curve
from cldis.pages.page import Terms, environment
from cldis.pages.report import measure, sentences
from cldis.pages.report.directions import SHIFTS
from cldis.pages.report.glossary import TERMS
from cldis.pages.report.plots import draw_all
from cldis.pages.report.results import Report, Sheet, Shown
from cldis.tracking.pictures import heat
from cldis.training.run_folder import RunFolder

STILL = (0, 2, 4, 6, 8)  # places in `SHIFTS` of the still pictures; all of them move


class DirectionPictures:
    """The pictures of directions: everything beside the numbers of `Shown`."""

    shifts: ClassVar = [SHIFTS[place] for place in STILL]  # of the still pictures

    def __init__(self, shown: Shown) -> None:
        self.images, self.maps = shown.images, shown.known.maps
        self.scale: dict[str, float] = {}  # what is white in the maps
        if self.maps is not None:
            for name in ("motion", "appearance"):
                self.scale[name] = max(float(getattr(self.maps, name).max()), 1e-6)

    def thumbs(self, sheet: Sheet) -> Tensor:
        """[len(shifts), 3, H, W]: the first row of the stills, without the image."""
        return sheet.cells[0, list(STILL)]

    def stills(self, sheet: Sheet) -> Tensor:
        """[n, 1 + len(shifts), 3, H, W]: the image itself where there is one, then the shifts."""
        cells = sheet.cells[:, list(STILL)]
        if self.images is None:
            return cells
        return torch.cat([reduced(self.images)[:, None], cells], dim=1)

    def curve(self, sheet: Sheet) -> Figure | None:
        parts = ("shifts", "curve", "curve_low", "curve_high")
        return direction_curve(*(sheet.facts[key] for key in parts)) if self.maps else None

    def heat(self, sheet: Sheet) -> Tensor | None:
        """[3, 3, H, W] in [-1, 1]: the mean image, and where a direction changes it each way."""
        if self.maps is None:
            return None
        k = sheet.facts["number"]
        return torch.stack(
            [
                torch.from_numpy(self.maps.mean).permute(2, 0, 1) / 127.5 - 1,
                *(heat(getattr(self.maps, name)[k] / white) for name, white in self.scale.items()),
            ]
        )


def render(report: Report) -> str:
    """The page as HTML that refers to nothing outside itself."""
    run, numbers, shown = report.run, report.numbers(), report.directions
    moved = report.drawn.traversals if report.drawn else []
    numbered = {sheet.facts["number"] for sheet in shown.sheets}
    units = numbers.get("directions", {}).get("origin") == "identity"
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
            code=report.code,
            verdict=sentences.verdict(run, numbers),
            alive=sentences.alive(numbers),
            drawn=report.drawn,
            curves=draw_all(run.config, report.lines),
            shown=shown,
            scores=shown.known.scores,
            notes=shown.known.notes,
            pictures=DirectionPictures(shown),
            sheet_numbers=numbered,
            tracked_units=numbered if units else set(),
            drawn_units={item.unit for item in moved},
            strong=[item for item in moved if item.change >= measure.FAINT],
            faint=[item for item in moved if item.change < measure.FAINT],
            amounts=measure.AMOUNTS,
            edit=measure.EDIT,
            reads=sentences.reads(numbers),
            ways=sentences.WAYS,
            health_rows=sentences.health_rows(run, numbers),
            probes=probe_tables(numbers),
            sample=sample(run),
            new=report.new,
        )
    )


def probe_tables(numbers: dict[str, Any]) -> list[dict[str, Any]]:
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
    grids = sorted(run.samples.glob("*.png")) if run.samples.is_dir() else []
    if not grids:
        return None
    newest = grids[-1]
    rows = ["held-out images"]
    if "diffusion" in run.config.branches:
        rows.append("z_sem decoded from a random x_T")
    if "vae" in run.config.branches:
        rows.append("the VAE's picture")
    with Image.open(newest, formats=("PNG",)) as image:
        size = image.size
    alt = f"Sample grid of training, rows: {'; '.join(rows)}."
    return {
        "picture": {"src": data_uri("image/png", newest.read_bytes()), "alt": alt, "size": size},
        "images": int(newest.stem) if newest.stem.isdigit() else None,
        "rows": rows,
    }
