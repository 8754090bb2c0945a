"""Results as readable tables on stdout; how every table looks is in tables."""
