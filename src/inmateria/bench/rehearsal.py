"""A rig that plays nothing: what would be sent is remembered, in brief."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.rigs.rig import check_waveform
from inmateria.rigs.simulated import Transcript


class Rehearsal:
    """Answers zeros, and keeps the extremes of what it was asked to play.

    Parameters
    ----------
    terminals : sequence of Terminal
    outputs : sequence of str
    rate : float
        Samples per second, Hz.
    current_range_na : float
        Largest current that the chain could tell, nA.

    Attributes
    ----------
    transcript : Transcript
        Extremes of everything that would have been played so far.
    """

    fidelity = "simulation"

    def __init__(
        self,
        terminals: Sequence[Terminal],
        outputs: Sequence[str],
        *,
        rate: float,
        current_range_na: float = float("inf"),
    ) -> None:
        self.terminals = tuple(terminals)
        self.outputs = tuple(outputs)
        self.rate = float(rate)
        self.current_range_na = current_range_na
        self._held = np.zeros(len(self.terminals))
        self.transcript = Transcript.empty(len(self.terminals))

    def play(self, voltage: ArrayLike) -> FloatArray:
        """(n_terminals, n_samples) V to (n_outputs, n_samples) nA, all of them zero."""
        asked = check_waveform(self.terminals, voltage)
        if asked.shape[1]:
            self.transcript = self.transcript.after(asked, held=self._held, rate=self.rate)
            self._held = asked[:, -1].copy()
        return np.zeros((len(self.outputs), asked.shape[1]))

    def describe(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"kind": "rehearsal", "rate_hz": self.rate}
