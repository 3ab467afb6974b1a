"""The road to NI-DAQmx: the driver of this computer, or NI's gRPC device server.

Everything that the official `nidaqmx` package raises becomes one line here, with what
was being done, NI's code and the fix. Two kinds are told apart, because what follows
differs: the instrument refused, or nobody answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

from inmateria.errors import InstrumentError, missing_extra

# A stream's messages are small, but NI's default of 4 MB stops a fast chassis with large buffers.
_MESSAGE_BYTES = 256 * 2**20
# After a lost connection gRPC waits longer and longer before it tries again; here every 0.2 s.
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 200),
]

NO_TASK = -200088
_NO_SAMPLES_YET = -200284
_FIXES = {
    -200290: "the computer or the network did not keep up: raise buffer_s",
    -200621: "the computer or the network did not keep up: raise buffer_s",
    -200279: "recordings were not fetched in time: raise buffer_s",
    _NO_SAMPLES_YET: "is the sample clock running, and the chassis on?",
    -50103: "another program holds the module: close it",
    NO_TASK: "the task is gone: was the server or the driver started anew?",
    -200220: "the device is gone: check its name, power and cable",
    -201003: "the device is gone: check its power and cable",
    -88705: "the device is gone: check its power and cable",
}


class RefusedError(InstrumentError):
    """NI-DAQmx said no; `code` is its error code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class LeftOverError(InstrumentError):
    """The server has a session of this name: of a run that did not end, or that runs."""


class LostError(InstrumentError):
    """No answer came: whether what was asked for was done is not known."""


class _CallDetails(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class Connection:
    """NI-DAQmx of this computer, or of the server at `server`: its `system` and its tasks.

    Parameters
    ----------
    server : str or None
        "host:port" of NI's gRPC device server; None is the local driver.
    timeout_s : float
        How long the server may take to answer beyond what it was asked to wait, s.

    Raises
    ------
    MissingExtraError
        If `nidaqmx` is not installed.
    InstrumentError
        If no server answers, or this computer has no NI-DAQmx driver.
    """

    def __init__(self, server: str | None, *, timeout_s: float) -> None:
        self.server = server
        self.nidaqmx = package("nidaqmx")
        self._channel: Any = None
        self._answering: Any = None
        if server is not None:
            self._open_channel(server, timeout_s)
        options, system = self._options(""), self.nidaqmx.system.System
        try:
            with self.doing("asking for the driver's version"):
                self.system = system.local() if options is None else system.remote(options)
                self.driver_version = ".".join(str(part) for part in self.system.driver_version)
        except InstrumentError:
            self.close()
            raise

    def task(self, name: str = "") -> Any:
        """A new, empty `nidaqmx.Task`; the server keeps it under `name`.

        Raises
        ------
        InstrumentError
            If the server has a session of that name: of a run that did not end, or that runs.
        """
        return self.nidaqmx.Task(
            name, grpc_options=self._options(name, "INITIALIZE_SERVER_SESSION")
        )

    def left_task(self, name: str) -> Any | None:
        """The task that an earlier process left on the server, or None."""
        options = self._options(name, "ATTACH_TO_SERVER_SESSION")
        if options is None:  # a local task ends with its process
            return None
        with self.doing(f"looking for the session {name}"):
            try:
                task = self.nidaqmx.Task(name, grpc_options=options)
            except self.nidaqmx.errors.RpcError as error:
                if self._is_lost(error):
                    raise
                return None
            if task.number_of_channels:
                return task
            task.close()  # a server that knows no attaching made a new one
            return None

    def watchdog_task(self, chassis: str, name: str, timeout_s: float, *, left: bool) -> Any | None:
        """A watchdog of the chassis: a new one, or the one that an earlier process left."""
        behaviour = "ATTACH_TO_SERVER_SESSION" if left else "INITIALIZE_SERVER_SESSION"
        options = self._options(name, behaviour)
        if left and options is None:
            return None
        watchdog = import_module("nidaqmx.system.watchdog").WatchdogTask
        try:
            return watchdog(chassis, name, timeout_s, grpc_options=options)
        except self.nidaqmx.errors.RpcError as error:
            if left and not self._is_lost(error):
                return None
            raise

    def close(self) -> None:
        """Hang up; what the server does goes on."""
        if self._channel is not None:
            self._channel.close()

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Errors of NI-DAQmx and of gRPC, raised within, as one line that begins with `what`."""
        errors = self.nidaqmx.errors
        try:
            yield
        except errors.DaqError as error:
            raise RefusedError(_in_a_line(what, error), error.error_code) from error
        except errors.RpcError as error:
            raise self._told(what, error) from error
        except ValueError as error:
            if "invoke RPC" not in str(error):
                raise
            raise LostError(
                f"{what}: this connection was closed"
            ) from error  # gRPC's way to say so
        except (errors.DaqNotFoundError, errors.DaqNotSupportedError) as error:
            raise InstrumentError(
                "the NI-DAQmx driver is not installed on this computer; install it "
                "(python -m nidaqmx installdriver), or give server = 'host:port' of an NI gRPC "
                "device server"
            ) from error
        except errors.DaqFunctionNotSupportedError as error:
            raise InstrumentError(f"{what}: {error}; update the NI-DAQmx driver") from error

    def _open_channel(self, server: str, timeout_s: float) -> None:
        grpc = package("grpc", "grpcio")

        self._channel = grpc.insecure_channel(server, options=_CHANNEL_OPTIONS)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=timeout_s)
        except grpc.FutureTimeoutError as error:
            self._channel.close()
            raise InstrumentError(
                f"no NI gRPC device server answers at {server} within {timeout_s:g} s; "
                "check address, port and network, and that the server runs"
            ) from error
        self._answering = grpc.intercept_channel(self._channel, _deadline(grpc, timeout_s))

    def _options(self, name: str, behaviour: str = "AUTO") -> Any:
        if self._answering is None:
            return None
        nidaqmx = self.nidaqmx
        return nidaqmx.GrpcSessionOptions(
            self._answering,
            name,
            initialization_behavior=nidaqmx.SessionInitializationBehavior[behaviour],
        )

    def _is_lost(self, error: Any) -> bool:
        name = getattr(error.rpc_code, "name", str(error.rpc_code))
        return name in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")

    def _told(self, what: str, error: Any) -> InstrumentError:
        name = getattr(error.rpc_code, "name", str(error.rpc_code))
        if name == "ALREADY_EXISTS":
            return LeftOverError(
                f"{what}: {self.server} still holds the tasks of a run that did not end, or that "
                "runs elsewhere; wait for it, or bring it down first (inmateria park)"
            )
        if name == "DEADLINE_EXCEEDED":
            return LostError(
                f"{what}: {self.server} does not answer any more; check the network and the server"
            )
        if self._is_lost(error):
            return LostError(
                f"{what}: the connection to {self.server} is lost; check the network and the server"
            )
        return InstrumentError(f"{what}: {' '.join(str(error).split())} (from {self.server})")


def package(name: str, distribution: str = "") -> Any:
    """An optional package, imported where it is used."""
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_extra(distribution or name, "ni") from error


def _deadline(grpc: Any, timeout_s: float) -> Any:
    """An interceptor that gives each call a deadline.

    `nidaqmx` sets none: a server that froze would hold us for ever. What the server is asked
    to wait for comes on top.
    """

    def intercept(_: Any, call: Any, details: Any, request: Any) -> Any:
        wait = max(getattr(request, "timeout", 0.0), getattr(request, "time_to_wait", 0.0))
        return call(
            _CallDetails(
                details.method,
                timeout_s + wait,
                details.metadata,
                details.credentials,
                details.wait_for_ready,
                details.compression,
            ),
            request,
        )

    # gRPC is imported where it is used, so its class has no name at the time of definition.
    kind = type(
        "Deadline", (grpc.UnaryUnaryClientInterceptor,), {"intercept_unary_unary": intercept}
    )
    return kind()


def _in_a_line(what: str, error: Any) -> str:
    text = str(error).split("\n\nTask Name")[0].split("\n\nStatus Code")[0]
    if error.error_code == _NO_SAMPLES_YET:
        text = "no samples came within the timeout"
    line = f"{what}: {' '.join(text.split()).rstrip('.')} (NI-DAQmx {error.error_code})"
    fix = _FIXES.get(int(error.error_code))
    return f"{line}; {fix}" if fix else line
