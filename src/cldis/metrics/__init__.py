"""Scores as pure functions on arrays; they know no model."""
