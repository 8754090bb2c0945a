"""What lies on disk: weights, their headers and configs, and files that only look like adapters."""
