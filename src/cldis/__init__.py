"""CL-Dis: closed-loop unsupervised representation disentanglement.

`cldis.load(RUN)` opens a trained run; everything else is in the sub-packages. Nothing heavy is
imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cldis.model import Model, load
    from cldis.networks.gaussian import Codes

__version__ = "0.1.0"
__all__ = ["Codes", "Model", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("Codes", "Model", "load"):
        from cldis import model

        return getattr(model, name)
    raise AttributeError(f"module 'cldis' has no attribute {name!r}")
