"""Interpretable directions of a trained model, found without labels, stored in its run."""
