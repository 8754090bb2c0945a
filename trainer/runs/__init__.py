"""One run after another: what it stands for (tasks), what it would cost (estimates), how it is made (one_run)."""
