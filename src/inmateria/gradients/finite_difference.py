"""Central finite differences on a rig: one pair of plateaus for each control.

    dI/dV_m = (I(V + h e_m) - I(V - h e_m)) / 2h,    bias h^2 / 6 d3I/dV_m^3

Every control takes two plateaus, so the cost grows with the number of controls,
and the two are compared at low frequency, where 1/f noise is strongest: longer
holds do not help against 1/f noise and harm against anything steeper. Under
white noise alone it beats a tone of the same size and time by a factor of two
in variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, check_voltage
from inmateria.errors import ParameterError
from inmateria.gradients.gradient import FINE, Gradient
from inmateria.gradients.operating_points import Holds, OnProblem, Probe, check_on_problem
from inmateria.rigs.guard import Guard


class FiniteDifference:
    """Gradients by central differences.

    The two plateaus of a pair follow each other at once, and pairs take turns in
    beginning above and below (+ - - + ...): with an even number of
    `repetitions`, drift that is linear in time cancels.

    Parameters
    ----------
    rig : Guard
    controls : sequence of str
        Terminals with respect to which it differentiates.
    step_v : float
        h, V.
    hold_s, settle_s : float, s
        Averaged at each plateau, and waited before.
    repetitions : int
        Pairs for each control. Against 1/f noise many short pairs do better
        than one long one.
    on_problem : str
        ``"raise"``, or ``"flag"``: NaN and a `problem` where an output is clipped
        or dead.

    Raises
    ------
    TerminalError, ParameterError

    Notes
    -----
    The standard error is the noise of the output, the same for all controls and
    operating points of one call.

    - Two or more repetitions: their scatter. For 1/f^gamma noise it is right for
      gamma = 0 and up to 10 % too small between gamma = 0.5 and 1.9, because
      neighbouring pairs are anticorrelated. A steady drift makes it too large.
    - One repetition: from the drift within holds, continued to their length as a
      power law (see `operating_points`). Seven controls at one operating point
      leave it uncertain by about 40 %, more points by less. NaN where a hold is
      too short for it: below some 2 (2 + settle_s / hold_s) samples.

    The bias of a curved current is not in it.
    """

    def __init__(
        self,
        rig: Guard,
        controls: Sequence[str],
        *,
        step_v: float = 0.05,
        hold_s: float = 0.05,
        settle_s: float = 0.015,
        repetitions: int = 1,
        on_problem: OnProblem = "raise",
    ) -> None:
        if repetitions < 1:
            raise ParameterError(f"repetitions = {repetitions}; give 1 or more")
        check_on_problem(on_problem)
        self._probe = Probe(rig, controls, step_v=step_v, hold_s=hold_s, settle_s=settle_s)
        self._repetitions = int(repetitions)
        self._on_problem = on_problem

    @property
    def controls(self) -> tuple[str, ...]:
        """Terminals with respect to which it differentiates."""
        return self._probe.controls

    @property
    def reach_v(self) -> FloatArray:
        """How far each control is moved from an operating point, (n_controls,) V."""
        return self._probe.reach_v

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {
            "kind": "finite-difference",
            "controls": list(self.controls),
            "step_v": self._probe.step_v,
            "hold_s": self._probe.hold_s,
            "settle_s": self._probe.settle_s,
            "repetitions": self._repetitions,
            "on_problem": self._on_problem,
        }

    def extract(self, voltage: ArrayLike) -> Gradient:
        """Gradients at operating points.

        Parameters
        ----------
        voltage : (..., n_terminals) array, V

        Returns
        -------
        Gradient
            `current` is the mean over the plateaus around each point.

        Raises
        ------
        VoltageLimitError
            If a point is closer than `step_v` to a limit of a control; nothing
            is played then.
        ShapeError, NotFiniteError
        UndefinedGradientError
            If an output is clipped or dead and problems are to be raised.
        """
        points = check_voltage(self._probe.rig.terminals, voltage)
        n_controls, n_pairs = len(self.controls), self._repetitions
        # Signs of the first hold of each pair: + - + - ... over all pairs in their order.
        sign = np.where(np.arange(n_controls * n_pairs) % 2 == 0, 1.0, -1.0)
        moved = np.repeat(np.eye(n_controls), n_pairs, axis=0) * sign[:, None]
        offset = self._probe.step_v * np.stack([moved, -moved], axis=1).reshape(-1, n_controls)

        holds = self._probe.read(points.reshape(-1, points.shape[-1]), offset)
        n_points, _, n_outputs = holds.mean.shape
        pair = holds.mean.reshape(n_points, n_controls * n_pairs, 2, n_outputs)
        slope = sign[:, None] * (pair[:, :, 0] - pair[:, :, 1]) / (2 * self._probe.step_v)
        slopes = slope.reshape(n_points, n_controls, n_pairs, n_outputs)

        defined = (holds.problem == FINE)[..., None]
        value = np.where(defined, np.swapaxes(slopes.mean(axis=2), 1, 2), np.nan)
        error = np.where(defined, self._standard_error(slopes, holds)[:, None], np.nan)
        batch = points.shape[:-1]
        gradient = Gradient(
            value=value.reshape(*batch, n_outputs, n_controls),
            standard_error=np.broadcast_to(error, value.shape).reshape(
                *batch, n_outputs, n_controls
            ),
            current=holds.mean.mean(axis=1).reshape(*batch, n_outputs),
            controls=self.controls,
            problem=holds.problem.reshape(*batch, n_outputs),
            linearity=None,
            measurements=n_points * len(offset),
            device_s=holds.device_s,
        )
        return gradient if self._on_problem == "flag" else gradient.require_defined()

    def _standard_error(self, slopes: FloatArray, holds: Holds) -> FloatArray:
        """Of one component, (n_outputs,) nA/V."""
        if self._repetitions == 1:
            return np.asarray(np.sqrt(holds.difference_variance) / (2 * self._probe.step_v))
        scatter = slopes.var(axis=2, ddof=1).mean(axis=1) / self._repetitions
        error = np.full(scatter.shape[1], np.nan)
        for k in range(error.size):
            fine = holds.problem[:, k] == FINE
            if fine.any():
                error[k] = np.sqrt(scatter[fine, k].mean())
        return error
