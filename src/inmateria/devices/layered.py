"""Devices in layers: currents of one stage become voltages of the next.

    V_t = clip(offset_t + gain_t I_s(t), low_t, high_t)

for every wired terminal t, where s(t) is an output of an earlier stage. All
other terminals are driven from outside. The whole is a device again: batched,
and with the chain rule's gradient where its devices have theirs. A saturated
amplifier passes nothing on, so its slope is 0 outside its limits; at a limit
it is that of the inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import (
    Device,
    DifferentiableDevice,
    FloatArray,
    Terminal,
    check_voltage,
)
from inmateria.devices.wiring import (
    Connection,
    Slot,
    Stage,
    check_connections,
    drive,
    outputs_of,
    place,
)
from inmateria.errors import ParameterError, TerminalError, TrainingError

__all__ = ["Connection", "Layered"]


@dataclass(frozen=True, eq=False)
class _Group:
    """Slots of one stage that hold the same device, k of them: one batched call.

    `wired`, `source`, `gain`, `offset`, `low`, `high` and `external` are (k, n_terminals);
    `columns`, (k, n_outputs), are the places of the currents among all outputs.
    """

    names: tuple[str, ...]
    device: Device
    columns: NDArray[np.int64]
    wired: NDArray[np.bool_]
    source: NDArray[np.int64]
    gain: FloatArray
    offset: FloatArray
    low: FloatArray
    high: FloatArray
    external: NDArray[np.int64]

    def amplified(self, currents: FloatArray) -> FloatArray:
        """Voltages before clipping, (..., n_all_outputs) nA to (..., k, n_terminals) V."""
        return self.offset + self.gain * currents[..., self.source]

    def voltage(self, driven: FloatArray, currents: FloatArray) -> FloatArray:
        """What the devices see, (k, ..., n_terminals) V."""
        clipped = np.clip(self.amplified(currents), self.low, self.high)
        return np.moveaxis(np.where(self.wired, clipped, driven[..., self.external]), -2, 0)


_Evaluate: TypeAlias = Callable[[_Group, FloatArray], FloatArray]


class Layered:
    """Several devices in stages, wired by amplifiers, as one device.

    Parameters
    ----------
    stages : sequence
        Each a device, a list of devices side by side, or a mapping of names to
        devices. One object may stand in several places: it is then called once
        per stage, with all its places as a batch.
    connections : sequence of Connection
        From an output to a terminal of a later stage; one output may feed many
        terminals, a terminal takes one connection.
    ties : mapping of str to sequence of str, optional
        New terminals that drive several terminals with one voltage, such as
        ``{"x": ("0.0.e2", "0.1.e2")}``.
    outputs : sequence of str, optional
        Which outputs to read; by default all of the last stage.

    Raises
    ------
    TerminalError, ParameterError

    Examples
    --------
    >>> network = Layered([first, second], [Connection("0.e0", "1.e2", gain_v_per_na=0.02)])
    >>> network.terminals[0].name
    '0.e1'
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        connections: Sequence[Connection] = (),
        *,
        ties: Mapping[str, Sequence[str]] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> None:
        self._slots = place(stages)
        self._connections = tuple(connections)
        self._ties = {name: list(members) for name, members in (ties or {}).items()}
        wired = check_connections(self._slots, self._connections)
        self._terminals, hangs = drive(self._slots, wired, ties or {})
        columns = outputs_of(self._slots)
        self._n_all = len(columns)
        self._outputs = _choose(outputs, columns, last=self._slots[-1].stage)
        self._chosen = np.array([columns[name][0] for name in self._outputs], dtype=np.int64)
        self._groups = _groups(self._slots, wired, hangs, columns)

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Terminals that no connection feeds, first stage first."""
        return self._terminals

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that are read."""
        return self._outputs

    def current(self, voltage: ArrayLike) -> FloatArray:
        """Current of the chosen outputs, (..., n_terminals) V to (..., n_outputs) nA.

        Raises
        ------
        ShapeError, NotFiniteError, and what the devices raise
        """
        return self._run(check_voltage(self._terminals, voltage), _call)[0][..., self._chosen]

    def inner_voltage(self, voltage: ArrayLike) -> dict[str, FloatArray]:
        """What every device sees, (..., n_terminals) V to (..., n_terminals of the device) V."""
        driven = check_voltage(self._terminals, voltage)
        _, seen = self._run(driven, _call)
        return {
            name: part
            for group, parts in zip(self._groups, seen, strict=True)
            for name, part in zip(group.names, parts, strict=True)
        }

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        """dI/dV by the chain rule, (..., n_terminals) V to (..., n_outputs, n_terminals) nA/V.

        Walks from the last stage to the first; costs one call of `current` and
        one of `gradient` per device.

        Raises
        ------
        TrainingError
            If a device has no gradient.
        ShapeError, NotFiniteError, and what the devices raise
        """
        for group in self._groups:
            if not isinstance(group.device, DifferentiableDevice):
                raise TrainingError(
                    f"device {group.names[0]} ({type(group.device).__name__}) has no gradient, so "
                    "the whole has none; sample it and put a surrogate in its place"
                )
        driven = check_voltage(self._terminals, voltage)
        currents, seen = self._run(driven, _call)
        batch, n = driven.shape[:-1], len(self._chosen)
        # adjoint[o, s]: how output o follows the current s of any device
        adjoint = np.zeros((*batch, n, self._n_all))
        adjoint[..., np.arange(n), self._chosen] = 1.0
        result = np.zeros((*batch, n, len(self._terminals)))
        for group, parts in zip(reversed(self._groups), reversed(seen), strict=True):
            device: Any = group.device
            slope = np.moveaxis(device.gradient(parts), 0, -3)
            at = np.einsum("...nko,...kot->...nkt", adjoint[..., group.columns], slope)
            above = group.amplified(currents)
            passed = group.wired & (above >= group.low) & (above <= group.high)
            back = at * np.where(passed, group.gain, 0.0)[..., None, :, :]
            _collect(adjoint, back, group.source, group.wired)
            _collect(result, at, group.external, ~group.wired)
        return result

    def stream(self) -> LayeredStream:
        """A view that starts every call where the last one ended, in every device that can."""
        return LayeredStream(self)

    def describe(self) -> dict[str, Any]:
        """Devices by name, connections, ties and outputs, as plain JSON values."""
        return {
            "kind": "layered",
            "devices": {
                slot.name: {"stage": slot.stage, "device": slot.device.describe()}
                for slot in self._slots
            },
            "connections": [asdict(connection) for connection in self._connections],
            "ties": self._ties,
            "outputs": list(self._outputs),
        }

    def _run(self, driven: FloatArray, evaluate: _Evaluate) -> tuple[FloatArray, list[FloatArray]]:
        """Currents of all outputs, (..., n_all_outputs) nA, and what each group saw."""
        currents = np.zeros((*driven.shape[:-1], self._n_all))
        seen = []
        for group in self._groups:
            voltage = group.voltage(driven, currents)
            found = evaluate(group, voltage)
            currents[..., group.columns] = np.moveaxis(found, 0, -2)
            seen.append(voltage)
        return currents, seen


class LayeredStream:
    """Devices in layers along a trajectory: each starts from its own last solve.

    The answers are those of `Layered.current`, to the devices' tolerance.
    """

    def __init__(self, device: Layered) -> None:
        self._device = device
        self._streams: dict[str, Any] = {}
        for slot in device._slots:
            inner: Any = slot.device
            self._streams[slot.name] = inner.stream() if hasattr(inner, "stream") else inner

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(n_points, n_terminals) V, in the order of time, to (n_points, n_outputs) nA."""
        driven = check_voltage(self._device.terminals, voltage)
        currents, _ = self._device._run(driven, self._follow)
        return currents[..., self._device._chosen]

    def _follow(self, group: _Group, voltage: FloatArray) -> FloatArray:
        pairs = zip(group.names, voltage, strict=True)
        return np.stack([self._streams[name].current(part) for name, part in pairs])


def _call(group: _Group, voltage: FloatArray) -> FloatArray:
    return group.device.current(voltage)


def _collect(
    total: FloatArray, part: FloatArray, index: NDArray[np.int64], where: NDArray[np.bool_]
) -> None:
    """Add the chosen (k, n_terminals) entries of `part` to the columns that they hang on."""
    for column in np.unique(index[where]):
        total[..., column] += part[..., where & (index == column)].sum(axis=-1)


def _choose(
    outputs: Sequence[str] | None, columns: Mapping[str, tuple[int, int]], *, last: int
) -> tuple[str, ...]:
    if outputs is None:
        return tuple(name for name, (_, stage) in columns.items() if stage == last)
    if isinstance(outputs, str) or not len(outputs):
        raise ParameterError(f"outputs is {outputs!r}; give a list with at least one name")
    for name in outputs:
        if name not in columns:
            raise TerminalError(f"no output {name!r} in the stages; there are {', '.join(columns)}")
        if list(outputs).count(name) > 1:
            raise TerminalError(f"output {name!r} is named twice; name each once")
    return tuple(outputs)


def _groups(
    slots: Sequence[Slot],
    wired: Mapping[str, Connection],
    hangs: Mapping[str, int],
    columns: Mapping[str, tuple[int, int]],
) -> list[_Group]:
    together: dict[tuple[int, int], list[Slot]] = {}
    for slot in slots:
        together.setdefault((slot.stage, id(slot.device)), []).append(slot)
    groups = []
    for same in together.values():
        device = same[0].device
        shape = (len(same), len(device.terminals))
        source, external = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        gain, offset = np.zeros(shape), np.zeros(shape)
        low, high = np.zeros(shape), np.ones(shape)
        is_wired = np.zeros(shape, dtype=np.bool_)
        for k, slot in enumerate(same):
            for t, terminal in enumerate(device.terminals):
                full = f"{slot.name}.{terminal.name}"
                if full not in wired:
                    external[k, t] = hangs[full]
                    continue
                connection = wired[full]
                is_wired[k, t] = True
                source[k, t] = columns[connection.source][0]
                gain[k, t], offset[k, t] = connection.gain_v_per_na, connection.offset_v
                low[k, t], high[k, t] = connection.limits(terminal)
        places = [[columns[f"{slot.name}.{o}"][0] for o in device.outputs] for slot in same]
        groups.append(
            _Group(
                tuple(slot.name for slot in same),
                device,
                np.array(places, dtype=np.int64),
                is_wired,
                source,
                gain,
                offset,
                low,
                high,
                external,
            )
        )
    return groups
