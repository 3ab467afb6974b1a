"""A simulated bench: a device in software, wired to terminals as a real one would be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.bench.named_device import DEFAULT, open_device
from inmateria.bench.settings import SIMULATED_CLIP_V
from inmateria.devices.device import Device, FloatArray, Terminal
from inmateria.errors import ConfigurationError
from inmateria.rigs.chain import ADC, Converter
from inmateria.rigs.simulated import (
    DEFAULT_NOISE,
    CurrentStream,
    SimulatedRig,
    StreamingDevice,
)

if TYPE_CHECKING:
    from inmateria.bench.settings import BenchSettings, OutputSettings, TerminalSettings
    from inmateria.rigs.voltage_record import LastVoltages


@dataclass(frozen=True, eq=False)
class Wired:
    """A device under other names: some terminals, in another order, the others at 0 V.

    Parameters
    ----------
    device : Device, or a path through one
    terminals : tuple of Terminal
        As they are called here.
    outputs : tuple of str
    rows, columns : tuples of int
        Which of the device's terminals and outputs they are.
    n_terminals : int
        Of the device.
    """

    device: Device | CurrentStream
    terminals: tuple[Terminal, ...]
    outputs: tuple[str, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    n_terminals: int

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(..., n_terminals) V to (..., n_outputs) nA."""
        here = np.asarray(voltage, dtype=np.float64)
        there = np.zeros((*here.shape[:-1], self.n_terminals))
        there[..., list(self.rows)] = here
        return np.asarray(self.device.current(there)[..., list(self.columns)])

    def stream(self) -> CurrentStream:
        """A path that begins at any voltage, quick where the device is."""
        if isinstance(self.device, StreamingDevice):
            return replace(self, device=self.device.stream())
        return self

    def describe(self) -> dict[str, Any]:
        """The device's own description."""
        return self.device.describe() if isinstance(self.device, Device) else {}


class SimulatedInstrument(SimulatedRig):
    """A simulated rig whose converters outlive the program, as real ones do."""

    def recover(self, last: LastVoltages) -> FloatArray:
        """What the terminals hold after a program died: all that was in flight went out.

        Parameters
        ----------
        last : LastVoltages
            With the terminals of this rig, in its order.

        Returns
        -------
        (n_terminals,) array, V
        """
        held = last.in_flight[:, -1] if last.in_flight.shape[1] else last.held
        self._held = np.array(held, dtype=np.float64)
        self._on_electrodes = self._held.copy()
        return self._held.copy()


def simulated_rig(settings: BenchSettings, *, rate_hz: float, folder: Path) -> SimulatedInstrument:
    """The rig of a bench of kind ``"simulated"``; paths are relative to `folder`.

    Raises
    ------
    ConfigurationError
        If the device lacks a terminal or output, or a limit is wider than its range.
    """
    device = simulated_device(settings, folder=folder)
    gain, range_v = _converter(settings)
    return SimulatedInstrument(
        device,
        rate=rate_hz,
        noise=DEFAULT_NOISE if settings.instrument.noise else None,
        converter=Converter(gain_na_per_v=gain, clip_v=SIMULATED_CLIP_V),
        adc=ADC(range_v=range_v),
        seed=settings.instrument.seed,
    )


def simulated_device(settings: BenchSettings, *, folder: Path) -> Device:
    """The device of a simulated bench, as it is wired there.

    Raises
    ------
    ConfigurationError
    """
    source = settings.instrument.device
    device = open_device(source if source == DEFAULT else str(folder / source))
    rows = tuple(_row(part, device) for part in settings.terminal)
    columns = tuple(_column(part, device) for part in settings.output)
    ranges = [device.terminals[row] for row in rows]
    wired = Wired(
        device,
        terminals=tuple(
            Terminal(part.name, there.low_v, there.high_v)
            for part, there in zip(settings.terminal, ranges, strict=True)
        ),
        outputs=tuple(part.name for part in settings.output),
        rows=rows,
        columns=columns,
        n_terminals=len(device.terminals),
    )
    # Wired one to one it is the device itself: the same answers to the last bit.
    one_to_one = wired.terminals == device.terminals and wired.outputs == device.outputs
    in_order = rows == tuple(range(len(rows))) and columns == tuple(range(len(columns)))
    return device if one_to_one and in_order else wired


def _row(part: TerminalSettings, device: Device) -> int:
    """Which terminal of the device this is, its limits within that one's range."""
    names = [t.name for t in device.terminals]
    if part.address not in names:
        raise ConfigurationError(
            f"terminal {part.name} is on {part.address}, which the simulated device lacks; it has "
            f"{', '.join(names)}"
        )
    row = names.index(part.address)
    here, there = part.terminal(), device.terminals[row]
    if here.low_v < there.low_v or here.high_v > there.high_v:
        raise ConfigurationError(
            f"terminal {part.name} has the limits {here.low_v:g} V to {here.high_v:g} V, wider "
            f"than the range of the simulated device, {there.low_v:g} V to {there.high_v:g} V; "
            "narrow them"
        )
    return row


def _column(part: OutputSettings, device: Device) -> int:
    if part.address not in device.outputs:
        raise ConfigurationError(
            f"output {part.name} is on {part.address}, which the simulated device lacks; it has "
            f"{', '.join(device.outputs)}"
        )
    return device.outputs.index(part.address)


def _converter(settings: BenchSettings) -> tuple[float, float]:
    """Gain, nA/V, and range, V, of the only converter that a simulated rig has."""
    gains = {o.gain for o in settings.output}
    ranges = {o.range_v for o in settings.output}
    if len(gains) > 1 or len(ranges) > 1:
        raise ConfigurationError(
            "the outputs of a simulated bench share one converter; give all of them the same "
            "gain_na_per_v and range_v"
        )
    return gains.pop(), ranges.pop()
