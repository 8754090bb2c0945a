"""The terminal app: state, actions, views; numbers come from a Study, torch only from a worker."""
