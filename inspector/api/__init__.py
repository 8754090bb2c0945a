"""The functions of a notebook."""
