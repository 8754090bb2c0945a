"""One file per view: state and an area in, lines out."""
