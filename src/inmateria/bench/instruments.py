"""The rig of a bench, by the kind of its instrument; each kind's driver is imported on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inmateria.bench.settings import Kind

if TYPE_CHECKING:
    from inmateria.bench.settings import BenchSettings
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
    from inmateria.rigs.qcodes_station import (
        meters_from_station,
        open_station,
        sources_from_station,
    )

    assert settings.instrument.station is not None
    station = open_station(folder / settings.instrument.station)
    try:
        sources = sources_from_station(
            station, {p.name: (p.address, *p.limits) for p in settings.terminal}
        )
        meters = meters_from_station(
            station,
            {
                o.name: o.address if o.na_per_unit is None else (o.address, o.na_per_unit)
                for o in settings.output
            },
        )
        rig: Rig = QcodesRig(
            [
                source if part.unit_v is None else replace(source, unit_v=part.unit_v)
                for source, part in zip(sources, settings.terminal, strict=True)
            ],
            [
                replace(meter, na_per_unit=-meter.na_per_unit) if output.inverted else meter
                for meter, output in zip(meters, settings.output, strict=True)
            ],
            rate=rate_hz,
            device=settings.device,
            station=station,
        )
    except BaseException:
        station.close_all_registered_instruments()
        raise
    return rig


_KINDS: dict[Kind, Callable[[BenchSettings, float, Path], Rig]] = {
    "ni": _open_ni,
    "qcodes": _open_qcodes,
    "simulated": _open_simulated,
}
