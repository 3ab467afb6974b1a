"""Generators that are killed or stopped: nothing acknowledged is lost, nothing half is recorded."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inmateria.data.sample_store import open_store
from inmateria.data.store_verify import verify_store

N_BLOCKS = 24

# 24 blocks of four small samples; each is said once it is recorded.
CHILD = """
import sys
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import GenerationSettings

def main():
    settings = GenerationSettings.model_validate({
        "n_samples": 95, "block_size": 4, "seed": 5,
        "gas": {"n_x": 24, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0},
        "disorder": {"spacing_nm": (15.0, 25.0)},
    })
    generate(settings, sys.argv[1], workers=int(sys.argv[2]),
             progress=lambda done, total, note="": print(done, flush=True))

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "child.py"
    path.write_text(CHILD)
    return path


def start(script: Path, path: Path, workers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(script), str(path), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(script: Path, path: Path, workers: int = 1) -> None:
    _, err = (child := start(script, path, workers)).communicate(timeout=600)
    assert child.returncode == 0, err


def content(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.glob("*/c.*")
    }


@pytest.fixture(scope="module")
def whole(script: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The chunks of the set, made without a disturbance."""
    path = tmp_path_factory.mktemp("whole") / "set.zarr"
    finish(script, path)
    assert verify_store(path).is_whole
    return content(path)


def ended(pid: int) -> bool:
    """Whether a process is gone or only waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("seed", "n_kills", "workers"),
    [
        (1, 3, 1),
        pytest.param(2, 2, 2, marks=pytest.mark.slow),
        pytest.param(3, 30, 1, marks=pytest.mark.slow),
        pytest.param(4, 30, 2, marks=pytest.mark.slow),
    ],
)
def test_kills_at_random_moments(
    seed: int, n_kills: int, workers: int, script: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    path, delay = tmp_path / "set.zarr", random.Random(seed)
    acknowledged, kills = 0, 0
    while kills < n_kills:
        child = start(script, path, workers)
        assert child.stdout is not None
        # Until it has begun; what it says then is what was there.
        first = child.stdout.readline()
        assert first.strip().isdigit() or not first
        if first:
            assert int(first) >= acknowledged
        # In the middle of work, at whatever moment: after some blocks, and a part of one (15 ms
        # of computing and 30 ms of writing, on a busy machine several times that).
        seen = [child.stdout.readline() for _ in range(delay.randint(0, 3))]
        time.sleep(delay.uniform(0, 0.1))
        workers_of_it = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        child.send_signal(signal.SIGKILL)
        out, _ = child.communicate()
        kills += 1
        said = [int(line) for line in (*seen, *out.split()) if line.strip().isdigit()]
        # Processes of a generator that was killed end by themselves.
        give_up = time.monotonic() + 30
        while not all(ended(int(pid)) for pid in workers_of_it) and time.monotonic() < give_up:
            time.sleep(0.02)
        assert all(ended(int(pid)) for pid in workers_of_it)
        found = verify_store(path)
        assert found.damaged == ()
        store = open_store(path)
        recorded = sum(len(store.layout.samples(b)) for b in store.done_blocks())
        assert recorded >= max([acknowledged, *said])
        acknowledged = recorded
        if not found.missing:
            # All done: from here on blocks are taken away again.
            for block in delay.sample(range(N_BLOCKS), 12):
                store.forget_block(block)
            acknowledged = sum(len(store.layout.samples(b)) for b in store.done_blocks())
    finish(script, path, workers)
    assert verify_store(path).is_whole
    assert content(path) == whole
    assert not list(path.glob("*/*.partial"))
    assert [p.name for p in tmp_path.iterdir()] == ["set.zarr"]


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_ctrl_c_keeps_what_was_recorded(
    workers: int, script: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "set.zarr"
    child = start(script, path, workers)
    assert child.stdout is not None
    while int(child.stdout.readline()) < 8:
        pass
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=120)
    assert child.returncode != 0
    assert "KeyboardInterrupt" in err
    found = verify_store(path)
    assert found.damaged == ()
    assert 0 < len(found.missing) <= N_BLOCKS - 2
    assert [p.name for p in tmp_path.iterdir()] == ["set.zarr"]
    finish(script, path, workers)
    assert content(path) == whole


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_worker_that_dies_is_reported_and_its_block_made_again(
    script: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "set.zarr"
    child = start(script, path, 2)
    assert child.stdout is not None
    while int(child.stdout.readline()) < 4:
        pass
    victim = None
    while victim is None:
        for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
            # Not the process that keeps track of shared resources.
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                victim = int(pid)
    subprocess.run(["kill", "-9", str(victim)], check=True)
    _, err = child.communicate(timeout=300)
    assert child.returncode != 0
    assert "WorkerError: a process died in each of 1: " in err
    assert "(killed by SIGKILL)" in err
    found = verify_store(path)
    assert found.damaged == ()
    # The other process did all other blocks.
    assert len(found.missing) == 1
    finish(script, path, 2)
    assert content(path) == whole


def test_a_second_generator_is_refused(script: Path, tmp_path: Path) -> None:
    path = tmp_path / "set.zarr"
    first = start(script, path, 1)
    try:
        assert first.stdout is not None
        first.stdout.readline()
        first.send_signal(signal.SIGSTOP)
        second = start(script, path, 1)
        _, err = second.communicate(timeout=120)
        assert second.returncode != 0
        assert f"StorageError: {path} is being written by process {first.pid} on" in err
        first.send_signal(signal.SIGCONT)
        _, err = first.communicate(timeout=120)
        assert first.returncode == 0, err
    finally:
        first.kill()
        first.wait()
    assert verify_store(path).is_whole
