"""Data sets drawn by our own code, with exact factors."""
