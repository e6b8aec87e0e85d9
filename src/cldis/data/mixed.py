"""Images that are mixes of maps, mixed on the device that wants them.

`rooms` and `kuka` keep coefficient maps per geometry, and an image is a product of colours with the
maps of its geometry. On a GPU the maps lie in its memory and only indices travel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Mixed(Protocol):
    """A source whose images are floor(colours @ maps[geometry] + 1/2)."""

    maps: NDArray[Any]  # [geometries, m, H * W]
    resolution: int

    def mixture(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Geometry int64 [n] and colours float32 [n, 3, m] of images.

        Raises:
            ValueError: an index is no integer or outside 0..len-1.
        """
        ...


class DeviceMixer:
    """Batches of a `Mixed` source as tensors on `device`.

    Sums are formed in another order than by NumPy, so that a pixel may differ from `batch` by one
    grey level.
    """

    def __init__(self, source: Mixed, device: torch.device) -> None:
        import torch

        self.source, self.device = source, device
        self.maps = torch.from_numpy(source.maps.astype(np.float32)).to(device)

    def batch(self, indices: NDArray[Any]) -> torch.Tensor:
        """Images uint8 [n, 3, H, W] on the device.

        Raises:
            ValueError: an index is no integer or outside 0..len-1.
        """
        import torch

        geometry, colours = self.source.mixture(indices)
        maps = self.maps[torch.from_numpy(geometry).to(self.device)]  # [n, m, H * W]
        mix = torch.from_numpy(colours).to(self.device)  # [n, 3, m]
        pixels = (mix[..., None] * maps[:, None]).sum(dim=2).add_(0.5).to(torch.uint8)
        return pixels.unflatten(2, (self.source.resolution, self.source.resolution))
