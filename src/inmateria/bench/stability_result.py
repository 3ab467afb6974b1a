"""What a comparison with an earlier measurement found, and says of each output in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import xarray as xr
from scipy.stats import f as fisher

from inmateria.bench.finding import Finding, plus_minus, sorted_findings
from inmateria.bench.levels import Levels
from inmateria.devices.device import FloatArray

Verdict: TypeAlias = Literal["unchanged", "drifted", "changed"]

FALSE_ALARM = 1e-3
"""Probability that noise alone makes any output look changed, and as much for drifted."""

_N_SIGMA = 4.0


@dataclass(frozen=True, eq=False)
class Stability:
    """A measurement held against an earlier one; n_outputs numbers each where not said otherwise.

    Parameters
    ----------
    outputs : tuple of str
    points : (n_points, n_terminals) array, V
        Those that were clipped in neither.
    then, now : Levels
    change_na, expected_na : arrays
        Root mean square of the change without its common part, and of what noise makes
        of it.
    statistic, p_value : arrays
        F, and how often noise alone would make it as large.
    offset_na, offset_error_na : arrays
        Change common to all points, and how far the passes wander.
    offset_p_value : array
    gain, gain_error : arrays
        Factor from the levels then to those now.
    correlation : array
        Of the levels then and now.
    left_p_value : array
        Of F after the factor is taken out as well.
    n_clipped : int
        Points left out.
    then_utc, now_utc : str
    measurement : xarray.Dataset
        What was measured now.
    """

    outputs: tuple[str, ...]
    points: FloatArray
    then: Levels
    now: Levels
    change_na: FloatArray
    expected_na: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    offset_na: FloatArray
    offset_error_na: FloatArray
    offset_p_value: FloatArray
    gain: FloatArray
    gain_error: FloatArray
    correlation: FloatArray
    left_p_value: FloatArray
    n_clipped: int
    then_utc: str
    now_utc: str
    measurement: xr.Dataset

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One an output."""
        least = FALSE_ALARM / len(self.outputs)
        pairs = zip(self.p_value, self.offset_p_value, strict=True)
        return tuple(
            "changed" if p < least else "drifted" if q < least else "unchanged" for p, q in pairs
        )

    @property
    def verdict(self) -> Verdict:
        """Of the device: the worst of its outputs."""
        found = self.verdicts
        return "changed" if "changed" in found else "drifted" if "drifted" in found else "unchanged"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A line or two an output, what is wrong first."""
        return sorted_findings(stability_findings(self, false_alarm=FALSE_ALARM))


def stability_findings(found: Stability, *, false_alarm: float) -> list[Finding]:
    """A line for the change, and one each for drift, a common factor and noise where there is one.

    Parameters
    ----------
    found : Stability
    false_alarm : float
        Below which a probability counts, all outputs together.
    """
    lines: list[Finding] = []
    least = false_alarm / len(found.outputs)
    for o, name in enumerate(found.outputs):
        if np.array_equal(found.then.level[o], found.now.level[o]):
            lines.append(Finding("look", (
                f"{name} reads the same to the last digit: a simulation with the same noise again; "
                "nothing was tested, take another seed"
            )))  # fmt: skip
        verdict = found.verdicts[o]
        scale = float(np.std(found.then.level[o]))
        share = f", {found.change_na[o] / scale:.1%} of its currents" if scale > 0 else ""
        numbers = (
            f"{found.change_na[o]:.2g} nA rms{share}, where the noise of both makes "
            f"{found.expected_na[o]:.2g} nA (F = {found.statistic[o]:.3g}, "
            f"p = {found.p_value[o]:.2g})"
        )
        if np.isfinite(found.correlation[o]):
            numbers += f"; correlation {found.correlation[o]:.5f}"
        if verdict == "changed":
            lines.append(Finding("wrong", f"{name} has changed by {numbers}"))
            factor = found.gain[o] - 1
            if found.left_p_value[o] >= least and abs(factor) > _N_SIGMA * found.gain_error[o]:
                factor_text = plus_minus(found.gain[o], found.gain_error[o])
                lines.append(Finding("wrong", (
                    f"{name}: a common factor of {factor_text} "
                    "explains it: look at the gain of its converter before the device"
                )))  # fmt: skip
        else:
            lines.append(Finding("good", f"{name} is unchanged: {numbers}"))
        offset = (
            f"{name}: all currents moved together by {found.offset_na[o]:+.2g} nA, within a "
            f"measurement they wander by {found.offset_error_na[o]:.2g} nA "
            f"(p = {found.offset_p_value[o]:.2g})"
        )
        if found.offset_p_value[o] < least:
            lines.append(Finding("look", f"{offset}: drift, which is no change of the device"))
        else:
            lines.append(Finding("good", offset))
        lines += _noise(found, o, name, least)
        if not np.isfinite(found.correlation[o]):
            lines.append(Finding("wrong", (
                f"{name} does not depend on any voltage: there is nothing to compare; see "
                "`inmateria bench test`"
            )))  # fmt: skip
    if found.n_clipped:
        n = found.n_clipped + len(found.points)
        lines.append(Finding("look", (
            f"{found.n_clipped} of {n} points are at the end of an output's range and left out"
        )))  # fmt: skip
    return lines


def _noise(found: Stability, o: int, name: str, least: float) -> list[Finding]:
    then, now = float(found.then.noise[o]), float(found.now.noise[o])
    if not (then > 0 and now > 0):
        return []
    ratio = (now / then) ** 2
    # Correlated readings are worth fewer: a half of them, at this exponent.
    freedom = (found.now.freedom / 2, found.then.freedom / 2)
    tail = min(fisher.sf(ratio, *freedom), fisher.sf(1 / ratio, *freedom[::-1]))
    if 2 * tail >= least:
        return []
    return [Finding("look", (
        f"{name}: a reading's noise was {then:.2g} nA and is {now:.2g} nA: look at cables, "
        "pumps and temperature"
    ))]  # fmt: skip
