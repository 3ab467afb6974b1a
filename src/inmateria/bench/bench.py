"""A bench: terminals and outputs as a file says, and the guarded way to them.

    with open_bench("bench.toml").guard() as guard:
        current = guard.play(waveform)

Terminals, outputs and limits are known without the instrument, so that tasks and
designs can be made for a bench as for a device. It is none: it has no steady
state to ask for, only what can be measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.bench.instruments import open_instrument
from inmateria.bench.settings import BenchSettings, read_bench
from inmateria.devices.device import Terminal
from inmateria.errors import ConfigurationError, DataFileError, InstrumentError
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import KnowsItsVoltage, Rig
from inmateria.rigs.voltage_record import (
    AT_REST_V,
    LastVoltages,
    VoltageRecord,
    read_voltage_record,
)

# Of the blocks in flight there is room for so many in the record.
_BLOCKS = 8
_LEAST_CAPACITY_S = 2.0

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What a bench file describes.

    Parameters
    ----------
    settings : BenchSettings
    path : Path
        Of the file; what it names without a folder lies beside it.
    """

    settings: BenchSettings
    path: Path

    @cached_property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven terminals within their limits, in the order of the file."""
        return tuple(part.terminal() for part in self.settings.terminal)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of the file."""
        return tuple(part.name for part in self.settings.output)

    @property
    def record(self) -> Path:
        """File of the last known voltages."""
        named = self.settings.record
        beside = self.path.with_suffix(".voltages")
        return beside if named is None else self.path.parent / named

    @property
    def is_simulated(self) -> bool:
        """Whether the instrument is software, too."""
        return self.settings.instrument.kind == "simulated"

    def describe(self) -> dict[str, Any]:
        """What it takes to know this bench again, as plain JSON values."""
        return {
            "kind": "bench",
            "name": self.settings.name,
            "device": self.settings.device,
            "instrument": self.settings.instrument.kind,
            "terminals": {
                part.name: {"channel": part.address, "limits_v": [t.low_v, t.high_v]}
                for part, t in zip(self.settings.terminal, self.terminals, strict=True)
            },
            "outputs": {part.name: {"channel": part.address} for part in self.settings.output},
        }

    def rate(self, rate_hz: float | None = None) -> float:
        """The rate to play at, Hz: what is asked for, and no more than the bench's own."""
        own = self.settings.rate_hz
        return own if rate_hz is None else min(own, rate_hz)

    def last_voltages(self) -> LastVoltages | None:
        """What the terminals held last; None where nothing was driven from here yet.

        Raises
        ------
        DataFileError
            If the record is damaged.
        """
        known = self.record.exists() and self.record.stat().st_size > 0
        return read_voltage_record(self.record) if known else None

    @property
    def is_driven(self) -> bool:
        """Whether some process drives this bench just now."""
        if not self.record.exists():
            return False
        with open(self.record, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    @contextlib.contextmanager
    def rig(self, rate_hz: float | None = None, *, highest: bool = True) -> Iterator[Rig]:
        """The instrument, opened and in the end released; without a guard.

        Parameters
        ----------
        rate_hz : float, optional
            A lower rate than the bench's own.
        highest : bool
            Whether the bench's own rate is the highest; to recover what a dead program
            left running, its rate is taken as it was.

        Raises
        ------
        MissingExtraError, InstrumentError, ConfigurationError
        """
        rate = self.rate(rate_hz) if highest or rate_hz is None else rate_hz
        rig = open_instrument(self.settings, rate_hz=rate, folder=self.path.parent)
        try:
            self._check_rig(rig)
            yield rig
        finally:
            close = getattr(rig, "close", None)
            if close is not None:
                close()

    @contextlib.contextmanager
    def guard(
        self, *, rate_hz: float | None = None, notice: Notice | None = None
    ) -> Iterator[Guard]:
        """The instrument behind a guard, its voltages written down; at 0 V afterwards.

        Parameters
        ----------
        rate_hz : float, optional
            A lower rate than the bench's own.
        notice : callable, optional
            Told in a line what a first Ctrl-C will do.

        Raises
        ------
        BenchInUseError
            If another process drives this bench.
        InstrumentError
            If the terminals may not be at 0 V, or the instrument cannot be reached.
        MissingExtraError, ConfigurationError, StorageError
        """
        with (
            contextlib.closing(self._begun_record(self.rate(rate_hz))) as record,
            contextlib.ExitStack() as opened,
        ):
            try:
                rig = opened.enter_context(self.rig(rate_hz))
                self._refuse_voltage(rig, record)
            except BaseException:
                record.forget()  # an instrument that nobody reached is not known to be at 0 V
                raise
            with self.guarded(rig, record=record, notice=notice) as guard:
                yield guard

    def guarded(
        self,
        rig: Rig,
        *,
        record: VoltageRecord | None = None,
        notice: Notice | None = None,
        block_s: float | None = None,
    ) -> Guard:
        """A rig with these terminals behind the limits of this bench."""
        return _BenchGuard(
            rig,
            limits={t.name: (t.low_v, t.high_v) for t in self.terminals},
            slew_v_per_s=self.settings.slew_v_per_s,
            block_s=min(self.settings.block_s, block_s or math.inf),
            settle_s=self.settings.settle_s,
            compliance_na=self.settings.compliance_na,
            record=record,
            notice=notice,
            bench=self,
        )

    def open_record(self, rate_hz: float, *, carry_on: bool = False) -> VoltageRecord:
        """The record of last voltages, locked; `carry_on` takes one that is not at 0 V.

        Raises
        ------
        BenchInUseError, DataFileError, StorageError
        """
        return VoltageRecord(
            self.record,
            [t.name for t in self.terminals],
            rate_hz,
            self.settings.slew_v_per_s,
            capacity_s=max(
                _LEAST_CAPACITY_S,
                _BLOCKS * max(self.settings.block_s, self.settings.instrument.buffer_s),
            ),
            carry_on=carry_on,
        )

    def _begun_record(self, rate_hz: float) -> VoltageRecord:
        try:
            return self.open_record(rate_hz)
        except DataFileError:
            last = self.last_voltages()
            if last is None or last.at_rest:
                raise
            raise InstrumentError(
                f"{self.path}: terminals may not be at 0 V ({last}); run "
                f"`inmateria park {self.path}` first"
            ) from None

    def _refuse_voltage(self, rig: Rig, record: VoltageRecord) -> None:
        """Refuse to begin where an instrument says that it holds a voltage."""
        if not isinstance(rig, KnowsItsVoltage):
            return
        held = np.asarray(rig.held_voltage)
        if (np.abs(held) > AT_REST_V).any():
            record.holds(held)  # else parking would find the record at rest, and do nothing
            parts = [
                f"{t.name} at {v:.4g} V"
                for t, v in zip(self.terminals, held, strict=True)
                if abs(v) > AT_REST_V
            ]
            raise InstrumentError(
                f"{self.path}: the instrument holds {', '.join(parts)} before anything was "
                f"driven; run `inmateria park {self.path}` first"
            )

    def _check_rig(self, rig: Rig) -> None:
        """A driver that serves other channels than it was asked for must not be driven."""
        wanted = [t.name for t in self.terminals], list(self.outputs)
        found = [t.name for t in rig.terminals], list(rig.outputs)
        if found != wanted:
            raise InstrumentError(
                f"{self.path}: the instrument gives terminals {', '.join(found[0])} and outputs "
                f"{', '.join(found[1])} where {', '.join(wanted[0])} and {', '.join(wanted[1])} "
                "were asked for; check its driver"
            )


class _BenchGuard(Guard):
    """A guard that says of which bench and device it is."""

    def __init__(self, rig: Rig, *, bench: Bench, **limits: Any) -> None:
        super().__init__(rig, **limits)
        self._bench = bench

    def describe(self) -> dict[str, Any]:
        """The guard's description, with name and device of the bench under ``"bench"``."""
        settings = self._bench.settings
        found = {"name": settings.name, "device": settings.device}
        return {**super().describe(), "bench": found}


def open_bench(path: str | os.PathLike[str]) -> Bench:
    """The bench of a file; its instrument is left alone.

    Raises
    ------
    ConfigurationError
        On one line, which names the terminal or output and says the fix.
    """
    source = Path(path)
    if source.is_dir():
        raise ConfigurationError(f"{source} is a folder; give a bench file, such as bench.toml")
    return Bench(read_bench(source), source)
