"""Losses with a known minimum in place of a task on a rig; a gate that is there to be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks.gates import Gate
from inmateria.training.task_on_rig import SearchEnded, Stop, TaskOnRig

from .stand_ins import TanhNetwork

LOW_V, HIGH_V = -1.0, 2.0


@dataclass(frozen=True)
class Answer:
    """The settings themselves, as if they were currents."""

    current_na: FloatArray


class KnownLoss:
    """A function of the controls, `n_controls` of them from -1 V to 2 V, and all that was asked."""

    def __init__(
        self,
        loss: Callable[[FloatArray], FloatArray],
        n_controls: int = 3,
        *,
        most: int | None = None,
    ) -> None:
        self.low_v = np.full(n_controls, LOW_V)
        self.high_v = np.full(n_controls, HIGH_V)
        self.loss, self.most = loss, most
        self._asked: list[FloatArray] = []

    @property
    def asked(self) -> FloatArray:
        """(n_settings, n_controls) V, in order."""
        return np.concatenate(self._asked)

    @property
    def losses(self) -> FloatArray:
        """(n_settings,), in order."""
        return self.loss(self.asked)

    def measure(self, controls: FloatArray) -> Answer:
        if self.most is not None and sum(map(len, self._asked)) + len(controls) > self.most:
            raise SearchEnded("the budget is spent")
        assert (controls >= LOW_V).all()
        assert (controls <= HIGH_V).all()
        self._asked.append(np.array(controls))
        return Answer(controls)

    def loss_of(self, current_na: FloatArray) -> FloatArray:
        return self.loss(current_na)

    def note(self, **fields: float) -> None:
        assert all(np.isfinite(v) or v == np.inf for v in fields.values())


def sphere(controls: FloatArray) -> FloatArray:
    """|V - 0.3|^2: zero at 0.3 V on each control."""
    return np.asarray(((controls - 0.3) ** 2).sum(-1))


def rosenbrock(controls: FloatArray) -> FloatArray:
    """A curved valley, zero at 1 V on each control."""
    x, y = controls[..., :-1], controls[..., 1:]
    return np.asarray((100 * (y - x**2) ** 2 + (1 - x) ** 2).sum(-1))


def gate_on_rig(name: str = "XOR", *, budget_s: float = 120.0, seed: int = 0) -> TaskOnRig:
    """A gate on the analytic network, noise on; rare with this margin, but there."""
    rig = Guard(SimulatedRig(TanhNetwork(seed=1), rate=1000.0, seed=seed))
    gate = Gate(name, inputs=("e2", "e5"), min_margin_na=5.0)
    return TaskOnRig(gate, rig, budget_s=budget_s, stop=Stop(passed=True))


def settings_to_find(search: Callable[..., None], name: str, *, n_seeds: int = 8) -> FloatArray:
    """Settings that a search asks for until it has the gate, (n_seeds,); infinite without it."""
    needed = np.full(n_seeds, np.inf)
    for seed in range(n_seeds):
        task = gate_on_rig(name, budget_s=30.0, seed=seed)
        try:
            search(task, seed=seed)
        except SearchEnded:
            assert task.best is not None
            needed[seed] = task.iterations if task.best.passed else np.inf
    return needed
