"""`bench test`, `iv` and `stability` from the command line, on a small simulated device."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inmateria.cli import app
from inmateria.data.device_file import save_device
from inmateria.data.first_measurements_file import IV_CURVES, SELF_TEST, STABILITY
from inmateria.data.measurement import open_measurement
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]
SMALL = DopantParameters(
    n_acceptors=5, n_donors=1, n_electrodes=4, radius_nm=40.0, electrode_width_nm=12.0,
    localisation_nm=10.0,
)  # fmt: skip
TERMINALS = ["e1", "e2", "e3"]


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bench", "iv", "stability"):
        monkeypatch.setitem(app.COMMANDS, name, (f"inmateria.cli.{name}", ""))


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = DopantNetwork(seed=3, parameters=SMALL, engine="meanfield")
    return save_device(network, tmp_path_factory.mktemp("device") / "device.json")


def run_folder(outcome: Outcome) -> Path:
    assert outcome.status == 0, outcome.err
    report = Path(outcome.out.splitlines()[-1])
    assert report.name == "report.html"
    assert "<svg" in report.read_text()
    return report.parent


def test_bench_test(inmateria: Run, device: Path, tmp_path: Path) -> None:
    outcome = inmateria("bench", "test", "--device", device, "--rate", "2000", "--noise", "1",
                        "--tone", "0.2", "--out", tmp_path)  # fmt: skip
    folder = run_folder(outcome)
    lines = outcome.out.splitlines()
    assert lines[-2].endswith("good")
    assert any(line.startswith("good: e0: noise ") for line in lines)
    assert outcome.err.startswith("bench test: ")

    found = SELF_TEST.open(folder / "data" / "self-test.nc")
    assert json.loads(found.attrs["terminals"]) == TERMINALS
    assert found["gain"].shape == (1, 3)
    assert found.attrs["findings"].splitlines() == lines[:-2]
    at_rest = open_measurement(folder / "data" / "at-rest.nc")
    assert at_rest["current"].values.mean() == pytest.approx(float(found["offset"][0]))
    assert (at_rest["voltage"].values == 0).all()
    assert "amplitude_v = 0.005" in (folder / "config.toml").read_text()


def test_iv(inmateria: Run, device: Path, tmp_path: Path) -> None:
    outcome = inmateria("iv", "--device", device, "--rate", "2000", "--terminals", "e1,e3",
                        "--points", "9", "--high", "0.5", "--rest", "e2=0.25", "--hold", "0.01",
                        "--out", tmp_path)  # fmt: skip
    folder = run_folder(outcome)
    found = IV_CURVES.open(folder / "data" / "iv-curves.nc")
    assert json.loads(found.attrs["terminals"]) == ["e1", "e3"]
    assert found["voltage"].values[:, [0, -1]].tolist() == [[-1.0, 0.5], [-1.0, 0.5]]
    raw = open_measurement(folder / "data" / "measurement.nc")
    assert raw.sizes["sample"] == 2 * 2 * 9
    voltage = raw["voltage"].values.reshape(2, 2, 9, 3)
    assert (voltage[..., 1] == 0.25).all()
    assert voltage[1, 1, :, 2].tolist() == found["voltage"].values[1, ::-1].tolist()
    # The same current in both files, the way down in order of time in one of them.
    current = raw["current"].values.reshape(2, 2, 9)
    assert (current[0, 1] == found["down"].values[0, 0, ::-1]).all()
    network = DopantNetwork(seed=3, parameters=SMALL, engine="meanfield")
    assert current.ravel() == pytest.approx(
        network.current(raw["voltage"].values)[:, 0], abs=5 * 2.7
    )


def test_stability(inmateria: Run, device: Path, tmp_path: Path) -> None:
    reference, out = tmp_path / "reference.nc", tmp_path / "runs"

    def check(*arguments: str | Path) -> Outcome:
        return inmateria("stability", "--rate", "1000", "--reference", reference, "--out", out,
                         "--strict", *arguments)  # fmt: skip

    first = check("--device", device, "--points", "12", "--passes", "4")
    assert first.status == 0
    assert first.out.splitlines()[-1] == str(reference)
    assert open_measurement(reference).sizes["sample"] == 48
    before = reference.read_bytes()

    again = check("--device", device, "--noise-seed", "1")
    folder = run_folder(again)
    assert again.out.splitlines()[-2] == "unchanged"
    found = STABILITY.open(folder / "data" / "stability.nc")
    assert found.attrs["verdict"] == "unchanged"
    assert found["points"].shape == (12, 3)

    other = save_device(
        DopantNetwork(seed=4, parameters=SMALL, engine="meanfield"), tmp_path / "other.json"
    )
    changed = check("--device", other, "--noise-seed", "2")
    assert changed.status == 2
    assert changed.out.splitlines()[-2] == "changed"
    assert changed.out.startswith("wrong: e0 has changed by ")
    assert reference.read_bytes() == before, "a reference is never overwritten"


def test_strict_bench_test(inmateria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_bench(monkeypatch, late=5)
    quick = ("bench", "test", "bench.toml", "--noise", "0.5", "--tone", "0.2", "--out", tmp_path)
    assert inmateria(*quick).status == 0
    outcome = inmateria(*quick, "--strict")
    assert outcome.status == 2
    assert "change delay_samples by +5" in outcome.out


def test_show_knows_what_was_found(inmateria: Run, tmp_path: Path) -> None:
    reference = tmp_path / "ref.nc"
    stability = ("stability", "--device", "default", "--reference", reference, "--points", "8")
    assert inmateria(*stability).status == 0
    for arguments, file, words in (
        (("iv", "--device", "default", "--points", "5"), "iv-curves.nc", ("slope", "nA/V")),
        (stability, "stability.nc", ("verdict", "unchanged", "e0 is unchanged")),
    ):
        folder = run_folder(inmateria(*arguments, "--out", tmp_path / "runs"))
        shown = inmateria("show", folder / "data" / file)
        assert shown.status == 0, shown.err
        for word in ("e1, e2", "e0", "10000 Hz", "all arrays match", *words):
            assert word in shown.out


def test_a_bench_file_opens_a_bench(
    inmateria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake_bench(monkeypatch)
    outcome = inmateria("iv", "bench.toml", "--rate", "5000", "--points", "5", "--out", tmp_path)
    folder = run_folder(outcome)
    assert asked == ["bench.toml", 5000.0]
    assert "the sill: resistors" in (folder / "report.html").read_text()
    outcome = inmateria("iv", "bench.toml", "--device", "default", "--out", tmp_path)
    assert_one_line(outcome, "bench bench.toml does not go with device default")
    assert_one_line(inmateria("stability", "--out", tmp_path), "no bench", "--device default")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("iv", "--rest", "e2"), ("--rest 'e2'", "e2=0.3")),
        (("iv", "--points", "2"), ("points",)),
        (("iv", "--terminals", "e9"), ("no terminal 'e9'",)),
        (("bench", "test", "--amplitude", "0"), ("amplitude_v",)),
        (("stability", "--reference", "device.json"), ("not a netCDF4 file",)),
    ],
)
def test_mistakes_are_one_line(
    inmateria: Run, device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], words: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(device.parent)
    outcome = inmateria(*arguments, "--device", device, "--out", tmp_path)
    # A step that was begun has its own line.
    outcome = Outcome(outcome.status, outcome.out, outcome.err.splitlines()[-1])
    assert_one_line(outcome, *words)


def fake_bench(monkeypatch: pytest.MonkeyPatch, *, late: int = 0) -> list[Any]:
    """In place of `bench.bench`: resistors, and what was asked for."""

    class Resistors:
        terminals = DopantNetwork(parameters=SMALL, seed=3).terminals
        outputs = ("e0",)

        def current(self, voltage: Any) -> Any:
            return np.asarray(voltage) @ np.array([[40.0], [10.0], [-30.0]])

        def describe(self) -> dict[str, Any]:
            return {"kind": "resistors"}

    class Late(SimulatedRig):
        behind = np.zeros((1, late))

        def play(self, voltage: Any) -> Any:
            whole = np.hstack([self.behind, super().play(voltage)])
            n = whole.shape[1] - late
            self.behind = whole[:, n:]
            return whole[:, :n]

    asked: list[Any] = []

    @contextmanager
    def guard(*, rate_hz: float | None = None, notice: Any = None) -> Iterator[Guard]:
        asked.append(rate_hz)
        with Guard(Late(Resistors(), rate=rate_hz or 10_000.0)) as opened:
            yield opened

    def open_bench(path: str) -> SimpleNamespace:
        asked.append(path)
        settings = SimpleNamespace(name="the sill", device="resistors")
        return SimpleNamespace(settings=settings, guard=guard)

    module = ModuleType("inmateria.bench.bench")
    module.open_bench = open_bench  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "inmateria.bench.bench", module)
    return asked
