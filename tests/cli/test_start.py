"""What the program costs to start, and how it ends."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import inmateria as package
from inmateria.cli import exits
from inmateria.cli.app import COMMANDS, app
from inmateria.cli.exits import keeping, run
from inmateria.errors import ParameterError, StoppedError

from .conftest import Outcome, assert_one_line, program

HEAVY = ("torch", "numba", "xarray", "matplotlib", "scipy", "sklearn", "h5py", "pydantic", "numpy")


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_help_imports_nothing_heavy() -> None:
    loaded = modules_after("from inmateria.cli.exits import run\nassert run(['--help']) == 0")
    assert loaded.isdisjoint(HEAVY)
    assert "click" in loaded


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert modules_after("import inmateria").isdisjoint(HEAVY)


def test_public_names_exist_and_are_found_where_they_are_said_to_be() -> None:
    assert set(package._HOMES) | {"InMateriaError", "__version__"} == set(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_help_names_every_command() -> None:
    outcome = program("--help")
    assert outcome.status == 0
    assert outcome.err == ""
    for name in COMMANDS:
        assert f"  {name} " in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(inmateria: Callable[..., Outcome], name: str) -> None:
    outcome = inmateria(name, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"Usage: inmateria {name}")


def test_version(inmateria: Callable[..., Outcome]) -> None:
    assert inmateria("--version").out.strip() == f"inmateria, version {package.__version__}"


def test_no_arguments_show_the_help(inmateria: Callable[..., Outcome]) -> None:
    assert inmateria().out.startswith("Usage: inmateria")


def test_unknown_command_and_flag(inmateria: Callable[..., Outcome]) -> None:
    assert_one_line(inmateria("sampel"), "sampel")
    assert_one_line(inmateria("sample", "--duraton", "3"), "--duraton", "inmateria sample --help")
    assert_one_line(inmateria("fit"), "DATA")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let a command `fail` raise what the test says."""

    def arrange(error: BaseException) -> None:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(app, "get_command", lambda *_: command)

    return arrange


def test_our_errors_are_one_line(
    inmateria: Callable[..., Outcome], failing: Callable[[BaseException], None]
) -> None:
    failing(ParameterError("radius -1 nm\nis below zero"))
    assert_one_line(inmateria("fail"), "error: radius -1 nm is below zero")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), StoppedError("stopped by SIGTERM")])
def test_stops_are_one_line(
    inmateria: Callable[..., Outcome],
    failing: Callable[[BaseException], None],
    stop: BaseException,
) -> None:
    failing(stop)
    assert_one_line(inmateria("fail"), kind="stopped")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT])
def test_what_the_system_refuses_is_the_users(
    inmateria: Callable[..., Outcome], failing: Callable[[BaseException], None], number: int
) -> None:
    failing(OSError(number, "the system's words", "/some/file"))
    assert_one_line(inmateria("fail"), "/some/file", "the system's words")


def test_our_fault_is_one_line_and_keeps_the_traceback(
    inmateria: Callable[..., Outcome],
    failing: Callable[[BaseException], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(ZeroDivisionError("division by zero"))
    assert_one_line(
        inmateria("fail"), "ZeroDivisionError", str(tmp_path), status=1, kind="internal error"
    )
    (file,) = tmp_path.iterdir()
    assert "Traceback (most recent call last)" in file.read_text()


def test_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m inmateria --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    assert done.stderr == ""


def test_keeping_says_how_to_go_on() -> None:
    with pytest.raises(StoppedError, match="Ctrl-C; run it again"), keeping("run it again"):
        raise KeyboardInterrupt
    with pytest.raises(StoppedError, match="by SIGINT; run it again"), keeping("run it again"):
        raise StoppedError("by SIGINT")


def test_status_of_a_command_is_passed_on(
    failing: Callable[[BaseException], None],
) -> None:
    failing(click.exceptions.Exit(3))
    assert run(["anything"]) == 3
    assert exits.USER == 2
