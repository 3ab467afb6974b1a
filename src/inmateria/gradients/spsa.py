"""Simultaneous perturbation: two plateaus for a gradient of any number of controls.

Along a random direction Delta of +-1 in every control (Spall 1992, IEEE Trans.
Automat. Control 37, 332),

    g_m = (I(V + c Delta) - I(V - c Delta)) / (2 c Delta_m).

The mean over directions is the gradient; one direction gives g_m plus all other
components with random signs, an interference of variance sum_{n != m} g_n^2 that
no quiet chain removes. Descent needs no better: it averages over its own steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray, check_voltage
from inmateria.errors import ParameterError
from inmateria.gradients.gradient import FINE, Gradient
from inmateria.gradients.operating_points import OnProblem, Probe, check_on_problem
from inmateria.rigs.guard import Guard


class SimultaneousPerturbation:
    """Gradients by simultaneous perturbation.

    All operating points of a call share its directions, so that a loss summed
    over them sees one perturbation. Each call draws new ones.

    Parameters
    ----------
    rig : Guard
    controls : sequence of str
        Terminals with respect to which it differentiates.
    step_v : float
        c, V: how far every control is moved.
    directions : int
        Averaged over; each costs two plateaus.
    hold_s, settle_s : float, s
        Averaged at each plateau, and waited before.
    seed : int
        Of the directions. Call k of a seed always draws the same.
    on_problem : str
        ``"raise"``, or ``"flag"``: NaN and a `problem` where an output is clipped
        or dead.

    Attributes
    ----------
    call : int
        Number of the next call; set it to go on where another estimator of the
        same seed stopped.

    Raises
    ------
    TerminalError, ParameterError

    Notes
    -----
    The standard error holds the interference of the other components. For
    several directions it is the scatter between them. For one, d being the slope
    along it, d^2 estimates |g|^2 plus the noise of a slope, and with no component
    known from another

        variance = d^2 (1 - 1/n) + noise / n,

    right in the mean over directions. It has a single degree of freedom: a
    direction along which the current happens to be flat gives small values with
    small errors.
    """

    def __init__(
        self,
        rig: Guard,
        controls: Sequence[str],
        *,
        step_v: float = 0.05,
        directions: int = 1,
        hold_s: float = 0.05,
        settle_s: float = 0.015,
        seed: int = 0,
        on_problem: OnProblem = "raise",
    ) -> None:
        if directions < 1:
            raise ParameterError(f"directions = {directions}; give 1 or more")
        if seed < 0:
            raise ParameterError(f"seed = {seed}; it must be a whole number, 0 or more")
        check_on_problem(on_problem)
        self._probe = Probe(rig, controls, step_v=step_v, hold_s=hold_s, settle_s=settle_s)
        self._directions = int(directions)
        self._seed = int(seed)
        self._on_problem = on_problem
        self.call = 0

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
            "kind": "spsa",
            "controls": list(self.controls),
            "step_v": self._probe.step_v,
            "directions": self._directions,
            "hold_s": self._probe.hold_s,
            "settle_s": self._probe.settle_s,
            "seed": self._seed,
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
            is played then, and the call does not count.
        ShapeError, NotFiniteError
        UndefinedGradientError
            If an output is clipped or dead and problems are to be raised.
        """
        points = check_voltage(self._probe.rig.terminals, voltage)
        n_controls, n = len(self.controls), self._directions
        random = np.random.default_rng([self._seed, self.call])
        delta = random.choice([-1.0, 1.0], size=(n, n_controls))
        # Drift adds the same to every slope, and Delta's random signs average it away.
        offset = self._probe.step_v * np.stack([delta, -delta], axis=1).reshape(-1, n_controls)

        holds = self._probe.read(points.reshape(-1, points.shape[-1]), offset)
        self.call += 1
        n_points, _, n_outputs = holds.mean.shape
        pair = holds.mean.reshape(n_points, n, 2, n_outputs)
        slope = (pair[:, :, 0] - pair[:, :, 1]) / (2 * self._probe.step_v)
        # Delta_m is +-1, so dividing by it is multiplying: (n_points, n, n_outputs, n_controls).
        single = slope[..., None] * delta[:, None, :]
        if n > 1:
            error = np.sqrt(single.var(axis=1, ddof=1) / n)
        else:
            noise = holds.difference_variance / (2 * self._probe.step_v) ** 2
            variance = slope[:, 0] ** 2 * (1 - 1 / n_controls) + noise / n_controls
            error = np.broadcast_to(np.sqrt(variance)[..., None], single[:, 0].shape)

        defined = (holds.problem == FINE)[..., None]
        batch = points.shape[:-1]
        gradient = Gradient(
            value=np.where(defined, single.mean(axis=1), np.nan).reshape(
                *batch, n_outputs, n_controls
            ),
            standard_error=np.where(defined, error, np.nan).reshape(*batch, n_outputs, n_controls),
            current=holds.mean.mean(axis=1).reshape(*batch, n_outputs),
            controls=self.controls,
            problem=holds.problem.reshape(*batch, n_outputs),
            linearity=None,
            measurements=n_points * len(offset),
            device_s=holds.device_s,
        )
        return gradient if self._on_problem == "flag" else gradient.require_defined()
