"""Where edits of photos start, and what of a photo they keep.

    edited = D(z') + (1 - M)(x - D(z))

D decodes from one x_T, and M is 1 where D(z') differs from D(z). What the edit does not touch is
thus the photo itself, down to what no decoder knows of it; what the edit moves is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

FAINT, CLEAR = 0.04, 0.12  # of a range of 2: no change, and a change for sure
SHARE = 64  # the mask is widened by a pixel for so many of the side, and softened by as many


@dataclass(frozen=True)
class Start:
    """n photos as edits take them: codes, what the codes do not hold, and the photos."""

    z: Tensor  # [n, d]
    noise: Tensor | None  # x_T, [n, c, h, w] as x0; None when the VAE draws
    steps: int  # of the decode
    again: Tensor  # D(z), [n, 3, H, W] in [-1, 1]
    images: Tensor | None  # [n, 3, H, W] in [-1, 1]; None: edits are plain decodes
    exact: bool = True  # decodes are in float32; else D(z') and D(z) are both in bf16

    def __len__(self) -> int:
        return len(self.z)

    @property
    def unmoved(self) -> Tensor:
        """What an edit by nothing gives, [n, 3, H, W]."""
        return self.again if self.images is None else self.images

    def rows(self, chosen: slice) -> Start:
        """Some of the photos."""
        return self._each(lambda part: part[chosen])

    def repeated(self, count: int) -> Start:
        """Every photo `count` times, one after the other."""
        return self._each(lambda part: part.repeat_interleave(count, dim=0))

    def edited(self, drawn: Tensor) -> Tensor:
        """[n, 3, H, W]: `drawn`, their D(z'), where it differs from D(z), else the photos."""
        if self.images is None:
            return drawn
        change = drawn - self.again
        # Written so that no change at all gives the photo bit for bit.
        return (self.images + change + mask(change) * (self.again - self.images)).clamp(-1, 1)

    def _each(self, function: Callable[[Tensor], Tensor]) -> Start:
        noise, images = (None if p is None else function(p) for p in (self.noise, self.images))
        return Start(function(self.z), noise, self.steps, function(self.again), images, self.exact)


def mask(change: Tensor) -> Tensor:
    """Where decodes change, [n, 1, H, W] in [0, 1], of their difference [n, 3, H, W].

    1 wherever a channel changes by `CLEAR`, and around; it falls to 0 within a few pixels.
    """
    radius = max(1, round(change.shape[-1] / SHARE))
    size = 2 * radius + 1
    sure = (change.abs().amax(dim=1, keepdim=True) - FAINT).div(CLEAR - FAINT).clamp(0, 1)
    wide = F.max_pool2d(sure, size, stride=1, padding=radius)
    return F.avg_pool2d(wide, size, stride=1, padding=radius, count_include_pad=False)
