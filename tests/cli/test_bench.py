"""Commands on a bench: the same results as on its device, refusals, a crash and the way back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bench.benches import fields, ni_fields, save_device, write_bench

from inmateria.bench import bench as bench_module
from inmateria.cli import demo
from inmateria.data.measurement import open_measurement
from inmateria.errors import missing_extra
from inmateria.rigs.voltage_record import read_voltage_record

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]

SMALL = """
tasks = ["OR", "TRUE", "ring"]
attempts = 1
[sample]
duration_s = 5.0
[fit]
hidden = [32, 32]
epochs = 8
[train]
inputs = ["e2", "e6"]
restarts = 16
steps = 60
min_accuracy = 0.6
ring_training_points = 20
ring_test_points = 40
[verify]
repetitions = 2
hold_s = 0.01
settle_s = 0.005
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return save_device(tmp_path)


@pytest.fixture
def bench(tmp_path: Path, device: Path) -> Path:
    return write_bench(tmp_path)


def parked(bench: Path) -> bool:
    return read_voltage_record(bench.with_suffix(".voltages")).at_rest


def test_a_sample_is_that_of_its_device(
    inmateria: Run, device: Path, bench: Path, tmp_path: Path
) -> None:
    short = ("sample", "--duration", "0.5", "--seed", "1")
    here, there = tmp_path / "here.nc", tmp_path / "there.nc"
    assert inmateria(*short, "--bench", bench, "-o", here).status == 0
    # The bench's noise has seed 1, too.
    assert inmateria(*short, "--device", device, "-o", there).status == 0
    for name in ("voltage", "current"):
        expected = open_measurement(there)[name].values
        np.testing.assert_array_equal(open_measurement(here)[name].values, expected)
    rig = json.loads(open_measurement(here).attrs["rig"])
    assert rig["bench"] == {"name": "shelf", "device": "network 4"}
    assert parked(bench)
    # Done already: nothing is driven for it again.
    assert inmateria(*short, "--bench", bench, "-o", here).status == 0


def test_the_whole_job(
    inmateria: Run, bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "N_MEASURED", 60)
    config = tmp_path / "small.toml"
    config.write_text(f'bench = "{bench}"\n{SMALL}')
    outcome = inmateria("demo", "--config", config, "--out", tmp_path / "runs")
    assert outcome.status == 0, outcome.err
    shown = [line.split(":")[0] for line in outcome.err.splitlines()]
    assert shown == ["sampling", "fitting", "training", "verifying", "judging the surrogate"]
    assert re.fullmatch(r"\d of 2 gates verified", outcome.out.splitlines()[-2])
    (run,) = (tmp_path / "runs").iterdir()
    page = (run / "report.html").read_text()
    for expected in (
        "network 4 on bench shelf (simulated), 7 terminals",
        "as the surrogate has it",
        "as measured there, noise and drift included",
        "interpolated between them",
        "compliance_na = 300.0",
    ):
        assert expected in page
    assert "Inside the device" not in page
    points = open_measurement(run / "data" / "random-points.nc")
    assert points.sizes["sample"] == 60
    assert parked(bench)
    # A model of this bench is taken there, and its resolved settings can be given again.
    again = inmateria("verify", run / "solutions", "--bench", bench, "--model",
                      run / "model" / "surrogate", "-o", tmp_path / "again")  # fmt: skip
    assert again.status == 0, again.err
    resolved = inmateria("check", run / "config.toml")
    assert resolved.status == 0, resolved.err

    # The sample in it is another one now: neither model nor solutions belong to it.
    write_bench(tmp_path, device="network 5")
    model = ("--model", run / "model" / "surrogate", "-o", tmp_path / "x")
    for arguments in (
        ("verify", run / "solutions", "--bench", bench, *model),
        ("verify", run / "solutions", "--bench", bench),
        ("train", "OR", "--method", "physics-aware", "--bench", bench, *model),
        ("check", tmp_path / "verify.toml", "--for", "verify", "--bench", bench, "--solution",
         run / "solutions"),
    ):  # fmt: skip
        (tmp_path / "verify.toml").write_text("repetitions = 1\n")
        outcome = inmateria(*arguments)
        assert_one_line(outcome, "of the device 'network 4'", "has 'network 5'", "key device")
    assert not (tmp_path / "x").exists()


def test_training_on_it(inmateria: Run, bench: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = inmateria("train", "OR", "--method", "homodyne", "--bench", bench, "--budget-s", "6",
                        "--min-margin", "0.1", "-o", out)  # fmt: skip
    assert outcome.status == 0, outcome.err
    solution = json.loads((out / "OR.json").read_text())
    assert solution["device"]["bench"]["device"] == "network 4"
    assert solution["device"]["guard"]["compliance_na"] == 300.0
    assert "network 4 on bench shelf" in (out / "report.html").read_text()
    assert parked(bench)
    outcome = inmateria("train", "OR", "--model", "m", "--bench", bench)
    assert_one_line(outcome, "--bench does not go with method in-silico")


@pytest.mark.parametrize(
    "flags",
    [("--device", "default"), ("--device", "x.json"), ("--device-seed", "3"),
     ("--engine", "exact")],
)  # fmt: skip
def test_a_bench_and_a_device(
    inmateria: Run, bench: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'bench = "{bench}"\n')
    out = ("-o", tmp_path / "out")
    for arguments in (
        ("sample", "--bench", bench, *flags, *out),
        ("sample", "--config", config, *flags, *out),
        ("verify", "s.json", "--bench", bench, *flags, *out),
        ("train", "OR", "--method", "spsa", "--bench", bench, *flags, *out),
        ("demo", "--bench", bench, *flags),
    ):
        assert_one_line(inmateria(*arguments), "bench.toml", "leave one of them out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_bench_file(inmateria: Run, bench: Path, tmp_path: Path) -> None:
    values = fields()
    del values["terminal"][2]["limits_v"]
    write_bench(tmp_path, values)
    for arguments in (
        ("check", bench),
        ("park", bench),
        ("sample", "--bench", bench),
        ("demo", "--bench", bench),
    ):
        assert_one_line(inmateria(*arguments), "bench.toml: terminal e3 has no limits")
    assert_one_line(inmateria("park", tmp_path / "none.toml"), "none.toml", "check the path")


def test_a_driver_that_is_not_installed(
    inmateria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise missing_extra("nidaqmx", "ni")

    monkeypatch.setattr(bench_module, "open_instrument", opened)
    bench = write_bench(tmp_path, ni_fields())
    out = tmp_path / "data.nc"
    outcome = inmateria("sample", "--bench", bench, "--duration", "1", "-o", out)
    # The line of the step comes first in a log.
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1] == (
        "error: nidaqmx is not installed; pip install 'inmateria[ni]'"
    )
    assert not out.exists()
    # Nothing was driven, and nothing is known of the instrument: no record says 0 V.
    assert not bench.with_suffix(".voltages").exists()
    assert inmateria("check", bench).status == 0


def test_check_of_a_bench_file(inmateria: Run, bench: Path) -> None:
    outcome = inmateria("check", bench)
    assert outcome.status == 0, outcome.err
    for expected in ("network 4", "simulated", "300 nA", "200 V/s; 0.005 s from 1 V to 0 V",
                     "nothing was driven yet", "nothing would be refused"):  # fmt: skip
        assert expected in outcome.out
    assert not bench.with_suffix(".voltages").exists()


def test_check_of_a_run(inmateria: Run, bench: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(SMALL)
    outcome = inmateria("check", config, "--bench", bench)
    assert outcome.status == 0, outcome.err
    for step in ("sampling", "verifying OR", "verifying ring", "judging the surrogate"):
        assert step in outcome.out
    # 5 s at 1000 S/s, 20 samples of lead-in and the ramps.
    sampled = re.search(r"^sampling +(\d+) ", outcome.out, flags=re.MULTILINE)
    assert sampled is not None
    assert 5020 < int(sampled[1]) < 5050
    config.write_text('method = "spsa"\ninputs = ["e2", "e6"]\nbudget_s = 30.0\n')
    outcome = inmateria("check", config, "--bench", bench, "--task", "xor")
    assert outcome.status == 0, outcome.err
    assert re.search(r"searching XOR +<= 300000 +<= 30.00", outcome.out)
    assert_one_line(inmateria("check", config, "--bench", bench), "--task XOR")
    # Without a bench: for the device that it names.
    assert inmateria("check", config, "--task", "xor").status == 0


def test_check_says_what_would_be_refused(inmateria: Run, bench: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('design = "triangles"\nbase_hz = 100.0\n')
    outcome = inmateria("check", config, "--bench", bench)
    assert "refused: sampling: triangles at base_hz = 100 Hz" in outcome.out
    assert_one_line(outcome, "c.toml would be refused", "use base_hz of at most")
    config.write_text('method = "spsa"\ninputs = ["e2", "e6"]\nbudget_s = 0.01\n')
    outcome = inmateria("check", config, "--bench", bench, "--task", "XOR")
    assert_one_line(outcome, "budget of 0.01 s is too small")
    for text, words in (
        ("seed = 1\n", ("may be settings of", "--for")),
        ("duraton_s = 1.0\n", ("duraton_s",)),
        ("duration_s: 1\n", ("TOML",)),
        ('method = "spas"\n', ("spsa",)),
    ):
        config.write_text(text)
        outcome = inmateria("check", config, "--bench", bench, "--task", "XOR")
        assert_one_line(outcome, "c.toml" if "spas" not in text else "method", *words)


def test_a_crash_and_the_way_back(inmateria: Run, bench: Path, tmp_path: Path) -> None:
    out, record = tmp_path / "data.nc", bench.with_suffix(".voltages")
    command = ("sample", "--bench", bench, "--duration", "100", "-o", out)
    process = subprocess.Popen(
        [sys.executable, "-m", "inmateria", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    part = out.with_name("data.nc.part")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 200_000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    other = inmateria("sample", "--bench", bench, "--duration", "1", "-o", tmp_path / "other.nc")
    assert "another process drives this bench" in other.err
    assert_one_line(inmateria("check", bench), "another process drives this bench")
    process.kill()
    process.communicate()
    last = read_voltage_record(record)
    assert not last.at_rest
    assert np.abs(last.held).max() <= 1.0

    short = ("sample", "--bench", bench, "--duration", "0.5", "-o", tmp_path / "other.nc")
    refused = inmateria(*short)
    assert refused.status == 2
    assert f"run `inmateria park {bench}` first" in refused.err.splitlines()[-1]
    checked = inmateria("check", bench)
    assert_one_line(checked, "may not be at 0 V", "inmateria park")
    parking = inmateria("park", bench)
    assert parking.status == 0, parking.err
    assert parking.out.startswith("brought to 0 V in ")
    assert read_voltage_record(record).at_rest
    assert "nothing to do" in inmateria("park", bench).out
    assert inmateria(*short).status == 0


def test_park_from_what_was_measured(inmateria: Run, bench: Path) -> None:
    outcome = inmateria("park", bench, "--from", "e1=0.3, e5=-0.1")
    assert outcome.out.strip() == ("brought to 0 V in 0.0015 s: e1 +0.3 V, e5 -0.1 V (as you say)")
    assert_one_line(inmateria("park", bench, "--from", "e1:0.3"), "e1:0.3", "write e1=0.3")
    assert_one_line(inmateria("park", bench, "--from", "e9=0.3"), "e9", "e1, e2")


def test_the_surrogate_of_a_bench_is_refitted_there(
    inmateria: Run, bench: Path, tmp_path: Path
) -> None:
    data, model = tmp_path / "data.nc", tmp_path / "twin"
    assert inmateria("sample", "--duration", "4", "--bench", bench, "-o", data).status == 0
    assert inmateria("fit", data, "-o", model, "--epochs", "2").status == 0
    done = inmateria("refit", model, "--bench", bench, "--duration", "3", "--epochs", "2",
                     "-o", tmp_path / "twin-2")  # fmt: skip
    assert done.status == 0, done.err
    assert parked(bench)
