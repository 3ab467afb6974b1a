"""Choose the tones of a homodyne measurement: which control gets which frequency, and when.

A window of T seconds resolves bins of 1 / T, and tones at whole bins are
exactly orthogonal. Among the bins in the band the planner keeps

- odd ones, so that second harmonics, sums and differences of tones fall on even
  bins, never on a tone, and the even bins are left to measure noise and
  curvature;
- those further than a main lobe from every harmonic of the mains: a line that is
  d away from a tone leaks as sinc(d T) into it, all of it on the bin, 64 % from
  half a bin away, nothing from a whole one (twice as wide under a Hann taper);

and takes the ones of least predicted error, density of the noise over the
square of the chain's gain, in one octave where they fit. In 1/f noise these are
the highest.

Phases are Newman's (1965), pi k^2 / n for the tone in the k-th of n equally
spaced bins, which keep the crest of the summed output low: some two times its
rms for equal tones, against sqrt(2 n) in phase.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import FrequencyPlanError
from inmateria.gradients.error_budget import error_budget
from inmateria.gradients.tone_request import Chain, ToneRequest, chain_gain, choose, cost, free_bins
from inmateria.gradients.window_response import Noise, sampled_density
from inmateria.signals.lockin import Taper, least_squares
from inmateria.signals.tones import TonePlan

UNKNOWN_WAIT_S = 0.015
"""Wait where no time constant is given: what the paper waits between logic states."""

_ROUNDING = 1e-6
_SETTLED_TO = 1 / 3  # of the noise's standard error
_SETTLED_WITHOUT_NOISE = 1e-3  # of the step
_LONGEST = 100  # times the asked duration: how far a nearest plan is looked for
_TRIES = 40


def plan_tones(
    n: int,
    rate: float,
    duration_s: float,
    noise: Noise | None = None,
    *,
    amplitude_v: ArrayLike = 8e-3,
    low_hz: float | None = None,
    high_hz: float | None = None,
    odd: bool = True,
    parallel: bool = True,
    quadrature: bool = False,
    taper: Taper = "none",
    mains_hz: float | None = 50.0,
    time_constants_s: Sequence[float] = (),
    wait_s: float | None = None,
    step_na: float = 20.0,
    slew_v_per_s: float | None = None,
    chain: Chain | None = None,
    max_standard_error: float | None = None,
) -> TonePlan:
    """Plan one tone for each of `n` controls.

    Parameters
    ----------
    n : int
    rate : float
        Samples per second of the rig, Hz.
    duration_s : float
        Window, s; rounded to samples.
    noise : optional
        One-sided density of the output's noise, as in `error_budget`.
    amplitude_v : float or (n,) array, V
    low_hz, high_hz : float, optional
        Band. By default from one cycle of the window (two with even bins: tones in
        every bin would leave no drift to tell from them) to a tenth of the rate,
        so that the bins at 2 f and 3 f stay measurable and an electrode's RC of
        23 us loses no more than 1 %.
    odd : bool
        Odd bins only. A Hann taper needs 2 / T between tones and takes odd bins
        in any case.
    parallel : bool
        All controls at once; else each alone, at the best bin.
    quadrature : bool
        Two controls share a bin, one with the sine and one with the cosine. The
        chain's phase has to be calibrated for that.
    taper : str
        ``"hann"`` if the windows will be demodulated with a Hann taper.
    mains_hz : float or None
        Whose harmonics are avoided.
    time_constants_s : sequence of float, s
        Of the chain. The wait is then what a step of `step_na` between operating
        points needs until it errs by a third of the noise's standard error (three
        time constants for 20 nA at 0.1 s, 8 mV and the noise of a dopant
        network), or to settle to 0.1 % where no noise is given.
    wait_s : float, optional
        The wait itself, s; 15 ms if neither it nor time constants are given.
    step_na : float
        nA.
    slew_v_per_s : float, optional
        Of the guard; checked against the largest step between samples of every tone, its
        rise and fall included.
    chain : function, optional
        Magnitude of the chain's response, Hz to a number (1 at 0 Hz).
    max_standard_error : float, optional
        nA/V that noise may make of any derivative.

    Raises
    ------
    FrequencyPlanError
        If there is no such plan; `nearest` is the nearest one there is, or None.
    ParameterError, ShapeError
    """
    request = ToneRequest(
        n=n,
        rate=float(rate),
        duration_s=float(duration_s),
        noise=noise,
        amplitude_v=np.asarray(amplitude_v, dtype=np.float64),
        low_hz=low_hz,
        high_hz=rate / 10 if high_hz is None else float(high_hz),
        odd=odd or taper == "hann",
        parallel=parallel,
        quadrature=quadrature,
        taper=taper,
        mains_hz=mains_hz,
        time_constants_s=tuple(float(tau) for tau in time_constants_s),
        wait_s=wait_s,
        step_na=step_na,
        slew_v_per_s=slew_v_per_s,
        chain=chain,
        max_standard_error=max_standard_error,
    )
    request.check()
    if request.high_hz > request.rate / 2:
        raise FrequencyPlanError(
            f"tones up to {request.high_hz:g} Hz; a rate of {request.rate:g} Hz plays tones below "
            f"{request.rate / 2:g} Hz: lower high_hz to that (`nearest` does)",
            nearest=_or_none(replace(request, high_hz=request.rate / 2)),
        )
    plan = _enough_bins(request)
    _check_slew(request, plan)
    _check_goal(request, plan)
    return plan


def _make(request: ToneRequest, free: FloatArray) -> TonePlan:
    n, n_bins = request.n, request.n_bins
    f = choose(free, cost(request, free), n_bins)
    place = np.rint((f - f[0]) / np.diff(f).min()) if n_bins > 1 else np.zeros(1)
    newman = np.mod(np.pi * place**2 / (place[-1] + 1), 2 * np.pi)
    group = np.zeros(n, dtype=np.int64)
    if not request.parallel:
        frequency, phase, group = np.repeat(f, n), np.zeros(n), np.arange(n)
    elif request.quadrature:
        frequency, phase = np.repeat(f, 2)[:n], np.repeat(newman, 2)[:n]
        phase = phase + np.pi / 2 * (np.arange(n) % 2)
    else:
        frequency, phase = f, newman
    return TonePlan(
        rate=request.rate,
        n_samples=request.n_samples,
        n_wait=math.ceil(_wait(request, f) * request.rate - _ROUNDING),
        frequency_hz=frequency,
        amplitude_v=np.broadcast_to(request.amplitude_v, (n,)),
        phase=phase,
        group=group,
    )


def _wait(request: ToneRequest, f: FloatArray) -> float:
    """Wait before a window, s."""
    if request.wait_s is not None:
        return request.wait_s
    if not request.time_constants_s:
        return UNKNOWN_WAIT_S
    tau = np.array(request.time_constants_s)
    density = 0.0
    if request.noise is not None:
        density = float(sampled_density(request.noise, request.rate)(f[:1])[0])
    if density == 0:
        return float(tau.max() * np.log(tau.size / _SETTLED_WITHOUT_NOISE))
    # S / T is the variance of a tone's amplitude, half as much again under a Hann taper.
    variance = density * request.bin_hz * (1.5 if request.taper == "hann" else 1.0)
    allowed = _SETTLED_TO * np.sqrt(variance) / tau.size
    # Of all tones the lowest takes in most of a slow exponential.
    lowest = least_squares(
        f[:1], rate=request.rate, n_samples=request.n_samples, taper=request.taper
    )
    t = np.arange(request.n_samples) / request.rate
    taken = request.step_na * np.linalg.norm(np.exp(-t / tau[:, None]) @ lowest.matrix, axis=1)
    return float((tau * np.log(np.maximum(taken / allowed, 1.0))).max())


def _enough_bins(request: ToneRequest) -> TonePlan:
    free = free_bins(request)
    if free.size >= request.n_bins:
        return _make(request, free)
    longer = next((w for w in _longer(request) if free_bins(w).size >= w.n_bins), None)
    kind = "odd bins" if request.odd else "bins"
    if request.mains_hz is not None:
        kind += f" clear of {request.mains_hz:g} Hz mains"
    fixes = ["widen the band"]
    if longer is not None:
        fixes.insert(0, f"measure for {longer.duration_s:.4g} s (`nearest` does)")
    if free_bins(replace(request, mains_hz=None)).size >= request.n_bins:
        fixes.append("allow mains, mains_hz=None")
    raise FrequencyPlanError(
        f"{request.n} tones need {request.n_bins} {kind} between {request.lowest_hz:g} Hz and "
        f"{request.high_hz:g} Hz, but {request.duration_s:g} s has {free.size}: "
        + " or ".join(fixes),
        nearest=None if longer is None else _make(longer, free_bins(longer)),
    )


def _longer(request: ToneRequest, least_s: float = 0.0) -> Iterator[ToneRequest]:
    """The same request with longer and longer windows, in whole cycles of the mains."""
    step = request.duration_s / 10 if request.mains_hz is None else 1 / request.mains_hz
    k = max(1, math.ceil((least_s - request.duration_s) / step - _ROUNDING))
    while request.duration_s + k * step <= _LONGEST * request.duration_s:
        yield replace(request, duration_s=request.duration_s + k * step)
        k += 1


def _check_slew(request: ToneRequest, plan: TonePlan) -> None:
    if request.slew_v_per_s is None:
        return
    played = plan
    if plan.n_groups > 1:
        # Each alone and all in one bin: the loudest moves fastest.
        m = int(plan.amplitude_v.argmax())
        played = replace(
            plan,
            frequency_hz=plan.frequency_hz[m : m + 1],
            amplitude_v=plan.amplitude_v[m : m + 1],
            phase=plan.phase[m : m + 1],
            group=np.zeros(1, dtype=np.int64),
        )
    steps = np.diff(played.excitation[0], axis=1, prepend=0.0, append=0.0)
    slew = np.abs(steps).max(axis=1) * request.rate
    share = request.slew_v_per_s / float(slew.max())
    if share >= 1:
        return
    m = int(slew.argmax())
    smaller = request.amplitude_v * (share * (1 - _ROUNDING))
    raise FrequencyPlanError(
        f"a tone of {played.amplitude_v[m]:.3g} V at {played.frequency_hz[m]:g} Hz moves at "
        f"{slew[m]:.4g} V/s, above the guard's {request.slew_v_per_s:g} V/s: use "
        f"{share * played.amplitude_v[m]:.3g} V (`nearest` does), wait longer or lower high_hz",
        nearest=_or_none(replace(request, amplitude_v=smaller, max_standard_error=None)),
    )


def _standard_error(request: ToneRequest, plan: TonePlan) -> float:
    """Largest standard error that the noise makes, nA/V."""
    assert request.noise is not None
    budget = error_budget(
        plan, request.noise, demodulator="hann" if request.taper == "hann" else "least_squares"
    )
    return float((budget.standard_error / chain_gain(request, plan.frequency_hz)).max())


def _check_goal(request: ToneRequest, plan: TonePlan) -> None:
    goal = request.max_standard_error
    if goal is None:
        return
    expected = _standard_error(request, plan)
    if expected <= goal:
        return
    # The variance falls as 1 / T.
    nearest, needed = None, request.duration_s * (expected / goal) ** 2
    for _, longer in zip(range(_TRIES), _longer(request, 0.9 * needed), strict=False):
        candidate = _or_none(longer)
        if candidate is not None and _standard_error(longer, candidate) <= goal:
            nearest = candidate
            break
    louder = float(request.amplitude_v.min()) * expected / goal
    fix = f"raise the amplitude to {louder:.2g} V"
    if nearest is not None:
        fix = f"measure for {nearest.duration_s:.4g} s (`nearest` does) or {fix}"
    raise FrequencyPlanError(
        f"noise makes {expected:.3g} nA/V of a derivative in {request.duration_s:g} s, above the "
        f"goal of {goal:g} nA/V: {fix}",
        nearest=nearest,
    )


def _or_none(request: ToneRequest) -> TonePlan | None:
    free = free_bins(request)
    return _make(request, free) if free.size >= request.n_bins else None
