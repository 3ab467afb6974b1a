"""One strip of measured output: the logic inputs below, what came out above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inmateria.report.canvas import HIGH, INK, LOW, MUTED, TRACE, draw
from inmateria.report.envelope import envelope


@dataclass(frozen=True)
class Plateau:
    """One logic case held for a while.

    Parameters
    ----------
    start_s, stop_s : float
        When it is judged, s.
    inputs : tuple of bool
        The logic state of each input.
    target : bool
        What the gate ought to give.
    level_na : float
        Mean of what it gave, nA.
    predicted_na : float, optional
        What a surrogate expected, nA.
    """

    start_s: float
    stop_s: float
    inputs: tuple[bool, ...]
    target: bool
    level_na: float
    predicted_na: float | None = None


def draw_gate_strip(
    time_s: NDArray[np.float64],
    current_na: NDArray[np.float64],
    plateaus: Sequence[Plateau],
    *,
    gate: str,
    verdict: str,
    threshold_na: float | None = None,
    least_span_na: float = 0.0,
    input_names: Sequence[str] = ("A", "B"),
) -> str:
    """Output against time with its threshold, the logic inputs as steps, inline SVG.

    Parameters
    ----------
    time_s, current_na : (n_samples,) arrays, s and nA
    plateaus : sequence of Plateau
        In the order of time.
    gate, verdict : str
        The title, for example ``"XOR"`` and ``"verified, margin 5.1 nA"``.
    threshold_na : float, optional
        Between the highest low and the lowest high, nA; a constant gate has none.
    least_span_na : float
        The current axis covers this much at least, so that a flat output looks flat.
    """
    # The way from 0 V to the first state would set the scale of the current axis.
    begun = time_s >= plateaus[0].start_s
    time, trace = envelope(time_s[begun], current_na[begun])

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1.0))
        above.plot(time, trace, color=TRACE, linewidth=0.7)
        for plateau in plateaus:
            above.plot(
                (plateau.start_s, plateau.stop_s),
                (plateau.level_na, plateau.level_na),
                color=HIGH if plateau.target else LOW,
                linewidth=3.0,
                solid_capstyle="butt",
            )
        for plateau in plateaus:
            if plateau.predicted_na is not None:
                middle = (plateau.start_s + plateau.stop_s) / 2
                above.plot(middle, plateau.predicted_na, "D", color=INK, markersize=3.0)
        if threshold_na is not None:
            above.axhline(threshold_na, color=INK, linewidth=0.9, dashes=(4, 3))
        above.set_ylabel("output (nA)")
        above.set_title(gate, loc="left", fontweight="bold", fontsize=10)
        above.set_title(verdict, loc="right", color=MUTED, fontsize=8.5)
        above.locator_params(axis="y", nbins=5)
        above.margins(x=0.01, y=0.12)
        low, high = above.get_ylim()
        spare = max(0.0, least_span_na - (high - low)) / 2
        above.set_ylim(low - spare, high + spare)

        # The way to the next state begins where the last hold ends.
        edges = [plateaus[0].start_s, *(p.stop_s for p in plateaus)]
        for row, name in enumerate(input_names):
            states = np.asarray([p.inputs[row] for p in plateaus], dtype=np.float64)
            base = -1.5 * row
            below.stairs(base + states, edges, baseline=None, color=INK, linewidth=1.1)
            below.text(-0.02, base + 0.5, name, transform=below.get_yaxis_transform(),
                       ha="right", va="center", fontsize=8)  # fmt: skip
        below.set(ylim=(-1.5 * (len(input_names) - 1) - 0.3, 1.3), xlabel="time (s)")
        below.set_yticks([])
        below.grid(visible=False)
        below.spines["left"].set_visible(False)

    levels = ", ".join(
        f"{''.join(str(int(s)) for s in p.inputs)}: {p.level_na:.3g} nA"
        for p in plateaus[: 2 ** len(input_names)]
    )
    return draw(
        paint,
        size=(3.7, 2.6),
        name=f"gate-{gate}",
        alt=f"Measured output of {gate}, {verdict}; levels {levels}",
    )
