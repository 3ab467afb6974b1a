"""Descent in materia by name: each method is an estimator on the rig and `descend`.

`homodyne` drives all controls at once, `homodyne_sequential` one after another;
`finite_difference` and `spsa` are what they are compared with. `**descent` are
the options of `descend`.
"""

from __future__ import annotations

from typing import Any

from inmateria.errors import ParameterError, UndefinedGradientError
from inmateria.gradients.calibration import Calibration, calibrate
from inmateria.gradients.finite_difference import FiniteDifference
from inmateria.gradients.gradient import GradientEstimator
from inmateria.gradients.homodyne import Homodyne
from inmateria.gradients.lockin_measurement import DemodulatorName
from inmateria.gradients.plan_tones import plan_tones
from inmateria.gradients.spsa import SimultaneousPerturbation
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.training.descent import descend
from inmateria.training.task_on_rig import TaskOnRig

_CALIBRATION_WINDOW_S = 0.1
_CALIBRATION_WAIT_S = 0.01
_CALIBRATION_POINTS = 4
_LEAST_FREQUENCIES = 6  # that `calibrate` uses
_TRIES = 5
"""Sets of random points tried for a calibration: one of them may clip."""


class TimedDifference(FiniteDifference):
    """Finite differences that know how long they take."""

    def seconds(self, n_points: int) -> float:
        """Two plateaus a control, repetition and point; ramps not counted, s."""
        return _plateaus_s(self.describe(), n_points * len(self.controls), "repetitions")


class TimedPerturbation(SimultaneousPerturbation):
    """Simultaneous perturbation that knows how long it takes."""

    def seconds(self, n_points: int) -> float:
        """Two plateaus a direction and point; ramps not counted, s."""
        return _plateaus_s(self.describe(), n_points, "directions")


def homodyne(
    task_on_rig: TaskOnRig,
    *,
    seed: int,
    duration_s: float = 0.1,
    wait_s: float | None = None,
    amplitude_v: float = 8e-3,
    low_hz: float | None = None,
    high_hz: float | None = None,
    mains_hz: float | None = 50.0,
    demodulator: DemodulatorName = "least_squares",
    calibration: Calibration | None = None,
    calibrated: bool = True,
    parallel: bool = True,
    **descent: Any,
) -> None:
    """Gradient descent by homodyne gradient extraction (Boon et al. 2025).

    Parameters
    ----------
    task_on_rig : TaskOnRig
    seed : int
    duration_s, wait_s : float, s
        Window at each point, and the wait before it (15 ms by default).
    amplitude_v : float, V
        Of every tone.
    low_hz, high_hz : float, optional
        Band of the tones.
    mains_hz : float or None
    demodulator : str
        ``"least_squares"``, ``"hann"`` or ``"butterworth"``.
    calibration : Calibration, optional
        Of this rig's chain, measured before.
    calibrated : bool
        Without a calibration, measure one first; it counts as device time. Off,
        the chain is taken to change nothing.
    parallel : bool
        All controls at once, or each in a window of its own.
    **descent
        See `descend`.

    Raises
    ------
    SearchEnded
    FrequencyPlanError, CalibrationError
    """
    rig = task_on_rig.rig
    names = tuple(t.name for t in task_on_rig.terminals)
    plan = plan_tones(
        len(names),
        rig.rate,
        duration_s,
        # Only its shape matters here: it says that low frequencies are noisier.
        PowerLawNoise(),
        amplitude_v=amplitude_v,
        low_hz=low_hz,
        high_hz=high_hz,
        mains_hz=mains_hz,
        parallel=parallel,
        taper="hann" if demodulator == "hann" else "none",
        wait_s=wait_s,
        slew_v_per_s=rig.slew_v_per_s,
    )
    if calibration is None and calibrated:
        # `calibrate` rounds down to an odd number of cycles of its own window.
        top = float(plan.frequency_hz.max()) + 2 / _CALIBRATION_WINDOW_S
        windows = _CALIBRATION_POINTS * max(len(names), _LEAST_FREQUENCIES)
        result = task_on_rig.set_up(
            "calibration",
            lambda rig: _calibration(rig, names, high_hz=top, seed=seed).to_dict(),
            seconds=windows * (_CALIBRATION_WINDOW_S + _CALIBRATION_WAIT_S),
        )
        calibration = Calibration.from_dict(result)
    estimator = Homodyne(
        rig,
        plan,
        names,
        demodulator=demodulator,
        calibration=calibration,
        on_problem="flag",
    )
    _descend(task_on_rig, estimator, seed, descent)


def homodyne_sequential(task_on_rig: TaskOnRig, *, seed: int, **options: Any) -> None:
    """`homodyne` with a window for each control in turn; the same options but `parallel`."""
    if "parallel" in options:
        raise ParameterError(
            "homodyne-sequential modulates one control at a time; leave out parallel, or use "
            "method 'homodyne'"
        )
    homodyne(task_on_rig, seed=seed, parallel=False, **options)


def finite_difference(
    task_on_rig: TaskOnRig,
    *,
    seed: int,
    step_v: float = 0.05,
    difference_hold_s: float = 0.05,
    difference_settle_s: float = 0.015,
    repetitions: int = 1,
    **descent: Any,
) -> None:
    """Gradient descent by central finite differences: two plateaus a control and point.

    Parameters
    ----------
    task_on_rig : TaskOnRig
    seed : int
    step_v : float, V
    difference_hold_s, difference_settle_s : float, s
        Averaged at each plateau of a difference, and waited before.
    repetitions : int
    **descent
        See `descend`.
    """
    estimator = TimedDifference(
        task_on_rig.rig,
        tuple(t.name for t in task_on_rig.terminals),
        step_v=step_v,
        hold_s=difference_hold_s,
        settle_s=difference_settle_s,
        repetitions=repetitions,
        on_problem="flag",
    )
    _descend(task_on_rig, estimator, seed, descent)


def spsa(
    task_on_rig: TaskOnRig,
    *,
    seed: int,
    step_v: float = 0.05,
    directions: int = 1,
    difference_hold_s: float = 0.05,
    difference_settle_s: float = 0.015,
    **descent: Any,
) -> None:
    """Descent by simultaneous perturbation: two plateaus a direction and point.

    Parameters
    ----------
    task_on_rig : TaskOnRig
    seed : int
        Of the starting points and of the directions.
    step_v : float, V
    directions : int
        Averaged in each iteration.
    difference_hold_s, difference_settle_s : float, s
    **descent
        See `descend`.
    """
    estimator = TimedPerturbation(
        task_on_rig.rig,
        tuple(t.name for t in task_on_rig.terminals),
        step_v=step_v,
        directions=directions,
        hold_s=difference_hold_s,
        settle_s=difference_settle_s,
        seed=seed,
        on_problem="flag",
    )
    _descend(task_on_rig, estimator, seed, descent)


def _descend(
    task_on_rig: TaskOnRig, estimator: GradientEstimator, seed: int, descent: dict[str, Any]
) -> None:
    task_on_rig.set_up("estimator", lambda _: {"estimator": estimator.describe()})
    descend(task_on_rig, estimator, seed=seed, **descent)


def _plateaus_s(settings: dict[str, Any], n: int, repeated: str) -> float:
    return float(2 * n * settings[repeated] * (settings["hold_s"] + settings["settle_s"]))


def _calibration(
    rig: Guard, controls: tuple[str, ...], *, high_hz: float, seed: int
) -> Calibration:
    """At the first set of random points where nothing is clipped."""
    for k in range(_TRIES):
        try:
            return calibrate(
                rig,
                controls,
                high_hz=high_hz,
                duration_s=_CALIBRATION_WINDOW_S,
                wait_s=_CALIBRATION_WAIT_S,
                n_points=_CALIBRATION_POINTS,
                seed=seed + k,
            )
        except UndefinedGradientError:
            if k == _TRIES - 1:
                raise
    raise AssertionError("not reached")
