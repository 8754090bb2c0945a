"""A base model with adapters attached, here or behind a server."""
