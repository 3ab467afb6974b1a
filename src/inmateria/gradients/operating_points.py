"""Plateaus around operating points, with the noise of what they are compared by.

Finite differences and simultaneous perturbation both hold a point a little
above and a little below an operating point and subtract. `Probe` plays these
holds one after another on a guarded rig, in chunks, so that memory does not
grow with the number of operating points, and gives the mean of each hold.

How well a difference of two holds is known. Samples within a hold are
correlated (the noise falls as 1/f^1.5), so their scatter over the square root
of their number is not the error of their mean: it is too small by one or two
orders of magnitude. What counts is the variance of the difference of two means
of length tau whose centres lie d apart, and for a power law 1/f^gamma it is

    Var(s tau, s d) = s^(gamma - 1) Var(tau, d)

(Barnes et al. 1971, IEEE Trans. Instrum. Meas. IM-20, 105: Allan's variance,
with dead time). The same pair of means, made small enough to fit into one
hold, is measured there at two lengths and continued to the full one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import FloatArray, Terminal, check_voltage, terminal_index
from inmateria.errors import ParameterError, VoltageLimitError
from inmateria.gradients.gradient import CLIPPED, DEAD, FINE
from inmateria.rigs.guard import Guard
from inmateria.signals.waveforms import plateaus

OnProblem: TypeAlias = Literal["raise", "flag"]

_CHUNK_VALUES = 2**21  # voltages and currents of one waveform: 16 MiB
_ROUNDING_V = 1e-7  # what single precision adds to a voltage at its limit; a guard lets it pass
_POSITIONS = 16  # at which a pair of means is looked for within a hold, at most


@dataclass(frozen=True, eq=False)
class Holds:
    """What was read around a batch of operating points.

    Parameters
    ----------
    mean : (n_points, n_holds, n_outputs) array, nA
        Mean of each hold.
    problem : (n_points, n_outputs) array of str
        ``"clipped"`` if a sample of a hold reached the chain's limit, ``"dead"``
        if every sample around this point, ramps included, was the same or one
        was not a number, else ``""``.
    difference_variance : (n_outputs,) array, nA^2
        Variance of the difference of two neighbouring holds that is noise. NaN
        where a hold is too short to tell.
    device_s : float
        Time the rig played, s.
    """

    mean: FloatArray
    problem: NDArray[np.str_]
    difference_variance: FloatArray
    device_s: float


class Probe:
    """Holds at given distances from operating points.

    Parameters
    ----------
    rig : Guard
    controls : sequence of str
        Terminals that are moved.
    step_v : float
        How far each may be moved, V.
    hold_s, settle_s : float, s
        Averaged, and waited before.

    Raises
    ------
    TerminalError
        If a control is not a terminal of the rig.
    ParameterError
        If a control is named twice, or a step or time has no meaning.
    """

    def __init__(
        self, rig: Guard, controls: Sequence[str], *, step_v: float, hold_s: float, settle_s: float
    ) -> None:
        if not isinstance(rig, Guard):
            raise ParameterError(
                f"a gradient is measured on a guarded rig, this is a {type(rig).__name__}; "
                "give Guard(rig)"
            )
        self.rig = rig
        self.index = control_index(rig.terminals, controls)
        self.controls = tuple(rig.terminals[i].name for i in self.index)
        if not (np.isfinite(step_v) and step_v > 0):
            raise ParameterError(f"step_v = {step_v} V; give a number above zero")
        if not (np.isfinite(hold_s) and round(hold_s * rig.rate) >= 1):
            raise ParameterError(
                f"hold_s = {hold_s} s is less than one sample; hold at least {1 / rig.rate:g} s"
            )
        if not (np.isfinite(settle_s) and settle_s >= 0):
            raise ParameterError(f"settle_s = {settle_s} s; give a time of zero or more")
        self.step_v, self.hold_s, self.settle_s = float(step_v), float(hold_s), float(settle_s)

    @property
    def reach_v(self) -> FloatArray:
        """How far each control is moved from an operating point, (n_controls,) V."""
        return np.full(len(self.controls), self.step_v)

    def read(self, points: ArrayLike, offset_v: ArrayLike) -> Holds:
        """Visit every operating point plus every offset, point by point.

        Parameters
        ----------
        points : (n_points, n_terminals) array, V
        offset_v : (n_holds, n_controls) array, V
            Added to the controls, in the order in which they are played.

        Raises
        ------
        ShapeError, NotFiniteError, VoltageLimitError
            Before anything is played.
        """
        base = check_voltage(self.rig.terminals, points)
        self._require_room(base)
        n_points, n_terminals = base.shape
        offset = np.zeros((len(np.asarray(offset_v)), n_terminals))
        offset[:, self.index] = offset_v
        n_holds, n_outputs = len(offset), len(self.rig.outputs)
        held = round(self.hold_s * self.rig.rate)
        # Ramps between points are not counted: a guard's are short against a hold.
        per_point = n_holds * (held + round(self.settle_s * self.rig.rate))
        chunk = max(1, _CHUNK_VALUES // (per_point * (n_terminals + n_outputs)))
        mean = np.empty((n_points, n_holds, n_outputs))
        problem = np.full((n_points, n_outputs), FINE, dtype="<U8")
        lengths, spacing = self._pairs(held)
        squares = np.zeros((n_points, n_outputs, len(lengths)))
        before_s = self.rig.played_s
        for first in range(0, n_points, chunk):
            rows = slice(first, first + chunk)
            visits = (base[rows, None, :] + offset).reshape(-1, n_terminals)
            waveform = plateaus(
                visits,
                rate=self.rig.rate,
                hold_s=self.hold_s,
                settle_s=self.settle_s,
                slew_v_per_s=self.rig.slew_v_per_s,
                start=self.rig.last_voltage,
            )
            current = self.rig.play(waveform)
            samples = current[:, waveform.segment >= 0].reshape(n_outputs, -1, n_holds, held)
            with np.errstate(invalid="ignore"):  # infinities of an instrument are flagged
                mean[rows] = np.moveaxis(samples.mean(axis=-1), 0, -1)
                problem[rows] = self._problems(current, waveform.segment, samples)
                for k, length in enumerate(lengths):
                    squares[rows, :, k] = _pair_variance(samples, length, spacing).mean(axis=-1).T
        return Holds(
            mean=mean,
            problem=problem,
            difference_variance=_continued(squares, problem == FINE, lengths, held),
            device_s=self.rig.played_s - before_s,
        )

    def _require_room(self, base: FloatArray) -> None:
        """Refuse operating points that a step would take out of a terminal's range."""
        reach = np.zeros(base.shape[1])
        reach[self.index] = self.step_v
        for i, terminal in enumerate(self.rig.terminals):
            low, high = terminal.low_v + reach[i], terminal.high_v - reach[i]
            excess = np.maximum(low - base[:, i], base[:, i] - high)
            if excess.max(initial=0.0) > _ROUNDING_V:
                worst = int(excess.argmax())
                step = f" and moves by {reach[i]:g} V" if reach[i] else ""
                fix = "keep the point inside" + (" or take a smaller step_v" if reach[i] else "")
                raise VoltageLimitError(
                    f"terminal {terminal.name} is at {base[worst, i]:.6g} V{step} at operating "
                    f"point {worst}, which leaves its range {terminal.low_v:g} V to "
                    f"{terminal.high_v:g} V; {fix}"
                )

    def _problems(
        self, current: FloatArray, segment: NDArray[np.int32], samples: FloatArray
    ) -> NDArray[np.str_]:
        """Of a chunk, (n_points, n_outputs)."""
        n_holds = samples.shape[2]
        last = np.flatnonzero((segment >= 0) & (np.append(segment[1:], -2) != segment))
        ends = last[n_holds - 1 :: n_holds] + 1
        first = np.concatenate([[0], ends[:-1]])
        # A difference of exactly nothing between all samples: noise alone would make one.
        spread = np.maximum.reduceat(current, first, axis=1) - np.minimum.reduceat(
            current, first, axis=1
        )
        clipped = (np.abs(samples) >= self.rig.current_range_na).any(axis=(2, 3))
        dead = (spread == 0) | ~np.isfinite(spread)
        return np.asarray(np.where(clipped, CLIPPED, np.where(dead, DEAD, FINE)).T)

    def _pairs(self, held: int) -> tuple[tuple[int, ...], float]:
        """Lengths of the two pairs of means that fit into a hold, and centre distance / length."""
        ramp_s = 2 * self.step_v / self.rig.slew_v_per_s
        spacing = 1 + (self.settle_s + ramp_s) * self.rig.rate / held
        longest = int(held / (1 + spacing))
        return ((longest, longest // 2) if longest >= 2 else ()), spacing


def control_index(terminals: tuple[Terminal, ...], controls: Sequence[str]) -> NDArray[np.int64]:
    """Positions of the controls among the terminals, (n_controls,).

    Raises
    ------
    TerminalError
        If a control is not among the terminals.
    ParameterError
        If there is none, or one is named twice.
    """
    names = (controls,) if isinstance(controls, str) else tuple(controls)
    if not names:
        raise ParameterError("no controls; name at least one terminal")
    index = [terminal_index(terminals, name) for name in names]
    for k, i in enumerate(index):
        if i in index[:k]:
            raise ParameterError(
                f"control {terminals[i].name} is named twice in {', '.join(map(str, names))}; "
                "name each once"
            )
    return np.array(index, dtype=np.int64)


def check_on_problem(on_problem: str) -> None:
    """Refuse anything but ``"raise"`` and ``"flag"``."""
    if on_problem not in ("raise", "flag"):
        raise ParameterError(f"on_problem {on_problem!r}; choose 'raise' or 'flag'")


def _pair_variance(samples: FloatArray, length: int, spacing: float) -> FloatArray:
    """Mean square difference of two means within each hold, (..., n_samples) to (...)."""
    n = samples.shape[-1]
    apart = min(round(length * spacing), n - length)
    total = np.zeros((*samples.shape[:-1], n + 1))
    # Counted from the first sample, so that a large current costs no digits.
    np.cumsum(samples - samples[..., :1], axis=-1, out=total[..., 1:])
    room = n - length - apart
    start = np.unique(np.linspace(0, room, _POSITIONS).round().astype(np.int64))
    first = total[..., start + length] - total[..., start]
    second = total[..., start + apart + length] - total[..., start + apart]
    return np.asarray((((second - first) / length) ** 2).mean(axis=-1))


def _continued(
    squares: FloatArray, fine: NDArray[np.bool_], lengths: tuple[int, ...], held: int
) -> FloatArray:
    """Variance at the length of a hold from that at two shorter ones.

    (n_points, n_outputs, 2) nA^2 to (n_outputs,) nA^2, pooled over the points
    where nothing was wrong: the noise is the chain's, not the point's.
    """
    n_outputs = fine.shape[1]
    if not lengths:
        return np.full(n_outputs, np.nan)
    variance = np.full((n_outputs, 2), np.nan)
    for k in np.flatnonzero(fine.any(axis=0)):
        variance[k] = squares[fine[:, k], k].mean(axis=0)
    long, short = variance.T
    growth = np.ones_like(long)
    np.divide(long, short, out=growth, where=(short > 0) & (long > 0))
    # gamma - 1: white noise has -1, a random walk +1; what lies outside is chance.
    power = np.clip(np.log(growth) / np.log(lengths[0] / lengths[1]), -1.0, 1.0)
    return np.asarray(long * (held / lengths[0]) ** power)
