"""How the program ends: one line on stderr, status 2 for the user's mistake, 1 for ours."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from inmateria.cli.app import app
from inmateria.errors import InMateriaError, StoppedError

USER = 2
OURS = 1
_SYSTEM = {
    errno.ENOSPC: "free space or choose another place",
    errno.EDQUOT: "free space or choose another place",
    errno.EACCES: "choose a place that you may write to, or change its permissions",
    errno.EPERM: "choose a place that you may write to, or change its permissions",
    errno.EROFS: "choose a place that you may write to",
    errno.EIO: "check the disk",
    errno.EMFILE: "close files or raise the limit (ulimit -n)",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file, not a folder",
}


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status.

    Everything a person can get wrong ends as ``error: ...`` and status 2, a stop
    as ``stopped: ...`` and status 2, our own fault as ``internal error: ...`` and
    status 1 with the traceback in a file: stderr gets one line either way.
    """
    try:
        with _signals_stop():
            result = app.main(
                list(arguments) or ["--help"], prog_name="inmateria", standalone_mode=False
            )
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # The reader (`| head`) has left, and click turns that into SystemExit.
        # Nothing is wrong, and Python must not complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (StoppedError, KeyboardInterrupt) as stop:
        return _say("stopped", str(stop) or "nothing is running any more", USER)
    except InMateriaError as error:
        return _say("error", str(error), USER)
    except click.ClickException as error:
        return _say("error", _usage(error), USER)
    except OSError as error:
        if error.errno in _SYSTEM:
            where = f"{error.filename}: " if error.filename else ""
            return _say("error", f"{where}{error.strerror}; {_SYSTEM[error.errno]}", USER)
        return _internal(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence, and it reports
        if isinstance(error, SystemError) and interrupt_behind(error) is not None:
            return _say("stopped", "Ctrl-C; nothing is running any more", USER)
        return _internal(error)
    return result if isinstance(result, int) else 0


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Say on a stop what is kept and how to go on.

    Raises
    ------
    StoppedError
        In place of KeyboardInterrupt, and after a StoppedError from below.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise StoppedError(f"{str(stop) or 'Ctrl-C'}; {what}") from stop
    except SystemError as error:
        stop_behind = interrupt_behind(error)
        if stop_behind is None:
            raise
        raise StoppedError(f"{str(stop_behind) or 'Ctrl-C'}; {what}") from error
    except StoppedError as stop:
        if what in str(stop) or "again to go on" in str(stop):
            raise  # the step below has said so already
        raise StoppedError(f"{stop}; {what}") from stop


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C that an error stands for, if it does.

    One that falls into the return from compiled code leaves Numba as a
    SystemError ("returned a result with an exception set") caused by it.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


@contextmanager
def _signals_stop() -> Iterator[None]:
    """TERM and HUP stop as Ctrl-C does: cleanly, with a message.

    They raise KeyboardInterrupt as Ctrl-C does, because code that guards against
    damaged files catches RuntimeError and would take our StoppedError for damage.
    """

    def stop(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(kind: str, message: str, status: int) -> int:
    line = " ".join(message.split()).removeprefix(f"{kind} ")
    print(f"{kind}: {line}", file=sys.stderr)
    return status


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message}; see `{context.command_path} --help`"


def _internal(error: Exception) -> int:
    import tempfile
    import traceback

    lines = "".join(traceback.format_exception(error))
    summary = f"{type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="inmateria-", suffix=".traceback.txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(lines)
            place = f"traceback written to {file.name}"
    except OSError:
        place = "the traceback could not be written"
    return _say("internal error", f"{summary} ({place}; please report it)", OURS)
