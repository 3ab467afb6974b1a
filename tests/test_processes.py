"""Jobs in several processes: results, errors, deaths."""

from __future__ import annotations

import os
import signal
import time

import pytest

from inmateria.errors import ParameterError, WorkerError
from inmateria.processes import run_in_processes


class Square:
    """Squares; dies at 3 and fails at 5 where it is told to."""

    def __init__(self, *, dies: tuple[int, ...] = (), fails: int = -1) -> None:
        self.dies, self.fails = dies, fails

    def __call__(self, job: int) -> tuple[int, int, str]:
        if job in self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if job == self.fails:
            raise ParameterError(f"job {job} is wrong")
        return job**2, os.getpid(), os.environ["OMP_NUM_THREADS"]


def run(square: Square, n: int, workers: int) -> dict[int, tuple[int, int, str]]:
    found: dict[int, tuple[int, int, str]] = {}
    run_in_processes(square, range(n), workers=workers, keep=found.__setitem__)
    return found


def test_every_job_is_done_once_by_processes_of_one_thread() -> None:
    found = run(Square(), 7, 2)
    assert {job: result[0] for job, result in found.items()} == {i: i**2 for i in range(7)}
    pids = {result[1] for result in found.values()}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2
    assert {result[2] for result in found.values()} == {"1"}


def test_a_death_costs_its_own_job() -> None:
    found: dict[int, object] = {}
    with pytest.raises(WorkerError, match=r"in each of 1: 3 \(killed by SIGKILL\); what is"):
        run_in_processes(Square(dies=(3,)), range(8), workers=2, keep=found.__setitem__)
    assert sorted(found) == [0, 1, 2, 4, 5, 6, 7]


def test_when_all_are_dead_the_rest_is_not_begun() -> None:
    found: dict[int, object] = {}
    with pytest.raises(WorkerError, match=r"in each of 2: .*; 4 others were not begun"):
        run_in_processes(Square(dies=(0, 1)), range(6), workers=2, keep=found.__setitem__)
    assert found == {}


def test_an_error_ends_all() -> None:
    with pytest.raises(ParameterError, match="job 5 is wrong"):
        run(Square(fails=5), 100_000, 2)


def test_an_interruption_ends_all() -> None:
    began = time.monotonic()

    def keep(job: int, result: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_processes(Square(), range(100_000), workers=2, keep=keep)
    assert time.monotonic() - began < 60
