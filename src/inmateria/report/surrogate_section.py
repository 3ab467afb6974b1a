"""The surrogate of a run: its error where it was not trained, and how it learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from inmateria.report.learning_curve import draw_learning_curve
from inmateria.report.page import Block, Note, Picture, Section
from inmateria.report.surrogate_error import draw_surrogate_error


def surrogate_section(
    measured: ArrayLike,
    predicted: ArrayLike,
    *,
    history: Sequence[Mapping[str, float]],
    caption: str,
    note: str,
    measured_label: str = "measured current (nA)",
) -> Section:
    """Density, residuals and learning curve.

    Parameters
    ----------
    measured, predicted : (n_points,) arrays, nA
    history : sequence of mappings
        With ``epoch``, ``train_na`` and ``validation_na``.
    caption, note : str
        Where the points come from; what was fitted to what.
    measured_label : str
        Of the axis that the prediction is held against.
    """
    error = draw_surrogate_error(measured, predicted, measured_label=measured_label)
    blocks: list[Block] = [Note(note), Picture(error, caption)]
    if len(history) > 1:
        curve = draw_learning_curve(
            [line["epoch"] for line in history],
            {
                "training": [line["train_na"] for line in history],
                "validation": [line["validation_na"] for line in history],
            },
        )
        blocks.append(Picture(curve, "Root-mean-square error while fitting, noise included."))
    return Section("Surrogate", blocks)
