"""In-silico training for a rig: sample it, fit a surrogate, descend on that, try the result.

What Ruiz Euler et al. 2020 do, within one search: sampling costs device time,
descent through the network costs none. The winner on the surrogate is then read
at the training points, like any setting of any other method. With `rounds` above
one, more winners (of other seeds) are tried: the surrogate errs, and most where
nothing was sampled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from inmateria.data.designs import Triangles
from inmateria.data.measurement import open_measurement
from inmateria.data.sampling import LEAD_IN_S, sample
from inmateria.errors import ParameterError
from inmateria.rigs.guard import Guard
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.in_silico import Descent, in_silico
from inmateria.training.task_on_rig import TaskOnRig

DEFAULT_SAMPLE_S = 60.0
_BUDGET_SHARE = 0.8
_ROWS_PER_S = 1000.0
"""Rows that are kept: between neighbours closer than 1 ms hardly anything changes."""


def on_surrogate(
    task_on_rig: TaskOnRig,
    *,
    seed: int,
    sample_s: float | None = None,
    base_hz: float = 8.0,
    epochs: int = 40,
    fit: dict[str, Any] | None = None,
    restarts: int = 64,
    steps: int = 300,
    screening: int = 4096,
    learning_rate: float = 0.2,
    rounds: int = 1,
) -> None:
    """Train on a surrogate of the rig.

    Parameters
    ----------
    task_on_rig : TaskOnRig
        With a log, the measurement and the state of the fit lie beside it, as
        ``NAME.sample.nc`` and ``NAME.fit``.
    seed : int
        Of the sampling, the fit and the descent.
    sample_s : float, optional, s
        Device time to sample for; 60 s, but no more than 80 % of the budget.
    base_hz : float
        Of the triangles.
    epochs : int
    fit : dict, optional
        Further options of `fit_surrogate`.
    restarts, steps, screening, learning_rate
        Of `Descent`.
    rounds : int
        Winners that are tried on the rig.

    Raises
    ------
    SearchEnded
    ParameterError, TrainingError
    """
    if not rounds >= 1:
        raise ParameterError(f"rounds = {rounds}; give 1 or more")
    if sample_s is None:
        share = task_on_rig.budget_s
        sample_s = DEFAULT_SAMPLE_S if share is None else min(_BUDGET_SHARE * share, 60.0)
    how = Descent(restarts, steps, screening, learning_rate=learning_rate)
    task_on_rig.expected_iterations = rounds
    with sample_folder(task_on_rig) as stem:
        surrogate = sampled_surrogate(task_on_rig, stem, sample_s, base_hz, epochs, fit or {}, seed)
    task = task_on_rig.task
    for k in range(rounds):
        found = in_silico(
            [task],
            surrogate,
            descent=how,
            seed=seed + k,
            output=surrogate.outputs[task_on_rig.output],
        )[0]
        controls = np.array([found.controls[t.name] for t in task_on_rig.terminals])
        # The surrogate's ranges went through a file: cut what rounding may have added.
        controls = np.clip(controls, task_on_rig.low_v, task_on_rig.high_v)
        task_on_rig.measure(controls[None])
        task_on_rig.note(predicted_margin_na=float(found.score.margin_na))


def sampled_surrogate(
    task_on_rig: TaskOnRig,
    stem: Path,
    sample_s: float,
    base_hz: float,
    epochs: int,
    fit: dict[str, Any],
    seed: int,
) -> Surrogate:
    """A surrogate fitted to a sampling of the rig, which is a request of the search.

    Parameters
    ----------
    task_on_rig : TaskOnRig
    stem : Path
        From `sample_folder`: the measurement and the state of the fit are named after it.
    sample_s, base_hz
        Of the triangles.
    epochs, fit
        Of `fit_surrogate`.
    seed : int
    """
    path = stem.with_name(stem.name + ".sample.nc")
    design = Triangles(sample_s, base_hz=base_hz, seed=seed)

    def play(rig: Guard) -> dict[str, Any]:
        sample(rig, design, path=path, resume=True)
        rows = int(open_measurement(path, verify=False).sizes["sample"])
        # A recording that was interrupted counts whole, whoever played its first part.
        return {"file": path.name, "rows": rows, "device_s": rows / rig.rate + LEAD_IN_S}

    task_on_rig.set_up("sample", play, seconds=sample_s)
    dataset = open_measurement(path)
    step = max(1, round(task_on_rig.rig.rate / _ROWS_PER_S))
    task_on_rig.remark(f"fitting a surrogate to {dataset.sizes['sample'] // step} rows")
    return fit_surrogate(
        dataset.isel(sample=slice(None, None, step)),
        epochs=epochs,
        seed=seed,
        checkpoint=stem.with_name(stem.name + ".fit"),
        resume=True,
        **fit,
    ).surrogate


@contextlib.contextmanager
def sample_folder(task_on_rig: TaskOnRig) -> Iterator[Path]:
    """Where the measurement goes, and what its name begins with."""
    if task_on_rig.log is not None:
        yield task_on_rig.log.path.with_suffix("")
        return
    with TemporaryDirectory(prefix="inmateria-") as folder:
        yield Path(folder) / "search"
