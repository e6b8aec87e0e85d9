"""Pages people look at: the report of a run and the analysis of a collection."""
