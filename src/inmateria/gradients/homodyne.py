"""Homodyne gradient extraction: dI/dV in the material itself, by lock-in detection.

Control m carries a_m sin(2 pi f_m t + phi_m) on top of its voltage. To first
order the output then carries a_m (dI/dV_m) |h| sin(2 pi f_m t + phi_m + arg h),
h being the chain's response at f_m. Demodulated,

    dI/dV_m = Re(z_m / h_m) / a_m,

the in-phase part, signed, with h from a calibration on the rig (Boon et al.
2025, Nat. Commun., eqs. 1-3, with the gain and phase of the chain added).
Without a calibration the magnitude |z_m| is taken with the sign of Re z_m, as
the paper does: it is biased away from zero by the noise, and needs the chain to
turn the phase by less than a quarter.

Tones that share a frequency in quadrature are told apart by the same response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import FloatArray, check_voltage
from inmateria.errors import ParameterError
from inmateria.gradients.calibration import Calibration
from inmateria.gradients.gradient import FINE, Gradient
from inmateria.gradients.lockin_measurement import DemodulatorName, LockIn, LockInReading
from inmateria.rigs.guard import Guard
from inmateria.signals.tones import TonePlan

OnProblem = Literal["raise", "flag"]

_DOUBLINGS = 5
_STANDS_OUT = 6.0  # standard errors of the third harmonic's mean power
_SLEW_SHARE = 0.95


class Homodyne:
    """Gradients on a guarded rig, one tone a control.

    Parameters
    ----------
    rig : Guard
    plan : TonePlan
        `plan_tones` makes one. With all controls in one group extraction is
        parallel, with a group for each sequential.
    controls : sequence of terminal names
        Terminal that each tone of the plan drives.
    demodulator : str
        ``"least_squares"``; ``"hann"``, for drift and slow settling; or
        ``"butterworth"``, the paper's.
    calibration : Calibration, optional
        From `calibrate`.
    drift_order : int
        Of the polynomial that least squares fits away.
    on_problem : str
        A clipped, dead or drifting output is an error (``"raise"``), or NaN with
        its name in `Gradient.problem` (``"flag"``).

    Raises
    ------
    TerminalError, FrequencyPlanError, CalibrationError
    """

    def __init__(
        self,
        rig: Guard,
        plan: TonePlan,
        controls: Sequence[str],
        *,
        demodulator: DemodulatorName = "least_squares",
        calibration: Calibration | None = None,
        drift_order: int = 1,
        drift_check: bool = True,
        on_problem: OnProblem = "raise",
    ) -> None:
        if len(set(controls)) != len(controls):
            raise ParameterError(
                f"controls {', '.join(controls)} name a terminal twice; give each one tone"
            )
        if on_problem not in ("raise", "flag"):
            raise ParameterError(f"on_problem {on_problem!r}; choose 'raise' or 'flag'")
        self.rig, self.plan = rig, plan
        self.controls = tuple(controls)
        self.calibration = None if calibration is None else calibration.select(controls)
        self._options: dict[str, Any] = {
            "demodulator": demodulator,
            "drift_order": drift_order,
            "drift_check": drift_check,
        }
        self._on_problem = on_problem
        self.lockin = LockIn(rig, plan, controls, **self._options)
        self._response = self._responses()
        self._partner = _partners(plan)

    @property
    def reach_v(self) -> FloatArray:
        """How far around an operating point each control is driven, (n_controls,) V."""
        return self.plan.amplitude_v

    @property
    def last_windows(self) -> FloatArray | None:
        """What was recorded last, (n_points, n_groups, n_outputs, n_samples) nA."""
        return self.lockin.last_windows

    def seconds(self, n_points: int) -> float:
        """Time that so many operating points take, without the ramps between them, s."""
        return self.lockin.seconds(n_points)

    def extract(self, voltage: ArrayLike) -> Gradient:
        """Gradients at operating points, (..., n_terminals) V.

        Returns
        -------
        Gradient
            `.value` (..., n_outputs, n_controls) nA/V with standard errors from
            the empty bins beside each tone.

        Raises
        ------
        VoltageLimitError
            If a tone would leave its terminal's range; nothing is played.
        UndefinedGradientError
            With `on_problem` ``"raise"``.
        """
        points = check_voltage(self.rig.terminals, voltage)
        batch = points.shape[:-1]
        began = self.rig.played_s
        reading = self.lockin.measure(points.reshape(-1, points.shape[-1]))
        value, error = self._derivatives(reading)
        bad = reading.problem != FINE
        value[bad], error[bad] = np.nan, np.nan
        shape = (*batch, len(self.rig.outputs))
        gradient = Gradient(
            value=value.reshape(*shape, -1),
            standard_error=error.reshape(*shape, -1),
            current=reading.current.reshape(shape),
            controls=self.controls,
            problem=reading.problem.reshape(shape),
            linearity=_linearity(reading).reshape(*shape, -1),
            measurements=len(reading.current) * self.plan.n_groups,
            device_s=self.rig.played_s - began,
        )
        return gradient.require_defined() if self._on_problem == "raise" else gradient

    def adapt(self, voltage: ArrayLike) -> Homodyne:
        """The same estimator with amplitudes at which noise and curvature err alike.

        The noise of a derivative falls as s / a. The bias from the third
        derivative grows as c a^2 and is three times the third harmonic over a,
        which is looked for at doubled amplitudes until it stands out of the
        noise. s^2 / a^2 + c^2 a^4 is least at a = (s^2 / 2 c^2)^(1/6), where the
        bias is the noise over the root of two. Each control gets its own
        amplitude, inside its range and within the guard's slew, and no larger
        than was looked at.

        Parameters
        ----------
        voltage : (..., n_terminals) array, V
            Operating points to look at; s and c are root mean squares over them.

        Raises
        ------
        ParameterError
            If the third harmonics lie above half the rate.
        """
        points = check_voltage(self.rig.terminals, voltage)
        points = points.reshape(-1, points.shape[-1])
        if 3 * self.plan.frequency_hz.max() >= self.plan.rate / 2:
            raise ParameterError(
                f"the third harmonic of {self.plan.frequency_hz.max():g} Hz lies above half the "
                f"rate, {self.plan.rate / 2:g} Hz: curvature cannot be measured; plan lower tones"
            )
        fastest = 2 * np.pi * self.plan.frequency_hz
        most = np.minimum(self._room(points), _SLEW_SHARE * self.rig.slew_v_per_s / fastest)
        amplitude = np.minimum(self.plan.amplitude_v, most)
        noise = np.zeros(amplitude.shape)
        curvature = np.full(amplitude.shape, np.nan)
        for doubling in range(_DOUBLINGS):
            reading = self._with(amplitude).lockin.measure(points).require_defined()
            if doubling == 0:
                noise = np.sqrt(np.nanmean(reading.sigma**2, axis=(0, 1)))
            power = np.nanmean(np.abs(reading.third) ** 2, axis=(0, 1)) - 2 * noise**2
            n_read = reading.third[..., 0].size
            found = np.isnan(curvature) & (power > _STANDS_OUT * 2 * noise**2 / np.sqrt(n_read))
            # s and c in nA: the third harmonic is c a^3 / 3.
            curvature[found] = (3 * np.sqrt(np.maximum(power, 0)) / amplitude**3)[found]
            searched = np.isnan(curvature) & (amplitude < most)
            if not searched.any():
                break
            amplitude = np.where(searched, np.minimum(2 * amplitude, most), amplitude)
        with np.errstate(divide="ignore"):
            best = (noise**2 / (2 * curvature**2)) ** (1 / 6)
        best = np.where(np.isnan(curvature), amplitude, np.where(noise > 0, best, amplitude))
        return self._with(np.minimum(best, most))

    def _with(self, amplitude_v: FloatArray) -> Homodyne:
        """The same with other amplitudes."""
        return Homodyne(
            self.rig,
            replace(self.plan, amplitude_v=amplitude_v),
            self.controls,
            calibration=self.calibration,
            on_problem=self._on_problem,
            **self._options,
        )

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {
            "kind": "homodyne",
            "controls": list(self.controls),
            "rate_hz": self.plan.rate,
            "duration_s": self.plan.duration_s,
            "wait_s": self.plan.wait_s,
            "frequency_hz": self.plan.frequency_hz.tolist(),
            "amplitude_v": self.plan.amplitude_v.tolist(),
            "phase": self.plan.phase.tolist(),
            "group": self.plan.group.tolist(),
            "calibrated": self.calibration is not None,
            **self._options,
        }

    def _responses(self) -> NDArray[np.complex128]:
        """Of the chain at each tone, (n_outputs, n_controls)."""
        if self.calibration is None:
            return np.ones((len(self.rig.outputs), self.plan.n_controls), dtype=complex)
        return self.calibration.response(self.plan.frequency_hz)

    def _derivatives(self, reading: LockInReading) -> tuple[FloatArray, FloatArray]:
        """Values and standard errors, (n_points, n_outputs, n_controls) nA/V."""
        a = self.plan.amplitude_v
        z = reading.phasor / self._response
        error = reading.sigma / np.abs(self._response) / a
        if self.calibration is None:
            signed = np.where(z.real < 0, -np.abs(z), np.abs(z))
            shared = self._partner >= 0
            return np.where(shared, z.real, signed) / a, error
        value = z.real / a
        for m in np.flatnonzero(self._partner > np.arange(self._partner.size)):
            k = int(self._partner[m])
            value[..., m], value[..., k] = self._quadrature(reading.phasor[..., m], int(m), k)
        return value, error

    def _quadrature(
        self, phasor: NDArray[np.complex128], m: int, k: int
    ) -> tuple[FloatArray, FloatArray]:
        """Derivatives of two controls at one frequency, from the phasor relative to the first.

        z = g_m a_m h_m + g_k a_k h_k e^{i (phi_k - phi_m)}: two real equations.
        """
        turn = np.exp(1j * (self.plan.phase[k] - self.plan.phase[m]))
        u = self._response[:, m] * self.plan.amplitude_v[m]
        v = self._response[:, k] * self.plan.amplitude_v[k] * turn
        determinant = u.real * v.imag - u.imag * v.real
        first = (phasor.real * v.imag - phasor.imag * v.real) / determinant
        second = (u.real * phasor.imag - u.imag * phasor.real) / determinant
        return np.asarray(first), np.asarray(second)

    def _room(self, points: FloatArray) -> FloatArray:
        """Distance of the points from the ends of each control's range, (n_controls,) V."""
        rows = self.lockin.rows
        low = np.array([self.rig.terminals[r].low_v for r in rows])
        high = np.array([self.rig.terminals[r].high_v for r in rows])
        inside = np.minimum(points[:, rows] - low, high - points[:, rows])
        return np.asarray(inside.min(axis=0))


def _linearity(reading: LockInReading) -> FloatArray:
    """|second harmonic| / |first|, the noise of the second taken off in square."""
    power = np.maximum(np.abs(reading.second) ** 2 - 2 * reading.sigma**2, 0.0)
    return np.asarray(np.sqrt(power) / np.maximum(np.abs(reading.phasor), 1e-300))


def _partners(plan: TonePlan) -> NDArray[np.intp]:
    """The control that shares a tone's frequency in its group, -1 for none, (n_controls,)."""
    partner = np.full(plan.n_controls, -1)
    for m in range(plan.n_controls):
        same = (plan.group == plan.group[m]) & (plan.frequency_hz == plan.frequency_hz[m])
        others = np.flatnonzero(same & (np.arange(plan.n_controls) != m))
        if others.size:
            partner[m] = others[0]
    return partner
