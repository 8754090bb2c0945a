"""What a weighted sum of adapters would be: its numbers from a study, its rank from the weights, and as an adapter."""
