"""Plain, single-device networks."""
