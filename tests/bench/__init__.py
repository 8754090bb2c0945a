"""Benchmarks: `python -m tests.bench [NAME…] [--quick]`, one module each."""

import sys

QUICK = "--quick" in sys.argv
"""Small sizes and one round: seconds each, to see that it runs; its figures mean nothing."""
