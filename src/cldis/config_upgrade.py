"""Settings as an earlier version stored them, in the words of this one.

Format 1 (run folders, saved models and results until 0.1) named a method by `loop.arm` and
`baseline.method`. Format 2 has one name, `method`, and a stored configuration always holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 2
# Defaults of format 1 that have changed since, or that tell which method an arm was.
LEFT_OUT: dict[str, dict[str, Any]] = {
    "model": {"gaussian": True, "conditioning": "cross_attention"},
    "training": {"images": 400_000, "batch": 64},
}
RENAMED = (("loop", "lead", "vae_alone"), ("distillation", "release", "end"))
# What a person may still type, and what it is called now.
NOW = {
    "loop.arm": "method",
    "baseline.method": "method",
    "baseline.weight": "method_weight",
    **{f"{section}.{old}": f"{section}.{now}" for section, old, now in RENAMED},
}


def upgrade(values: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings in format 2; those of format 2 come back as they are.

    Values are not checked here: what makes no sense is left for `Config` to refuse.
    """
    if "method" in values:
        return dict(values)
    new = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    for name, defaults in LEFT_OUT.items():
        section = new.setdefault(name, {})
        if isinstance(section, dict):
            new[name] = {**defaults, **section}
    for name, old, now in RENAMED:
        section = new.get(name)
        if isinstance(section, dict) and old in section:
            section[now] = section.pop(old)
    loop, baseline = new.get("loop", {}), new.pop("baseline", {})
    arm = loop.pop("arm", "closed") if isinstance(loop, dict) else "closed"
    if not isinstance(baseline, dict):
        return {**new, "baseline": baseline, "method": arm}
    method = baseline.get("method", "none")
    new["method_weight"] = baseline.get("weight")
    new["method"] = _of_arm(arm, new["model"]) if method == "none" else method
    return new


def _of_arm(arm: Any, model: Any) -> Any:
    """The method that an arm was. `diffae` was the diffusion branch in any of its forms."""
    if arm != "diffae":
        return arm
    if not isinstance(model, dict) or model["gaussian"] is not False:
        return "diffusion"
    return "encdiff" if model["conditioning"] == "cross_attention" else "diffae"
