"""Training methods, the solutions they return, and verification on a device."""
