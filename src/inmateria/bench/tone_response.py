"""What a tiny tone on each terminal does to each output: gain, and delay of the chain.

All terminals carry one tone each at the same time, and pass their frequencies on from
window to window, so that each has carried each. At one operating point the response of
output o to terminal m is a real slope behind a delay that belongs to the output,

    z_om(f) = g_om exp(-2 pi i f tau_o).

For a trial delay the slopes follow linearly; what they explain together,

    Q(tau) = sum_m (Re sum_f w z exp(2 pi i f tau))^2 / sum_f w,    w = 1 / sigma^2,

is largest at the delay, and its curvature is the delay's error. A calibration
(`gradients.calibration`) says more of a chain, loss and dispersion, but asks for an
answer that is strong enough to correct by; here nothing may be connected at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from inmateria.devices.device import FloatArray
from inmateria.errors import FrequencyPlanError, ParameterError
from inmateria.gradients.gradient import CLIPPED
from inmateria.gradients.lockin_measurement import LockIn
from inmateria.rigs.guard import Guard
from inmateria.signals.mains import near_mains
from inmateria.signals.tones import TonePlan

ComplexArray: TypeAlias = NDArray[np.complex128]

FALSE_ALARM = 1e-3
"""Probability that noise alone gives an output a delay, or any terminal a response."""

_TOP_SHARE = 0.1  # of the rate: behind the chain's low-pass there is little to see
_SLEW_SHARE = 0.8
_RANGE_SHARE = 0.2
_LEAST_TONES = 6
_LOWEST_CYCLES = 5
_LOWEST_SHARE = 0.2  # of the highest frequency: below, noise is larger and a delay turns less
_EARLY_SHARE = 0.2  # of the delays that can be told, those below zero
_PER_TURN = 40


@dataclass(frozen=True, eq=False)
class ToneResponse:
    """Responses of all outputs to all terminals.

    Parameters
    ----------
    frequency_hz : (n_tones,) array
    window_s : float, s
    amplitude_v : (n_terminals,) array, V
    rest : (n_terminals,) array, V
        What the tones were on top of: 0 V where a tone fits there.
    response : (n_outputs, n_terminals, n_tones) complex array, nA/V
    response_error : same shape, nA/V
        Standard error of real and of imaginary part.
    gain, gain_error : (n_outputs, n_terminals) arrays, nA/V
        NaN where the output was clipped.
    delay_s, delay_error_s : (n_outputs,) arrays, s
        NaN where the output does not answer.
    shorted : (n_outputs, n_terminals) bool array
        Terminals whose tone alone brings the output to the end of its range.
    """

    frequency_hz: FloatArray
    window_s: float
    amplitude_v: FloatArray
    rest: FloatArray
    response: ComplexArray
    response_error: FloatArray
    gain: FloatArray
    gain_error: FloatArray
    delay_s: FloatArray
    delay_error_s: FloatArray
    shorted: NDArray[np.bool_]

    @property
    def longest_delay_s(self) -> float:
        """Delay from which on another, shorter one would look the same, s."""
        return (1 - _EARLY_SHARE) * _ambiguity_s(self.frequency_hz)


def rest_point(guard: Guard, amplitude_v: float) -> tuple[FloatArray, FloatArray]:
    """Voltages nearest to 0 V that leave room for the tones, and each tone's amplitude, V."""
    low = np.array([t.low_v for t in guard.terminals])
    high = np.array([t.high_v for t in guard.terminals])
    amplitude = np.minimum(amplitude_v, _RANGE_SHARE * (high - low))
    return np.clip(0.0, low + amplitude, high - amplitude), amplitude


def tone_response(guard: Guard, *, amplitude_v: float, duration_s: float) -> ToneResponse:
    """Play tones on all terminals and read them on all outputs.

    Parameters
    ----------
    guard : Guard
    amplitude_v : float, V
        Of each tone; less on a terminal whose range is small.
    duration_s : float, s
        Of a window, at least; there are as many as terminals, or six.

    Raises
    ------
    ParameterError
    """
    if not (np.isfinite(amplitude_v) and amplitude_v > 0):
        raise ParameterError(f"amplitude_v = {amplitude_v} V; give more than 0 V")
    names = [t.name for t in guard.terminals]
    rest, amplitude = rest_point(guard, amplitude_v)
    frequency, n_samples = _frequencies(len(names), guard, float(amplitude.max()), duration_s)
    n, n_tones = len(names), frequency.size
    terminal, window = (
        a.ravel() for a in np.meshgrid(np.arange(n), np.arange(n_tones), indexing="ij")
    )
    carried = (terminal + window) % n_tones
    plan = TonePlan(
        guard.rate, n_samples, _wait(guard, frequency), frequency[carried], amplitude[terminal],
        np.zeros(carried.size), window,
    )  # fmt: skip
    reading = LockIn(guard, plan, [names[m] for m in terminal], drift_check=False).measure(
        rest[None]
    )
    shape = (len(guard.outputs), n, n_tones)
    response, error = np.empty(shape, dtype=complex), np.empty(shape)
    response[:, terminal, carried] = reading.phasor[0] / amplitude[terminal]
    error[:, terminal, carried] = reading.sigma[0] / amplitude[terminal]
    clipped = reading.problem[0] == CLIPPED
    response[clipped] = np.nan
    # A recording without noise (dead, or simulated without) still has rounding.
    scale = np.nan_to_num(np.abs(response)).max(axis=(1, 2), keepdims=True)
    error = np.maximum(np.nan_to_num(error), 1e-9 * scale + 1e-12)
    shorted = np.zeros((len(guard.outputs), n), dtype=bool)
    if clipped.any():
        shorted = _who_clips(guard, rest, amplitude, float(frequency[0])) & clipped[:, None]
    gain, gain_error = np.full(shape[:2], np.nan), np.full(shape[:2], np.nan)
    delay, delay_error = np.full(shape[0], np.nan), np.full(shape[0], np.nan)
    for o in np.flatnonzero(~clipped):
        delay[o], delay_error[o] = fit_delay(response[o], error[o], frequency)
    known = delay[np.isfinite(delay)]
    for o in np.flatnonzero(~clipped):
        # A deaf output is read with its neighbours' delay.
        tau = delay[o] if np.isfinite(delay[o]) else (np.median(known) if known.size else 0.0)
        gain[o], gain_error[o] = _slopes(response[o], error[o], frequency, float(tau))
    return ToneResponse(
        frequency_hz=frequency,
        window_s=plan.duration_s,
        amplitude_v=amplitude,
        rest=rest,
        response=response,
        response_error=error,
        gain=gain,
        gain_error=gain_error,
        delay_s=delay,
        delay_error_s=delay_error,
        shorted=shorted,
    )


def fit_delay(
    response: ComplexArray, error: FloatArray, frequency_hz: FloatArray
) -> tuple[float, float]:
    """Delay of one output and its standard error, s; NaN where nothing answers.

    Parameters
    ----------
    response, error : (n_terminals, n_tones) arrays, nA/V
    frequency_hz : (n_tones,) array
    """
    weight = error**-2

    def explained(tau: float) -> float:
        turned = response * np.exp(2j * np.pi * frequency_hz * tau)
        return float(((weight * turned).real.sum(axis=1) ** 2 / weight.sum(axis=1)).sum())

    span = _ambiguity_s(frequency_hz)
    step = 1 / (_PER_TURN * frequency_hz.max())
    trials = np.arange(-_EARLY_SHARE * span, (1 - _EARLY_SHARE) * span, step)
    height = [explained(tau) for tau in trials]
    # As many independent looks as tones, and one degree of freedom a terminal.
    if max(height) < chi2.isf(FALSE_ALARM / frequency_hz.size, len(response)):
        return float("nan"), float("nan")
    best = float(trials[int(np.argmax(height))])
    peak = minimize_scalar(
        lambda tau: -explained(tau),
        bounds=(best - step, best + step),
        method="bounded",
        options={"xatol": 1e-6 * step},
    )
    tau = float(peak.x)
    curvature = (2 * explained(tau) - explained(tau - step) - explained(tau + step)) / step**2
    return tau, float(np.sqrt(2 / curvature)) if curvature > 0 else float("nan")


def _slopes(
    response: ComplexArray, error: FloatArray, frequency_hz: FloatArray, tau: float
) -> tuple[FloatArray, FloatArray]:
    weight = error**-2
    turned = (response * np.exp(2j * np.pi * frequency_hz * tau)).real
    total = weight.sum(axis=-1)
    return (weight * turned).sum(axis=-1) / total, np.sqrt(1 / total)


def _ambiguity_s(frequency_hz: FloatArray) -> float:
    return float(1 / np.diff(frequency_hz).max())


def _wait(guard: Guard, frequency: FloatArray) -> int:
    # Long enough for a chain that is late by a cycle of the slowest tone.
    return max(8, round(2 * guard.rate / float(frequency.min())))


def _frequencies(
    n_terminals: int, guard: Guard, amplitude_v: float, duration_s: float
) -> tuple[FloatArray, int]:
    """Tones that fit a window in whole cycles, rising, Hz, and the window's samples."""
    n_tones = max(n_terminals, _LEAST_TONES)
    top = min(_TOP_SHARE * guard.rate, _SLEW_SHARE * guard.slew_v_per_s / (2 * np.pi * amplitude_v))
    # Every other bin, and as many again to choose from.
    duration = max(duration_s, (4 * n_tones + _LOWEST_CYCLES) / top)
    n_samples = round(duration * guard.rate)
    step = guard.rate / n_samples
    highest = int(top / step)
    # Odd bins: what two tones make of a curved device falls on even ones.
    bins = np.arange(1, highest + 1, 2)
    bins = bins[bins >= min(max(_LOWEST_CYCLES, _LOWEST_SHARE * highest), highest - 2 * n_tones)]
    quiet = bins[~near_mains(bins * step, within_hz=1.5 * step)]
    bins = quiet if quiet.size >= n_tones else bins
    if bins.size < n_tones:
        raise FrequencyPlanError(
            f"{n_tones} tones do not fit below {top:.3g} Hz in {duration:g} s; measure for longer"
        )
    chosen = bins[np.rint(np.linspace(0, bins.size - 1, n_tones)).astype(np.int64)]
    return np.asarray(chosen * step, dtype=np.float64), n_samples


def _who_clips(
    guard: Guard, rest: FloatArray, amplitude: FloatArray, frequency_hz: float
) -> NDArray[np.bool_]:
    """Which terminal alone brings which output to its limit, (n_outputs, n_terminals)."""
    n = len(guard.terminals)
    n_samples = max(8, round(_LOWEST_CYCLES * guard.rate / frequency_hz))
    plan = TonePlan(
        guard.rate, n_samples, _wait(guard, np.array([frequency_hz])), np.full(n, frequency_hz),
        amplitude, np.zeros(n), np.arange(n),
    )  # fmt: skip
    names = [t.name for t in guard.terminals]
    windows = LockIn(guard, plan, names, drift_check=False).record(rest[None])[0]
    return np.asarray((np.abs(windows) >= guard.current_range_na).any(axis=-1).T)
