"""Opening adapters: the demo, the dialog and what it offers."""
