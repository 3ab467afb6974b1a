"""The figures of Boon et al. 2025, one module each: `python -m benchmarks.homodyne_paper FIG`."""
