"""How many samples a recording lags behind what is played, of any rig.

Converters, filters and electrodes delay a signal. A small chirp, repeated, is played on
one terminal; the lag of largest cross-correlation is the delay to a sample, and what is
left of the phase, -2 pi f tau, gives the rest. The scatter of
the repeats is its error, whatever the colour of the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray, terminal_index
from inmateria.errors import CalibrationError, ParameterError
from inmateria.rigs.rig import Rig

# Of the slew limit and of the sampling rate, what the chirp's highest frequency uses.
_SLEW_SHARE = 0.8
_HIGHEST_SHARE = 1 / 8
# Share of a chirp over which it fades in and out.
_FADE = 0.1


@dataclass(frozen=True)
class Delay:
    """How late a recording is.

    Parameters
    ----------
    samples : float
    standard_error : float
        Of `samples`, from the scatter of the repeats.
    terminal, output : str
        Between which it was measured.
    """

    samples: float
    standard_error: float
    terminal: str
    output: str

    @property
    def whole(self) -> int:
        """The nearest number of samples, as `NIRig(delay_samples=...)` takes it."""
        return round(self.samples)


def measure_delay(
    rig: Rig,
    terminal: str | int = 0,
    *,
    amplitude_v: float = 0.05,
    duration_s: float = 0.2,
    repeats: int = 8,
) -> Delay:
    """Play a chirp about the voltage held, and see how late it comes back.

    Parameters
    ----------
    rig : Rig
        A guarded one, so that its limits hold; the chirp stays within its slew.
    terminal : str or int
        One that an output follows.
    amplitude_v : float
        At most, V; less where the slew limit asks for it.
    duration_s : float
        Of one chirp, s; longer than the delay.
    repeats : int

    Returns
    -------
    Delay
        Of the output that follows best.

    Raises
    ------
    CalibrationError
        If no output follows the terminal well enough.
    """
    which = terminal_index(rig.terminals, terminal)
    name = rig.terminals[which].name
    n = round(duration_s * rig.rate)
    if n < 64 or repeats < 2:
        raise ParameterError(
            f"{repeats} chirps of {n} samples tell no delay and no error; give 2 or more of 64 "
            "samples or more"
        )
    chirp = _chirp(n)
    highest_hz = _HIGHEST_SHARE * rig.rate
    slew = getattr(rig, "slew_v_per_s", np.inf)
    amplitude = min(amplitude_v, _SLEW_SHARE * slew / (2 * np.pi * highest_hz))
    held = _held(rig)
    voltage = np.repeat(held[:, None], (repeats + 1) * n + 1, axis=1)
    voltage[which, :-1] += amplitude * np.tile(chirp, repeats + 1)
    # The first chirp brings all that has a memory to the state in which the others find it.
    recording = rig.play(voltage)[:, n:-1].reshape(len(rig.outputs), repeats, n)
    lags, likeness = _lags(chirp, recording)
    best = int(likeness.mean(axis=1).argmax())
    delay, error = float(lags[best].mean()), float(lags[best].std(ddof=1) / np.sqrt(repeats))
    if not error < 0.5 or not np.isfinite(delay):
        raise CalibrationError(
            f"no output follows terminal {name} ({amplitude:.3g} V): its delay is known to "
            f"+-{error:.3g} samples only; raise amplitude_v, repeats or the slew limit, take a "
            "terminal that drives more current, or another voltage"
        )
    return Delay(delay, error, name, rig.outputs[best])


def _chirp(n: int) -> FloatArray:
    """One chirp up to the highest frequency, of amplitude 1, from 0 to 0."""
    t = np.arange(n) / n
    lowest, highest = 4.0, _HIGHEST_SHARE * n
    fade = np.clip(np.minimum(t, 1 - t) / _FADE, 0, 1)
    phase = 2 * np.pi * (lowest * t + (highest - lowest) * t**2 / 2)
    return np.asarray(np.sin(np.pi / 2 * fade) ** 2 * np.sin(phase))


def _lags(chirp: FloatArray, recording: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lag in samples of each repeat, (n_outputs, repeats), and how alike it is, 0 to 1."""
    n = chirp.size
    t = np.arange(n) - (n - 1) / 2
    y = recording - recording.mean(axis=-1, keepdims=True)
    y = y - (y @ t / (t @ t))[..., None] * t  # slow drift
    x_f, y_f = np.fft.rfft(chirp), np.fft.rfft(y)
    omega = 2 * np.pi * np.arange(x_f.size) / n
    # Both differentiated: noise falls off with frequency, and would drown the chirp at its start.
    cross = omega**2 * y_f * np.conj(x_f)
    correlation = np.fft.irfft(cross, n)
    whole = np.abs(correlation).argmax(axis=-1)
    peak = np.take_along_axis(correlation, whole[..., None], axis=-1)[..., 0]
    size = np.linalg.norm(omega * y_f, axis=-1) * np.linalg.norm(omega * x_f)
    likeness = np.divide(np.abs(peak), 2 * size / n, out=np.zeros_like(peak), where=size > 0)
    # What is left after the whole samples is a small phase, -2 pi f rest; a current of the other
    # sign is turned upright.
    rest_f = cross * np.exp(1j * omega * whole[..., None]) * np.sign(peak)[..., None]
    slope = (omega * np.imag(rest_f)).sum(axis=-1)
    size = (omega**2 * np.real(rest_f)).sum(axis=-1)
    slope = np.divide(slope, size, out=np.full_like(slope, np.nan), where=size > 0)
    # A lag of three quarters of a chirp is a negative one of a quarter.
    late = np.where(whole > 3 * n // 4, whole - n, whole)
    return late - slope, likeness


def _held(rig: Any) -> FloatArray:
    for name in ("last_voltage", "held_voltage"):
        if hasattr(rig, name):
            return np.array(getattr(rig, name))
    return np.zeros(len(rig.terminals))
