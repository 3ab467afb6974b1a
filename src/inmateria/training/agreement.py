"""A surrogate held against its device at random points, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.difference import Difference, Verdict, difference
from inmateria.training.verification import write_json


@dataclass(frozen=True, eq=False)
class Levels:
    """What a device gave at random points.

    Parameters
    ----------
    terminals, outputs : tuple of str
    voltage : (n_points, n_terminals) array, V
        In the order of the visit.
    level_na : (n_points, n_outputs) array, nA
    again_na : (n_repeated, n_outputs) array, nA
        Second visits to the first points.
    clipped : int
        Points left out because the chain clipped there.
    device_s : float, s
    fidelity : str
    rig : mapping
    """

    terminals: tuple[str, ...]
    outputs: tuple[str, ...]
    voltage: FloatArray
    level_na: FloatArray
    again_na: FloatArray
    clipped: int
    device_s: float
    fidelity: str
    rig: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Agreement:
    """A surrogate and its device at random points.

    Parameters
    ----------
    levels : Levels
    outputs : tuple of str
        The surrogate's.
    measured_na, predicted_na : (n_points, n_outputs) arrays, nA
        In the order of `outputs`.
    differences : tuple of Difference
        One an output.
    stated : bool
        Whether the surrogate says its own error.
    """

    levels: Levels
    outputs: tuple[str, ...]
    measured_na: FloatArray
    predicted_na: FloatArray
    differences: tuple[Difference, ...]
    stated: bool

    @property
    def verdict(self) -> Verdict:
        """The worst of all outputs: ``"agrees"``, ``"drifted"`` or ``"parted"``."""
        found = {d.verdict for d in self.differences}
        return next((v for v in ("parted", "drifted") if v in found), "agrees")

    def sentence(self, *, refit: str = "`inmateria refit MODEL --device DEVICE -o NEW`") -> str:
        """The verdict, the numbers behind it, and the fix where one is needed."""
        d = max(self.differences, key=lambda d: ("agrees", "drifted", "parted").index(d.verdict))
        error = f"{d.error_na:.2g} +- {d.error_uncertainty_na:.1g} nA beside noise and offset"
        offset = f"offset {d.offset_na:+.2g} +- {d.offset_error_na:.1g} nA"
        stated = f"{d.stated_na:.2g} nA stated" if self.stated else "no error stated"
        allowed = f"{stated}, {d.allowed_na:.2g} nA allowed"
        if d.verdict == "agrees":
            doubt = ", exceeded by less than two standard errors: visit more points"
            allowed += doubt if d.error_na > d.allowed_na else ""
            return f"the surrogate agrees with the device: {error} ({allowed}); {offset}"
        if d.verdict == "drifted":
            return (
                f"the device has drifted, {offset} at {d.output}; for the rest the surrogate holds "
                f"({error}; {allowed}): shift thresholds by the offset, or try {refit}"
            )
        return (
            f"surrogate and device have parted at {d.output}: {error} ({allowed}); gain "
            f"{d.gain:.3f} +- {d.gain_error:.1g}, {offset}: try {refit}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "schema": "inmateria.agreement",
            "schema_version": 1,
            "verdict": self.verdict,
            "terminals": list(self.levels.terminals),
            "outputs": list(self.outputs),
            "points_v": self.levels.voltage.tolist(),
            "measured_na": self.measured_na.tolist(),
            "predicted_na": self.predicted_na.tolist(),
            "differences": [asdict(d) for d in self.differences],
            "stated": self.stated,
            "clipped": self.levels.clipped,
            "device_s": self.levels.device_s,
            "fidelity": self.levels.fidelity,
            "rig": dict(self.levels.rig),
        }

    def save(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON, all or nothing.

        Raises
        ------
        StorageError
        """
        return write_json(path, self.to_dict())


def judge(surrogate: Surrogate, levels: Levels) -> Agreement:
    """Hold a surrogate against levels of its device."""
    columns = [levels.terminals.index(t.name) for t in surrogate.terminals]
    chosen = [levels.outputs.index(name) for name in surrogate.outputs]
    predicted = surrogate.current(levels.voltage[:, columns])
    measured, again = levels.level_na[:, chosen], levels.again_na[:, chosen]
    stated = stated_error_na(surrogate)
    differences = tuple(
        difference(measured[:, k], predicted[:, k], again[:, k], output=name, stated_na=stated)
        for k, name in enumerate(surrogate.outputs)
    )
    return Agreement(
        levels, surrogate.outputs, measured, predicted, differences, stated is not None
    )


def stated_error_na(surrogate: Surrogate) -> float | None:
    """The error that a surrogate states, nA; without slow noise where it says so."""
    for name in ("validation_driftless_na", "validation_rmse_na"):
        value = surrogate.error.get(name)
        if isinstance(value, int | float) and np.isfinite(value) and value > 0:
            return float(value)
    return None
