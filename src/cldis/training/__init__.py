"""The loop around any method: engine, checkpoints, recipes."""
