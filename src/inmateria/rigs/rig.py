"""What a rig is: the converters between a computer and a device."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import NotFiniteError, ShapeError


@runtime_checkable
class Rig(Protocol):
    """Plays voltages and records currents, sample by sample.

    A rig holds its last voltage between two calls, and everything with memory
    in it (noise, filters) goes on where it stopped: two calls with the halves
    of a waveform give what one call with the whole gives.
    """

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven terminals, in the order of a waveform's first axis."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Measured outputs, in the order of a recording's first axis."""

    @property
    def rate(self) -> float:
        """Samples per second, Hz, the same for all channels."""

    @property
    def current_range_na(self) -> float:
        """Largest current that the chain can tell, nA; infinite where nothing clips."""

    @property
    def fidelity(self) -> str:
        """``"simulation"`` or ``"measurement"``."""

    def play(self, voltage: ArrayLike) -> FloatArray:
        """(n_terminals, n_samples) V at `rate` to (n_outputs, n_samples) nA."""

    def describe(self) -> dict[str, Any]:
        """Device and instrument chain as plain JSON values."""


@runtime_checkable
class KnowsItsVoltage(Protocol):
    """A rig that can say what its terminals hold, even after a failed call."""

    @property
    def held_voltage(self) -> FloatArray:
        """(n_terminals,) V."""


@runtime_checkable
class StreamingRig(KnowsItsVoltage, Protocol):
    """A rig that plays one block after the other with no gap between them."""

    def stream(
        self, blocks: Iterable[FloatArray], n_samples: int
    ) -> Generator[FloatArray, None, None]:
        """Play blocks (n_terminals, n_k) V; give the recording (n_outputs, n_k) nA of each.

        A block is taken when it is about to be written, a few before the one that is being
        played at most: whoever hands it out writes it down first. Where `blocks` ends before
        `n_samples`, what was taken is played and recorded, and its last voltage held. Where
        the iterator is closed, the terminals stop where they are: `held_voltage` says where.
        """


def check_waveform(terminals: tuple[Terminal, ...], voltage: ArrayLike) -> FloatArray:
    """A private copy of a waveform whose rows are `terminals`, all of it finite.

    Parameters
    ----------
    voltage : (n_terminals, n_samples) array, V

    Raises
    ------
    ShapeError, NotFiniteError
    """
    try:
        array = np.array(voltage, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"waveform is not an array of numbers: {error}") from error
    if array.ndim != 2 or array.shape[0] != len(terminals):
        raise ShapeError(
            f"waveform has shape {array.shape}; give ({len(terminals)}, n_samples), one row for "
            f"each of {', '.join(t.name for t in terminals)}"
        )
    if not np.isfinite(array).all():
        row, sample = np.argwhere(~np.isfinite(array))[0]
        raise NotFiniteError(
            f"terminal {terminals[row].name} is {array[row, sample]} at sample {sample}; "
            "replace NaN and infinity before they reach a rig"
        )
    return array
