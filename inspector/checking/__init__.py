"""`inspector check`: what is wrong, or odd, with adapters, alone and side by side. No comparison is measured."""
