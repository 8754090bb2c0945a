"""Adapters from one shared set of rollouts, by eight objectives. `inspector` reads what this writes: files alone."""
