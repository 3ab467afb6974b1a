"""I-V curves: every output's current against each terminal's voltage, up and down.

One terminal after the other goes from its lowest to its highest voltage and back in
plateaus, the others held. What the way up and the way down differ by is hysteresis
or noise: the noise of a plateau is read within the plateaus, carried to the time that
lies between the two by the power law it follows (`mean_error`), and what exceeds that
is hysteresis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inmateria.bench.finding import Finding, sorted_findings
from inmateria.devices.device import FloatArray, terminal_index
from inmateria.errors import ParameterError, VoltageLimitError
from inmateria.rigs.guard import Guard
from inmateria.signals.allan import MeanError, mean_error
from inmateria.signals.waveforms import plateaus

Progress = Callable[[int, int], object]

N_SIGMA = 4.0
"""Standard deviations of noise that a difference has to exceed in the root of its mean square.

Noise of long times is one or two numbers for a whole curve, not one a point: as rare as four
standard deviations of a single one, 6e-5."""

_ROUNDING = 1e-6  # of the span: what filters leave where there is no noise at all
_SLOPE_POINTS = 5  # nearest to where the terminal rests, on both ways


@dataclass(frozen=True, eq=False)
class IVCurves:
    """Currents of all outputs while one terminal after the other is swept.

    Parameters
    ----------
    terminals, outputs : tuples of str
        Swept terminals, and what was measured.
    voltage : (n_swept, n_points) array, V
        Of the swept terminal, rising.
    up, down : (n_swept, n_outputs, n_points) arrays, nA
        Both in the order of `voltage`.
    standard_error : (n_swept, n_outputs) array, nA
        Of each point against its neighbours in time.
    hysteresis, hysteresis_noise : (n_swept, n_outputs) arrays, nA
        Root mean square of up - down, and of what noise alone makes of it.
    slope, slope_error : (n_swept, n_outputs) arrays, nA/V
        Of the line through the points nearest to where the terminal rests (`_SLOPE_POINTS`): in
        a device with steps it differs from the derivative there, which tiny tones tell.
    clipped : (n_swept, n_outputs, 2, n_points) bool array
        Points where the chain was at its limit, up and down.
    rest : (n_terminals,) array, V
        Of all terminals, where the others were held.
    settle_s, hold_s, device_s : float, s
    """

    terminals: tuple[str, ...]
    outputs: tuple[str, ...]
    voltage: FloatArray
    up: FloatArray
    down: FloatArray
    standard_error: FloatArray
    hysteresis: FloatArray
    hysteresis_noise: FloatArray
    slope: FloatArray
    slope_error: FloatArray
    clipped: NDArray[np.bool_]
    rest: FloatArray
    settle_s: float
    hold_s: float
    device_s: float

    @property
    def span(self) -> FloatArray:
        """Highest minus lowest mean of up and down, (n_swept, n_outputs) nA."""
        return np.asarray(np.ptp((self.up + self.down) / 2, axis=-1))

    @property
    def hysteretic(self) -> NDArray[np.bool_]:
        """Where up and down differ by more than noise, (n_swept, n_outputs)."""
        least = N_SIGMA * self.hysteresis_noise + _ROUNDING * self.span
        return np.asarray(self.hysteresis > least)

    @property
    def responds(self) -> NDArray[np.bool_]:
        """Where the current follows the terminal, (n_swept, n_outputs).

        The mean of up and down about its own mean. What noise makes of half the sum is half
        of what it makes of the difference: less, if it drifts.
        """
        mean = (self.up + self.down) / 2
        return np.asarray(mean.std(axis=-1) > N_SIGMA * self.hysteresis_noise / 2)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What there is to say, what is wrong first."""
        return sorted_findings(_findings(self))


def measure_iv(
    guard: Guard,
    terminals: Sequence[str] | None = None,
    *,
    low_v: float | None = None,
    high_v: float | None = None,
    n_points: int = 41,
    rest: Mapping[str, float] | None = None,
    hold_s: float = 0.02,
    settle_s: float = 0.01,
    progress: Progress | None = None,
) -> IVCurves:
    """Sweep terminals one after the other, up and down.

    Parameters
    ----------
    guard : Guard
    terminals : sequence of names, optional
        To be swept; all by default.
    low_v, high_v : float, V, optional
        Ends of the sweeps, where a terminal's own range is wider.
    n_points : int
        On each way.
    rest : mapping of terminal name to V, optional
        Where terminals that are not swept are held; the others at 0 V.
    hold_s, settle_s : float, s
        Averaged at each point, and waited before.
    progress : callable, optional
        Called with (terminals done, terminals in all).

    Raises
    ------
    ParameterError, TerminalError, VoltageLimitError
        Before anything is played.
    """
    names = tuple(t.name for t in guard.terminals) if terminals is None else tuple(terminals)
    rows = [terminal_index(guard.terminals, name) for name in names]
    if n_points < _SLOPE_POINTS:
        raise ParameterError(f"n_points = {n_points}; give {_SLOPE_POINTS} or more on each way")
    if round(hold_s * guard.rate) < 2:
        raise ParameterError(
            f"hold_s = {hold_s:g} s; hold two samples or more, {2 / guard.rate:g} s, which tell "
            "the noise"
        )
    held = np.zeros(len(guard.terminals))
    for name, volts in (rest or {}).items():
        k = terminal_index(guard.terminals, name)
        low, high = guard.terminals[k].low_v, guard.terminals[k].high_v
        if not low <= volts <= high:
            raise VoltageLimitError(
                f"terminal {name} at rest at {volts:g} V is outside its limits {low:g} V to "
                f"{high:g} V; give a voltage within"
            )
        held[k] = volts
    voltage = np.stack([_ladder(guard, row, low_v, high_v, n_points) for row in rows])
    began = guard.played_s
    stretches, clipped = [], []
    for k, row in enumerate(rows):
        points = np.repeat(held[None], 2 * n_points, axis=0)
        points[:, row] = np.concatenate([voltage[k], voltage[k, ::-1]])
        waveform = plateaus(
            points,
            rate=guard.rate,
            hold_s=hold_s,
            settle_s=settle_s,
            slew_v_per_s=guard.slew_v_per_s,
            start=guard.last_voltage,
        )
        recording = guard.play(waveform)[:, waveform.segment >= 0]
        stretches.append(recording.reshape(len(recording), 2 * n_points, -1))
        clipped.append((np.abs(stretches[-1]) >= guard.current_range_na).any(axis=-1))
        if progress is not None:
            progress(k + 1, len(rows))
    guard.ramp_to(held)
    period_s = hold_s + settle_s + np.diff(voltage, axis=1).max() / guard.slew_v_per_s
    return _curves(
        names,
        guard,
        voltage,
        np.stack(stretches),
        np.stack(clipped).reshape(len(rows), -1, 2, n_points),
        held=held,
        rows=rows,
        period_s=period_s,
        settle_s=settle_s,
        hold_s=hold_s,
        device_s=guard.played_s - began,
    )


def _ladder(
    guard: Guard, row: int, low_v: float | None, high_v: float | None, n_points: int
) -> FloatArray:
    terminal = guard.terminals[row]
    low = terminal.low_v if low_v is None else max(low_v, terminal.low_v)
    high = terminal.high_v if high_v is None else min(high_v, terminal.high_v)
    if not low < high:
        raise ParameterError(
            f"terminal {terminal.name} would go from {low:g} V to {high:g} V; give a low below a "
            f"high within {terminal.low_v:g} V to {terminal.high_v:g} V"
        )
    return np.linspace(low, high, n_points)


def _curves(
    names: tuple[str, ...],
    guard: Guard,
    voltage: FloatArray,
    stretches: FloatArray,
    clipped: NDArray[np.bool_],
    *,
    held: FloatArray,
    rows: Sequence[int],
    period_s: float,
    settle_s: float,
    hold_s: float,
    device_s: float,
) -> IVCurves:
    """Curves from plateaus (n_swept, n_outputs, 2 n_points, n_samples) nA in order of time."""
    n_points = voltage.shape[1]
    mean = stretches.mean(axis=-1)
    up, down = mean[..., :n_points], mean[..., : n_points - 1 : -1]
    own = mean_error(stretches)
    # The exponent is a property of the noise and not of a sweep: all sweeps tell it together.
    together = np.concatenate(list(stretches), axis=1)
    error = MeanError(
        own.standard_error, np.broadcast_to(mean_error(together).exponent, own.exponent.shape)
    )
    # Point i is reached at i on the way up and at 2 n - 1 - i on the way down.
    apart_s = (2 * n_points - 1 - 2 * np.arange(n_points)) * period_s
    noise2 = np.mean([error.difference(s / hold_s) ** 2 for s in apart_s], axis=0)
    slope, slope_error = _slopes(voltage, up, down, error, held[list(rows)], period_s / hold_s)
    return IVCurves(
        terminals=names,
        outputs=tuple(guard.outputs),
        voltage=voltage,
        up=np.ascontiguousarray(up),
        down=np.ascontiguousarray(down),
        standard_error=error.standard_error,
        hysteresis=np.sqrt(((up - down) ** 2).mean(axis=-1)),
        hysteresis_noise=np.sqrt(noise2),
        slope=slope,
        slope_error=slope_error,
        clipped=clipped,
        rest=held,
        settle_s=settle_s,
        hold_s=hold_s,
        device_s=device_s,
    )


def _slopes(
    voltage: FloatArray,
    up: FloatArray,
    down: FloatArray,
    error: MeanError,
    rest: FloatArray,
    period: float,
) -> tuple[FloatArray, FloatArray]:
    """Slope around rest and its standard error, (n_swept, n_outputs) nA/V each.

    A slope is a sum c_i I_i with sum c_i = 0, and its variance -1/2 sum c_i c_j D_ij with the
    mean square D_ij of the difference that noise makes between two points.
    """
    slope, variance = np.empty(up.shape[:2]), np.zeros(up.shape[:2])
    place = np.arange(_SLOPE_POINTS)
    apart = period * np.abs(place[:, None] - place)
    for k, volts in enumerate(voltage):
        near = np.sort(np.argsort(np.abs(volts - rest[k]), kind="stable")[:_SLOPE_POINTS])
        x = volts[near] - volts[near].mean()
        weight = x / (x @ x)
        slope[k] = (up[k][:, near] + down[k][:, near]) @ weight / 2
        for i, j in zip(*np.triu_indices(_SLOPE_POINTS, 1), strict=True):
            # Two ways, each with its own noise.
            variance[k] -= weight[i] * weight[j] * error.difference(apart[i, j])[k] ** 2 / 2
    return slope, np.sqrt(np.maximum(variance, 0.0))


def _findings(found: IVCurves) -> list[Finding]:
    lines: list[Finding] = []
    responds, hysteretic = found.responds, found.hysteretic
    deaf = np.asarray(~responds.any(axis=1))
    if deaf.any():
        listed = ", ".join(found.terminals[k] for k in np.flatnonzero(deaf).tolist())
        least = N_SIGMA * found.hysteresis_noise[deaf].max() / 2
        lines.append(Finding("look", (
            f"no output follows {listed} by more than drift and noise make of it ({least:.2g} nA "
            "rms): open, or the sample does not conduct there"
        )))  # fmt: skip
    for k, terminal in enumerate(found.terminals):
        for i, output in enumerate(found.outputs):
            at_limit = found.clipped[k, i]
            if at_limit.any():
                volts = found.voltage[k][at_limit.any(axis=0)]
                lines.append(Finding("wrong", (
                    f"{output} is at the end of its range with {terminal} at {volts.min():g} V to "
                    f"{volts.max():g} V: narrow the terminal's limits or lower the gain"
                )))  # fmt: skip
            if hysteretic[k, i]:
                lines.append(Finding("look", (
                    f"{output} against {terminal}: up and down differ by "
                    f"{found.hysteresis[k, i]:.2g} nA rms where noise makes "
                    f"{found.hysteresis_noise[k, i]:.2g} nA: hysteresis, drift, or a settle_s of "
                    f"{found.settle_s:g} s that is too short"
                )))  # fmt: skip
    n = int(responds.any(axis=1).sum())
    if n:
        lines.append(Finding("good", (
            f"{n} of {len(found.terminals)} terminals move an output; largest change "
            f"{found.span[responds].max():.3g} nA"
        )))  # fmt: skip
    return lines
