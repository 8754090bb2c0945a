"""The version of the package, for whoever writes it into a result."""

__version__ = "0.1.0"
