"""`train` on a rig: one Solution for every method, its cost, its log, its mistakes."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    ParameterError,
    StorageError,
    TrainingError,
)
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks import Gate, Ring, Sphere
from inmateria.training.in_silico import Descent, in_silico
from inmateria.training.methods import METHODS
from inmateria.training.search_log import read_search_log
from inmateria.training.solution import load_solution
from inmateria.training.task_on_rig import Stop
from inmateria.training.train import train, train_all

from .rigs import Bumps, Recording, quiet_rig
from .stand_ins import TanhNetwork

INPUTS = ("e1", "e3")
OR = Gate("OR", INPUTS)
SMALL_FIT = {"sample_s": 3.0, "epochs": 4, "restarts": 8, "steps": 40, "screening": 64}
ON_RIG = [
    name
    for name, method in METHODS.items()
    if importlib.util.find_spec(method.where.partition(":")[0]) is not None
]


def options_for(method: str) -> dict:
    if method == "in-silico":
        return SMALL_FIT
    return {"sample_s": 3.0, "epochs": 4} if method == "physics-aware" else {}


def comparable(solution) -> dict:
    values = solution.to_dict()
    del values["cost"]["wall_s"]
    return values


@pytest.mark.parametrize("method", ON_RIG)
def test_every_method_gives_the_same_kind_of_solution(method, tmp_path):
    # Without noise: drift between the last two readings could undo a margin of 2 nA.
    rig = Recording(SimulatedRig(TanhNetwork(), noise=None))
    guard = Guard(rig)
    log = tmp_path / "or.jsonl"
    solution = train(
        OR, guard, method=method, seed=2, budget_s=60.0, log=log, **options_for(method)
    )
    assert (guard.last_voltage == 0).all()
    assert solution.score.passed
    assert solution.method == method
    assert set(solution.controls) == {"e2", "e4", "e5", "e6"}
    # What it says that it cost is what was played, but for the way back to 0 V: at most 5 ms.
    assert solution.cost.device_s == pytest.approx(guard.played_s, abs=0.0051)
    assert solution.cost.device_s - 4 * 0.045 < 60.0
    assert solution.cost.measurements > 4
    assert solution.cost.wall_s > 0
    steps = [row["step"] for row in solution.history]
    assert steps == sorted(set(steps))
    needed = {"step", "loss", "loss_best", "accuracy", "margin_na", "passed", "device_s"}
    assert all(needed <= set(row) for row in solution.history)
    assert load_solution(solution.save(tmp_path / "or.json")).to_dict() == solution.to_dict()

    # Resumed when it is over, it plays nothing and gives the same.
    idle = Recording(SimulatedRig(TanhNetwork(), noise=None))
    again = train(
        OR, Guard(idle), method=method, seed=2, budget_s=60.0, log=log, resume=True,
        **options_for(method),
    )  # fmt: skip
    assert idle.played == []
    assert comparable(again) == comparable(solution)


@pytest.mark.parametrize("method", ["homodyne", "finite-difference", "spsa", "genetic"])
def test_a_log_cut_anywhere_leads_to_the_same_solution(method, tmp_path):
    """Without noise a reading depends on its setting alone, so resuming changes nothing."""
    log = tmp_path / "search.jsonl"
    how = {"stop": Stop(iterations=6), "seed": 3, "method": method, "log": log}
    whole = train(OR, quiet_rig(Bumps()), **how)
    lines = log.read_bytes().splitlines(keepends=True)
    entries = read_search_log(log)[1]
    for kept in range(2, len(lines)):
        log.write_bytes(b"".join(lines[:kept]) + lines[kept][:17])
        rig = quiet_rig(Bumps())
        resumed = train(OR, rig, resume=True, **how)
        assert resumed.controls == whole.controls
        assert resumed.current_na == whole.current_na
        assert resumed.cost.measurements == whole.cost.measurements
        # Each restart begins at 0 V instead of at the point before: 5 ms at most.
        assert resumed.cost.device_s == pytest.approx(whole.cost.device_s, abs=0.0051)
        done = sum(entry.get("device_s", 0.0) for entry in entries[: kept - 1])
        assert rig.played_s == pytest.approx(whole.cost.device_s - done, abs=0.0101)


def test_with_noise_what_was_measured_stays_as_it_was(tmp_path):
    log = tmp_path / "search.jsonl"
    how = {"seed": 3, "method": "homodyne", "log": log}
    first = train(OR, SimulatedRig(TanhNetwork(), seed=1), stop=Stop(iterations=4), **how)
    longer = train(
        OR, SimulatedRig(TanhNetwork(), seed=1), stop=Stop(iterations=7), resume=True, **how
    )
    assert longer.history[:4] == first.history
    assert len(longer.history) == 7


def test_a_larger_budget_goes_on(tmp_path):
    log, how = tmp_path / "search.jsonl", {"seed": 3, "method": "genetic", "stop": Stop()}
    train(OR, quiet_rig(Bumps()), budget_s=3.0, log=log, **how)
    gone_on = train(OR, quiet_rig(Bumps()), budget_s=6.0, log=log, resume=True, **how)
    at_once = train(OR, quiet_rig(Bumps()), budget_s=6.0, **how)
    n = min(len(gone_on.history), len(at_once.history))
    # The way back to 0 V and out again may cost one iteration at the end of the budget.
    assert abs(len(gone_on.history) - len(at_once.history)) <= 1
    assert [r["loss"] for r in gone_on.history[:n]] == [r["loss"] for r in at_once.history[:n]]


def test_a_device_is_put_behind_a_rig_with_the_noise_of_the_seed():
    behind = train(OR, TanhNetwork(), method="genetic", seed=5)
    given = train(OR, SimulatedRig(TanhNetwork(), seed=5), method="genetic", seed=5)
    assert comparable(behind) == comparable(given)


def test_the_score_is_a_fresh_measurement_of_all_points():
    ring = Ring(INPUTS, n_train=30, n_test=40, min_accuracy=0.7)
    device = TanhNetwork()
    solution = train(ring, quiet_rig(device), method="genetic", budget_s=40.0)
    assert len(solution.current_na) == 70
    controls = [solution.controls[n] for n in ("e2", "e4", "e5", "e6")]
    voltage = np.zeros((70, 6))
    voltage[:, [0, 2]], voltage[:, [1, 3, 4, 5]] = ring.points, controls
    assert solution.current_na == pytest.approx(device.current(voltage)[:, 0])
    assert float(solution.score.accuracy) == float(ring.score(solution.current_na).accuracy)


def test_several_tasks_on_one_rig(tmp_path):
    tasks = [OR, Gate("AND", INPUTS), Gate("OR", ("e2", "e4"))]
    rig = quiet_rig()
    solutions = train_all(tasks, rig, method="genetic", log=tmp_path / "logs", budget_s=20.0)
    assert [s.task for s in solutions] == ["OR", "AND", "OR"]
    assert solutions[2].inputs == ("e2", "e4")
    assert sorted(p.name for p in (tmp_path / "logs").iterdir()) == [
        "AND.jsonl", "OR-2.jsonl", "OR.jsonl",
    ]  # fmt: skip
    ways_home = 3 * 0.005
    assert sum(s.cost.device_s for s in solutions) == pytest.approx(rig.played_s, abs=ways_home)


def test_homodyne_logs_its_calibration_and_its_tones(tmp_path):
    log = tmp_path / "search.jsonl"
    train(OR, TanhNetwork(), method="homodyne", log=log, stop=Stop(iterations=2))
    _, entries = read_search_log(log)
    assert [(e["kind"], e.get("asked")) for e in entries[:2]] == [
        ("setup", "calibration"),
        ("setup", "estimator"),
    ]
    assert entries[0]["device_s"] > 1
    assert entries[1]["result"]["estimator"]["kind"] == "homodyne"
    assert len(entries[1]["result"]["estimator"]["frequency_hz"]) == 4


def test_test_points_do_not_choose_the_winner_in_silico():
    """A task whose test points all say the opposite gets the same controls."""

    class Opposite(Ring):
        @property
        def target(self):
            return np.where(self.train, super().target, 1 - super().target)

    how = Descent(restarts=16, steps=10, screening=64)
    plain, opposite = (
        in_silico([kind(INPUTS, n_train=20, n_test=200)], TanhNetwork(), descent=how)[0]
        for kind in (Ring, Opposite)
    )
    assert plain.controls == opposite.controls
    assert plain.score.accuracy != opposite.score.accuracy


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "magic"}, TrainingError, "no training method 'magic'; there are in-silico"),
        ({"method": "homodyne", "steps": 3}, TrainingError, "no option 'steps' on a rig; there"),
        ({"method": "homodyne", "learning_rate": -1.0}, ParameterError, "learning_rate is -1.0"),
        ({"method": "homodyne-sequential", "parallel": True}, ParameterError, "use method 'homo"),
        ({"method": "homodyne", "budget_s": 1.0}, TrainingError, "set-up takes 2.64 s"),
        ({"method": "spsa", "budget_s": 0.2}, TrainingError, "iteration takes .* give"),
        ({"method": "in-silico", "budget_s": 5.0}, TrainingError, "plays nothing: leave out log"),
        ({"method": "in-silico", "log": "x.jsonl"}, TrainingError, "or give a rig"),
        ({"method": "genetic", "loss": "hinge"}, TrainingError, "no loss 'hinge'"),
    ],
)
def test_mistakes_are_named(options, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        train(OR, TanhNetwork(), **options)
    assert list(tmp_path.iterdir()) == []


def test_neither_device_nor_rig():
    with pytest.raises(TrainingError, match="int is neither a device nor a rig"):
        train(OR, 3, method="genetic")


def test_a_log_is_for_one_search(tmp_path):
    log = tmp_path / "search.jsonl"
    how = {"method": "genetic", "log": log, "stop": Stop(iterations=2)}
    train(OR, quiet_rig(), seed=1, **how)
    with pytest.raises(StorageError, match="resume it"):
        train(OR, quiet_rig(), seed=1, **how)
    others = (
        ({"seed": 2}, OR, "seed differ"),
        ({"seed": 1, "population": 30}, OR, "options differ"),
        ({"seed": 1, "hold_s": 0.03}, OR, "options differ"),
        ({"seed": 1}, Gate("AND", INPUTS), "task differ"),
        ({"seed": 1, "method": "spsa"}, OR, "method differ"),
    )
    for options, task, said in others:
        with pytest.raises(ConfigurationError, match=said):
            train(task, quiet_rig(), resume=True, **{**how, **options})
    with pytest.raises(ConfigurationError, match="rig differ"):
        train(OR, Guard(SimulatedRig(TanhNetwork())), seed=1, resume=True, **how)
    log.write_text(json.dumps({"not": "a log"}) + "\n")
    with pytest.raises(DataFileError, match="not a search log"):
        train(OR, quiet_rig(), seed=1, resume=True, **how)


@pytest.mark.slow
def test_homodyne_descends_a_sphere_with_noise_on():
    sphere = Sphere(("e1", "e3", "e5"), n_train=30, n_test=60)
    solution = train(
        sphere, TanhNetwork(n_terminals=7), method="homodyne", seed=1, stop=Stop(iterations=25),
        screening=4,
    )  # fmt: skip
    losses = [row["loss"] for row in solution.history]
    assert min(losses) < 0.8 * losses[1]
