"""Which process writes: alive, ended, somewhere else, or only the same number."""

from __future__ import annotations

import os
import subprocess
import sys

from inmateria.data.session import is_alive, this_session


def test_this_process_is_alive():
    session = this_session()
    assert session["pid"] == os.getpid()
    assert is_alive(session) is True


def test_a_process_that_ended_is_not():
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    assert is_alive({**this_session(), "pid": int(done.stdout)}) is False


def test_a_process_that_nobody_collected_is_not():
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert is_alive({**this_session(), "pid": child}) is False
    finally:
        os.waitpid(child, 0)


def test_a_number_that_another_process_inherited_is_not_it():
    # This process did not run in 2001.
    assert is_alive({**this_session(), "utc": "2001-01-01T00:00:00.000Z"}) is False


def test_of_another_machine_nothing_is_known():
    assert is_alive({**this_session(), "machine": "elsewhere"}) is None
    assert is_alive({}) is None
    assert is_alive({**this_session(), "pid": "many"}) is None
