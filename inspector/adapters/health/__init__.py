"""What is wrong, or odd, with an adapter."""
