"""The bench: grids of (method, data, seed, budget) that add up over many sessions."""
