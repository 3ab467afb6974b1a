"""CMA-ES: known minima, restarts, silence, a gate on a noisy rig."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inmateria.errors import ParameterError, TrainingError
from inmateria.training.cma_es import cma_es
from inmateria.training.task_on_rig import SearchEnded

from .known_losses import KnownLoss, rosenbrock, settings_to_find, sphere


@pytest.mark.parametrize(("loss", "n"), [(sphere, 5), (rosenbrock, 2), (rosenbrock, 5)])
def test_finds_the_minimum(loss, n: int) -> None:  # type: ignore[no-untyped-def]
    task = KnownLoss(loss, n)
    cma_es(task, seed=0, generations=150)
    # Starts end when steps fall to a thousandth of the range, 3 mV. On the bowl that is
    # 5 x 3e-3^2; across the valley the loss is 100 times as steep.
    assert task.losses.min() < 5 * 3e-3**2 * (100 if loss is rosenbrock else 1)


def test_a_flat_loss_starts_again_with_twice_the_population_up_to_sixteen_times() -> None:
    task = KnownLoss(lambda v: np.zeros(v.shape[:-1]), 3)
    cma_es(task, seed=0, generations=8)
    # A flat loss ends a start in its first generation; 4 + 3 log 3 = 7.
    assert len(task.asked) == 7 * (1 + 2 + 4 + 8 + 16 + 16 + 16 + 16)


def test_readings_that_failed_do_not_stop_it() -> None:
    # Two thirds of the range cannot be read; the minimum at 0.3 V, 0.3 V can.
    task = KnownLoss(lambda v: np.where(v[..., 0] > 0.5, np.nan, sphere(v)), 2)
    cma_es(task, seed=0, generations=60)
    assert np.nanmin(task.losses) < 2 * 3e-3**2


def test_the_seed_decides_everything_and_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - the one under test
    runs = [KnownLoss(sphere) for _ in range(3)]
    for task, seed in zip(runs, (5, 5, 6), strict=True):
        cma_es(task, seed=seed, generations=4)
    assert np.array_equal(runs[0].asked, runs[1].asked)
    assert not np.array_equal(runs[0].asked, runs[2].asked)
    after = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    assert np.array_equal(before["key"], after["key"])
    assert before["pos"] == after["pos"]


def test_prints_nothing_and_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cma_signals.in").write_text("{'timeout': 0}")  # the package's own stop file
    task = KnownLoss(sphere)
    cma_es(task, seed=0, generations=40)
    assert len(task.asked) >= 40 * 7
    assert capfd.readouterr() == ("", "")
    assert [p.name for p in tmp_path.iterdir()] == ["cma_signals.in"]


def test_ends_when_the_search_is_ended() -> None:
    task = KnownLoss(sphere, most=30)
    with pytest.raises(SearchEnded):
        cma_es(task, seed=0)
    assert len(task.asked) == 30


def test_finds_a_rare_gate_sooner_than_chance() -> None:
    # Random search: median 346, and 2 % for 5 of 8 within 120 (see test_genetic).
    assert np.median(settings_to_find(cma_es, "OR")) < 120


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"population": 2}, "population is 2; give a whole number of 3 or more"),
        ({"growth": 0}, "growth is 0"),
        ({"step": 0.0}, "step is 0.0"),
        ({"generations": -1}, "generations is -1"),
    ],
)
def test_refuses(options: dict[str, float], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        cma_es(KnownLoss(sphere), seed=0, **options)  # type: ignore[arg-type]


def test_a_single_control_is_refused_with_what_to_use() -> None:
    with pytest.raises(TrainingError, match="needs two; this task leaves 1: use 'particle-swarm'"):
        cma_es(KnownLoss(sphere, 1), seed=0)
