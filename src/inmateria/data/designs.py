"""Where a recording takes its rows: sinusoids, triangles or plateaus.

`Sinusoids` pile up at the edges of the ranges (arcsine density) and are the
gentlest on hardware. `Triangles` fill each range evenly. Both are best sampled
slowly, so that neighbouring rows differ. `Plateaus` are independent, uniform
points, and the slowest on a bench, for their ramps and waits.

A design is a frozen description; `plan` joins it with a rig's terminals, rate
and slew limit, and gives the voltages block by block. A block depends on its
row numbers alone, so that a recording can be taken up anywhere.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from inmateria.data.schema import Rows, rows
from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import ConfigurationError, ParameterError, SlewLimitError
from inmateria.signals.sweeps import Kind, Sweep, sweep
from inmateria.signals.tour import tour
from inmateria.signals.waveforms import Waveform, plateaus

# A current this near to the range's end counts as clipped: quantisation and
# offset correction leave a saturated converter a little below it.
CLIPPED_SHARE = 0.999


class Block(Protocol):
    """Consecutive rows, before they are measured."""

    @property
    def voltage(self) -> FloatArray:
        """What to play, (n_terminals, n_samples) V."""

    def rows(self, current: FloatArray, *, current_range_na: float) -> Rows:
        """The rows, given what was recorded, (n_outputs, n_samples) nA."""


class Plan(Protocol):
    """A design on a given set of terminals."""

    @property
    def n_rows(self) -> int:
        """Rows of the whole recording."""

    @property
    def rows_per_s(self) -> float:
        """Rows that one second of playing gives, about."""

    def start(self, first_row: int) -> FloatArray:
        """Where the terminals must stand before `first_row`, (n_terminals,) V."""

    def block(self, first_row: int, n_rows: int) -> Block:
        """The next rows, following on `start(first_row)` or on the block before."""


class Design(Protocol):
    """A way to choose the rows of a recording."""

    kind: ClassVar[str]

    @property
    def seed(self) -> int:
        """Of phases or points."""

    def to_json(self) -> dict[str, Any]:
        """Kind and parameters as plain JSON values."""

    def plan(self, terminals: Sequence[Terminal], *, rate: float, slew_v_per_s: float) -> Plan:
        """The design on these terminals, refused where it would move too fast."""


@dataclass(frozen=True)
class _Trajectory:
    """One incommensurate tone per terminal over its full range; every sample is a row.

    Parameters
    ----------
    duration_s : float
        Length of the recording, s.
    base_hz : float
        Lowest frequency; terminal k has sqrt(p_k / 2) times as much, p_k the
        k-th prime. The default stays below 200 V/s on up to 11 terminals of
        +-1 V, and visits each range a dozen times a second.
    stretch_s : float
        Length of a segment, s, the unit that is held out when a model is
        judged. It should span a few cycles, so that a held-out stretch is no
        mere gap between two neighbours.
    seed : int
        Of the phases.
    """

    duration_s: float
    base_hz: float = 8.0
    stretch_s: float = 0.2
    seed: int = 0

    kind: ClassVar[str]
    _wave: ClassVar[Kind]

    def __post_init__(self) -> None:
        for name, unit in (("duration_s", "s"), ("base_hz", "Hz"), ("stretch_s", "s")):
            _positive(name, getattr(self, name), unit)
        _check_seed(self.seed)

    def to_json(self) -> dict[str, Any]:
        """Kind and parameters as plain JSON values."""
        return {"kind": self.kind, **asdict(self)}

    def plan(self, terminals: Sequence[Terminal], *, rate: float, slew_v_per_s: float) -> Plan:
        """The trajectory on these terminals.

        Raises
        ------
        SlewLimitError
            If a terminal would move faster than `slew_v_per_s`.
        ParameterError
            If the recording is shorter than a sample.
        """
        path = sweep(terminals, kind=self._wave, base_hz=self.base_hz, seed=self.seed)
        fastest = path.max_slew_v_per_s
        if fastest > slew_v_per_s:
            # rounded down, so that the advice itself passes
            slower = math.floor(self.base_hz * slew_v_per_s / fastest * 1000) / 1000
            raise SlewLimitError(
                f"{self.kind} at base_hz = {self.base_hz:g} Hz move up to {fastest:.4g} V/s, "
                f"above the limit of {slew_v_per_s:g} V/s; use base_hz of at most {slower:g} Hz"
            )
        n_rows = round(self.duration_s * rate)
        if n_rows < 1:
            raise ParameterError(
                f"duration_s = {self.duration_s:g} s is less than a sample at {rate:g} Hz; "
                f"record at least {1 / rate:g} s"
            )
        return _TrajectoryPlan(path, rate, n_rows, max(1, round(self.stretch_s * rate)))


@dataclass(frozen=True)
class Sinusoids(_Trajectory):
    """Incommensurate sinusoids (Ruiz Euler et al. 2020)."""

    __doc__ = f"{__doc__}\n\n{_Trajectory.__doc__}"
    kind: ClassVar[str] = "sinusoids"
    _wave: ClassVar[Kind] = "sinusoid"


@dataclass(frozen=True)
class Triangles(_Trajectory):
    """Incommensurate triangles: equal time at every voltage."""

    __doc__ = f"{__doc__}\n\n{_Trajectory.__doc__}"
    kind: ClassVar[str] = "triangles"
    _wave: ClassVar[Kind] = "triangle"


@dataclass(frozen=True)
class Plateaus:
    """Uniformly drawn points, each ramped to, settled on, held and averaged to one row.

    Parameters
    ----------
    n_points : int
    hold_s, settle_s : float
        Time averaged on each point and time waited before it, s.
    ramp_s : float, optional
        Length of every ramp, s; by default each ramp goes as fast as the slew
        limit allows.
    order : 'random' or 'tour'
        As drawn, or along a short way through all points, which shortens the
        ramps; neighbouring rows are then near each other.
    seed : int
        Of the points.
    """

    n_points: int
    hold_s: float = 0.005
    settle_s: float = 0.005
    ramp_s: float | None = None
    order: Literal["random", "tour"] = "random"
    seed: int = 0

    kind: ClassVar[str] = "plateaus"

    def __post_init__(self) -> None:
        if isinstance(self.n_points, bool) or self.n_points != int(self.n_points):
            raise ParameterError(f"n_points = {self.n_points!r}; give a whole number")
        _positive("n_points", self.n_points, "points")
        _positive("hold_s", self.hold_s, "s")
        for name in ("settle_s", "ramp_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} = {value} s; give a time of zero or more")
        if self.order not in ("random", "tour"):
            raise ParameterError(f"order = {self.order!r}; use 'random' or 'tour'")
        _check_seed(self.seed)

    def to_json(self) -> dict[str, Any]:
        """Kind and parameters as plain JSON values."""
        return {"kind": self.kind, **asdict(self)}

    def points(self, terminals: Sequence[Terminal]) -> FloatArray:
        """The points in the order in which they are visited, (n_points, n_terminals) V."""
        low = np.array([t.low_v for t in terminals])
        high = np.array([t.high_v for t in terminals])
        drawn = np.random.default_rng(self.seed).uniform(
            low, high, (int(self.n_points), len(terminals))
        )
        return drawn[tour(drawn)] if self.order == "tour" else drawn

    def plan(self, terminals: Sequence[Terminal], *, rate: float, slew_v_per_s: float) -> Plan:
        """The plateaus on these terminals.

        Raises
        ------
        SlewLimitError
            If `ramp_s` is too short for the longest way between two points.
        ParameterError
            If the hold is shorter than a sample.
        """
        points = self.points(terminals)
        if self.hold_s * rate < 0.5:
            raise ParameterError(
                f"hold_s = {self.hold_s:g} s is less than a sample at {rate:g} Hz; "
                f"hold at least {1 / rate:g} s"
            )
        furthest = float(np.abs(np.diff(points, axis=0)).max(initial=0.0))
        if self.ramp_s is not None and furthest > slew_v_per_s * self.ramp_s * (1 + 1e-9):
            raise SlewLimitError(
                f"ramps of ramp_s = {self.ramp_s:g} s move up to "
                f"{furthest / self.ramp_s if self.ramp_s else math.inf:.4g} V/s, above the limit "
                f"of {slew_v_per_s:g} V/s; use ramp_s of at least "
                f"{math.ceil(furthest / slew_v_per_s * rate) / rate:.6g} s, or leave it out"
            )
        return _PlateauPlan(self, points, rate, slew_v_per_s)


DESIGNS: dict[str, type[Sinusoids] | type[Triangles] | type[Plateaus]] = {
    design.kind: design for design in (Sinusoids, Triangles, Plateaus)
}


def design_from_json(fields: dict[str, Any]) -> Sinusoids | Triangles | Plateaus:
    """The design that `to_json` described.

    Raises
    ------
    ConfigurationError
        If the kind or a parameter is unknown.
    """
    parameters = dict(fields)
    kind = parameters.pop("kind", None)
    if kind not in DESIGNS:
        raise ConfigurationError(f"design kind {kind!r} is unknown; use {', '.join(DESIGNS)}")
    # a digest of the points, which a recording adds to its design
    parameters.pop("points_sha256", None)
    try:
        return DESIGNS[kind](**parameters)
    except TypeError as error:
        raise ConfigurationError(f"design {kind}: {error}") from error


@dataclass(frozen=True)
class _TrajectoryPlan:
    path: Sweep
    rate: float
    n_rows: int
    stretch: int

    @property
    def rows_per_s(self) -> float:
        return self.rate

    def start(self, first_row: int) -> FloatArray:
        return self.path.at(first_row, 1, self.rate)[:, 0]

    def block(self, first_row: int, n_rows: int) -> Block:
        segment = np.arange(first_row, first_row + n_rows) // self.stretch
        return _Samples(self.path.at(first_row, n_rows, self.rate), segment)


@dataclass(frozen=True)
class _Samples:
    voltage: FloatArray
    segment: np.ndarray[Any, np.dtype[np.int64]]

    def rows(self, current: FloatArray, *, current_range_na: float) -> Rows:
        clipped = np.abs(current) >= CLIPPED_SHARE * current_range_na
        return rows(self.voltage.T, current.T, segment=self.segment, clipped=clipped.T)


@dataclass(frozen=True)
class _PlateauPlan:
    design: Plateaus
    points: FloatArray
    rate: float
    slew_v_per_s: float

    @property
    def n_rows(self) -> int:
        return len(self.points)

    @property
    def points_sha256(self) -> str:
        """Digest of the points: the same seed must give the same ones to go on."""
        return hashlib.sha256(np.ascontiguousarray(self.points, dtype="<f8").tobytes()).hexdigest()

    @property
    def rows_per_s(self) -> float:
        ramp = self.design.ramp_s
        if ramp is None:
            steps = np.abs(np.diff(self.points[:1000], axis=0)).max(axis=1, initial=0.0)
            ramp = float(steps.mean()) / self.slew_v_per_s if len(steps) else 0.0
        return 1 / (self.design.hold_s + self.design.settle_s + ramp)

    def start(self, first_row: int) -> FloatArray:
        return np.asarray(self.points[max(first_row - 1, 0)], dtype=np.float64)

    def block(self, first_row: int, n_rows: int) -> Block:
        finite = math.isfinite(self.slew_v_per_s)
        ramp_s = self.design.ramp_s
        waveform = plateaus(
            self.points[first_row : first_row + n_rows],
            rate=self.rate,
            hold_s=self.design.hold_s,
            settle_s=self.design.settle_s,
            ramp_s=0.0 if ramp_s is None and not finite else ramp_s,
            slew_v_per_s=self.slew_v_per_s if finite else None,
            start=self.start(first_row),
        )
        return _Held(waveform, self.points[first_row : first_row + n_rows], first_row)


@dataclass(frozen=True)
class _Held:
    waveform: Waveform
    points: FloatArray
    first_row: int

    @property
    def voltage(self) -> FloatArray:
        return self.waveform.voltage

    def rows(self, current: FloatArray, *, current_range_na: float) -> Rows:
        clipped = np.abs(current) >= CLIPPED_SHARE * current_range_na
        return rows(
            self.points,
            self.waveform.plateau_mean(current).T,
            segment=np.arange(self.first_row, self.first_row + len(self.points)),
            clipped=self.waveform.plateau_mean(clipped).T > 0,
        )


def _positive(name: str, value: float, unit: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(f"{name} = {value} {unit}; give a number above zero")


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ParameterError(f"seed = {seed!r}; give a whole number from 0 to 2^63 - 1")
