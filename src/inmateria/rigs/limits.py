"""What may be sent: within each terminal's limits, and no faster than the slew."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, Terminal, terminal_index, with_ranges
from inmateria.errors import SlewLimitError, VoltageLimitError
from inmateria.rigs.rig import check_waveform
from inmateria.signals.waveforms import SLEW_ROUNDING

# A limit in single precision is off by this much at most; what leaves is cut to the limit.
_LIMIT_ROUNDING_V = 1e-6
_STEP_ROUNDING_V = 1e-12


def narrowed(
    terminals: tuple[Terminal, ...], limits: Mapping[str, tuple[float, float]]
) -> tuple[Terminal, ...]:
    """Terminals with narrower ranges, all of which include 0 V.

    Raises
    ------
    TerminalError, VoltageLimitError
    """
    for name, (low, high) in limits.items():
        terminal = terminals[terminal_index(terminals, name)]
        if low < terminal.low_v or high > terminal.high_v:
            raise VoltageLimitError(
                f"limit {low:g} V to {high:g} V for terminal {name} is wider than its range "
                f"{terminal.low_v:g} V to {terminal.high_v:g} V; a guard can only narrow it"
            )
    found = with_ranges(terminals, limits)
    for terminal in found:
        if terminal.low_v > 0 or terminal.high_v < 0:
            raise VoltageLimitError(
                f"terminal {terminal.name} may not go to 0 V (range {terminal.low_v:g} V to "
                f"{terminal.high_v:g} V), where a rig has to end; give limits that include 0 V"
            )
    return found


def allowed_waveform(
    terminals: tuple[Terminal, ...],
    voltage: ArrayLike,
    *,
    before: FloatArray,
    rate: float,
    slew_v_per_s: float,
) -> FloatArray:
    """A private copy of a waveform that may be played.

    Parameters
    ----------
    terminals : (n_terminals,) tuple of Terminal
    voltage : (n_terminals, n_samples) array, V
    before : (n_terminals,) array, V
        Held when it begins.
    rate : float, Hz
    slew_v_per_s : float

    Raises
    ------
    ShapeError, NotFiniteError, VoltageLimitError, SlewLimitError
    """
    array = check_waveform(terminals, voltage)
    for terminal, row in zip(terminals, array, strict=True):
        excess = np.maximum(terminal.low_v - row, row - terminal.high_v)
        if excess.max(initial=0.0) > _LIMIT_ROUNDING_V:
            worst = int(excess.argmax())
            raise VoltageLimitError(
                f"terminal {terminal.name} would see {row[worst]:.6g} V at sample {worst}, "
                f"outside {terminal.low_v:g} V to {terminal.high_v:g} V; "
                "keep the waveform inside"
            )
        np.clip(row, terminal.low_v, terminal.high_v, out=row)
    steps = np.abs(np.diff(array, axis=1, prepend=before[:, None]))
    allowed = slew_v_per_s / rate * (1 + SLEW_ROUNDING) + _STEP_ROUNDING_V
    if steps.size and steps.max() > allowed:
        i, k = np.unravel_index(int(steps.argmax()), steps.shape)
        where = "from the voltage held before" if k == 0 else f"at sample {k}"
        raise SlewLimitError(
            f"terminal {terminals[i].name} would step by {steps[i, k]:.4g} V {where}, "
            f"{steps[i, k] * rate:.4g} V/s, above {slew_v_per_s:g} V/s; "
            "ramp_to the first point, or ramp more slowly"
        )
    return array
