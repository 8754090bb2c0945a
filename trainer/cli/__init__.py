"""The commands `train` and `rollouts`."""
