"""One reader per format beside PEFT's own."""
