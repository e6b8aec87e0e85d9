"""The noise process, samplers and inversion."""
