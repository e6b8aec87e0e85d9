"""`cldis explore`: a page on which a person moves the directions of a run on their own photo."""
