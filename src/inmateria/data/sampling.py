"""Playing a design through a guarded rig, into a measurement file.

The terminals ramp from 0 V to where the design begins, blocks of about a second
are played and written one by one, and the terminals ramp back to 0 V whatever
happens. A recording that was stopped goes on at the first block that is missing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from inmateria.data.blocks import Header, read_journal
from inmateria.data.designs import Design, Plan
from inmateria.data.journal import Journal, journal_path, refuse_differences
from inmateria.data.provenance import parent, plain, utc_now
from inmateria.data.schema import Rows
from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError, ShapeError, StoppedError, StorageError
from inmateria.rigs.rig import Rig

# Held where the design begins before the first row, s: the electrodes and the
# low-pass behind them come to rest from the ramp.
LEAD_IN_S = 0.02

Progress = Callable[[int, int], object]


class GuardedRig(Rig, Protocol):
    """A rig that refuses bad waveforms and ramps between voltages."""

    @property
    def slew_v_per_s(self) -> float:
        """Fastest change of any terminal that it lets through, V/s."""

    def ramp_to(self, voltage: ArrayLike) -> object:
        """Ramp from where the terminals are to (n_terminals,) V."""

    def park(self) -> object:
        """Ramp all terminals to 0 V."""


def sample(
    rig: Rig,
    design: Design,
    *,
    path: str | os.PathLike[str],
    resume: bool = True,
    block_s: float = 1.0,
    progress: Progress | None = None,
    parents: Iterable[str | os.PathLike[str]] = (),
) -> Path:
    """Record a measurement: play `design` on `rig`, write it to `path`.

    Parameters
    ----------
    rig : Rig
        A `Guard`; a bare rig is put behind one with its default limits.
    design : Sinusoids, Triangles or Plateaus
    path : path of the measurement file; rows gather in ``NAME.nc.part`` beside it
    resume : bool
        Go on with an unfinished recording, and leave a finished one as it is.
        Otherwise refuse where there is one.
    block_s : float
        Seconds played at a time, about; what a crash loses at most.
    progress : callable, optional
        Called with (rows done, rows in all) at the start and after each block.
    parents : paths of files that this measurement follows from
        Each is kept with its SHA-256.

    Returns
    -------
    Path
        Of the finished file.

    Raises
    ------
    SlewLimitError, VoltageLimitError, ParameterError
        If the design does not suit the rig; nothing has been played then.
    ConfigurationError
        If what is at `path` belongs to another recording.
    StorageError
        If the disk is full; all blocks before are kept.
    StoppedError
        If asked to stop; all blocks before are kept.
    """
    if not block_s > 0:
        raise ParameterError(f"block_s = {block_s} s; give a time above zero")
    if not hasattr(rig, "ramp_to"):
        from inmateria.rigs.guard import Guard

        with Guard(rig) as guard:
            return sample(
                guard,
                design,
                path=path,
                resume=resume,
                block_s=block_s,
                progress=progress,
                parents=parents,
            )
    guarded = cast("GuardedRig", rig)
    target = Path(path)
    plan = design.plan(rig.terminals, rate=rig.rate, slew_v_per_s=guarded.slew_v_per_s)
    header = Header(
        identity=_identity(rig, design, plan),
        notes={"started_utc": utc_now(), "parents": [parent(p) for p in parents]},
        n_rows=plan.n_rows,
    )
    if target.is_dir():
        raise StorageError(f"{target} is a folder; name a file in it, such as {target / 'data.nc'}")
    if target.exists() and not journal_path(target).exists():
        _check_finished(target, header, resume=resume)
        if progress is not None:
            progress(plan.n_rows, plan.n_rows)
        return target
    with Journal(target, header, resume=resume) as journal:
        if progress is not None:
            progress(journal.n_rows, plan.n_rows)
        if journal.n_rows < plan.n_rows:
            _check_space(target, header, done=journal.n_rows)
            try:
                _record(guarded, plan, journal, block_s=block_s, progress=progress)
            except StoppedError as error:
                # counted in the file: the stop may have come right after a block was written
                kept = read_journal(journal.part).n_rows
                raise StoppedError(
                    f"{error}; {kept} of {plan.n_rows} rows are kept in {journal.part}, "
                    "run the same command again to go on"
                ) from error
            finally:
                guarded.park()
        return journal.finish()


def play_design(rig: GuardedRig, design: Design, *, block_s: float = 1.0) -> None:
    """Play what `sample` would play, and keep nothing: for a rehearsal.

    Raises
    ------
    SlewLimitError, VoltageLimitError, ParameterError
    """
    plan = design.plan(rig.terminals, rate=rig.rate, slew_v_per_s=rig.slew_v_per_s)
    try:
        _record(rig, plan, _Nowhere(), block_s=block_s, progress=None)
    finally:
        rig.park()


class _Rows(Protocol):
    """Where rows go."""

    @property
    def n_rows(self) -> int:
        """How many went there so far."""

    def append(self, block: Rows) -> None:
        """The next ones."""


class _Nowhere:
    """Counts rows and forgets them."""

    n_rows = 0

    def append(self, block: Rows) -> None:
        self.n_rows += len(block)


def _record(
    rig: GuardedRig, plan: Plan, journal: _Rows, *, block_s: float, progress: Progress | None
) -> None:
    block_rows = max(1, round(block_s * plan.rows_per_s))
    start = plan.start(journal.n_rows)
    rig.ramp_to(start)
    rig.play(np.repeat(start[:, None], max(1, round(LEAD_IN_S * rig.rate)), axis=1))
    while journal.n_rows < plan.n_rows:
        first = journal.n_rows
        block = plan.block(first, min(block_rows, plan.n_rows - first))
        current = _recorded(rig, block.voltage)
        journal.append(block.rows(current, current_range_na=rig.current_range_na))
        if progress is not None:
            progress(journal.n_rows, plan.n_rows)


def _check_space(path: Path, header: Header, *, done: int) -> None:
    """Refuse a recording that the disk has no room for before it begins.

    The rest of the journal and, at the end, the file beside it.
    """
    per_row = 8 * len(header.terminals) + 9 * len(header.outputs) + 4
    needed = per_row * (2 * header.n_rows - done)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise StorageError(
            f"{path} takes {needed / 1e6:.0f} MB while it is made and {free / 1e6:.0f} MB are "
            "free; free space or choose another folder"
        )


def _recorded(rig: Rig, voltage: FloatArray) -> FloatArray:
    current = np.asarray(rig.play(voltage), dtype=np.float64)
    expected = (len(rig.outputs), voltage.shape[1])
    if current.shape != expected:
        raise ShapeError(
            f"the rig recorded {current.shape}, not (n_outputs, n_samples) = {expected}; "
            "check its driver"
        )
    return current


def _identity(rig: Rig, design: Design, plan: Plan) -> dict[str, Any]:
    described = plain(rig.describe())
    chosen = plain(design.to_json())
    points = getattr(plan, "points_sha256", None)
    if points is not None:
        chosen["points_sha256"] = points
    return {
        "design": chosen,
        "device": _device(described),
        "rig": described,
        "rate_hz": float(rig.rate),
        "fidelity": rig.fidelity,
        "terminals": [[t.name, float(t.low_v), float(t.high_v)] for t in rig.terminals],
        "outputs": list(rig.outputs),
    }


def _device(described: Any) -> Any:
    """The device, however deep in the description of its chain."""
    while isinstance(described, dict):
        if "device" in described:
            return described["device"]
        described = described.get("rig")
    return {}


def _check_finished(path: Path, header: Header, *, resume: bool) -> None:
    import json

    from inmateria.data.measurement import open_measurement
    from inmateria.data.schema import outputs_of, terminals_of

    if not resume:
        raise StorageError(f"{path} exists and is not overwritten; move it or name another file")
    dataset = open_measurement(path)
    kept = {key: json.loads(dataset.attrs[key]) for key in ("design", "device", "rig")}
    kept |= {key: dataset.attrs[key] for key in ("rate_hz", "fidelity")}
    kept["terminals"] = [[t.name, t.low_v, t.high_v] for t in terminals_of(dataset)]
    kept["outputs"] = list(outputs_of(dataset))
    refuse_differences(path, kept, header.identity)
