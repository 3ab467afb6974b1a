"""What a person means by a run: the folder or file to watch."""

from __future__ import annotations

from pathlib import Path

from inmateria.data.runs import list_runs
from inmateria.errors import DataFileError
from inmateria.watch.run_state import LOG
from inmateria.watch.sampling_state import SUFFIX
from inmateria.watch.state import newest_s

RUNS = Path("runs")
_ENDINGS = (LOG, SUFFIX, ".checkpoint")
_NAMES = ("provenance.json", "results.jsonl", "checkpoint", "checkpoint.safetensors")
_FIX = "name a run folder, an output folder of a command, or a search log"


def find_target(given: Path | None) -> Path:
    """The folder or file to watch.

    Parameters
    ----------
    given : Path, optional
        A run folder, an output folder, a search log, a recording (finished or not), the stem
        or checkpoint of a fit, or a folder of runs, of which the newest is meant. Without
        one: the newest of what ``runs`` and the present folder hold.

    Raises
    ------
    DataFileError
        If there is no such thing.
    """
    if given is None:
        found = newest_run(RUNS, Path())
        if found is None:
            raise DataFileError(f"no run in {RUNS} or in the present folder; {_FIX}")
        return found
    if given.is_dir():
        return given if is_watched(given) else newest_run(given) or given
    if given.name.endswith(SUFFIX):
        given = given.with_name(given.name.removesuffix(SUFFIX))
    if given.is_file() or given.with_name(given.name + SUFFIX).is_file():
        return given
    # The stem that `fit` was given.
    for ending in (".checkpoint", ".history.json"):
        stem = given.with_name(given.name + ending)
        if stem.is_file():
            return stem
    raise DataFileError(f"{given} does not exist; {_FIX}")


def is_watched(folder: Path) -> bool:
    """Whether a folder itself holds something to watch, and not only folders that do."""
    try:
        names = [file.name for file in folder.iterdir() if file.is_file()]
    except OSError:
        return False
    return any(name.endswith(_ENDINGS) or name in _NAMES for name in names)


def newest_run(*folders: Path) -> Path | None:
    """The run or output folder in these (or one of them itself) that was written to last."""
    found: dict[Path, float] = {}
    for folder in folders:
        for path in (folder, *_inside(folder), *(run.path for run in list_runs(folder))):
            if is_watched(path):
                found[path] = newest_s(*(f for f in path.iterdir() if f.is_file())) or 0.0
    return max(found, key=lambda path: found[path], default=None)


def _inside(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and path.name[:1] != "."]
    except OSError:
        return []
