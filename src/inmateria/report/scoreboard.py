"""What became of each task: the rows that the page and the terminal both show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TaskRow:
    """One task on one device.

    Parameters
    ----------
    task : str
        For example ``"XOR"``.
    verified : bool
        Passed on the device, noise on.
    margin_na : float
        Lowest high minus highest low as measured, nA; for a constant gate what
        is left between its swing and the swing allowed.
    margin_in_noise : float
        The same in standard deviations of the measured noise.
    predicted_margin_na : float or None
        What the surrogate promised, nA.
    accuracy : float or None
        Share of points on their side of the threshold.
    controls : tuple of (name, V)
    """

    task: str
    verified: bool
    margin_na: float
    margin_in_noise: float
    predicted_margin_na: float | None
    accuracy: float | None
    controls: tuple[tuple[str, float], ...]


def count_line(rows: Sequence[TaskRow], *, noun: str = "gates") -> str:
    """The sentence that a run ends with, for example ``16 of 16 gates verified``."""
    return f"{sum(row.verified for row in rows)} of {len(rows)} {noun} verified"


COLUMNS = ("task", "verified", "margin", "in noise", "predicted", "accuracy", "controls (V)")


def cells(row: TaskRow) -> tuple[str, ...]:
    """One row as text, in the order of `COLUMNS`."""
    return (
        row.task,
        "yes" if row.verified else "no",
        f"{row.margin_na:.2f} nA",
        f"{row.margin_in_noise:.1f}",
        "" if row.predicted_margin_na is None else f"{row.predicted_margin_na:.2f} nA",
        "" if row.accuracy is None else f"{row.accuracy:.1%}",
        ", ".join(f"{name} {volts:+.3f}" for name, volts in row.controls),
    )
