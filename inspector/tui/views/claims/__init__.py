"""Published claims against the adapters that are open."""
