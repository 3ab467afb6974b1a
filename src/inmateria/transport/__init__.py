"""Quantum transport through a two-dimensional electron gas with disorder."""
