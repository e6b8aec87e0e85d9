"""What varies in a collection of images, seen through a trained run: one page and its numbers."""

from cldis.pages.analysis.write import analyse

__all__ = ["analyse"]
