"""One writer per store: living ones are waited for, dead ones are not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inmateria.data.store_lock import writing
from inmateria.errors import StorageError

CHILD = """
import sys, time
from pathlib import Path
from inmateria.data.store_lock import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=f"written by process {child.pid} on"), writing(path):
            pytest.fail("two writers")
        # It is still held after the refusal.
        with pytest.raises(StorageError, match=f"process {child.pid}"), writing(path):
            pytest.fail("two writers")
        child.send_signal(signal.SIGKILL)
        child.wait()
        # What the dead one left is taken over.
        assert (tmp_path / "s.zarr.lock").exists()
        with writing(path):
            found = json.loads((tmp_path / "s.zarr.lock").read_text())
            assert found["pid"] == os.getpid()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_an_error_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    with pytest.raises(KeyError), writing(path):
        raise KeyError
    with writing(path), pytest.raises(StorageError, match="being written"), writing(path):
        pytest.fail("two writers")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_machine_is_believed(tmp_path: Path) -> None:
    path, lock = tmp_path / "s.zarr", tmp_path / "s.zarr.lock"
    lock.write_text(json.dumps({"pid": 7, "host": "elsewhere", "since_utc": "then"}))
    with (
        pytest.raises(StorageError, match=r"process 7 on elsewhere since then; if .* remove"),
        writing(path),
    ):
        pytest.fail("two writers")
    assert lock.exists()
    # Torn by a crash: nobody's.
    lock.write_text('{"pid": 7, "ho')
    with writing(path):
        pass
