"""Exact factors of updates that are not a plain B·A."""
