"""Ticks of an axis that runs over many decades, as text that needs no mathematics."""

from __future__ import annotations

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float) -> str:
    """A decade as it is written: 10⁻⁵."""
    return "10" + str(round(np.log10(value))).translate(_RAISED)


def mark_decades(axis: Axis, *, most: int = 7) -> None:
    """Label decades as powers of ten, and nothing between them."""
    axis.set_major_locator(LogLocator(numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_formatter(NullFormatter())
