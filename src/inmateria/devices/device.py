"""What a device is: terminals that take volts, outputs that give nanoamperes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.errors import (
    NotFiniteError,
    ParameterError,
    ShapeError,
    TerminalError,
    VoltageLimitError,
)

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Terminal:
    """A driven electrode and the voltages that it may see.

    Parameters
    ----------
    name : str
        Unique on its device, for example ``"e2"``.
    low_v, high_v : float
        Lowest and highest allowed voltage, V.
    """

    name: str
    low_v: float = -1.0
    high_v: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low_v) and np.isfinite(self.high_v) and self.low_v < self.high_v):
            raise ParameterError(
                f"terminal {self.name}: range {self.low_v} V to {self.high_v} V is empty; "
                "give a finite low below a finite high"
            )


@runtime_checkable
class Device(Protocol):
    """Physics with terminals: steady state, batched, without time, noise or files.

    Outputs are virtual grounds (0 V, as at an IV converter) and are not among
    `terminals`.
    """

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven terminals, in the order of a voltage's last axis."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of a current's last axis."""

    def current(self, voltage: ArrayLike) -> FloatArray:
        """Steady-state current, (..., n_terminals) V to (..., n_outputs) nA."""

    def describe(self) -> dict[str, Any]:
        """What it takes to know this device again, as plain JSON values."""


@runtime_checkable
class DifferentiableDevice(Device, Protocol):
    """A device that knows its gradient exactly."""

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        """dI/dV at fixed inputs, (..., n_terminals) V to (..., n_outputs, n_terminals) nA/V."""


def check_voltage(
    terminals: tuple[Terminal, ...], voltage: ArrayLike, *, tolerance: float | None = None
) -> FloatArray:
    """`voltage` as a float array whose last axis runs over `terminals`.

    Parameters
    ----------
    voltage : (..., n_terminals) array, V
    tolerance : float, optional
        When given, refuse voltages that leave a terminal's range by more than
        this share of the range's width.

    Raises
    ------
    ShapeError, NotFiniteError, VoltageLimitError
    """
    try:
        array = np.asarray(voltage, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"voltage is not an array of numbers: {error}") from error
    n = len(terminals)
    if array.ndim == 0 or array.shape[-1] != n:
        raise ShapeError(
            f"voltage has shape {array.shape}; its last axis must hold {n} terminals "
            f"({', '.join(t.name for t in terminals)})"
        )
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0]
        raise NotFiniteError(
            f"voltage[{', '.join(map(str, where))}] (terminal {terminals[where[-1]].name}) "
            f"is {array[tuple(where)]}; replace NaN and infinity before the device sees them"
        )
    if tolerance is not None and array.size:
        for i, terminal in enumerate(terminals):
            slack = tolerance * (terminal.high_v - terminal.low_v)
            lowest, highest = float(array[..., i].min()), float(array[..., i].max())
            if lowest < terminal.low_v - slack or highest > terminal.high_v + slack:
                worst = lowest if lowest < terminal.low_v - slack else highest
                raise VoltageLimitError(
                    f"terminal {terminal.name} at {worst:.4g} V leaves its range "
                    f"{terminal.low_v:g} V to {terminal.high_v:g} V; keep it inside"
                )
    return array


def terminal_index(terminals: Iterable[Terminal], name: str | int) -> int:
    """Position of a terminal, given its name or its position.

    Raises
    ------
    TerminalError
        If there is no such terminal; the message lists those there are.
    """
    names = [t.name for t in terminals]
    if isinstance(name, str) and name in names:
        return names.index(name)
    if isinstance(name, int | np.integer) and 0 <= name < len(names):
        return int(name)
    raise TerminalError(f"no terminal {name!r} on this device; it has {', '.join(names)}")


def with_ranges(
    terminals: tuple[Terminal, ...], ranges: Mapping[str, tuple[float, float]]
) -> tuple[Terminal, ...]:
    """The same terminals with some ranges (V) replaced, by name."""
    for name in ranges:
        terminal_index(terminals, name)
    return tuple(Terminal(t.name, *ranges[t.name]) if t.name in ranges else t for t in terminals)
