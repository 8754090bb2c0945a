"""Running the base model with the adapters: the question, the run, what its views share."""
