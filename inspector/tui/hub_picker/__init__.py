"""Choosing which adapters of a repo to download."""
