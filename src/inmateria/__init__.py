"""Machine learning on nanoelectronic devices."""

__version__ = "0.1.0"
