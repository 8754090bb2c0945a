"""One metric along the layers."""
