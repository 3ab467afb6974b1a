"""How far a device's engine is from Monte Carlo: a short check of one device.

At uniformly drawn operating points, with s the standard error of Monte Carlo,

    error = sqrt(<(I - I_mc)^2 - s^2> / <I_mc^2 - s^2>)

over points and outputs: the noise of the judge is subtracted. The uncertainty
comes from the scatter of both squares over points, so it holds the noise of the
judge and the choice of points. docs/accuracy.md says how often it covers the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inmateria.errors import ConvergenceError, ParameterError

if TYPE_CHECKING:
    from inmateria.devices.dopant.hopping_device import HoppingDevice
    from inmateria.devices.dopant.kmc import MonteCarlo, Progress

FloatArray = NDArray[np.float64]

POINTS = 32
STANDARD_ERROR = 0.01
# A usual point takes some ten thousand hops; the slowest ones must not make the check long.
MOST_HOPS = 300_000


@dataclass(frozen=True)
class Accuracy:
    """What one check found; shares are of the device's rms current.

    Attributes
    ----------
    engine : str
    error : float
        Share; 0 where nothing is left when the noise of the judge is subtracted.
    uncertainty : float
        Share by which the error may be off: one standard error, the larger of its two sides.
    rms_na : float, nA
        The device's current, all points and outputs.
    worst : float
        Largest deviation at a single point and output, the judge's noise in it.
    n_points : int
        Points drawn.
    wanted, judge : float
        Standard error that Monte Carlo walked to, and its rms when it stopped, as shares.
    n_short : int
        Points at which Monte Carlo stopped before it got to `wanted`; they count all the same.
    n_unsettled : int
        Points at which it had not forgotten its start; they count too.
    unsolved : tuple of tuples, V
        Points at which the engine did not converge: no part of `error`.
    seed : int
    """

    engine: str
    error: float
    uncertainty: float
    rms_na: float
    worst: float
    n_points: int
    wanted: float
    judge: float
    n_short: int
    n_unsettled: int
    unsolved: tuple[tuple[float, ...], ...]
    seed: int

    @property
    def asked(self) -> tuple[int, float, int]:
        """Points, standard error and seed of the check."""
        return self.n_points, self.wanted, self.seed

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"unsolved": [list(point) for point in self.unsolved]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Accuracy:
        """From what `as_dict` gave; further entries are left out.

        Raises
        ------
        ParameterError
        """
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in values]
        if missing:
            raise ParameterError(
                f"an accuracy lacks {', '.join(missing)}; measure it again with device.accuracy()"
            )
        unsolved = tuple(tuple(map(float, point)) for point in values["unsolved"])
        return cls(**{name: values[name] for name in names} | {"unsolved": unsolved})

    def sentence(self) -> str:
        """The result in a line, with all that limits it."""
        error, margin = _percent(self.error, self.uncertainty)
        of = f" of the rms current off Monte Carlo ({self.n_points} points)"
        if self.engine == "kmc":
            text = f"kmc: a standard error of {error} of the rms current ({self.n_points} points)"
        elif self.error > 0:
            text = f"{self.engine}: {error} +- {margin}{of}"
        else:
            text = f"{self.engine}: less than {margin}{of}"
        limits = [
            (self.n_short, "Monte Carlo cut short at"),
            (self.n_unsettled, "start not forgotten by Monte Carlo at"),
            (len(self.unsolved), f"{self.engine} did not converge at"),
        ]
        return "; ".join([text, *(f"{what} {n}" for n, what in limits if n)])


def measure_accuracy(
    device: HoppingDevice,
    *,
    points: int = POINTS,
    standard_error: float = STANDARD_ERROR,
    seed: int = 0,
    progress: Progress | None = None,
) -> Accuracy:
    """Hold a device's engine against Monte Carlo.

    The engine `kmc` is its own judge: its error is its standard error.

    Parameters
    ----------
    device : DopantNetwork
    points : int
        Operating points, uniform in the terminals' ranges.
    standard_error : float
        Of Monte Carlo at each point, in units of the engine's rms current.
    seed : int
        Of the points and the walks.
    progress : function, optional
        Called with points done, points, and hops walked, a few times a second.

    Raises
    ------
    ParameterError
    ConvergenceError
        If the engine finds a steady state at less than two points.
    """
    _check(points, standard_error, seed)
    low = np.array([t.low_v for t in device.terminals])
    high = np.array([t.high_v for t in device.terminals])
    voltage = np.random.default_rng(seed).uniform(low, high, (points, len(low)))
    name = device.engine.name
    if name == "kmc":
        solved = np.ones(points, dtype=bool)
        settings = {"seed": seed} | device.describe().get("engine_settings", {})
        truth = device.monte_carlo(voltage, progress=progress, **settings)
        deviation = truth.standard_error
        excess = deviation**2
    else:
        current, solved = _solve(device, voltage)
        rms = math.sqrt(np.mean(current[solved] ** 2))
        truth = device.monte_carlo(
            voltage,
            standard_error=standard_error * _some_current(rms, points),
            seed=seed,
            max_hops=MOST_HOPS,
            progress=progress,
        )
        deviation = np.abs(current - truth.current)
        excess = deviation**2 - truth.standard_error**2
    power = np.mean(truth.current**2 - truth.standard_error**2, axis=1)
    rms = _some_current(math.sqrt(max(power.mean(), 0.0)), points)
    error, uncertainty = _error(np.mean(excess, axis=1), power, solved)
    return Accuracy(
        engine=name,
        error=error,
        uncertainty=uncertainty,
        rms_na=rms,
        worst=float(deviation[solved].max()) / rms,
        n_points=points,
        wanted=float(standard_error),
        judge=math.sqrt(np.mean(truth.standard_error**2)) / rms,
        unsolved=tuple(tuple(map(float, point)) for point in voltage[~solved]),
        seed=int(seed),
        **_limits(truth),
    )


def _limits(truth: MonteCarlo) -> dict[str, int]:
    return {
        "n_short": int((~truth.reached).sum()),
        "n_unsettled": int((~truth.equilibrated).sum()),
    }


def _solve(device: HoppingDevice, voltage: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Currents (zero where there are none), and which points the engine could solve."""
    points = len(voltage)
    solved = np.ones(points, dtype=bool)
    try:
        return device.current(voltage), solved
    except ConvergenceError:
        pass
    # One point without an answer leaves a batch without any.
    current = np.zeros((points, len(device.outputs)))
    for k in range(points):
        try:
            current[k] = device.current(voltage[k])
        except ConvergenceError:
            solved[k] = False
    if solved.sum() < 2:
        raise ConvergenceError(
            f"engine {device.engine.name!r} converged at {solved.sum()} of {points} points, so it "
            "has no error to speak of; use another engine, for example engine='kmc'"
        )
    return current, solved


def _error(excess: FloatArray, power: FloatArray, solved: NDArray[np.bool_]) -> tuple[float, float]:
    """Error and uncertainty as shares, from squares in nA^2 at each point."""
    points, answered = len(power), int(solved.sum())
    mean, scale = float(np.mean(excess[solved])), float(np.mean(power))
    square = mean / scale
    # Standard error of a ratio of means, to first order (Cochran 1977, eq. 6.13).
    residual = np.where(solved, excess - mean, 0.0) * points / answered - square * (power - scale)
    spread = math.sqrt(float(np.sum(residual**2)) / (points * (points - 1))) / scale
    if square <= 0:
        # Blocks give the judge's noise rather too large than too small. By how much the square
        # is negative shows that, and the error may hide as far below it.
        return 0.0, math.sqrt(spread - square)
    error = math.sqrt(square)
    below = error - math.sqrt(max(square - spread, 0.0))
    return error, max(below, math.sqrt(square + spread) - error)


def _some_current(rms: float, points: int) -> float:
    if not rms > 0:
        raise ParameterError(
            f"no current flows at any of {points} points, so no share of it can be given; "
            "choose other outputs or wider ranges"
        )
    return rms


def _percent(error: float, uncertainty: float) -> tuple[str, str]:
    """Both with as many digits as the uncertainty bears."""
    share = max(100 * uncertainty, 1e-6)
    digits = max(0, -math.floor(math.log10(share)))
    margin = math.ceil(share * 10**digits) / 10**digits
    return f"{100 * error:.{digits}f} %", f"{margin:.{digits}f} %"


def _check(points: int, standard_error: float, seed: int) -> None:
    for name, value, least in (("points", points, 2), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ParameterError(f"{name} = {value!r}; it must be a whole number, {least} or more")
    number = isinstance(standard_error, int | float | np.number)
    if not number or isinstance(standard_error, bool) or not 0 < standard_error < 1:
        raise ParameterError(
            f"standard_error = {standard_error!r}; it is a share of the rms current, "
            "above 0 and below 1"
        )
