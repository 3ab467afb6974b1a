"""The whole job through the real `nidaqmx` client: the same results as without a wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nidaqmx", reason="needs the extra 'ni'")
pytest.importorskip("grpc", reason="needs the extra 'ni'")

from inmateria.bench.bench import open_bench
from inmateria.cli.exits import run
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig
from inmateria.training.solution import load_solution
from inmateria.training.verify import verify

from .ni_server import Server

BENCH = Path(__file__).parent / "bench.toml"
SETTINGS = """
tasks = ["AND", "OR", "XOR", "NAND"]
[sample]
duration_s = 40.0
[fit]
epochs = 20
[train]
restarts = 32
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def device() -> DopantNetwork:
    return DopantNetwork()


@pytest.fixture(scope="module")
def server(device: DopantNetwork) -> Iterator[Server]:
    def rig(rate: float) -> SimulatedRig:
        return SimulatedRig(device, rate=rate, seed=7)

    with Server(rig, delay=38, patient=True) as server:
        yield server


@pytest.fixture(scope="module")
def bench(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that stands in the documentation, at the port of this server."""
    path = tmp_path_factory.mktemp("bench") / "bench.toml"
    path.write_text(BENCH.read_text().replace("127.0.0.1:31763", server.address))
    return path


def test_sample_fit_train_verify(
    server: Server, bench: Path, device: DopantNetwork, tmp_path: Path
) -> None:
    (tmp_path / "demo.toml").write_text(SETTINGS)
    assert run(["demo", "--bench", str(bench), "--config", str(tmp_path / "demo.toml"),
                "--out", str(tmp_path)]) == 0  # fmt: skip
    (folder,) = tmp_path.glob("*-demo")
    found = [json.loads(f.read_text()) for f in sorted((folder / "verifications").glob("*.json"))]
    assert len(found) == 4
    assert all(f["passed"] for f in found)
    assert all(f["fidelity"] == "measurement" for f in found)
    assert not server.chassis.held.any()
    assert open_bench(bench).last_voltages().at_rest
    # The same controls on the simulation itself, other noise: levels agree within noise.
    with Guard(SimulatedRig(device, seed=99)) as rig:
        for f in found:
            solution = load_solution(folder / "solutions" / f"{f['task']}.json")
            here = verify(solution, solution.make_task(), rig, repetitions=3)
            # What the levels have in common is slow noise (2.7 nA rms on each side), and so is
            # most of what a level has for itself: five of its measured deviations, both sides.
            difference = np.array(f["level_na"]) - here.level_na
            noise = np.hypot(f["noise_na"]["level"], here.noise.level_na)
            assert abs(difference.mean()) < 5 * np.hypot(2.7, 2.7)
            assert np.abs(difference - difference.mean()).max() < 5 * noise


def test_descent_in_the_material(server: Server, bench: Path, tmp_path: Path) -> None:
    status = run(["train", "OR", "--method", "homodyne", "--bench", str(bench), "--seed", "1",
                  "--budget-s", "60", "-o", str(tmp_path / "or")])  # fmt: skip
    assert status == 0
    verification = json.loads((tmp_path / "or" / "OR.verification.json").read_text())
    assert verification["passed"]
    assert not server.chassis.held.any()
