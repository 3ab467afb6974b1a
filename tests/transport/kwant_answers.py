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

from inmateria.transport.gas import ElectronGas
from inmateria.transport.strip import strip_modes, transverse_modes

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


def kwant_scattering(
    gas: ElectronGas, potential_t: ArrayLike, energy_t: float, flux: float = 0.0
) -> dict[str, NDArray[Any]]:
    """Kwant's answer for potentials (n_samples, n_x, n_y) in t, for modes of both leads."""
    return kwant_answers(
        {
            "n_x": gas.n_x,
            "n_y": gas.n_y,
            "left_first_row": gas.source.first_row,
            "left_rows": gas.source.n_rows,
            "right_first_row": gas.drain.first_row,
            "right_rows": gas.drain.n_rows,
            "potential_t": potential_t,
            "energy_t": [energy_t],
            "flux": flux,
            "repeat": 1,
            "right": True,
            "around": gas.walls == "periodic",
        }
    )


def kwant_phases(
    gas: ElectronGas, answer: Mapping[str, NDArray[Any]], energy_t: float
) -> dict[str, NDArray[np.complex128]]:
    """c of either lead, (n_open,), with r_kwant[a, b] = c_a r[a, b] c_b (`docs/kwant.md`)."""
    found = {}
    for name, side, lead in (("source", "left", gas.source), ("drain", "right", gas.drain)):
        modes = strip_modes(lead.n_rows, energy_t)
        chi = transverse_modes(lead.n_rows)[:, modes.open]
        overlap = (chi * answer[f"{side}_in"][0]).sum(axis=0)
        found[name] = np.sqrt(modes.velocity) * overlap
        # Of modulus one: Kwant's modes are these, in this order and of this flux.
        np.testing.assert_allclose(np.abs(found[name]), 1, atol=1e-9)
    return found
