"""The commands: their options, and the one call each makes. Each is imported when it runs."""
