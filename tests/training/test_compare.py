"""Comparison of methods: what a run says, who judges it, statistics, files, processes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    ParameterError,
    StoppedError,
    TaskError,
    TrainingError,
)
from inmateria.rigs.noise import PowerLawNoise
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate
from inmateria.tasks import Features, Gate, Ring
from inmateria.tasks.task import task_current
from inmateria.training import compare_run
from inmateria.training.compare import compare
from inmateria.training.compare_records import RecordFile, RunRecord
from inmateria.training.compare_run import Bench, Job, Runner, stricter
from inmateria.training.compare_summary import (
    Comparison,
    expected_running_time,
    quantiles,
    solution_times,
    summarise,
)

from .stand_ins import TanhNetwork

INPUTS = ("e2", "e5")
XOR, AND = Gate("XOR", INPUTS), Gate("AND", INPUTS)
BENCH = Bench(rate_hz=1000.0)
QUICK: dict[str, Any] = {"methods": ("genetic", "cma-es"), "budget_s": 15.0, "bench": BENCH}


def record(time_s: float | None, *, spent_s: float = 100.0, **fields: Any) -> RunRecord:
    """A run that was solved at a time, or spent its budget in vain."""
    if time_s is None:
        return RunRecord("m", "t", 0, device_s=spent_s, **fields)
    return RunRecord("m", "t", 0, success=True, time_to_solution_s=time_s, device_s=time_s)


def test_a_success_is_verified_by_others_and_timed_by_its_own_reading() -> None:
    device = TanhNetwork(seed=1)
    found = compare([XOR], device, seeds=3, **QUICK)
    assert [(r.method, r.seed) for r in found.records] == [
        (m, s) for s in range(3) for m in ("genetic", "cma-es")
    ]
    won = [r for r in found.records if r.success]
    assert len(won) >= 4
    for run in won:
        current = task_current(XOR, device, list(run.controls.values()))
        # The verdict without noise is the device's own; noise of some 0.1 nA moves the margin.
        assert run.noise_free
        assert run.noise_free_margin_na == pytest.approx(float(XOR.score(current).margin_na))
        assert run.margin_na == pytest.approx(run.noise_free_margin_na, abs=1.0)
        # Met with a reserve of two on 2 nA, as read.
        assert run.noise_free_margin_na > 3.0
        assert 0 < run.time_to_solution_s <= run.device_s <= 15.0
        assert run.measurements % 4 == 0


def test_what_is_not_there_is_not_found() -> None:
    # Of 200,000 random settings of this network none gives AND a positive margin.
    found = compare([AND], TanhNetwork(seed=1), seeds=1, **QUICK)
    for run in found.records:
        assert not run.success
        assert not run.met
        assert not run.noise_free
        assert math.isnan(run.time_to_solution_s)
        # The budget was spent, and one more setting (four holds and ramps) did not fit.
        assert 15.0 - 2 * 4 * 0.045 < run.device_s <= 15.0


def test_a_lucky_reading_is_not_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that believes its own reading is judged on a fresh rig."""
    judged = compare_run.verify

    def fails(*arguments: Any, **named: Any) -> Any:
        result = judged(*arguments, **named)
        object.__setattr__(result, "passed", False)
        return result

    monkeypatch.setattr(compare_run, "verify", fails)
    (run,) = compare(
        [XOR], TanhNetwork(seed=1), seeds=1, **{**QUICK, "methods": ["genetic"]}
    ).records
    assert run.met
    assert not run.success
    assert math.isnan(run.time_to_solution_s)


def test_same_seed_same_noise_for_every_method() -> None:
    device, voltage = TanhNetwork(seed=1), np.zeros((6, 200))
    first, second, other = (BENCH.rig(device, seed).play(voltage) for seed in (3, 3, 4))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    quiet = Bench(rate_hz=1000.0, noise=None).rig(device, 3).play(voltage)
    assert np.ptp(quiet) < np.ptp(first)


def test_a_budget_too_small_is_a_row_that_says_so() -> None:
    found = compare(
        [XOR], TanhNetwork(seed=1), methods=["genetic", "homodyne"], budget_s=0.5, seeds=1,
        bench=Bench(rate_hz=10_000.0),
    )  # fmt: skip
    genetic, homodyne = found.records
    assert genetic.failure == ""
    assert "a budget of 0.5 s is too small for task XOR" in homodyne.failure
    assert not homodyne.success
    assert found.summary("homodyne").failed == 1
    assert math.isinf(found.summary("homodyne").ert_s)


def test_stricter_tasks_leave_the_reserve() -> None:
    assert stricter(XOR, 2.0).min_margin_na == 4.0
    flat = stricter(Gate("TRUE", INPUTS, min_margin_na=2.0), 2.0)
    assert isinstance(flat, Gate)
    assert flat.tolerance_na == 1.0
    assert flat.min_margin_na == 2.0
    ring = stricter(Ring(INPUTS, min_accuracy=0.9), 2.0)
    assert isinstance(ring, Ring)
    assert ring.min_accuracy == pytest.approx(0.95)
    assert np.array_equal(ring.points, Ring(INPUTS).points)
    features = Features(("e1", "e2", "e3", "e4"))
    assert stricter(features, 2.0).min_margin_na == 2 * features.min_margin_na
    assert stricter(XOR, 1.0) == XOR


def test_rings_are_held_shorter_and_judged_on_test_points() -> None:
    ring = Ring(INPUTS, n_train=20, n_test=40)
    assert BENCH.holds(ring) == {"hold_s": 0.005, "settle_s": 0.005}
    assert BENCH.holds(XOR) == {"hold_s": 0.02, "settle_s": 0.015}
    (run,) = compare(
        [ring], TanhNetwork(seed=1), seeds=1, methods=["particle-swarm"], budget_s=5.0, bench=BENCH
    ).records
    assert 0.5 <= run.accuracy <= 1.0
    assert run.accuracy * 40 == pytest.approx(round(run.accuracy * 40))


# Statistics


def test_expected_running_time_counts_what_was_spent_in_vain() -> None:
    runs = [record(10.0), record(30.0), record(None), record(None, spent_s=60.0)]
    assert expected_running_time(runs) == pytest.approx((10 + 30 + 100 + 60) / 2)
    assert expected_running_time([record(None)]) == math.inf


def test_expected_running_time_is_that_of_starting_again() -> None:
    # A run succeeds with probability p after 5 s, else takes 20 s. By first-step analysis
    # T = p 5 + (1 - p)(20 + T), so T = 5 + 20 (1 - p) / p.
    rng = np.random.default_rng(0)
    p = 0.3
    runs = [record(5.0) if rng.random() < p else record(None, spent_s=20.0) for _ in range(20_000)]
    # d T / d p = -20 / p^2; p is known to sqrt(p q / n) = 0.0032: T to 0.72; four deviations.
    assert expected_running_time(runs) == pytest.approx(5 + 20 * 0.7 / 0.3, abs=4 * 0.72)


def test_medians_take_unsolved_runs_as_longer_than_any() -> None:
    times = solution_times([record(8.0), record(None), record(2.0), record(4.0), record(None)])
    assert list(times) == [2.0, 4.0, 8.0, math.inf, math.inf]
    assert quantiles(times, (0.25, 0.5, 0.6, 0.75)) == (4.0, 8.0, 8.0, math.inf)
    summary = summarise([record(8.0), record(None)])
    assert (summary.median_s, summary.upper_quartile_s) == (8.0, math.inf)


def test_rates_have_wilson_intervals() -> None:
    # Closed form for 10 of 10: lower end 1 / (1 + z^2 / 10), z = 1.96.
    summary = summarise([record(1.0)] * 10)
    assert summary.rate_low == pytest.approx(1 / (1 + 1.959964**2 / 10), rel=1e-5)
    assert summary.rate_high == 1.0
    with pytest.raises(ParameterError, match="no run to summarise"):
        Comparison((), ("m",), ("t",), (0,), 1.0).summary("m")


# Files


def test_finished_runs_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    ran: list[str] = []
    whole = Runner.__call__

    def stops(self: Runner, job: Job) -> RunRecord:
        if len(ran) == 3:
            raise StoppedError("stopped by SIGINT")
        ran.append(job.key)
        return whole(self, job)

    monkeypatch.setattr(Runner, "__call__", stops)
    with pytest.raises(StoppedError):
        compare([XOR], TanhNetwork(seed=1), seeds=2, path=path, **QUICK)
    assert len(path.read_text().splitlines()) == 1 + 3
    path.write_bytes(path.read_bytes() + b'{"key":"torn')  # a crash in the middle of a line
    monkeypatch.undo()
    seen: list[tuple[int, int]] = []
    found = compare(
        [XOR], TanhNetwork(seed=1), seeds=2, path=path, **QUICK,
        progress=lambda done, total, _: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(3, 4), (4, 4)]
    fresh = compare([XOR], TanhNetwork(seed=1), seeds=2, **QUICK)
    assert [_timeless(r) for r in found.records] == [_timeless(r) for r in fresh.records]
    # More seeds later: only those are run.
    seen.clear()
    compare(
        [XOR], TanhNetwork(seed=1), seeds=3, path=path, **QUICK,
        progress=lambda done, total, _: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(4, 6), (5, 6), (6, 6)]


def _timeless(run: RunRecord) -> dict[str, Any]:
    return {name: value for name, value in run.to_dict().items() if name != "wall_s"}


def test_results_of_another_bench_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    RecordFile(path, {"device": {"kind": "a"}, "budget_s": 1.0})
    with pytest.raises(ConfigurationError, match="another budget_s and device; repeat its"):
        RecordFile(path, {"device": {"kind": "b"}, "budget_s": 2.0})
    with pytest.raises(ConfigurationError, match="holds a comparison with another bench"):
        compare([XOR], TanhNetwork(seed=1), seeds=1, path=path, **QUICK)


def test_records_survive_the_file_with_their_gaps(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    kept = RunRecord("spsa", "XOR", 4, failure="why", controls={"e1": 0.5})
    RecordFile(path, {}).append("k", kept)
    read = RecordFile(path, {}).get("k")
    assert read is not None
    assert _timeless(read) == _timeless(kept)
    assert math.isnan(read.loss)
    assert math.isnan(read.time_to_solution_s)
    json.loads(path.read_text().splitlines()[1])  # plain JSON, without NaN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json\n", "does not hold results of a comparison"),
        ('{"schema": "inmateria.search"}\n', "does not hold results of a comparison"),
        ('{"schema":"inmateria.comparison","schema_version":1,"setup":{}}\n{"key":"a"}\n',
         "is damaged at line 2"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(DataFileError, match=words):
        RecordFile(path, {})


# Processes


def model() -> Surrogate:
    """A device that other processes can import."""
    network = ScaledNetwork(5, 1, hidden=(8, 8))
    network.initialise(torch.Generator().manual_seed(0))
    network.set_scaling(
        input_centre=torch.zeros(5),
        input_half_width=torch.full((5,), 0.5),
        output_mean=torch.zeros(1),
        output_std=torch.full((1,), 60.0),
    )
    return Surrogate(network, tuple(Terminal(f"e{i}") for i in range(1, 6)), ("e0",))


@pytest.mark.slow
def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    alone = compare([XOR], model(), seeds=2, **QUICK)
    path = tmp_path / "results.jsonl"
    together = compare([XOR], model(), seeds=2, workers=2, path=path, **QUICK)
    assert [_timeless(r) for r in together.records] == [_timeless(r) for r in alone.records]
    assert len(path.read_text().splitlines()) == 1 + 4


def test_a_device_that_cannot_travel_needs_one_worker() -> None:
    device = TanhNetwork(seed=1)
    device.open_file: Callable[[], None] = lambda: None  # type: ignore[misc]
    with pytest.raises(TrainingError, match=r"cannot be sent to other processes.*use workers=1"):
        compare([XOR], device, seeds=2, workers=2, **QUICK)


# Bad input


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"methods": ["annealing"]}, TrainingError, "no training method 'annealing'; there are in"),
        ({"methods": []}, ParameterError, "nothing to compare"),
        ({"methods": ["spsa", "spsa"]}, ParameterError, "method spsa is named twice"),
        ({"seeds": 0}, ParameterError, "seeds is 0; give one or more"),
        ({"seeds": [1, 1]}, ParameterError, "name one twice"),
        ({"seeds": [-1]}, ParameterError, "0 or more"),
        ({"budget_s": 0.0}, ParameterError, "budget_s = 0.0 s; give more than 0 s"),
        ({"workers": 0}, ParameterError, "workers is 0"),
        ({"options": {"genetic": {"size": 3}}}, TrainingError, "'genetic' has no option 'size'"),
        ({"options": {"annealing": {}}}, TrainingError, "no training method 'annealing'"),
        ({"output": "e9"}, TaskError, "no output 'e9'"),
    ],
)
def test_nothing_is_run_of_what_cannot_be(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    monkeypatch.setattr(Runner, "__call__", lambda *_: pytest.fail("was run"))
    with pytest.raises(error, match=words):
        compare([XOR], TanhNetwork(seed=1), **{**QUICK, "seeds": 1, **changes})


def test_tasks_that_do_not_fit_are_refused_before_anything_is_run() -> None:
    with pytest.raises(ParameterError, match="task XOR is named twice"):
        compare([XOR, XOR], TanhNetwork(seed=1), seeds=1, **QUICK)
    with pytest.raises(TaskError, match="'e8' is not a terminal"):
        compare([Gate("XOR", ("e2", "e8"))], TanhNetwork(seed=1), seeds=1, **QUICK)
    with pytest.raises(TrainingError, match="SimulatedRig is no device"):
        compare([XOR], BENCH.rig(TanhNetwork(), 0), seeds=1, **QUICK)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"reserve is 0\.5; give 1 or more"):
        Bench(reserve=0.5, noise=PowerLawNoise())
