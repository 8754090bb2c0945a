"""What the tensors of a file are for, module by module, and what is said of each."""
