"""Images that are mixes of maps, mixed on the device that wants them.

`rooms` and `kuka` keep coefficient maps per geometry, and an image is a product of colours with the
maps of its geometry. On a GPU the maps lie in its memory and only indices travel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.grid import FactorGrid

if TYPE_CHECKING:
    import torch


class ColourMixing(FactorGrid, ABC):
    """A grid whose images are floor(colours @ maps[geometry] + 1/2).

    A sub-class sets `maps` and `resolution`; its colours and maps never sum to more than 255.
    """

    maps: NDArray[Any]  # [geometries, m, H * W]
    resolution: int

    @abstractmethod
    def mixture(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Geometry int64 [n] and colours float32 [n, 3, m] of images.

        Raises:
            ValueError: an index is no integer or outside 0..len-1.
        """

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images uint8 [n, 3, resolution, resolution] of int indices [n].

        Raises:
            ValueError: an index is outside 0..len-1 or no integer.
        """
        geometry, colours = self.mixture(indices)
        images = np.matmul(colours, self.maps[geometry].astype(np.float32))
        images += np.float32(0.5)  # truncation then rounds, and there is nothing to clip
        pixels: NDArray[np.uint8] = images.astype(np.uint8)
        return pixels.reshape(len(geometry), 3, self.resolution, self.resolution)


class DeviceMixer:
    """Batches of a `ColourMixing` source as tensors on `device`.

    Sums are formed in another order than by NumPy, so that a pixel may differ from `batch` by one
    grey level.
    """

    def __init__(self, source: ColourMixing, device: torch.device) -> None:
        import torch

        self.source, self.device = source, device
        self.maps = torch.from_numpy(source.maps.astype(np.float32)).to(device)

    def batch(self, indices: NDArray[Any]) -> torch.Tensor:
        """Images uint8 [n, 3, H, W] on the device.

        Raises:
            ValueError: an index is no integer or outside 0..len-1.
        """
        import torch

        from cldis.images import sent

        geometry, colours = self.source.mixture(indices)
        maps = self.maps[sent(geometry, self.device)]  # [n, m, H * W]
        mix = sent(colours, self.device)  # [n, 3, m]
        pixels = (mix[..., None] * maps[:, None]).sum(dim=2).add_(0.5).to(torch.uint8)
        return pixels.unflatten(2, (self.source.resolution, self.source.resolution))
