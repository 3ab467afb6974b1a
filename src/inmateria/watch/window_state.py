"""The last windows of tones: the output as recorded, and its spectrum with the tones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import DataFileError
from inmateria.training.window_file import read_windows, window_path
from inmateria.watch.numbers import clean, curve

TRACE_POINTS = 200
SPECTRUM_POINTS = 800
_BESIDE = 8
_FEW = 8


class WindowWatch:
    """Follows the file of windows that lies beside a search log.

    Parameters
    ----------
    log : Path
    """

    def __init__(self, log: Path) -> None:
        self.path = window_path(log)
        self._seen: tuple[int, int] | None = None
        self._part: dict[str, Any] | None = None

    def refresh(self) -> bool:
        """Read the file where it is another one than before; whether it was."""
        try:
            status = self.path.stat()
        except OSError:
            changed, self._part, self._seen = self._part is not None, None, None
            return changed
        if self._seen == (status.st_mtime_ns, status.st_ino):
            return False
        self._seen = (status.st_mtime_ns, status.st_ino)
        try:
            self._part = _drawn(read_windows(self.path))
        except (DataFileError, KeyError, ValueError, IndexError, TypeError):
            # Torn or not ours: the picture before stays until the next one comes.
            return False
        return True

    def part(self) -> dict[str, Any] | None:
        """Traces and spectrum; None where no tones were played."""
        return self._part


def _drawn(arrays: Any) -> dict[str, Any]:
    current = np.asarray(arrays["current_na"], dtype=np.float64)
    n_points, n_groups, n_samples = current.shape
    rate, tones = float(arrays["rate_hz"]), np.asarray(arrays["frequency_hz"], dtype=np.float64)
    if not (n_samples >= 8 and rate > 0 and np.isfinite(current).all()):
        raise ValueError("not a recording")
    frequency, density = spectrum(current.reshape(-1, n_samples), rate)
    at = np.argmin(np.abs(frequency[:, None] - tones), axis=0)
    noise = noise_beside(frequency, density, tones)
    time_s = np.arange(n_groups * n_samples) / rate
    traces = []
    if n_points <= _FEW:
        # More points than these are visited in an order of their own.
        joined = current.reshape(n_points, -1)
        traces = [curve(time_s, trace, most=TRACE_POINTS) for trace in joined]
    drawn = {
        "iteration": int(arrays["iteration"]),
        "window_s": n_groups * n_samples / rate,
        "rate_hz": rate,
        "n_points": n_points,
        "traces": traces,
        "spectrum": curve(frequency[1:], np.log10(density[1:]), most=SPECTRUM_POINTS),
        "tones": [
            {
                "control": str(name),
                "frequency_hz": tones[m],
                "height": float(np.log10(density[at[m]])),
                "noise": float(np.log10(noise[m])),
                "above_db": 10 * float(np.log10(density[at[m]] / noise[m])),
            }
            for m, name in enumerate(arrays["controls"])
        ],
    }
    return dict(clean(drawn))


def spectrum(windows: FloatArray, rate: float) -> tuple[FloatArray, FloatArray]:
    """One-sided density of windows, mean over them: (n_frequencies,) Hz and nA^2/Hz.

    Tones make whole cycles in a window, so without a taper each keeps to its own bin. A straight
    line is taken off, which is what slow drift looks like and would leak into all bins.

    Parameters
    ----------
    windows : (n_windows, n_samples) array, nA
    """
    n = windows.shape[-1]
    t = np.linspace(-1.0, 1.0, n)
    flat = windows - windows.mean(axis=-1, keepdims=True)
    flat = flat - (flat @ t / (t @ t))[:, None] * t
    power = 2 * np.abs(np.fft.rfft(flat, axis=-1)) ** 2 / (rate * n)
    # Nothing is exactly nothing on a logarithmic axis.
    density = np.maximum(power.mean(axis=0), 1e-30)
    return np.asarray(np.fft.rfftfreq(n, 1 / rate)), np.asarray(density)


def noise_beside(frequency: FloatArray, density: FloatArray, tones: FloatArray) -> FloatArray:
    """Mean density of the nearest bins without a tone or a harmonic, (n_tones,) nA^2/Hz."""
    step = frequency[1] - frequency[0]
    others = np.concatenate([tones, 2 * tones, 3 * tones])
    distance = np.abs(frequency[:, None] - others).min(axis=1)
    free = np.flatnonzero((distance > 0.5 * step) & (frequency > 1.5 * step))
    if free.size == 0:
        return np.full(tones.size, density.min())
    near = np.argsort(np.abs(frequency[free][:, None] - tones), axis=0, kind="stable")
    return np.asarray(density[free][near[:_BESIDE]].mean(axis=0))
