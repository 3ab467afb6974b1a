"""Measurements: their schema, files, journals, sampling designs and run folders."""
