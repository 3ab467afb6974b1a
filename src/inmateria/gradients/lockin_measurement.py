"""Tones played at operating points, and what a lock-in reads of them.

The part of homodyne detection that knows a rig and nothing of derivatives:
every operating point is visited, the tones run through their wait, the window
is demodulated. Beside the amplitudes it gives their standard errors (from the
empty bins beside the tones), the harmonics, and whether the reading is worth
anything: a clipped, dead or drifting output is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inmateria.devices.device import FloatArray, check_voltage, terminal_index
from inmateria.errors import FrequencyPlanError, UndefinedGradientError, VoltageLimitError
from inmateria.gradients.gradient import CLIPPED, DEAD, DRIFTING, FINE, undefined
from inmateria.gradients.noise_bins import Columns, NoiseBins, Remainder, far_noise, noise_bins
from inmateria.rigs.guard import Guard
from inmateria.signals.lockin import Demodulator, butterworth, least_squares
from inmateria.signals.tones import TonePlan

ComplexArray: TypeAlias = NDArray[np.complex128]
DemodulatorName: TypeAlias = Literal["least_squares", "hann", "butterworth"]
DEMODULATORS: tuple[DemodulatorName, ...] = ("least_squares", "hann", "butterworth")

_SAMPLES_AT_ONCE = 400_000  # of a waveform: bounds the memory of many operating points

_DRIFT_SIGMA = 6.0
_DRIFT_SHARE = 0.1
"""Tones drift when their change over half a window exceeds what noise makes of it by six standard
deviations, and is a tenth of the tones: the first keeps noise out, the second what is harmless."""

_RANGE_ROUNDING_V = 1e-9


@dataclass(frozen=True, eq=False)
class LockInReading:
    """Tones as read, at a batch of operating points.

    Parameters
    ----------
    phasor : (n_points, n_outputs, n_tones) complex array, nA
        Response to each tone relative to the tone as played: X + i Y.
    sigma : same shape, nA
        Standard error of X and of Y; NaN where no empty bin is left to tell.
    second, third : same shape, complex, nA
        Amplitudes at twice and three times the frequency; NaN above half the
        rate or on another tone.
    current : (n_points, n_outputs) array, nA
    problem : (n_points, n_outputs) array of str
    """

    phasor: ComplexArray
    sigma: FloatArray
    second: ComplexArray
    third: ComplexArray
    current: FloatArray
    problem: NDArray[np.str_]

    def require_defined(self) -> LockInReading:
        """This reading, if nothing was clipped, dead or drifting.

        Raises
        ------
        UndefinedGradientError
        """
        if (self.problem != FINE).any():
            raise UndefinedGradientError(undefined(self.problem))
        return self


@dataclass(frozen=True, eq=False)
class Harmonic:
    """What is read at a multiple of the frequencies that a demodulator knows.

    Parameters
    ----------
    columns : Columns
    of_frequency : (n_columns,) array
        The demodulator's frequency that each column belongs to; others have none.
    """

    columns: Columns
    of_frequency: NDArray[np.intp]

    def read(self, windows: FloatArray, n_frequencies: int) -> ComplexArray:
        """Amplitudes, (..., n_samples) to (..., n_frequencies) nA, NaN where there are none."""
        found = np.full((*windows.shape[:-1], n_frequencies), np.nan, dtype=complex)
        found[..., self.of_frequency] = self.columns.read(windows)
        return found


@dataclass(frozen=True, eq=False)
class _Group:
    """Matrices for the tones that are driven at once."""

    members: NDArray[np.intp]
    demodulator: Demodulator
    of_tone: NDArray[np.intp]  # frequency of each member among the demodulator's
    noise: NoiseBins
    second: Harmonic
    third: Harmonic
    changes: Columns | None
    far: NoiseBins | None


class LockIn:
    """A plan of tones on the terminals of a guarded rig.

    Parameters
    ----------
    rig : Guard
    plan : TonePlan
    terminals : sequence of names
        Terminal that each tone drives; one may carry several tones.
    demodulator : str
        ``"least_squares"``, ``"hann"`` or ``"butterworth"``.
    drift_order : int
        Of the polynomial that least squares fits away.
    drift_check : bool
        Whether to look for tones that change within a window.

    Attributes
    ----------
    last_windows : (n_points, n_groups, n_outputs, n_samples) array, nA, or None
        What `measure` read last; of very many points, the last of them.

    Raises
    ------
    TerminalError
    FrequencyPlanError
        If the plan was made for another rate, its tones move faster than the
        guard allows, or this demodulator cannot tell them apart.
    """

    def __init__(
        self,
        rig: Guard,
        plan: TonePlan,
        terminals: Sequence[str],
        *,
        demodulator: DemodulatorName = "least_squares",
        drift_order: int = 1,
        drift_check: bool = True,
    ) -> None:
        self.rig, self.plan = rig, plan
        self.terminals = tuple(terminals)
        self.rows = np.array([terminal_index(rig.terminals, name) for name in terminals])
        if len(self.rows) != plan.n_controls:
            raise FrequencyPlanError(
                f"a plan of {plan.n_controls} tones for {len(self.rows)} terminals; plan one tone "
                "for each"
            )
        if plan.rate != rig.rate:
            raise FrequencyPlanError(
                f"tones planned for {plan.rate:g} Hz, but the rig samples at {rig.rate:g} Hz; "
                "plan them for the rig's own rate"
            )
        steepest = float(np.abs(np.diff(self._on_terminals(), axis=-1)).max() * plan.rate)
        if steepest > rig.slew_v_per_s * (1 + 1e-9):
            raise FrequencyPlanError(
                f"the tones move a terminal at {steepest:.4g} V/s, the guard allows "
                f"{rig.slew_v_per_s:g} V/s; lower their amplitude or frequency by a factor of "
                f"{steepest / rig.slew_v_per_s:.3g}"
            )
        self.last_windows: FloatArray | None = None
        self._groups = [
            _prepare(plan, g, demodulator, drift_order, drift_check) for g in plan.groups
        ]

    @property
    def reach_v(self) -> FloatArray:
        """How far each tone goes to either side, (n_tones,) V."""
        return self.plan.amplitude_v

    def seconds(self, n_points: int) -> float:
        """Time for so many operating points without the ramps between them, s."""
        plan = self.plan
        length = plan.n_wait + plan.n_samples + plan.n_fall
        return n_points * plan.n_groups * length / plan.rate

    def measure(self, voltage: ArrayLike) -> LockInReading:
        """Visit operating points, (n_points, n_terminals) V.

        Raises
        ------
        VoltageLimitError
            If a tone would leave its terminal's range; nothing is played.
        """
        points = check_voltage(self.rig.terminals, voltage)
        self._check_range(points)
        length = self.plan.n_groups * (self.plan.n_wait + self.plan.n_samples)
        at_once = max(1, _SAMPLES_AT_ONCE // length)
        parts = [
            self._read(points[first : first + at_once]) for first in range(0, len(points), at_once)
        ]
        return LockInReading(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("phasor", "sigma", "second", "third", "current", "problem")
            )
        )

    def record(self, voltage: ArrayLike) -> FloatArray:
        """The windows themselves, (n_points, n_groups, n_outputs, n_samples) nA.

        Raises
        ------
        VoltageLimitError
        """
        points = check_voltage(self.rig.terminals, voltage)
        self._check_range(points)
        waveform = self.plan.waveform(
            points, self.rows, start=self.rig.last_voltage, slew_v_per_s=self.rig.slew_v_per_s
        )
        return self.plan.windows(self.rig.play(waveform), waveform)

    def _read(self, points: FloatArray) -> LockInReading:
        windows = self.last_windows = self.record(points)
        n_points, _, n_outputs, _ = windows.shape
        shape = (n_points, n_outputs, self.plan.n_controls)
        phasor, second, third = (np.full(shape, np.nan, dtype=complex) for _ in range(3))
        sigma = np.full(shape, np.nan)
        drifting = np.zeros(shape[:2], dtype=bool)
        for g, group in enumerate(self._groups):
            window = windows[:, g]
            at = np.s_[..., group.members]
            rotate = np.exp(-1j * self.plan.phase[group.members])
            amplitude = group.demodulator(window).complex
            phasor[at] = amplitude[..., group.of_tone] * rotate
            sigma[at] = np.sqrt(group.noise.variance(window))[..., group.of_tone]
            n_frequencies = group.demodulator.frequency_hz.size
            second[at] = group.second.read(window, n_frequencies)[..., group.of_tone]
            third[at] = group.third.read(window, n_frequencies)[..., group.of_tone]
            if group.changes is not None and group.far is not None:
                drifting |= _drifts(window, amplitude, group.changes, group.far)
        problem = np.full(shape[:2], FINE, dtype="<U8")
        problem[drifting] = DRIFTING
        problem[(np.ptp(windows, axis=-1) == 0).all(axis=1)] = DEAD
        problem[(np.abs(windows) >= self.rig.current_range_na).any(axis=(1, 3))] = CLIPPED
        return LockInReading(phasor, sigma, second, third, windows.mean(axis=(1, 3)), problem)

    def _on_terminals(self) -> FloatArray:
        """What the tones add to each terminal, (n_groups, n_terminals, n_samples) V."""
        excitation = self.plan.excitation
        total = np.zeros((len(excitation), len(self.rig.terminals), excitation.shape[-1] + 1))
        for m, row in enumerate(self.rows):
            total[:, row, 1:] += excitation[:, m]
        return total

    def _check_range(self, points: FloatArray) -> None:
        reach = np.abs(self._on_terminals()).max(axis=(0, 2))
        for i, terminal in enumerate(self.rig.terminals):
            if reach[i] == 0:
                continue
            column = points[..., i]
            over = np.maximum(
                terminal.low_v - (column - reach[i]), column + reach[i] - terminal.high_v
            )
            if over.max(initial=-np.inf) > _RANGE_ROUNDING_V:
                worst = float(column.ravel()[int(over.argmax())])
                raise VoltageLimitError(
                    f"control {terminal.name} at {worst:.4g} V with a tone of {reach[i]:.3g} V "
                    f"leaves {terminal.low_v:g} V to {terminal.high_v:g} V; keep it "
                    f"{reach[i]:.3g} V inside or use a smaller amplitude"
                )


def _prepare(
    plan: TonePlan, g: int, name: DemodulatorName, drift_order: int, drift_check: bool
) -> _Group:
    members = plan.members(g)
    frequency, of_tone = np.unique(plan.frequency_hz[members], return_inverse=True)
    rate, n = plan.rate, plan.n_samples
    if name not in DEMODULATORS:
        raise FrequencyPlanError(f"no demodulator {name!r}; there are {', '.join(DEMODULATORS)}")
    if name == "butterworth":
        demodulator = butterworth(frequency, rate=rate, n_samples=n)
    else:
        demodulator = least_squares(
            frequency, rate=rate, n_samples=n, drift_order=drift_order,
            taper="hann" if name == "hann" else "none",
        )  # fmt: skip
    taper = np.ones(n)
    if name == "hann":
        taper = np.sin(np.pi * (np.arange(n) + 0.5) / n)
    remainder = Remainder(frequency, rate=rate, n_samples=n, drift_order=drift_order, taper=taper)
    avoid = np.concatenate([2 * frequency, 3 * frequency])
    changes = remainder.changes() if drift_check else None
    return _Group(
        members=members,
        demodulator=demodulator,
        of_tone=of_tone,
        noise=noise_bins(remainder, demodulator, avoid_hz=avoid),
        second=_harmonic(remainder, demodulator, 2),
        third=_harmonic(remainder, demodulator, 3),
        changes=changes,
        far=None if changes is None else far_noise(remainder, demodulator, changes),
    )


def _harmonic(remainder: Remainder, demodulator: Demodulator, order: int) -> Harmonic:
    """Columns at `order` times the frequencies, those a bin or more below half the rate."""
    f = order * demodulator.frequency_hz
    step = demodulator.rate / len(demodulator.matrix)
    measurable = np.flatnonzero(f < demodulator.rate / 2 - step / 2)
    return Harmonic(remainder.bins(f[measurable]), measurable)


def _drifts(
    window: FloatArray, amplitude: ComplexArray, changes: Columns, far: NoiseBins
) -> NDArray[np.bool_]:
    """Whether the tones change within the window, (n_points, n_outputs)."""
    change = changes.read(window)
    change = np.where(np.isfinite(change), np.abs(change), 0.0)
    noise = np.sqrt(far.variance(window))
    # Noise alone makes a root of chi-squared with two degrees of freedom a tone.
    alarm = np.sqrt(2 * change.shape[-1]) + _DRIFT_SIGMA
    changed = np.sqrt((change**2).sum(axis=-1))
    by_noise = alarm * np.sqrt((noise**2).mean(axis=-1))
    harmless = _DRIFT_SHARE * np.sqrt((np.abs(amplitude) ** 2).sum(axis=-1))
    return np.asarray((changed > by_noise) & (changed > harmless))
