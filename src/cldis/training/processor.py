"""What Linux says of the processor."""

from __future__ import annotations


def cpuinfo(*names: str) -> str:
    """The value of the first line of /proc/cpuinfo that has one of `names`; "" where none has."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip().lower() in names:
                    return value.strip()
    except OSError:
        pass
    return ""
