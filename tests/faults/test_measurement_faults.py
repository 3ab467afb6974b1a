"""Kills, flipped bits, cut files: a recording keeps what was written, or says what is wrong."""

from __future__ import annotations

import json
import random
import runpy
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from inmateria.data.blocks import read_journal
from inmateria.data.designs import Triangles
from inmateria.data.measurement import open_measurement, write_measurement
from inmateria.data.schema import VARIABLES, measurement
from inmateria.devices.device import Terminal
from inmateria.errors import DataFileError, DataIntegrityError, SchemaVersionError

OHMIC = Path(__file__).parents[1] / "data" / "ohmic.py"

# 3,000 rows of 0.2 ms each in blocks of 50: sixty blocks, 0.6 s of playing
CHILD = f"""
import os, pathlib, runpy, signal, sys
import numpy as np
from inmateria.data.designs import Triangles
from inmateria.data.sampling import sample
from inmateria.errors import InMateriaError
from inmateria.rigs.guard import Guard

rig = runpy.run_path({str(OHMIC)!r})["OhmicRig"](seconds_per_sample=2e-4)

def progress(done, total):
    print(done, flush=True)

def record(path):
    design = Triangles(3.0, base_hz=2.0, seed=6)
    with Guard(rig) as guard:
        return sample(guard, design, path=path, block_s=0.05, progress=progress)
"""


def child(path: Path, *lines: str) -> subprocess.Popen[str]:
    """A process that records to `path`; `lines` run before it does."""
    call = """
        try:
            record(sys.argv[1])
        except InMateriaError as error:
            print("error:", error)
            print("volts:", np.abs(rig.held_voltage).max())
            sys.exit(2)
    """
    script = "\n".join([CHILD, *lines, textwrap.dedent(call)])
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows_of(path: Path) -> np.ndarray:
    dataset = open_measurement(path)
    return np.concatenate([dataset["voltage"].values, dataset["current"].values], axis=1)


def wait_for_rows(process: subprocess.Popen[str]) -> None:
    """Until the process has said how many rows there are when it begins."""
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()


@pytest.mark.parametrize(("seed", "n_kills"), [(1, 2), pytest.param(2, 12, marks=pytest.mark.slow)])
def test_kills_at_random_moments_cost_a_block_at_most(
    seed: int, n_kills: int, tmp_path: Path
) -> None:
    path, part = tmp_path / "m.nc", tmp_path / "m.nc.part"
    delay = random.Random(seed)
    kept = np.empty((0, 5))
    for _ in range(n_kills):
        process = child(path)
        wait_for_rows(process)
        time.sleep(delay.uniform(0, 0.5))
        process.kill()
        out, _ = process.communicate()
        if path.exists():
            break
        said = [int(line) for line in out.split() if line.isdigit()]
        now = rows_of(part)
        # all that it reported is there, and all that was there before is still the same
        assert len(now) >= max([len(kept), *said])
        np.testing.assert_array_equal(now[: len(kept)], kept)
        kept = now
    process = child(path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(kept) > 0
    whole = rows_of(path)
    assert whole.shape == (3000, 5)
    np.testing.assert_array_equal(whole[: len(kept)], kept)
    # rows follow from the design alone: Ohm's law, at the voltages of an undisturbed recording
    rig = runpy.run_path(str(OHMIC))["OhmicRig"]()
    plan = Triangles(3.0, base_hz=2.0, seed=6).plan(rig.terminals, rate=1e3, slew_v_per_s=200.0)
    voltage = plan.block(0, 3000).voltage
    expected = np.concatenate([voltage, rig.conductance @ voltage]).T
    np.testing.assert_allclose(whole, expected, rtol=0, atol=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["m.nc"]


@pytest.mark.parametrize("moment", ["os.replace", "pathlib.Path.unlink"])
def test_a_kill_while_the_file_is_completed(moment: str, tmp_path: Path) -> None:
    path = tmp_path / "m.nc"
    process = child(path, f"{moment} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert read_journal(tmp_path / "m.nc.part").n_rows == 3000
    process = child(path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    # nothing was measured again
    assert out.split() == ["3000"]
    assert rows_of(path).shape == (3000, 5)
    assert [p.name for p in tmp_path.iterdir()] == ["m.nc"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_all_blocks_and_ends_at_0_v(number: signal.Signals, tmp_path: Path) -> None:
    # 6 s of playing, so that the signal comes into the middle on a busy machine as well
    process = child(tmp_path / "m.nc", "rig.seconds_per_sample = 2e-3")
    wait_for_rows(process)
    time.sleep(0.4)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    *counts, message, volts = out.splitlines()
    assert message.startswith(f"error: stopped by {number.name}")
    assert volts == "volts: 0.0"
    n_rows = read_journal(tmp_path / "m.nc.part").n_rows
    assert n_rows >= max([0, *map(int, counts)])
    assert f"; {n_rows} of 3000 rows are kept in {tmp_path / 'm.nc.part'}, run" in message
    assert n_rows < 3000


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    dataset = measurement(
        rng.uniform(-1, 1, (200, 3)),
        rng.normal(0, 20, (200, 2)),
        terminals=[Terminal("e1"), Terminal("e2", -0.5, 0.7), Terminal("e3")],
        outputs=["out", "second"],
        rate_hz=1e4,
        fidelity="measurement",
        segment=np.arange(200) // 20,
        clipped=rng.uniform(size=200) > 0.9,
        device={"kind": "test"},
        seed=4,
    )
    return write_measurement(tmp_path_factory.mktemp("finished") / "m.nc", dataset)


def flipped(source: Path, target: Path, *places: int) -> Path:
    damaged = bytearray(source.read_bytes())
    for at in places:
        damaged[at] ^= 1 << (at % 8)
    target.write_bytes(damaged)
    return target


@pytest.mark.parametrize("name", [n for n, (_, kind, _) in VARIABLES.items() if kind != "str"])
def test_a_flipped_bit_in_an_array_names_it(name: str, finished: Path, tmp_path: Path) -> None:
    with h5py.File(finished, "r") as file:
        variable = file[name]
        if variable.chunks is None:
            start, size = variable.id.get_offset(), variable.nbytes
        else:
            chunk = variable.id.get_chunk_info(0)
            start, size = chunk.byte_offset, chunk.size
    original = open_measurement(finished)
    unnoticed = 0
    for at in np.linspace(start, start + size - 1, 12).astype(int):
        path = flipped(finished, tmp_path / "m.nc", int(at))
        try:
            dataset = open_measurement(path)
        except DataIntegrityError as error:
            message = str(error)
        else:
            unnoticed += 1
            xr.testing.assert_identical(dataset, original)
            continue
        assert f"variable {name} " in message
        assert "\n" not in message
    # a packed stream ends in a few bits that mean nothing; a plain array has none
    assert unnoticed <= (1 if name in ("clipped", "segment") else 0)


@pytest.mark.parametrize("names", [b"e2", b"second"])
def test_a_flipped_bit_in_a_name(names: bytes, finished: Path, tmp_path: Path) -> None:
    for at in [
        i for i in range(finished.stat().st_size) if finished.read_bytes()[i:].startswith(names)
    ]:
        with pytest.raises(DataFileError):
            open_measurement(flipped(finished, tmp_path / "m.nc", at))


def test_a_flipped_bit_anywhere_is_an_error_or_changes_nothing(
    finished: Path, tmp_path: Path
) -> None:
    original = open_measurement(finished)
    size = finished.stat().st_size
    messages = []
    for at in random.Random(5).sample(range(size), 200):
        try:
            dataset = open_measurement(flipped(finished, tmp_path / "m.nc", at))
        except DataFileError as error:
            messages.append(str(error))
        else:
            xr.testing.assert_identical(dataset, original)
    assert all("\n" not in message for message in messages)
    # plain arrays alone take 200 rows of 40 bytes; four standard deviations below their share
    share = 200 * 40 / size
    assert len(messages) > 200 * share - 4 * np.sqrt(200 * share * (1 - share))


def test_a_file_cut_at_any_length_is_an_error(finished: Path, tmp_path: Path) -> None:
    whole = finished.read_bytes()
    cut = tmp_path / "cut.nc"
    for length in [0, 1, 7, 8, 48, 100, *range(512, len(whole), 997), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(DataFileError) as caught:
            open_measurement(cut)
        assert str(cut) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_newer_schema_is_refused(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "newer.nc"
    path.write_bytes(finished.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 2
    with pytest.raises(SchemaVersionError, match=r"version 2 and inmateria reads up to 1; update"):
        open_measurement(path)


def test_a_lost_array_is_an_error(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "lost.nc"
    path.write_bytes(finished.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["segment"]
    with pytest.raises(DataFileError, match="lacks the variable segment"):
        open_measurement(path)


def test_a_disk_that_fills_at_any_point_leaves_no_half_file(tmp_path: Path) -> None:
    """HDF5's own driver kills the process here; ours gives one line and keeps the old file."""
    script = """
        import json, pathlib, resource, signal, sys
        import numpy as np
        from inmateria.data.measurement import write_measurement
        from inmateria.data.schema import measurement
        from inmateria.devices.device import Terminal
        from inmateria.errors import StorageError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        folder = pathlib.Path(sys.argv[1])
        rng = np.random.default_rng(0)
        dataset = measurement(
            rng.uniform(-1, 1, (3000, 2)), rng.normal(size=(3000, 1)),
            terminals=[Terminal("a"), Terminal("b")], outputs=["out"],
            rate_hz=1e4, fidelity="simulation",
        )
        size = write_measurement(folder / "m.nc", dataset).stat().st_size
        before = (folder / "m.nc").read_bytes()
        limits = [0, 1, 100, 1000, 5000, 20_000, 50_000, size - 5000, size - 100, size - 1]
        failed = 0
        for limit in limits:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                write_measurement(folder / "m.nc", dataset)
            except StorageError as error:
                assert len(str(error).splitlines()) == 1, error
                failed += 1
            assert (folder / "m.nc").read_bytes() == before
            assert [p.name for p in folder.iterdir()] == ["m.nc"], list(folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        write_measurement(folder / "m.nc", dataset)
        print(json.dumps([failed, len(limits)]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failed, tried = json.loads(done.stdout)
    assert failed == tried
