"""Where images and factors come from."""

from __future__ import annotations

from cldis.data.decode import load_photo
from cldis.data.open import open_data
from cldis.data.source import ImageSource

__all__ = ["ImageSource", "load_photo", "open_data"]
