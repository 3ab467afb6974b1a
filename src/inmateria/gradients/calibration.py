"""What the chain does to a tone: gain, phase and delay of every channel, measured on the rig.

Between a voltage that is asked for and a current that is read lie converters,
electrodes with their RC, and filters. The device itself answers at once, so
dI/dV of one operating point is one real number at every frequency, and whatever
changes with frequency belongs to the chain. Each control is driven at several
frequencies; the response of output o to control m is modelled as

    z = g h(f),   log h(f) = -(c_1 x^2 + c_2 x^4) - i (p_1 x + p_2 x^3),   x = f / f_high,

the only form that a real, causal chain of gain 1 at low frequency can have to
this order. c and p are the sum of a part of the output's and a part of the
control's own; the slopes g of the operating points follow linearly and drop
out. A control with a weak response is held to the others by a prior of the
strength `_OWN` on what is its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares as minimise

from inmateria.devices.device import terminal_index
from inmateria.errors import CalibrationError, FrequencyPlanError, ParameterError
from inmateria.gradients.lockin_measurement import LockIn
from inmateria.rigs.guard import Guard
from inmateria.signals.tones import TonePlan

FloatArray: TypeAlias = NDArray[np.float64]

_N_COEFFICIENTS = 4  # c_1, c_2, p_1, p_2
_OWN = 0.1
"""Expected size of what one control's coefficients differ from the others'."""

_DELAY_STEP = 0.3  # rad at high_hz, between delays that are tried
_MOST_LOSS = 5.0  # in log gain
_WORST_ERROR = 0.1
_SLEW_SHARE = 0.8
_LOWEST_CYCLES = 5


@dataclass(frozen=True, eq=False)
class Calibration:
    """Response of the chain between each control and each output.

    Parameters
    ----------
    controls, outputs : tuples of str
    high_hz : float
        Highest frequency that was measured, Hz.
    coefficients : (n_outputs, n_controls, 4) array
        c_1, c_2, p_1, p_2.
    standard_error : (n_outputs, n_controls, 2) array
        Of log gain and of phase (radians) at `high_hz`.
    device_s : float
        Time the rig played, s.
    """

    controls: tuple[str, ...]
    outputs: tuple[str, ...]
    high_hz: float
    coefficients: FloatArray
    standard_error: FloatArray
    device_s: float

    def response(self, frequency_hz: ArrayLike) -> NDArray[np.complex128]:
        """Complex gain at one frequency a control.

        Parameters
        ----------
        frequency_hz : (n_controls,) array, Hz

        Returns
        -------
        (n_outputs, n_controls) complex array
            1 for a chain that changes nothing.

        Raises
        ------
        CalibrationError
            If a frequency lies beyond what was measured.
        """
        f = np.asarray(frequency_hz, dtype=np.float64)
        if f.max() > self.high_hz * (1 + 1e-9):
            raise CalibrationError(
                f"tone at {f.max():g} Hz, but the chain was calibrated up to {self.high_hz:g} Hz; "
                "calibrate with a higher high_hz"
            )
        return np.asarray(np.exp(_log_response(self.coefficients, f / self.high_hz)))

    @property
    def delay_s(self) -> FloatArray:
        """Delay of slow signals, (n_outputs, n_controls) s."""
        return np.asarray(self.coefficients[..., 2] / (2 * np.pi * self.high_hz))

    def select(self, controls: Sequence[str]) -> Calibration:
        """The calibration of some of the controls, in this order.

        Raises
        ------
        CalibrationError
            If one was not calibrated.
        """
        for name in controls:
            if name not in self.controls:
                raise CalibrationError(
                    f"control {name} was not calibrated (there are {', '.join(self.controls)}); "
                    "calibrate it too"
                )
        where = [self.controls.index(name) for name in controls]
        return Calibration(
            tuple(controls),
            self.outputs,
            self.high_hz,
            self.coefficients[:, where],
            self.standard_error[:, where],
            self.device_s,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "controls": list(self.controls),
            "outputs": list(self.outputs),
            "high_hz": self.high_hz,
            "coefficients": self.coefficients.tolist(),
            "standard_error": self.standard_error.tolist(),
            "device_s": self.device_s,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """A calibration from `to_dict`'s values."""
        return cls(
            tuple(values["controls"]),
            tuple(values["outputs"]),
            float(values["high_hz"]),
            np.array(values["coefficients"], dtype=np.float64),
            np.array(values["standard_error"], dtype=np.float64),
            float(values["device_s"]),
        )


def calibrate(
    rig: Guard,
    controls: Sequence[str] | None = None,
    *,
    high_hz: float | None = None,
    amplitude_v: float = 0.05,
    duration_s: float = 0.1,
    wait_s: float = 0.01,
    points: ArrayLike | None = None,
    n_points: int = 4,
    seed: int = 0,
) -> Calibration:
    """Measure gain, phase and delay between controls and outputs.

    In window j control m carries the frequency number (m + j) of a common set, so
    that after as many windows as frequencies each control has carried each.

    Parameters
    ----------
    rig : Guard
    controls : sequence of terminal names, optional
        All terminals by default.
    high_hz : float, optional
        Highest frequency, Hz; a tenth of the rate by default.
    amplitude_v : float, V
        Of each tone; made smaller where the guard's slew or a terminal's range
        asks for it. Curvature changes the slope that a tone sees, but the same
        at every frequency: it may be larger than a gradient would allow.
    duration_s, wait_s : float, s
        Of a window and before it.
    points : (n_points, n_terminals) array, V, optional
        Operating points; `n_points` random ones by default.
    n_points, seed : int

    Raises
    ------
    CalibrationError
        If gain or phase at `high_hz` stay uncertain by more than 10 % or 0.1 rad
        for every control of an output.
    UndefinedGradientError
        If an output is clipped or dead at one of the points.
    """
    names = tuple(t.name for t in rig.terminals) if controls is None else tuple(controls)
    rows = np.array([terminal_index(rig.terminals, name) for name in names])
    low = np.array([rig.terminals[r].low_v for r in rows])
    high = np.array([rig.terminals[r].high_v for r in rows])
    if not (np.isfinite(amplitude_v) and amplitude_v > 0):
        raise ParameterError(f"amplitude_v = {amplitude_v} V; give more than 0 V")
    plan, tone_of = _latin_square(
        len(names), rig.rate, duration_s, wait_s, high_hz, amplitude_v, rig.slew_v_per_s
    )
    amplitude = np.minimum(plan.amplitude_v[0], 0.2 * (high - low))
    plan = TonePlan(
        plan.rate,
        plan.n_samples,
        plan.n_wait,
        plan.frequency_hz,
        amplitude[tone_of],
        plan.phase,
        plan.group,
    )
    if points is None:
        chosen = _random_points(rig, rows, amplitude, n_points, seed)
    else:
        chosen = np.atleast_2d(np.asarray(points, dtype=np.float64))
    began = rig.played_s
    lockin = LockIn(rig, plan, tuple(names[m] for m in tone_of), drift_check=False)
    reading = lockin.measure(chosen)
    reading.require_defined()
    return _fit(reading.phasor, reading.sigma, plan, names, rig, rig.played_s - began)


def _latin_square(
    n: int,
    rate: float,
    duration_s: float,
    wait_s: float,
    high_hz: float | None,
    amplitude_v: float,
    slew: float,
) -> tuple[TonePlan, NDArray[np.int64]]:
    """Plan with a tone for each control and frequency, and the control of each tone."""
    top = rate / 10 if high_hz is None else high_hz
    n_samples = round(duration_s * rate)
    step = rate / n_samples
    n_frequencies = max(n, 6)
    # Odd bins: what two tones make of a curved device falls on even ones.
    highest = 2 * ((round(top / step) - 1) // 2) + 1
    if (highest + 1) * step > rate / 2 + 1e-9:
        raise FrequencyPlanError(
            f"high_hz = {top:g} Hz; a rate of {rate:g} Hz plays tones below {rate / 2:g} Hz"
        )
    spread = np.linspace(_LOWEST_CYCLES, highest, n_frequencies)
    bins = np.unique(np.minimum(2 * (np.rint(spread).astype(np.int64) // 2) + 1, highest))
    if bins.size < n_frequencies or bins[0] < 1:
        raise FrequencyPlanError(
            f"{n_frequencies} odd tones do not fit below {top:g} Hz in {duration_s:g} s; "
            f"measure for {2 * (n_frequencies + _LOWEST_CYCLES) / top:.3g} s or raise high_hz"
        )
    m, j = (a.ravel() for a in np.meshgrid(np.arange(n), np.arange(n_frequencies), indexing="ij"))
    frequency = step * bins[(m + j) % n_frequencies]
    amplitude = min(amplitude_v, _SLEW_SHARE * slew / (2 * np.pi * frequency.max()))
    phase = np.pi * m * m / n  # Newman 1965: keeps the crest of the sum low
    plan = TonePlan(
        rate, n_samples, round(wait_s * rate), frequency, np.full(m.size, amplitude), phase, j
    )
    return plan, m


def _random_points(
    rig: Guard, rows: NDArray[np.int64], amplitude: FloatArray, n: int, seed: int
) -> FloatArray:
    if n < 1:
        raise ParameterError(f"n_points = {n}; give 1 or more")
    reach = np.zeros(len(rig.terminals))
    reach[rows] = amplitude
    low = np.array([t.low_v for t in rig.terminals]) + reach
    high = np.array([t.high_v for t in rig.terminals]) - reach
    return np.random.default_rng(seed).uniform(low, high, (n, low.size))


def _fit(
    phasor: NDArray[np.complex128],
    sigma: FloatArray,
    plan: TonePlan,
    names: tuple[str, ...],
    rig: Guard,
    device_s: float,
) -> Calibration:
    """Coefficients from responses (n_points, n_outputs, n_tones) nA and their errors."""
    n_points, n_outputs, _ = phasor.shape
    n = len(names)
    high_hz = float(plan.frequency_hz.max())
    # (point, output, control, frequency); the order within a control does not matter.
    shape = (n_points, n_outputs, n, -1)
    z = (phasor / plan.amplitude_v).reshape(shape)
    error = (sigma / plan.amplitude_v).reshape(shape)
    x = (plan.frequency_hz / high_hz).reshape(n, -1)

    def coefficients(p: FloatArray) -> FloatArray:
        output = p[: n_outputs * _N_COEFFICIENTS].reshape(n_outputs, 1, _N_COEFFICIENTS)
        own = p[n_outputs * _N_COEFFICIENTS :].reshape(1, n, _N_COEFFICIENTS)
        return np.asarray(output + own)

    def residual(p: FloatArray) -> FloatArray:
        h = np.exp(_log_response(coefficients(p)[:, :, None], x))
        weight = error**-2
        slope = (weight * (h.conj() * z).real).sum(-1) / (weight * np.abs(h) ** 2).sum(-1)
        off = (z - slope[..., None] * h) / error
        prior = p[n_outputs * _N_COEFFICIENTS :] / _OWN
        return np.concatenate([off.real.ravel(), off.imag.ravel(), prior])

    # The phase wraps: of all delays that the spacing of the frequencies can tell, the best one
    # is where the descent begins.
    start = np.zeros((n_outputs + n) * _N_COEFFICIENTS)
    turns = np.arange(0.0, np.pi / np.diff(np.unique(x)).max(), _DELAY_STEP)
    trials = np.repeat(start[None], turns.size, axis=0)
    for o in range(n_outputs):
        trials[:, o * _N_COEFFICIENTS + 2] = turns
    best = int(np.argmin([(residual(trial) ** 2).sum() for trial in trials]))
    # Beyond these no chain can be told from a missing response; unbounded, noise alone runs away.
    most = np.tile([_MOST_LOSS, _MOST_LOSS, np.inf, np.pi], n_outputs + n)
    found = minimise(residual, trials[best], bounds=(-most, most), method="trf")
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    value = coefficients(found.x)
    uncertain = np.empty((n_outputs, n, 2))
    for o in range(n_outputs):
        for m in range(n):
            for part, pair in enumerate(((0, 1), (2, 3))):
                row = np.zeros(found.x.size)
                row[[o * _N_COEFFICIENTS + k for k in pair]] = 1
                row[[(n_outputs + m) * _N_COEFFICIENTS + k for k in pair]] = 1
                uncertain[o, m, part] = np.sqrt(row @ covariance @ row)
    for o, output in enumerate(rig.outputs):
        if uncertain[o].max(axis=1).min() > _WORST_ERROR:
            raise CalibrationError(
                f"output {output} answers too weakly to calibrate: gain at {high_hz:g} Hz known to "
                f"{uncertain[o, :, 0].min():.0%}, phase to {uncertain[o, :, 1].min():.2g} rad; "
                "use a larger amplitude_v, other points or a longer duration_s"
            )
    return Calibration(names, tuple(rig.outputs), high_hz, value, uncertain, device_s)


def _log_response(coefficients: FloatArray, x: FloatArray) -> NDArray[np.complex128]:
    """log h, (..., 4) coefficients and (...) relative frequencies to (...)."""
    c1, c2, p1, p2 = np.moveaxis(coefficients, -1, 0)
    return np.asarray(-(c1 * x**2 + c2 * x**4) - 1j * (p1 * x + p2 * x**3))
