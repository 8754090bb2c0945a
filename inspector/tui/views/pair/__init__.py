"""Everything about two adapters."""
