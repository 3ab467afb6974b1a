"""Disorder potentials of a two-dimensional electron gas, and the statistics of any potential."""
