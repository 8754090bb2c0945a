"""The bodies of the commands, one a file."""
