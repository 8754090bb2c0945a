"""What every other part stands on: errors, text, files, the terminal. Knows nothing of adapters."""
