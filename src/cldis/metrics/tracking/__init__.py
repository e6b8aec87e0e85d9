"""Content tracking: how cleanly one direction changes one thing, measured without labels.

The definition is ours; the formula of the CL-Dis paper is not known. docs/content_tracking.md
holds it in one place.
"""
