"""One search on a rig, from the guard to the Solution: the same for every method."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inmateria.data.session import this_session
from inmateria.devices.device import Device
from inmateria.errors import InMateriaError, StoppedError, StorageError, TrainingError
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import Rig
from inmateria.surrogates.loop import cpu_threads
from inmateria.tasks.task import Task
from inmateria.training.search_log import SearchLog
from inmateria.training.solution import Cost, Solution
from inmateria.training.task_on_rig import SearchEnded, Stop, TaskOnRig
from inmateria.training.window_file import WindowFile, window_path

if TYPE_CHECKING:
    from inmateria.training.methods import Method

_OF_RIG = ("output", "loss", "scale_na", "hold_s", "settle_s", "reference_every")
RIG_OPTIONS = (*_OF_RIG, "stop")
"""Options of `TaskOnRig` that every method on a rig takes."""


def train_on_rig(
    task: Task,
    device: Device | Rig,
    method: Method,
    *,
    seed: int = 0,
    log: Path | None = None,
    resume: bool = False,
    budget_s: float | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    stop: Stop | None = None,
    **options: Any,
) -> Solution:
    """Search with a method on a rig; see `train`.

    Parameters
    ----------
    stop : Stop, optional
        By default a search ends when the task is passed at its training points.
    """
    of_rig = {name: options.pop(name) for name in _OF_RIG if name in options}
    # One thread: what is computed here is small, and the result does not depend on the machine.
    with cpu_threads(1), _guarded(device, seed) as rig, contextlib.ExitStack() as files:
        on_rig = TaskOnRig(
            task,
            rig,
            budget_s=budget_s,
            stop=Stop(passed=True) if stop is None else stop,
            progress=progress,
            windows=None if log is None else WindowFile(window_path(log)),
            **of_rig,
        )
        if log is not None:
            header = _header(task, rig, method.name, seed, {**of_rig, **options})
            session = {**this_session(), "budget_s": budget_s, "stop": asdict(on_rig.stop)}
            on_rig.log = files.enter_context(SearchLog(log, header, resume=resume, session=session))
        try:
            with contextlib.suppress(SearchEnded):
                method.on_rig()(on_rig, seed=seed, **options)
            current = on_rig.measure_best()
        except (StoppedError, KeyboardInterrupt) as error:
            said = str(error) or "Ctrl-C"
            with contextlib.suppress(StorageError):
                on_rig.end(said if said.startswith("stopped") else f"stopped: {said}")
            if log is None:
                raise StoppedError(f"{said}; the search kept no log") from error
            raise StoppedError(
                f"{said}; {on_rig.iterations} iterations are kept in {log}, run the same command "
                "with resume again to go on"
            ) from error
        except InMateriaError as error:
            with contextlib.suppress(StorageError):
                on_rig.end(f"failed: {error}")
            raise
        return _solution(on_rig, method.name, seed, current)


@contextlib.contextmanager
def _guarded(device: Device | Rig, seed: int) -> Iterator[Guard]:
    """The rig behind a guard, at 0 V afterwards."""
    if isinstance(device, Guard):
        # Whoever made this guard handles signals with it.
        try:
            yield device
        finally:
            device.park()
        return
    if isinstance(device, Rig):
        rig: Rig = device
    elif isinstance(device, Device):
        from inmateria.rigs.simulated import SimulatedRig

        rig = SimulatedRig(device, seed=seed)
    else:
        raise TrainingError(
            f"{type(device).__name__} is neither a device nor a rig; give something with "
            "`current` or `play`"
        )
    with Guard(rig) as guard:
        yield guard


def _header(
    task: Task, rig: Guard, method: str, seed: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What makes a search this one; a longer budget or another stop does not."""
    return {
        "task": task.describe(),
        "method": method,
        "seed": seed,
        "options": {name: _described(value) for name, value in options.items()},
        "rig": rig.describe(),
    }


def _described(value: Any) -> Any:
    for name in ("to_dict", "describe"):
        if hasattr(value, name):
            return getattr(value, name)()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _solution(on_rig: TaskOnRig, method: str, seed: int, current: Any) -> Solution:
    assert on_rig.best is not None
    task, rig = on_rig.task, on_rig.rig
    return Solution(
        task=task.name,
        task_description=task.describe(),
        inputs=task.inputs,
        controls={
            t.name: float(v) for t, v in zip(on_rig.terminals, on_rig.best.controls, strict=True)
        },
        score=task.score(current),
        current_na=tuple(current.tolist()),
        output=rig.outputs[on_rig.output],
        method=method,
        seed=seed,
        cost=Cost(on_rig.measurements, on_rig.spent_s, on_rig.wall_s),
        history=tuple(
            {name: value for name, value in row.items() if math.isfinite(value)}
            for row in on_rig.history
        ),
        device=rig.describe(),
    )
