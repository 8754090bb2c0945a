"""What a weighted sum of the adapters would be."""
