"""Running the command line, in this process or as a program of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inmateria.cli.exits import run


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def inmateria(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command in this process: fast, with the exit status and both streams."""

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        status = run([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


def program(*arguments: str | Path, timeout: float = 120) -> Outcome:
    """Run a command as a person does."""
    done = subprocess.run(
        [sys.executable, "-m", "inmateria", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_one_line(outcome: Outcome, *words: str, status: int = 2, kind: str = "error") -> None:
    """Exactly one line on stderr, of this kind, with these words in it."""
    assert outcome.status == status, outcome.err
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith(f"{kind}: ")
    for word in words:
        assert word in lines[0]
