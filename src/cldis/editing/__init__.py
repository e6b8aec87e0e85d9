"""Pictures through a model: photos read, edited, traversed and reconstructed."""
