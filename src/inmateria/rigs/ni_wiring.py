"""Which channel of a chassis drives which terminal, and which reads which output."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inmateria.errors import ConfigurationError
from inmateria.rigs.ni_connection import Connection, RefusedError

_CHANNEL = {kind: re.compile(rf"([^/,:\s]+)/{kind}\d+", re.IGNORECASE) for kind in ("ao", "ai")}


@dataclass(frozen=True)
class AnalogOutput:
    """A channel that drives a terminal.

    Parameters
    ----------
    terminal : str
    channel : str
        Physical channel, for example ``"cDAQ1Mod1/ao0"``.
    low_v, high_v : float
        Lowest and highest voltage that may ever be put out, V.
    readback : str, optional
        Input channel on which the output's voltage can be read, wired to it or inside the module
        (``"Dev1/_ao0_vs_aognd"``). It tells what a terminal holds where nothing else can.
    """

    terminal: str
    channel: str
    low_v: float
    high_v: float
    readback: str | None = None


@dataclass(frozen=True)
class AnalogInput:
    """A channel that reads an output behind its current-to-voltage converter.

    Parameters
    ----------
    output : str
    channel : str
        Physical channel, for example ``"cDAQ1Mod4/ai0"``.
    gain_na_per_v : float
        Current that gives one volt, nA/V, as calibrated.
    inverted : bool
        The converter turns the sign, as one operational amplifier does.
    range_v : float
        Largest voltage told apart, V: of the module, or where the converter clips if that is less.
    """

    output: str
    channel: str
    gain_na_per_v: float
    inverted: bool = False
    range_v: float = 10.0


@dataclass(frozen=True)
class Chassis:
    """What the wiring was found to sit in: the name that clocks are called by, and its modules."""

    name: str
    modules: dict[str, str]
    """Product by name of module."""


def check_wiring(outputs: Sequence[AnalogOutput], inputs: Sequence[AnalogInput]) -> None:
    """Refuse what cannot be meant, before any instrument is asked.

    Raises
    ------
    ConfigurationError
    """
    if not outputs or not inputs:
        raise ConfigurationError(
            f"{len(outputs)} terminals and {len(inputs)} outputs are wired; give at least one each"
        )
    _each_once("terminal", (o.terminal for o in outputs))
    _each_once("output", (i.output for i in inputs))
    _each_once("channel", (o.channel for o in outputs), ignore_case=True)
    _each_once("channel", (i.channel for i in inputs), ignore_case=True)
    for output in outputs:
        _check_name(output.channel, "ao", f"terminal {output.terminal}")
        if not (np.isfinite([output.low_v, output.high_v]).all() and output.low_v < output.high_v):
            raise ConfigurationError(
                f"terminal {output.terminal}: {output.low_v} V to {output.high_v} V is no range; "
                "give a finite low below a finite high"
            )
    for entry in inputs:
        _check_name(entry.channel, "ai", f"output {entry.output}")
        for name, value in (("gain_na_per_v", entry.gain_na_per_v), ("range_v", entry.range_v)):
            if not (np.isfinite(value) and value > 0):
                raise ConfigurationError(
                    f"output {entry.output}: {name} = {value}; give a number above zero"
                    + (" (a converter that turns the sign is inverted = true)" if value < 0 else "")
                )


def find_chassis(
    connection: Connection, outputs: Sequence[AnalogOutput], inputs: Sequence[AnalogInput]
) -> Chassis:
    """Ask the instrument whether it has these channels and ranges, in one chassis.

    Raises
    ------
    ConfigurationError
        If a module, a channel or a range does not exist, or there are two chassis.
    InstrumentError
        If the instrument does not answer.
    """
    with connection.doing("asking for the devices"):
        present = {name.lower(): name for name in connection.system.devices.device_names}
    modules: dict[str, _Module] = {}
    entries: list[AnalogOutput | AnalogInput] = [*outputs, *inputs]
    for entry in entries:
        name = entry.channel.partition("/")[0]
        if name.lower() not in present:
            raise ConfigurationError(
                f"channel {entry.channel}: there is no module {name}; there are "
                f"{', '.join(present.values()) or 'none'}: check the name and the chassis' power"
            )
        if name not in modules:
            modules[name] = _ask(connection, present[name.lower()])
        if isinstance(entry, AnalogOutput):
            _check_output(modules[name], entry)
        else:
            _check_input(modules[name], entry)
    names = sorted({module.chassis for module in modules.values()})
    if len(names) > 1:
        raise ConfigurationError(
            f"modules sit in {', '.join(names)}, which share no sample clock; "
            "wire one device to one chassis"
        )
    return Chassis(names[0], {name: module.product for name, module in modules.items()})


@dataclass(frozen=True)
class _Module:
    """What a module says of itself: names of its channels, pairs of low and high, V."""

    product: str
    chassis: str
    outputs: tuple[str, ...]
    output_ranges_v: tuple[float, ...]
    inputs: tuple[str, ...]
    input_ranges_v: tuple[float, ...]


def _ask(connection: Connection, name: str) -> _Module:
    device = connection.system.devices[name]
    with connection.doing(f"asking what {name} is"):
        outputs = tuple(device.ao_physical_chans.channel_names)
        inputs = tuple(device.ai_physical_chans.channel_names)
        return _Module(
            product=device.product_type,
            chassis=_chassis_of(connection, device, name),
            outputs=outputs,
            output_ranges_v=tuple(device.ao_voltage_rngs) if outputs else (),
            inputs=inputs,
            input_ranges_v=tuple(device.ai_voltage_rngs) if inputs else (),
        )


def _chassis_of(connection: Connection, device: Any, name: str) -> str:
    try:
        with connection.doing(f"asking for the chassis of {name}"):
            return str(device.compact_daq_chassis_device.name) or name
    except RefusedError:  # a card or a box of its own: the property is only a module's
        return name


def _check_output(module: _Module, output: AnalogOutput) -> None:
    _check_channel(output.channel, module.outputs, "outputs")
    ranges = module.output_ranges_v
    if not any(a <= output.low_v and output.high_v <= b for a, b in _pairs(ranges)):
        raise ConfigurationError(
            f"terminal {output.terminal}: {output.channel} cannot put out {output.low_v:g} V to "
            f"{output.high_v:g} V; its module has {_in_words(ranges)}: narrow the limits"
        )


def _check_input(module: _Module, entry: AnalogInput) -> None:
    _check_channel(entry.channel, module.inputs, "inputs")
    ranges = module.input_ranges_v
    if not any(a <= -entry.range_v and entry.range_v <= b for a, b in _pairs(ranges)):
        raise ConfigurationError(
            f"output {entry.output}: {entry.channel} cannot read +-{entry.range_v:g} V; "
            f"its module has {_in_words(ranges)}: set range_v to one of them"
        )


def _check_channel(channel: str, channels: Iterable[str], what: str) -> None:
    names = list(channels)
    if channel.lower() not in (name.lower() for name in names):
        raise ConfigurationError(
            f"there is no channel {channel}; the module's {what} are {', '.join(names) or 'none'}"
        )


def _check_name(channel: str, kind: str, whose: str) -> None:
    if not _CHANNEL[kind].fullmatch(channel):
        raise ConfigurationError(
            f"{whose}: {channel!r} is not the name of one channel; give it as 'cDAQ1Mod1/{kind}0'"
        )


def _each_once(what: str, names: Iterable[str], *, ignore_case: bool = False) -> None:
    counted = Counter(name.lower() if ignore_case else name for name in names)
    for name, n in counted.items():
        if n > 1:
            raise ConfigurationError(f"{what} {name} is named {n} times; name each {what} once")


def _pairs(ranges: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(ranges[::2], ranges[1::2], strict=True))


def _in_words(ranges: Sequence[float]) -> str:
    return ", ".join(f"{a:g} V to {b:g} V" for a, b in _pairs(ranges)) or "no voltage range"
