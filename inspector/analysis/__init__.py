"""Adapters to a study: what is measured together, and the numbers as they come in."""
