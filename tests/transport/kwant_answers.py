"""Kwant's answers, by its own Python (`docs/kwant.md`)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kwant_peer.py"
VARIABLE = "INMATERIA_KWANT_PYTHON"


def kwant_python() -> str:
    """The Python that has Kwant; the test is skipped where there is none."""
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"{VARIABLE} is not set: docs/kwant.md says how to install Kwant for tests")
    if why := why_unusable(python):
        pytest.skip(f"{VARIABLE}={python}: {why}; docs/kwant.md says how to install Kwant")
    return python


@cache
def why_unusable(python: str) -> str:
    """Empty where that Python imports Kwant."""
    try:
        done = subprocess.run([python, "-c", "import kwant"], capture_output=True, text=True)
    except OSError as error:
        return str(error)
    last = done.stderr.strip().splitlines()[-1:]
    return " ".join(last) or "cannot import kwant" if done.returncode else ""


def kwant_answers(request: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    """The arrays that `benchmarks/kwant_peer.py` answers a request with."""
    python = kwant_python()
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "request.npz", Path(folder) / "answer.npz"
        np.savez(asked, **{name: np.asarray(value) for name, value in request.items()})
        # One thread, and no path of this environment's packages.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["OMP_NUM_THREADS"] = "1"
        done = subprocess.run(
            [python, str(SCRIPT), str(asked), str(answered)],
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise AssertionError(f"kwant_peer.py failed: {done.stderr.strip()}")
        with np.load(answered) as file:
            return {name: file[name] for name in file.files}
