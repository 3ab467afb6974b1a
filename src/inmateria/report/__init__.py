"""Figures as inline SVG, and one self-contained page per run.

Figures take plain arrays and know nothing of devices, files or tasks.
"""
