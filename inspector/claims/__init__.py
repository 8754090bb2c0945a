"""Published claims as data, checked against a study. Sees results alone: no adapters, no torch."""
