"""What a survey measures of one device, at random voltages.

Three sets of operating points: the four logic states of two inputs under random
control voltages, points drawn uniformly over all terminals (for the current
scale), and sweeps of each input with everything else held at random (for
negative differential resistance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inmateria.devices.device import Device, FloatArray
from inmateria.errors import ParameterError, TaskError
from inmateria.tasks.gates import STATES, Gate
from inmateria.tasks.task import INPUT_SHARE, check_task, levels_for, output_index

N_INPUTS = 2


@dataclass(frozen=True)
class Protocol:
    """Which operating points a survey visits.

    Parameters
    ----------
    inputs : two terminal names
        All other terminals are controls.
    level_v : float, optional, V
        The logic levels lie this far below and above the middle of an input's
        range; without it 0.7 of the way from the middle to the range's ends.
    settings : int
        Random control settings, each with the four logic states.
    points : int
        Uniformly drawn operating points that give the current scale.
    sweeps : int
        Random settings of the other terminals in which each input is swept.
    sweep_points : int
        Voltages in a sweep, from one end of the input's range to the other.
    output : str or int

    Raises
    ------
    ParameterError, TaskError
    """

    inputs: tuple[str, str] = ("e2", "e6")
    level_v: float | None = None
    settings: int = 1000
    points: int = 1000
    sweeps: int = 50
    sweep_points: int = 41
    output: str | int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if len(self.inputs) != N_INPUTS:
            raise TaskError(
                f"a survey of gates has 2 inputs; got {len(self.inputs)}: {', '.join(self.inputs)}"
            )
        for name, least in (("settings", 1), ("points", 2), ("sweeps", 0), ("sweep_points", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ParameterError(f"{name} = {value!r}; it must be a whole number >= {least}")
        if self.level_v is not None and not (np.isfinite(self.level_v) and self.level_v > 0):
            raise ParameterError(f"level_v = {self.level_v} V; it must be finite and above 0")


@dataclass(frozen=True)
class Samples:
    """Currents of one device at the operating points of a `Protocol`.

    Parameters
    ----------
    device : mapping
        What it takes to know the device again, as plain JSON values.
    inputs, controls : tuples of terminal names
    levels_v : (2, 2) array, V
        Low and high of each input.
    controls_v : (n_settings, n_controls) array, V
    vectors_na : (n_settings, 4) array, nA
        Output in the states 00, 01, 10, 11 of (first, second) input.
    uniform_na : (n_points,) array, nA
        Output at points drawn uniformly over all terminals.
    sweep_v : (2, n_sweep_points) array, V
    sweep_na : (2, n_sweeps, n_sweep_points) array, nA
        Output while the first or the second input is swept.
    """

    device: Mapping[str, Any]
    inputs: tuple[str, ...]
    controls: tuple[str, ...]
    levels_v: FloatArray
    controls_v: FloatArray
    vectors_na: FloatArray
    uniform_na: FloatArray
    sweep_v: FloatArray
    sweep_na: FloatArray


def logic_levels(device: Device, protocol: Protocol) -> FloatArray:
    """Low and high voltage of each input, (2, 2) V.

    Raises
    ------
    TaskError
        If an input is not a terminal, is named twice, or its levels leave its range.
    """
    named = {t.name: t for t in device.terminals}
    levels = np.zeros((N_INPUTS, 2))
    for i, name in enumerate(protocol.inputs):
        if name not in named:
            raise TaskError(f"input {name!r} is not a terminal; the device has {', '.join(named)}")
        terminal = named[name]
        if protocol.level_v is None:
            levels[i] = levels_for(terminal, share=INPUT_SHARE)
        else:
            middle = 0.5 * (terminal.low_v + terminal.high_v)
            levels[i] = middle - protocol.level_v, middle + protocol.level_v
            if levels[i, 0] < terminal.low_v or levels[i, 1] > terminal.high_v:
                raise TaskError(
                    f"a level of {protocol.level_v:g} V puts {name} at {levels[i, 0]:g} V and "
                    f"{levels[i, 1]:g} V, outside its range of {terminal.low_v:g} V to "
                    f"{terminal.high_v:g} V; give {0.5 * (terminal.high_v - terminal.low_v):g} V "
                    "or less"
                )
    # The gates' own check: distinct inputs, a control left.
    low, high = (tuple(float(v) for v in column) for column in levels.T)
    check_task(Gate("AND", protocol.inputs, low_v=low, high_v=high), device)
    return levels


def take_samples(device: Device, protocol: Protocol, *, seed: int | Sequence[int] = 0) -> Samples:
    """Drive a device through a protocol; each set of points is one batched call.

    Parameters
    ----------
    device : Device
    protocol : Protocol
    seed : int or ints
        Draws the voltages, in a stream of its own for each set of points.

    Raises
    ------
    TaskError
        If the inputs do not suit the device.
    ConvergenceError
        If an engine could not solve one of the points.
    """
    levels = logic_levels(device, protocol)
    streams = np.random.SeedSequence(seed).spawn(3)
    settings, points, sweeps = (np.random.default_rng(stream) for stream in streams)
    output = output_index(device, protocol.output)
    controls_v, vectors = current_vectors(
        device, protocol.inputs, levels, protocol.settings, rng=settings, output=output
    )
    sweep_v, sweep_na = swept_currents(device, protocol, rng=sweeps, output=output)
    return Samples(
        device=device.describe(),
        inputs=protocol.inputs,
        controls=tuple(t.name for t in device.terminals if t.name not in protocol.inputs),
        levels_v=levels,
        controls_v=controls_v,
        vectors_na=vectors,
        uniform_na=uniform_currents(device, protocol.points, rng=points, output=output),
        sweep_v=sweep_v,
        sweep_na=sweep_na,
    )


def current_vectors(
    device: Device,
    inputs: Sequence[str],
    levels_v: FloatArray,
    n_settings: int,
    *,
    rng: np.random.Generator,
    output: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Output in the four logic states under uniformly drawn control voltages.

    Returns
    -------
    controls_v : (n_settings, n_controls) array, V
    vectors_na : (n_settings, 4) array, nA
        States 00, 01, 10, 11.
    """
    names = [t.name for t in device.terminals]
    free = [t for t in device.terminals if t.name not in inputs]
    controls_v = rng.uniform(
        [t.low_v for t in free], [t.high_v for t in free], (n_settings, len(free))
    )
    voltage = np.empty((n_settings, len(STATES), len(names)))
    voltage[..., [names.index(t.name) for t in free]] = controls_v[:, None]
    for i, name in enumerate(inputs):
        voltage[..., names.index(name)] = levels_v[i][[state[i] for state in STATES]]
    return controls_v, device.current(voltage)[..., output]


def uniform_currents(
    device: Device, n_points: int, *, rng: np.random.Generator, output: int = 0
) -> FloatArray:
    """Output at points drawn uniformly over every terminal's range, (n_points,) nA."""
    low = [t.low_v for t in device.terminals]
    high = [t.high_v for t in device.terminals]
    return device.current(rng.uniform(low, high, (n_points, len(low))))[:, output]


def swept_currents(
    device: Device, protocol: Protocol, *, rng: np.random.Generator, output: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Output while each input goes through its range and all else is held at random.

    Returns
    -------
    sweep_v : (2, n_sweep_points) array, V
    sweep_na : (2, n_sweeps, n_sweep_points) array, nA
    """
    names = [t.name for t in device.terminals]
    low = [t.low_v for t in device.terminals]
    high = [t.high_v for t in device.terminals]
    shape = (N_INPUTS, protocol.sweeps, 1, len(names))
    voltage = np.repeat(rng.uniform(low, high, shape), protocol.sweep_points, axis=2)
    sweep_v = np.empty((N_INPUTS, protocol.sweep_points))
    for i, name in enumerate(protocol.inputs):
        column = names.index(name)
        sweep_v[i] = np.linspace(low[column], high[column], protocol.sweep_points)
        voltage[i, ..., column] = sweep_v[i]
    return sweep_v, device.current(voltage)[..., output]
