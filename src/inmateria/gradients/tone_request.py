"""What a tone plan is asked to be, and the bins of the window that it may use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError, ShapeError
from inmateria.gradients.window_response import Noise, sampled_density
from inmateria.signals.lockin import Taper

Chain: TypeAlias = Callable[[FloatArray], ArrayLike]

_ROUNDING = 1e-6
_WINDOWS = 64  # octaves that are compared


@dataclass(frozen=True, eq=False)
class ToneRequest:
    """The parameters of `plan_tones`, as numbers."""

    n: int
    rate: float
    duration_s: float
    noise: Noise | None
    amplitude_v: FloatArray
    low_hz: float | None
    high_hz: float
    odd: bool
    parallel: bool
    quadrature: bool
    taper: Taper
    mains_hz: float | None
    time_constants_s: tuple[float, ...]
    wait_s: float | None
    step_na: float
    slew_v_per_s: float | None
    chain: Chain | None
    max_standard_error: float | None

    @property
    def n_samples(self) -> int:
        return round(self.duration_s * self.rate)

    @property
    def bin_hz(self) -> float:
        return self.rate / self.n_samples

    @property
    def lowest_hz(self) -> float:
        if self.low_hz is not None:
            return self.low_hz
        # Tones in every bin from a single cycle up add up to a straight line, which is drift.
        return self.bin_hz * (1 if self.odd else 2)

    @property
    def n_bins(self) -> int:
        """Bins that are needed."""
        if not self.parallel:
            return 1
        return (self.n + 1) // 2 if self.quadrature else self.n

    def check(self) -> None:
        if self.n < 1:
            raise ParameterError(f"a plan for {self.n} controls; give 1 or more")
        positive = {
            "rate": (self.rate, "Hz"),
            "duration_s": (self.duration_s, "s"),
            "high_hz": (self.high_hz, "Hz"),
            "low_hz": (self.lowest_hz if self.duration_s * self.rate >= 8 else 1.0, "Hz"),
            "step_na": (self.step_na, "nA"),
            **{f"time constant {i}": (tau, "s") for i, tau in enumerate(self.time_constants_s)},
        }
        for name in ("mains_hz", "slew_v_per_s", "max_standard_error"):
            if getattr(self, name) is not None:
                positive[name] = (getattr(self, name), "")
        for name, (value, unit) in positive.items():
            if not (np.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value} {unit}; give a number above zero")
        if self.n_samples < 8:
            raise ParameterError(
                f"duration_s = {self.duration_s:g} s is {self.n_samples} samples; give 8 or more, "
                f"{8 / self.rate:g} s"
            )
        if self.wait_s is not None and not (np.isfinite(self.wait_s) and self.wait_s >= 0):
            raise ParameterError(f"wait_s = {self.wait_s} s; give a time of zero or more")
        if self.amplitude_v.shape not in ((), (self.n,)):
            raise ShapeError(
                f"amplitude_v has shape {self.amplitude_v.shape}; give one number, or ({self.n},)"
            )
        if not (np.isfinite(self.amplitude_v).all() and (self.amplitude_v > 0).all()):
            raise ParameterError(f"amplitude {self.amplitude_v.min():g} V; give more than 0 V")
        if self.taper not in ("none", "hann"):
            raise ParameterError(f"taper {self.taper!r}; choose 'none' or 'hann'")
        if self.max_standard_error is not None and self.noise is None:
            raise ParameterError("max_standard_error needs the noise to predict it from; give it")


def free_bins(request: ToneRequest) -> FloatArray:
    """Frequencies that a tone may take, ascending, Hz."""
    first = math.ceil(request.lowest_hz / request.bin_hz - _ROUNDING)
    last = math.floor(request.high_hz / request.bin_hz + _ROUNDING)
    # Closer to half the rate than one bin, sine and cosine cannot be told apart.
    last = min(last, math.floor(request.n_samples / 2 - 1 + _ROUNDING))
    number = np.arange(max(first, 1), last + 1)
    if request.odd:
        number = number[number % 2 == 1]
    f = number * request.bin_hz
    if request.mains_hz is None:
        return np.asarray(f)
    away = np.abs(f - np.rint(f / request.mains_hz) * request.mains_hz)
    # Below the first harmonic there is no line to be away from.
    away[f < request.mains_hz / 2] = np.inf
    lobe = (2 if request.taper == "hann" else 1) * request.bin_hz
    return np.asarray(f[away > lobe * (1 - _ROUNDING)])


def cost(request: ToneRequest, f: FloatArray) -> FloatArray:
    """Relative mean squared error of a derivative measured at f, (n,)."""
    density = np.ones(f.size)
    if request.noise is not None:
        density = np.asarray(sampled_density(request.noise, request.rate)(f))
    return np.asarray(density / chain_gain(request, f) ** 2)


def chain_gain(request: ToneRequest, f: FloatArray) -> FloatArray:
    gain = np.ones(f.size) if request.chain is None else np.abs(np.asarray(request.chain(f)))
    if gain.shape != f.shape or not (np.isfinite(gain) & (gain > 0)).all():
        raise ParameterError("chain must give a finite gain above zero at every frequency in band")
    return np.asarray(gain)


def choose(f: FloatArray, error: FloatArray, n: int) -> FloatArray:
    """The n bins of least cost, in one octave if they fit, else anywhere, ascending."""

    def best(among: NDArray[np.intp]) -> NDArray[np.intp]:
        # Of equal bins the higher: drift and mains are further away.
        return np.asarray(among[np.lexsort((-f[among], error[among]))[:n]])

    octaves: list[NDArray[np.intp]] = []
    tops = np.linspace(f.size - 1, n - 1, min(_WINDOWS, f.size - n + 1))
    for top in np.unique(tops.astype(int))[::-1]:
        low = int(np.searchsorted(f, f[top] / 2, side="right"))
        if top + 1 - low >= n:
            octaves.append(best(np.arange(low, top + 1)))
    if octaves:
        return np.sort(f[min(octaves, key=lambda chosen: float(error[chosen].sum()))])
    return np.sort(f[best(np.arange(f.size))])
