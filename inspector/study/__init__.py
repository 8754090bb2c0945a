"""The results of an analysis: metrics, who was measured, every number, and files of them. No torch."""
