"""What needs the base model: the only code that runs one."""
