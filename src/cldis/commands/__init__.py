"""The commands of `cldis`, one file per group; `add` of each puts them into the parser."""
