"""The rig of a bench, by the kind of its instrument; each kind's driver is imported on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inmateria.bench.settings import Kind

if TYPE_CHECKING:
    from qcodes.station import Station

    from inmateria.bench.settings import BenchSettings, OutputSettings, TerminalSettings
    from inmateria.rigs.qcodes_rig import Meter, Source
    from inmateria.rigs.rig import Rig


def open_instrument(settings: BenchSettings, *, rate_hz: float, folder: Path) -> Rig:
    """Open what a bench file describes; nothing is driven yet.

    Parameters
    ----------
    settings : BenchSettings
    rate_hz : float
        Samples (or steps) per second.
    folder : Path
        Of the bench file: its paths are relative to it.

    Raises
    ------
    MissingExtraError
        If the driver is not installed.
    InstrumentError
        If the instrument does not answer, or lacks a channel or a range.
    ConfigurationError
    """
    return _KINDS[settings.instrument.kind](settings, rate_hz, folder)


def _open_simulated(settings: BenchSettings, rate_hz: float, folder: Path) -> Rig:
    from inmateria.bench.simulated import simulated_rig

    return simulated_rig(settings, rate_hz=rate_hz, folder=folder)


def _open_ni(settings: BenchSettings, rate_hz: float, _: Path) -> Rig:
    from inmateria.rigs.ni import AnalogInput, AnalogOutput, NIRig

    driven = [
        AnalogOutput(part.name, part.address, *part.limits, readback=part.readback)
        for part in settings.terminal
    ]
    read = [
        AnalogInput(
            output.name,
            output.address,
            gain_na_per_v=output.gain,
            inverted=output.inverted,
            range_v=output.range_v,
        )
        for output in settings.output
    ]
    wanted = settings.instrument
    rig: Rig = NIRig(
        driven,
        read,
        rate=rate_hz,
        server=wanted.server,
        delay_samples=wanted.delay_samples,
        buffer_s=wanted.buffer_s,
        timeout_s=wanted.timeout_s,
        watchdog_s=wanted.watchdog_s,
        device=settings.device,
    )
    return rig


def _open_qcodes(settings: BenchSettings, rate_hz: float, folder: Path) -> Rig:
    from inmateria.rigs.qcodes_rig import QcodesRig
    from inmateria.rigs.qcodes_station import open_station

    assert settings.instrument.station is not None
    station = open_station(folder / settings.instrument.station)
    try:
        return QcodesRig(
            [_source(station, part) for part in settings.terminal],
            [_meter(station, part) for part in settings.output],
            rate=rate_hz,
            device=settings.device,
            station=station,
        )
    except BaseException:
        station.close_all_registered_instruments()
        raise


def _source(station: Station, part: TerminalSettings) -> Source:
    from inmateria.rigs.qcodes_rig import Source
    from inmateria.rigs.qcodes_station import find_parameter, sources_from_station

    if part.unit_v is not None:
        return Source(part.name, find_parameter(station, part.address), *part.limits, part.unit_v)
    (source,) = sources_from_station(station, {part.name: (part.address, *part.limits)})
    return source


def _meter(station: Station, part: OutputSettings) -> Meter:
    from inmateria.rigs.qcodes_station import meters_from_station

    named = part.address if part.na_per_unit is None else (part.address, part.na_per_unit)
    (meter,) = meters_from_station(station, {part.name: named})
    sign = -1.0 if part.inverted else 1.0
    return replace(
        meter,
        na_per_unit=sign * meter.na_per_unit,
        range_na=meter.range_na if part.range_na is None else part.range_na,
    )


_KINDS: dict[Kind, Callable[[BenchSettings, float, Path], Rig]] = {
    "ni": _open_ni,
    "qcodes": _open_qcodes,
    "simulated": _open_simulated,
}
