"""Sources and meters by name, out of a QCoDeS Station file.

A Station file (YAML) is QCoDeS' own list of the instruments of a set-up. A path
such as ``"dac.ch1.voltage"`` or ``"dac.channels[0].voltage"`` names a parameter
in it: instrument, submodules, parameter.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inmateria.errors import ConfigurationError, InstrumentError, missing_extra
from inmateria.rigs.qcodes_parameter import said
from inmateria.rigs.qcodes_rig import Meter, Source

if TYPE_CHECKING:
    from qcodes.parameters import ParameterBase
    from qcodes.station import Station

_VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6}
_NANOAMPERES = {"A": 1e9, "mA": 1e6, "uA": 1e3, "µA": 1e3, "μA": 1e3, "nA": 1.0, "pA": 1e-3}
_PART = re.compile(r"(?P<name>[A-Za-z_]\w*)(\[(?P<index>\d+)\])?")


def open_station(station_file: str | Path) -> Station:
    """A Station with all instruments of its file connected.

    `QcodesRig(..., station=station).close()` closes them again.

    Raises
    ------
    MissingExtraError
        If QCoDeS is not installed.
    ConfigurationError
        If there is no such file, or it is not a Station file.
    InstrumentError
        If an instrument does not answer; those that did are closed again.
    """
    try:
        from qcodes.station import Station
    except ImportError as error:
        raise missing_extra("qcodes", "qcodes") from error
    if not Path(station_file).is_file():
        raise ConfigurationError(f"there is no station file {station_file}; give its path")
    try:
        station = Station(config_file=str(station_file), default=False)
        names = list(station.config["instruments"]) if station.config else []
    except Exception as error:
        raise ConfigurationError(
            f"{station_file} is not a QCoDeS Station file ({said(error)}); "
            "see docs/qcodes.md for one"
        ) from error
    for name in names:
        try:
            # Drivers print a line of greeting, which is no part of what a program says.
            with redirect_stdout(io.StringIO()):
                station.load_instrument(name, update_snapshot=False)
        except Exception as error:
            station.close_all_registered_instruments()
            raise InstrumentError(
                f"instrument {name} of {station_file} could not be opened ({said(error)}); check "
                "its address, and that nothing else holds it"
            ) from error
    return station


def find_parameter(station: Station, path: str) -> ParameterBase[Any, Any]:
    """The parameter that a path names.

    Raises
    ------
    ConfigurationError
        If there is none; the message says what there is.
    """
    parts = [_PART.fullmatch(part) for part in path.split(".")]
    found: Any = station
    walked = "the station"
    for part in parts:
        if part is None:
            raise ConfigurationError(
                f"{path!r} is not the path of a parameter; write instrument.parameter or "
                "instrument.submodule.parameter"
            )
        there = _inside(found)
        if part["name"] not in there:
            raise ConfigurationError(
                f"{path}: {walked} has no {part['name']}; it has {', '.join(sorted(there))}"
            )
        found, walked = there[part["name"]], part[0]
        if part["index"] is not None:
            index = int(part["index"])
            if not (isinstance(found, Sequence) and index < len(found)):
                raise ConfigurationError(f"{path}: there is no {walked}")
            found = found[index]
    if not (hasattr(found, "cache") and hasattr(found, "validate")):
        raise ConfigurationError(
            f"{path} is no parameter; go on with one of {', '.join(sorted(_inside(found)))}"
        )
    return found  # type: ignore[no-any-return]


def sources_from_station(
    station: Station, terminals: Mapping[str, tuple[str, float, float]]
) -> tuple[Source, ...]:
    """Sources of terminals, their unit taken from the parameter's.

    Parameters
    ----------
    station : Station
    terminals : mapping of terminal to (path, low_v, high_v)

    Raises
    ------
    ConfigurationError
        If a path names no parameter, or its unit is not one of voltage: make a
        `Source` with its `unit_v` then.
    """
    sources = []
    for terminal, (path, low_v, high_v) in terminals.items():
        parameter = find_parameter(station, path)
        unit_v = _factor(parameter, path, _VOLTS, "volts; make a Source with its unit_v")
        sources.append(Source(terminal, parameter, low_v, high_v, unit_v))
    return tuple(sources)


def meters_from_station(
    station: Station, outputs: Mapping[str, str | tuple[str, float]]
) -> tuple[Meter, ...]:
    """Meters of outputs.

    Parameters
    ----------
    station : Station
    outputs : mapping of output to path, or to (path, na_per_unit)
        Without a factor the parameter's unit has to be one of current.

    Raises
    ------
    ConfigurationError
    """
    meters = []
    for output, named in outputs.items():
        path, factor = (named, None) if isinstance(named, str) else named
        parameter = find_parameter(station, path)
        if factor is None:
            factor = _factor(parameter, path, _NANOAMPERES, "amperes; give (path, na_per_unit)")
        meters.append(Meter(output, parameter, factor))
    return tuple(meters)


def _inside(thing: Any) -> dict[str, Any]:
    """Instruments of a station, or submodules and parameters of an instrument, by name."""
    if hasattr(thing, "components"):
        return dict(thing.components)
    own = getattr(thing, "__dict__", {})
    # An alias that the Station file gives is an attribute and nothing more.
    aliases = {k: v for k, v in own.items() if k[0] != "_" and hasattr(v, "cache")}
    return aliases | getattr(thing, "submodules", {}) | getattr(thing, "parameters", {})


def _factor(
    parameter: ParameterBase[Any, Any], path: str, units: Mapping[str, float], fix: str
) -> float:
    symbol = getattr(parameter, "unit", "")
    if symbol not in units:
        raise ConfigurationError(f"{path} is in {symbol or 'no unit'}, not in {fix}")
    return units[symbol]
