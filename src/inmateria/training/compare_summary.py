"""Success rates and times to solution of a comparison.

A run that does not succeed has no time to solution, only a time by which it was
not solved. Two figures take this censoring into account: quantiles over *all*
runs, in which an unsolved run counts as longer than any other, and the expected
running time of a method that is started again until it succeeds,

    ERT = device time spent in all runs, up to the solution / number of successes

(Auger and Hansen 2005; Hansen et al. 2009). A mean over successes alone would
favour methods that are quick where they are lucky.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError
from inmateria.survey.abundance import wilson_interval
from inmateria.training.compare_records import RunRecord


@dataclass(frozen=True)
class Summary:
    """Several runs of one method.

    Parameters
    ----------
    runs, successes, met, verified, noise_free : int
        As in `RunRecord`, counted.
    failed : int
        Runs that could not be carried out; they count as unsuccessful.
    failure : str
        Why, of the first of them.
    rate, rate_low, rate_high : float
        Share of successes, with Wilson's 95 % interval.
    ert_s : float, s
        Infinite without success.
    quartile_s, median_s, upper_quartile_s : float, s
        Device time to solution by which a quarter, half and three quarters of all
        runs are solved; infinite where fewer are.
    measurements : float
        Median over runs that could be carried out; NaN without any.
    device_s, wall_s : float, s
        Totals.
    """

    runs: int
    successes: int
    met: int
    verified: int
    noise_free: int
    failed: int
    failure: str
    rate: float
    rate_low: float
    rate_high: float
    ert_s: float
    quartile_s: float
    median_s: float
    upper_quartile_s: float
    measurements: float
    device_s: float
    wall_s: float


@dataclass(frozen=True)
class Comparison:
    """All runs of a comparison.

    Parameters
    ----------
    records : tuple of RunRecord
        Those that are finished.
    methods, tasks : tuple of str
    seeds : tuple of int
    budget_s : float, s
    setup : mapping
        What all runs share.
    """

    records: tuple[RunRecord, ...]
    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    budget_s: float
    setup: Mapping[str, Any] = field(default_factory=dict)

    def of(self, method: str | None = None, task: str | None = None) -> tuple[RunRecord, ...]:
        """Runs of one method or task, or of all."""
        return tuple(
            r for r in self.records if method in (None, r.method) and task in (None, r.task)
        )

    def summary(self, method: str, task: str | None = None) -> Summary:
        """One method on one task, or on all.

        Raises
        ------
        ParameterError
            If there is no such run.
        """
        return summarise(self.of(method, task))


def summarise(records: Sequence[RunRecord]) -> Summary:
    """Rates and times of runs.

    Raises
    ------
    ParameterError
        If there are none.
    """
    if not records:
        raise ParameterError("no run to summarise; name a method and a task that were run")
    failures = [r.failure for r in records if r.failure]
    done = [r.measurements for r in records if not r.failure]
    successes = sum(r.success for r in records)
    low, high = wilson_interval(successes, len(records))
    quartile, median, upper = quantiles(solution_times(records), (0.25, 0.5, 0.75))
    return Summary(
        runs=len(records),
        successes=successes,
        met=sum(r.met for r in records),
        verified=sum(r.verified for r in records),
        noise_free=sum(r.noise_free for r in records),
        failed=len(failures),
        failure=failures[0] if failures else "",
        rate=successes / len(records),
        rate_low=low,
        rate_high=high,
        ert_s=expected_running_time(records),
        quartile_s=quartile,
        median_s=median,
        upper_quartile_s=upper,
        measurements=float(np.median(done)) if done else math.nan,
        device_s=sum(r.device_s for r in records),
        wall_s=sum(r.wall_s for r in records),
    )


def solution_times(records: Sequence[RunRecord]) -> FloatArray:
    """Device time to solution of each run, sorted, (n_runs,) s; infinite where unsolved."""
    return np.sort([r.time_to_solution_s if r.success else np.inf for r in records])


def expected_running_time(records: Sequence[RunRecord]) -> float:
    """Device time until the first success of a method that is started again, s."""
    spent = sum(r.time_to_solution_s if r.success else r.device_s for r in records)
    successes = sum(r.success for r in records)
    return spent / successes if successes else math.inf


def quantiles(times: FloatArray, shares: Sequence[float]) -> tuple[float, ...]:
    """Times by which these shares of all runs are solved, from sorted times, s.

    No interpolation: the k-th smallest, k = ceil(share n), so that an infinite
    time never mixes with a finite one.
    """
    n = len(times)
    return tuple(float(times[max(0, math.ceil(share * n - 1e-9) - 1)]) for share in shares)
