"""Which step of a refit is kept: judged stretch by stretch on what was held out.

Two surrogates are compared on the same held-out segments. With d_s the
difference of their mean squares in segment s, a step is kept if mean(d) exceeds
so many standard errors of that mean: noise that both see alike drops out, and a
step that helps in one segment and harms in the next is not taken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inmateria.devices.device import FloatArray
from inmateria.surrogates.correction import Correction, apply_correction, find_correction
from inmateria.surrogates.drift import drift_groups, without_drift
from inmateria.surrogates.recording import Recording
from inmateria.surrogates.surrogate import Surrogate


@dataclass(frozen=True)
class Step:
    """One step of a refit.

    Parameters
    ----------
    name : str
        ``"offset"``, ``"outputs"``, ``"terminals"`` or ``"weights"``.
    error_na : float, nA
        On the held-out stretches, slow noise taken out.
    lowered_by : float
        How much the mean square is below that of the surrogate kept before, in
        standard errors of the difference; NaN for the first.
    kept : bool
    """

    name: str
    error_na: float
    lowered_by: float
    kept: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; NaN as None."""
        lowered = self.lowered_by if np.isfinite(self.lowered_by) else None
        return {**asdict(self), "lowered_by": lowered}


def corrected(
    surrogate: Surrogate, recording: Recording, held: NDArray[np.bool_], n_errors: float
) -> tuple[list[Step], Surrogate, Correction]:
    """The steps before the weights, what they end in, and its correction."""
    rows = _rows(recording, ~held)
    correction = find_correction(surrogate, rows, outputs=False, inputs=False)
    best = apply_correction(surrogate, correction)
    first = float(np.sqrt(held_out_squares(best, recording, held).mean()))
    steps = [Step("offset", first, np.nan, True)]
    for name, inputs in (("outputs", False), ("terminals", True)):
        found = find_correction(surrogate, rows, inputs=inputs)
        candidate = apply_correction(surrogate, found)
        step, best = tried(name, candidate, best, recording, held, n_errors)
        steps.append(step)
        if step.kept:
            correction = found
    return steps, best, correction


def tried(
    name: str,
    candidate: Surrogate,
    best: Surrogate,
    recording: Recording,
    held: NDArray[np.bool_],
    n_errors: float,
) -> tuple[Step, Surrogate]:
    """A step, and the better one of the surrogates before and after it."""
    after, before = (held_out_squares(s, recording, held) for s in (candidate, best))
    lowered = before - after
    error = float(lowered.std(ddof=1)) / np.sqrt(len(lowered)) if len(lowered) > 1 else np.inf
    in_errors = float(lowered.mean() / error) if error > 0 else 0.0
    kept = in_errors > n_errors
    step = Step(name, float(np.sqrt(after.mean())), in_errors, kept)
    return step, candidate if kept else best


def held_out_squares(
    surrogate: Surrogate, recording: Recording, held: NDArray[np.bool_]
) -> FloatArray:
    """Mean square error of each held-out segment without slow noise, (n_segments,) nA^2."""
    away = recording.current[held] - surrogate.current(recording.voltage[held])
    segment = recording.segment[held]
    left = without_drift(away, drift_groups(segment))
    _, number, rows = np.unique(segment, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(number, np.mean(left**2, axis=1)) / rows)


def _rows(recording: Recording, chosen: NDArray[np.bool_]) -> Recording:
    return replace(
        recording,
        voltage=recording.voltage[chosen],
        current=recording.current[chosen],
        segment=recording.segment[chosen],
    )
