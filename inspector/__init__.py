"""What LoRA training did to the weights: open adapters, see their weight-space geometry."""

__version__ = "0.1.0"
