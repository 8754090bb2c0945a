"""A training over its steps."""
