"""The page results/tracking_validation.md, from the JSON that other scripts wrote.

    python benchmarks/tracking_page.py

Parts: label-free scores on codes with known damage (tracking_damage.py), model choice
(tracking_choice.py), and the correlations over the checkpoints of earlier suites
(tracking_validation.py, tracking_table.py).
"""

from __future__ import annotations

import tracking_choice
import tracking_damage
import tracking_table
from shared import RESULTS
from tracking_validation import FORMER, SCORED, SCORES

from cldis.io import read_json, write_text


def main() -> None:
    settings = {**{name: one.settings for name, one in SCORES.items()}, **FORMER}
    runs, _ = tracking_table.read_runs(SCORED, settings)
    codes = tracking_damage.rows_of(read_json(tracking_damage.JSON))
    parts = [
        tracking_damage.page(codes),
        "\n".join(tracking_choice.section(runs, codes)),
        tracking_table.page(SCORED, settings),
    ]
    write_text(RESULTS / "tracking_validation.md", "\n".join(parts))


if __name__ == "__main__":
    main()
