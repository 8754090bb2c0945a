"""PEFT's own format: what its config and its tensors mean, module by module."""
