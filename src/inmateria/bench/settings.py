"""A bench in one file: instrument, channels, terminals, limits and gains.

`read_bench` checks all that can be checked without the instrument; whether a
module has a channel or a range, only the module itself can say.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from inmateria.data.configuration import Configuration, read_configuration
from inmateria.devices.device import Terminal
from inmateria.errors import ConfigurationError

Kind = Literal["ni", "qcodes", "simulated"]

DEFAULT_GAIN_NA_PER_V = 100.0
# Where the converter of a simulated rig clips.
SIMULATED_CLIP_V = 4.0
WIDEST_V = 1.6
"""Beyond this a person has to say that the device stands it (`wide_limits`)."""

# Keys of a table that one kind of instrument alone understands.
_OF_KIND: dict[str, dict[str, tuple[Kind, ...]]] = {
    "instrument": {
        "server": ("ni",),
        "delay_samples": ("ni",),
        "buffer_s": ("ni",),
        "timeout_s": ("ni",),
        "watchdog_s": ("ni",),
        "station": ("qcodes",),
        "device": ("simulated",),
        "seed": ("simulated",),
        "noise": ("simulated",),
    },
    "terminal": {"readback": ("ni",), "unit_v": ("qcodes",)},
    "output": {
        "gain_na_per_v": ("ni", "simulated"),
        "range_v": ("ni", "simulated"),
        "na_per_unit": ("qcodes",),
        "range_na": ("qcodes",),
    },
}
_CHANNELS: dict[Kind, tuple[str, str, str]] = {
    "ni": (r".+/ao\d+", r".+/ai\d+", "cDAQ1Mod1/ao0, or cDAQ1Mod4/ai0 for an output"),
    "qcodes": (r"[^.\s]+(\.[^.\s]+)+", r"[^.\s]+(\.[^.\s]+)+", "instrument.parameter"),
}


class InstrumentSettings(Configuration):
    """What drives the terminals and reads the outputs; each kind has keys of its own."""

    kind: Kind
    # NI: a gRPC device server as host:port; without one the driver of this computer.
    server: str | None = None
    # By which a recording lags behind what is played.
    delay_samples: int = Field(default=0, ge=0)
    buffer_s: float = Field(default=0.1, gt=0)
    timeout_s: float = Field(default=5.0, gt=0)
    # Left out: the driver's own; 0 for none.
    watchdog_s: float | None = Field(default=None, ge=0)
    # QCoDeS: its own Station file.
    station: str | None = None
    # Simulated: "default", or the path of a device or of a model.
    device: str = "default"
    seed: int = Field(default=0, ge=0)
    noise: bool = True

    @field_validator("server")
    @classmethod
    def _check_server(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r".+:\d+", value):
            raise ValueError("give host:port, such as 127.0.0.1:31763")
        return value


class TerminalSettings(Configuration):
    """A driven electrode: its channel, and the voltages that it may see."""

    name: str = Field(min_length=1)
    # Left out on a simulated bench: the terminal of that name.
    channel: str | None = None
    limits_v: tuple[float, float] | None = None
    wide_limits: bool = False
    # An internal channel that reads what is put out.
    readback: str | None = None
    # Volts that one unit of the parameter is; left out, by the parameter's own unit.
    unit_v: float | None = None

    @property
    def address(self) -> str:
        """The channel, by default that of the terminal's name."""
        return self.channel or self.name

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest voltage, V."""
        assert self.limits_v is not None  # a bench without them was refused
        return self.limits_v

    def terminal(self) -> Terminal:
        """The terminal within its limits."""
        return Terminal(self.name, *self.limits)


class OutputSettings(Configuration):
    """A measured electrode: its channel, and what a reading means."""

    name: str = Field(min_length=1)
    channel: str | None = None
    gain_na_per_v: float | None = Field(default=None, gt=0)
    # Nanoamperes that one unit of the parameter is; left out, by the parameter's own unit.
    na_per_unit: float | None = Field(default=None, gt=0)
    # Largest current that the parameter can tell.
    range_na: float | None = Field(default=None, gt=0)
    # A converter that gives a negative voltage for a current out of the device.
    inverted: bool = False
    range_v: float = Field(default=10.0, gt=0)

    @property
    def address(self) -> str:
        """The channel, by default that of the output's name."""
        return self.channel or self.name

    @property
    def gain(self) -> float:
        """Nanoamperes that give one volt, nA/V; the default of a simulated converter."""
        return self.gain_na_per_v or DEFAULT_GAIN_NA_PER_V


class BenchSettings(Configuration):
    """A bench: what `bench.toml` holds."""

    name: str = Field(min_length=1)
    # The sample; empty where nobody says which it is.
    device: str = ""
    # The fastest that is played here.
    rate_hz: float = Field(gt=0)
    slew_v_per_s: float = Field(gt=0)
    settle_s: float = Field(default=0.0, ge=0)
    compliance_na: float | None = Field(default=None, gt=0)
    block_s: float = Field(default=0.1, gt=0)
    # Of the last known voltages, beside the bench file unless said otherwise.
    record: str | None = None
    instrument: InstrumentSettings
    terminal: tuple[TerminalSettings, ...] = Field(min_length=1)
    output: tuple[OutputSettings, ...] = Field(min_length=1)

    def reach_na(self, output: OutputSettings) -> float:
        """Largest current that an output can tell, nA; infinite where only its driver knows."""
        if self.instrument.kind == "qcodes":
            return math.inf if output.range_na is None else output.range_na
        clip_v = SIMULATED_CLIP_V if self.instrument.kind == "simulated" else math.inf
        return output.gain * min(output.range_v, clip_v)

    @model_validator(mode="after")
    def _check(self) -> BenchSettings:
        _check_keys(self)
        _check_names(self)
        for terminal in self.terminal:
            _check_limits(terminal)
        _check_channels(self)
        _check_readings(self)
        return self


def read_bench(path: str | os.PathLike[str]) -> BenchSettings:
    """A bench file, checked.

    Raises
    ------
    ConfigurationError
        On one line, which names the terminal or output and says the fix.
    """
    try:
        return read_configuration(path, BenchSettings)
    except ConfigurationError as error:
        raise ConfigurationError(_with_names(str(error), Path(path))) from error


def _check_keys(bench: BenchSettings) -> None:
    """Refuse keys that the kind of instrument does not know."""
    kind = bench.instrument.kind
    tables: list[tuple[str, str, Configuration]] = [
        ("instrument", "the instrument", bench.instrument),
        *(("terminal", f"terminal {t.name}", t) for t in bench.terminal),
        *(("output", f"output {o.name}", o) for o in bench.output),
    ]
    for table, what, settings in tables:
        for key, kinds in _OF_KIND[table].items():
            if key in settings.model_fields_set and kind not in kinds:
                raise ValueError(
                    f'{what} has {key}, which goes with kind = "{kinds[0]}" and not with '
                    f'kind = "{kind}"; leave it out'
                )
    if kind == "qcodes" and bench.instrument.station is None:
        raise ValueError(
            'the instrument has no station; give QCoDeS\'s Station file, station = "station.yaml"'
        )


def _check_names(bench: BenchSettings) -> None:
    names = [(f"terminal {t.name}", t.name) for t in bench.terminal]
    names += [(f"output {o.name}", o.name) for o in bench.output]
    seen: dict[str, str] = {}
    for what, name in names:
        if name in seen:
            raise ValueError(
                f"{what} has the name of {seen[name]}; give every terminal and output its own"
                if seen[name] != what
                else f"{what} is there twice; give each its own name, or remove one"
            )
        seen[name] = what


def _check_limits(terminal: TerminalSettings) -> None:
    if terminal.limits_v is None:
        raise ValueError(
            f"terminal {terminal.name} has no limits; say what the device may see, for example "
            "limits_v = [-1.0, 1.0]"
        )
    if terminal.unit_v == 0:
        raise ValueError(
            f"terminal {terminal.name} has unit_v = 0; give the volts of one unit of its parameter"
        )
    low, high = terminal.limits_v
    what = f"terminal {terminal.name} has the limits {low:g} V to {high:g} V"
    if not low < high:
        raise ValueError(f"{what}; give the lower one first")
    if low > 0 or high < 0:
        raise ValueError(f"{what}, without 0 V, where every terminal has to end; include it")
    if max(-low, high) > WIDEST_V and not terminal.wide_limits:
        raise ValueError(
            f"{what}, beyond +-{WIDEST_V:g} V; narrow them, or say wide_limits = true for "
            f"{terminal.name} if the device stands that"
        )


def _check_channels(bench: BenchSettings) -> None:
    kind = bench.instrument.kind
    output_like, input_like, example = _CHANNELS.get(kind, ("", "", ""))
    for what, parts, like in (
        ("terminal", bench.terminal, output_like),
        ("output", bench.output, input_like),
    ):
        users: dict[str, str] = {}
        for part in parts:
            name = f"{what} {part.name}"
            if kind != "simulated" and part.channel is None:
                raise ValueError(f"{name} has no channel; give one such as {example}")
            if like and not re.fullmatch(like, part.address, flags=re.IGNORECASE):
                raise ValueError(
                    f'{name} is on channel {part.address}, where kind = "{kind}" has no '
                    f"{what}; give one such as {example}"
                )
            # NI's names do not tell capitals from small letters.
            key = part.address.casefold() if kind == "ni" else part.address
            if key in users:
                raise ValueError(
                    f"{users[key]} and {name} are both on channel {part.address}; give each "
                    f"{what} its own channel"
                )
            users[key] = name


def _check_readings(bench: BenchSettings) -> None:
    """Gains are there, and the compliance is something that a reading can reach."""
    kind = bench.instrument.kind
    for output in bench.output:
        if kind == "ni" and output.gain_na_per_v is None:
            raise ValueError(
                f"output {output.name} has no gain; say how many nanoamperes give one volt, for "
                "example gain_na_per_v = 100.0"
            )
        reach = bench.reach_na(output)
        if bench.compliance_na is not None and bench.compliance_na >= reach:
            raise ValueError(
                f"compliance_na = {bench.compliance_na:g} nA is more than output {output.name} can "
                f"tell, {reach:g} nA; lower it, or use a converter with a larger range"
            )


def _with_names(message: str, path: Path) -> str:
    """The message with terminals and outputs by name in place of their number in the file."""
    names = _names_in(path)

    def part(table: str, number: str) -> str:
        return names.get((table, int(number))) or f"{table} number {int(number) + 1}"

    message = re.sub(
        r"key '(terminal|output)\.(\d+)\.(\w+)(\.\d+)?'",
        lambda m: f"{part(m[1], m[2])}: key '{m[3]}'",
        message,
    )
    return re.sub(
        r"key '([^']+)' in \[(terminal|output)\.(\d+)\]",
        lambda m: f"{part(m[2], m[3])}: key '{m[1]}'",
        message,
    )


def _names_in(path: Path) -> dict[tuple[str, int], str]:
    """Terminals and outputs of a file that may be wrong in any way, by table and number."""
    found: dict[tuple[str, int], str] = {}
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        for table in ("terminal", "output"):
            for k, part in enumerate(fields.get(table, ())):
                if "name" in part:
                    found[table, k] = f"{table} {part['name']}"
    return found
