"""Hugging Face conventions: a model as a folder that can be shared, its card, and the Hub.

`cldis.Model` has `save_pretrained`, `from_pretrained` and `push_to_hub`; `CLDisPipeline` is the
same model as a `diffusers` pipeline. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cldis.hub.pipeline import CLDisPipeline

__all__ = ["CLDisPipeline"]


def __getattr__(name: str) -> Any:
    if name == "CLDisPipeline":
        from cldis.hub.pipeline import CLDisPipeline

        return CLDisPipeline
    raise AttributeError(f"module 'cldis.hub' has no attribute {name!r}")
