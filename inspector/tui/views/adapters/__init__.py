"""Who is open."""
