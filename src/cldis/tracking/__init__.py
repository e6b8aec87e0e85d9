"""Content tracking: directions and runs scored without labels."""
