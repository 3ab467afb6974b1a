"""A search that was made once, for all tests of what watches it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks import Gate
from inmateria.training.solution import Solution
from inmateria.training.task_on_rig import Stop
from inmateria.training.train import train

from ..training.stand_ins import TanhNetwork  # noqa: TID252

BUDGET_S = 90.0


@dataclass(frozen=True)
class Made:
    """A finished search: its folder, its log, and what it gave."""

    folder: Path
    log: Path
    solution: Solution


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    log = folder / "XOR.search.jsonl"
    solution = train(
        Gate("XOR", ("e1", "e3"), min_margin_na=1000.0),
        SimulatedRig(TanhNetwork(), seed=1),
        method="homodyne",
        seed=3,
        log=log,
        budget_s=BUDGET_S,
        stop=Stop(iterations=30, passed=True),
        patience=8,
    )
    return Made(folder, log, solution)
