"""What is measured by running a base model, and in which order."""
