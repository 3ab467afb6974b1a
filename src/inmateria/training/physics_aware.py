"""Physics-aware training: forward through the device, backward through a model of it.

Wright et al. 2022 (Nature 601, 549): the loss and its slope come from what the
device really gives, and only the derivative of the device is taken from a
differentiable model, at the same controls,

    dE/dV_m = sum over points p of dE/dI_p |measured  dI_p/dV_m |model.

The model's errors no longer add up to a wrong optimum, as they do in silico: it
need only point downhill. Descent itself is that of `descend`, with an estimator
of gradients that measures the current and asks the model for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, DifferentiableDevice, check_voltage
from inmateria.errors import TrainingError
from inmateria.gradients.gradient import CLIPPED, FINE, Gradient
from inmateria.gradients.operating_points import control_index
from inmateria.rigs.guard import Guard
from inmateria.signals.waveforms import plateaus
from inmateria.training.descent import descend
from inmateria.training.on_surrogate import sample_folder, sampled_surrogate
from inmateria.training.task_on_rig import TaskOnRig

_BUDGET_SHARE = 0.5
_LONGEST_SAMPLE_S = 60.0


class ModelGradient:
    """Currents of a rig with the gradients of a model at the same voltages.

    Parameters
    ----------
    rig : Guard
    model : DifferentiableDevice
        With the rig's terminals and outputs, such as a surrogate of it.
    controls : sequence of str
        Terminals with respect to which it differentiates.
    hold_s, settle_s : float, s
        Averaged at each operating point, and waited before.

    Raises
    ------
    TrainingError
        If the model has no gradient, or is not one of this rig.
    TerminalError, ParameterError
    """

    def __init__(
        self,
        rig: Guard,
        model: Device,
        controls: Sequence[str],
        *,
        hold_s: float = 0.02,
        settle_s: float = 0.015,
    ) -> None:
        if not isinstance(model, DifferentiableDevice):
            raise TrainingError(
                f"{type(model).__name__} has no gradient to train with; give a surrogate, or leave "
                "it out to sample the rig and fit one"
            )
        for what in ("terminals", "outputs"):
            names = [_names(getattr(side, what)) for side in (model, rig)]
            if names[0] != names[1]:
                raise TrainingError(
                    f"the model has {what} {', '.join(names[0])}, the rig {', '.join(names[1])}; "
                    "give a model of this rig"
                )
        self._rig, self._model = rig, model
        self._index = control_index(rig.terminals, controls)
        self._controls = tuple(rig.terminals[i].name for i in self._index)
        self._hold_s, self._settle_s = hold_s, settle_s

    @property
    def controls(self) -> tuple[str, ...]:
        """Terminals with respect to which it differentiates."""
        return self._controls

    def seconds(self, n_points: int) -> float:
        """Time for so many operating points, ramps not counted, s."""
        return n_points * (self._hold_s + self._settle_s)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {
            "kind": "model-gradient",
            "controls": list(self._controls),
            "hold_s": self._hold_s,
            "settle_s": self._settle_s,
        }

    def extract(self, voltage: ArrayLike) -> Gradient:
        """Currents at operating points as plateaus, and the model's gradient there.

        Parameters
        ----------
        voltage : (..., n_terminals) array, V

        Returns
        -------
        Gradient
            The standard error is NaN: how wrong the model is, it does not know.
            Where the output was clipped the gradient is undefined.
        """
        points = check_voltage(self._rig.terminals, voltage)
        flat = points.reshape(-1, points.shape[-1])
        before_s = self._rig.played_s
        waveform = plateaus(
            flat,
            rate=self._rig.rate,
            hold_s=self._hold_s,
            settle_s=self._settle_s,
            slew_v_per_s=self._rig.slew_v_per_s,
            start=self._rig.last_voltage,
        )
        recording = self._rig.play(waveform)
        n_outputs = len(recording)
        current = np.asarray(waveform.plateau_mean(recording)).reshape(n_outputs, -1).T
        held = np.abs(recording[:, waveform.segment >= 0]).reshape(n_outputs, len(flat), -1)
        clipped = (held.max(axis=2) >= self._rig.current_range_na).T
        value = np.asarray(self._model.gradient(flat))[..., self._index]
        value = np.where(clipped[..., None], np.nan, value)
        batch = points.shape[:-1]
        return Gradient(
            value=value.reshape(*batch, *value.shape[1:]),
            standard_error=np.full((*batch, *value.shape[1:]), np.nan),
            current=current.reshape(*batch, n_outputs),
            controls=self._controls,
            problem=np.where(clipped, CLIPPED, FINE).reshape(*batch, n_outputs),
            linearity=None,
            measurements=len(flat),
            device_s=self._rig.played_s - before_s,
        )


def physics_aware(
    task_on_rig: TaskOnRig,
    *,
    seed: int,
    surrogate: Device | None = None,
    sample_s: float | None = None,
    base_hz: float = 8.0,
    epochs: int = 40,
    fit: dict[str, Any] | None = None,
    **descent: Any,
) -> None:
    """Descend on the device with the gradient of a surrogate.

    Parameters
    ----------
    task_on_rig : TaskOnRig
    seed : int
        Of sampling, fit and starting points.
    surrogate : Device, optional
        A model of the rig with `gradient`. Without it the rig is sampled and one
        is fitted, as the in-silico method does; this counts as device time.
    sample_s : float, optional, s
        Device time to sample for; 60 s, but no more than half of the budget.
    base_hz : float
        Of the triangles.
    epochs : int
    fit : dict, optional
        Further options of `fit_surrogate`.
    **descent
        See `descend`.

    Raises
    ------
    SearchEnded
    ParameterError, TrainingError
    """
    model: Device
    if surrogate is None:
        if sample_s is None:
            budget = task_on_rig.budget_s
            sample_s = _LONGEST_SAMPLE_S
            if budget is not None:
                sample_s = min(_BUDGET_SHARE * budget, _LONGEST_SAMPLE_S)
        with sample_folder(task_on_rig) as stem:
            model = sampled_surrogate(task_on_rig, stem, sample_s, base_hz, epochs, fit or {}, seed)
    else:
        model = surrogate
    estimator = ModelGradient(
        task_on_rig.rig,
        model,
        tuple(t.name for t in task_on_rig.terminals),
        hold_s=task_on_rig.points.hold_s,
        settle_s=task_on_rig.points.settle_s,
    )
    task_on_rig.set_up("estimator", lambda _: {"estimator": estimator.describe()})
    descend(task_on_rig, estimator, seed=seed, **descent)


def _names(items: Sequence[Any]) -> list[str]:
    return [str(getattr(item, "name", item)) for item in items]
