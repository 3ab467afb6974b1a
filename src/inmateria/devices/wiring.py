"""What runs between devices in layers: amplifiers, and terminals tied together.

The names of a stack are its devices' names, a dot, and the terminal or output:
``"0.e2"`` is terminal e2 of the only device of stage 0, ``"1.0.e2"`` that of the
first of several devices in stage 1, ``"left.e2"`` that of a device named so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from inmateria.devices.device import Device, Terminal
from inmateria.errors import ParameterError, TerminalError

Stage: TypeAlias = Device | Sequence[Device] | Mapping[str, Device]
"""One device, several side by side, or several with names of their own."""


@dataclass(frozen=True)
class Connection:
    """An amplifier from an output into a terminal of a later stage.

        V = clip(offset + gain I)

    Parameters
    ----------
    source, target : str
        An output such as ``"0.e0"`` and a terminal such as ``"1.e2"``.
    gain_v_per_na, offset_v : float
        V / nA and V.
    low_v, high_v : float, optional
        Where the amplifier saturates, V; the terminal's range by default.
    """

    source: str
    target: str
    gain_v_per_na: float
    offset_v: float = 0.0
    low_v: float | None = None
    high_v: float | None = None

    def __post_init__(self) -> None:
        for name, unit in (("gain_v_per_na", "V/nA"), ("offset_v", "V")):
            if not math.isfinite(getattr(self, name)):
                raise ParameterError(
                    f"connection {self.source} -> {self.target}: {name} is "
                    f"{getattr(self, name)} {unit}; give a finite number"
                )

    def limits(self, terminal: Terminal) -> tuple[float, float]:
        """Where this amplifier saturates in front of `terminal`, V.

        Raises
        ------
        ParameterError
            If the limits are empty or leave the terminal's range.
        """
        low = terminal.low_v if self.low_v is None else self.low_v
        high = terminal.high_v if self.high_v is None else self.high_v
        if not terminal.low_v <= low < high <= terminal.high_v:
            raise ParameterError(
                f"connection {self.source} -> {self.target} saturates at {low:g} V and {high:g} V; "
                f"give a low below a high inside the terminal's {terminal.low_v:g} V to "
                f"{terminal.high_v:g} V"
            )
        return low, high


@dataclass(frozen=True)
class Slot:
    """A device in its place: the same object may fill several."""

    name: str
    stage: int
    device: Device


def place(stages: Sequence[Stage]) -> tuple[Slot, ...]:
    """Devices of all stages with their names, first stage first.

    Raises
    ------
    ParameterError
        If there is no stage, a stage is empty or holds no device, or a name occurs twice.
    """
    if isinstance(stages, Mapping | Device) or not len(stages):
        raise ParameterError("stages must be a list with at least one stage, as in [first, second]")
    slots: list[Slot] = []
    given: Sequence[Any] = stages
    for number, stage in enumerate(given):
        named: dict[str, Any]
        if isinstance(stage, Mapping):
            named = dict(stage)
        elif isinstance(stage, Sequence) and not isinstance(stage, str):
            named = {f"{number}.{i}": device for i, device in enumerate(stage)}
        else:
            named = {str(number): stage}
        if not named:
            raise ParameterError(f"stage {number} holds no device; give at least one")
        for name, device in named.items():
            if not isinstance(device, Device):
                raise ParameterError(
                    f"stage {number} holds {type(device).__name__} {name!r}, which is no device "
                    "(terminals, outputs, current, describe)"
                )
            if name in {slot.name for slot in slots}:
                raise ParameterError(f"two devices are named {name!r}; give each its own name")
            slots.append(Slot(name, number, device))
    return tuple(slots)


def outputs_of(slots: Sequence[Slot]) -> dict[str, tuple[int, int]]:
    """Every output by name: its column among all outputs, and its stage."""
    names = [(f"{s.name}.{output}", s.stage) for s in slots for output in s.device.outputs]
    return {name: (column, stage) for column, (name, stage) in enumerate(names)}


def terminals_of(slots: Sequence[Slot]) -> dict[str, tuple[Terminal, int]]:
    """Every terminal by name, and its stage."""
    return {f"{s.name}.{t.name}": (t, s.stage) for s in slots for t in s.device.terminals}


def check_connections(
    slots: Sequence[Slot], connections: Sequence[Connection]
) -> dict[str, Connection]:
    """Connections by target.

    Raises
    ------
    TerminalError
        An unknown source or target, or a target that is wired twice.
    ParameterError
        A connection that does not lead to a later stage, or limits outside a range.
    """
    outputs, terminals = outputs_of(slots), terminals_of(slots)
    wired: dict[str, Connection] = {}
    for connection in connections:
        source, target = connection.source, connection.target
        if source not in outputs:
            raise TerminalError(f"no output {source!r} in the stages; there are {_list(outputs)}")
        if target not in terminals:
            raise TerminalError(
                f"no terminal {target!r} in the stages; there are {_list(terminals)}"
            )
        if target in wired:
            raise TerminalError(
                f"terminal {target} is wired twice, to {wired[target].source} and {source}; "
                "keep one connection"
            )
        terminal, stage = terminals[target]
        if stage <= outputs[source][1]:
            raise ParameterError(
                f"connection {source} -> {target} leads from stage {outputs[source][1]} to stage "
                f"{stage}; currents flow to later stages only"
            )
        connection.limits(terminal)
        wired[target] = connection
    return wired


def drive(
    slots: Sequence[Slot],
    wired: Mapping[str, Connection],
    ties: Mapping[str, Sequence[str]],
) -> tuple[tuple[Terminal, ...], dict[str, int]]:
    """Terminals that are left to drive, and which of them each terminal hangs on.

    A tie drives several terminals with one voltage (or renames a single one);
    its range is what all of them allow.

    Raises
    ------
    TerminalError
        A tied terminal that does not exist, is wired, or is tied twice; a name taken twice.
    ParameterError
        A tie without terminals or with ranges that share nothing; nothing left to drive.
    """
    terminals = terminals_of(slots)
    tie_of: dict[str, str] = {}
    for name, members in ties.items():
        if isinstance(members, str) or not members:
            raise ParameterError(f"tie {name!r} ties {members!r}; give a list of terminal names")
        for member in members:
            if member not in terminals:
                raise TerminalError(
                    f"tie {name!r}: no terminal {member!r} in the stages; "
                    f"there are {_list(terminals)}"
                )
            if member in wired or member in tie_of:
                other = wired[member].source if member in wired else f"tie {tie_of[member]!r}"
                raise TerminalError(
                    f"tie {name!r}: terminal {member} is wired twice, already to {other}"
                )
            tie_of[member] = name
    driven: dict[str, Terminal] = {}
    for full, (terminal, _) in terminals.items():
        name = tie_of.get(full, full)
        if full in wired or (full in tie_of and name in driven):
            continue
        if full not in tie_of and name in ties:
            raise TerminalError(
                f"{name!r} names a tie and a terminal; choose another name for the tie"
            )
        if full in tie_of:
            tied = [terminals[member][0] for member in ties[name]]
            low, high = max(t.low_v for t in tied), min(t.high_v for t in tied)
            if not low < high:
                raise ParameterError(
                    f"tie {name!r}: the ranges of {', '.join(ties[name])} share no voltage; "
                    "drive them separately"
                )
            driven[name] = Terminal(name, low, high)
        else:
            driven[name] = Terminal(name, terminal.low_v, terminal.high_v)
    if not driven:
        raise ParameterError("every terminal is wired; leave at least one to drive")
    order = list(driven)
    hangs = {full: order.index(tie_of.get(full, full)) for full in terminals if full not in wired}
    return tuple(driven.values()), hangs


def _list(names: Mapping[str, object]) -> str:
    shown = list(names)
    return ", ".join(shown[:16]) + (f" and {len(shown) - 16} more" if len(shown) > 16 else "")
