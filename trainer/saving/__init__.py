"""What a run starts from and leaves: the shared start, checkpoints, the adapter with its record."""
