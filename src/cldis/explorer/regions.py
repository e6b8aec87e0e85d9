"""Where a direction changes pictures, in a word, read off its heat map."""

from __future__ import annotations

import numpy as np

from cldis.arrays import Floats

WIDE = 0.55  # share of the picture that changes: from here it is all of it
OFF = 0.1  # of the side: how far from the centre the change lies, to lie on that side
RIM = 0.15  # of the side: width of the rim, half of the picture in all
HOLLOW = 0.4  # share of the change inside the rim; below, it is the rim that changes


def region(heat: Floats) -> str:
    """`everywhere`, `top`, `bottom left`, `edges` or `middle`, of a heat map [H, W] of change.

    The share of the picture that changes is (sum h)^2 / (HW sum h^2): 1 for an even map, the share
    of its places for a map of equal places. Nothing at all is `nowhere`.
    """
    if not heat.any():
        return "nowhere"
    share = heat.astype(np.float64) / heat.sum()  # [H, W]
    if 1 / (share.size * (share**2).sum()) >= WIDE:
        return "everywhere"
    down, right = (
        float((share.sum(axis=axis) * (np.arange(side) + 0.5) / side).sum()) - 0.5
        for axis, side in ((1, heat.shape[0]), (0, heat.shape[1]))
    )
    words = [
        word
        for word, off in (("top", -down), ("bottom", down), ("left", -right), ("right", right))
        if off >= OFF
    ]
    if words:
        return " ".join(words)
    high, wide = (round(side * RIM) for side in heat.shape)
    inner = share[high : heat.shape[0] - high, wide : heat.shape[1] - wide].sum()
    return "edges" if inner < HOLLOW else "middle"
