"""Measured claims: `python -m benchmarks.NAME` prints a table."""
