"""NI's gRPC device server, as far as the real `nidaqmx` client needs it, on loopback.

    python -m tests.wire.ni_server --device ohmic --record voltages.bin --delay 38

prints its port and serves until it is ended. Behind it is a simulated chassis. As with
NI's server, sessions and what they play outlive the client; errors of the driver come as
trailing metadata "ni-error", but a read that timed out as the status of a normal answer.
"""

# ruff: noqa: N802 - names and arguments of the calls are NI's.
from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from nidaqmx._stubs import nidaqmx_pb2 as daqmx
from nidaqmx._stubs import nidaqmx_pb2_grpc as daqmx_grpc
from nidaqmx.constants import AcquisitionType, RegenerationMode, TaskMode, WDTTaskAction
from session_pb2 import Session

from inmateria.rigs.rig import Rig
from inmateria.rigs.simulated import SimulatedRig

from . import chassis as ni
from .chassis import AnalogTask, Chassis, DaqError, WatchdogTask
from .faults import Faults

# How often the chassis looks at the clock when nobody asks.
TICK_S = 0.005
INITIALIZE, ATTACH = 1, 2
# Numbers of NI's attributes, as the client sends them.
VERSION = {0x1272: 26, 0x1923: 0, 0x2F22: 0}
DEVICE_NAMES = 0x193B
TASK_NAME, NUMBER_OF_CHANNELS = 0x1276, 0x2181
PRODUCT, CHASSIS, AI_CHANNELS, AO_CHANNELS = 0x631, 0x29B7, 0x231E, 0x231F
AI_RANGES, AO_RANGES = 0x2990, 0x299B
SAMPLE_RATE, OUTPUT_BUFFER, INPUT_BUFFER, REGENERATION = 0x1344, 0x186D, 0x186C, 0x1453
GENERATED, DOG_EXPIRED = 0x192B, 0x21A8


class Service(daqmx_grpc.NiDAQmxServicer):
    """The calls, each a few lines on the chassis."""

    def __init__(self, chassis: Chassis) -> None:
        self.chassis = chassis
        self.sessions: dict[str, AnalogTask | WatchdogTask] = {}
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self._unnamed = 0

    # System and devices.

    def GetSystemInfoAttributeUInt32(self, request: Any, context: Any) -> Any:
        value = VERSION.get(request.attribute_raw, 0)
        return daqmx.GetSystemInfoAttributeUInt32Response(value=value)

    def GetSystemInfoAttributeString(self, request: Any, context: Any) -> Any:
        names = ", ".join(["cDAQ1", "cDAQ2", *self.chassis.modules])
        return daqmx.GetSystemInfoAttributeStringResponse(value=names)

    def GetDeviceAttributeString(self, request: Any, context: Any) -> Any:
        module = self._module(request.device_name)
        values = {
            PRODUCT: module.product,
            CHASSIS: module.chassis,
            AI_CHANNELS: ", ".join(f"{request.device_name}/{c}" for c in module.inputs),
            AO_CHANNELS: ", ".join(f"{request.device_name}/{c}" for c in module.outputs),
        }
        return daqmx.GetDeviceAttributeStringResponse(value=values[request.attribute_raw])

    def GetDeviceAttributeDoubleArray(self, request: Any, context: Any) -> Any:
        module = self._module(request.device_name)
        has = module.inputs if request.attribute_raw == AI_RANGES else module.outputs
        value = module.ranges_v if has else ()
        return daqmx.GetDeviceAttributeDoubleArrayResponse(value=value)

    def GetErrorString(self, request: Any, context: Any) -> Any:
        return daqmx.GetErrorStringResponse(error_string="An error of the driver.")

    # Tasks.

    def CreateTask(self, request: Any, context: Any) -> Any:
        name, is_new = self._session(request, AnalogTask)
        return daqmx.CreateTaskResponse(task=Session(name=name), new_session_initialized=is_new)

    def GetTaskAttributeString(self, request: Any, context: Any) -> Any:
        assert request.attribute_raw == TASK_NAME
        self._any(request)
        return daqmx.GetTaskAttributeStringResponse(value=request.task.name)

    def GetTaskAttributeUInt32(self, request: Any, context: Any) -> Any:
        assert request.attribute_raw == NUMBER_OF_CHANNELS
        return daqmx.GetTaskAttributeUInt32Response(value=len(self._task(request).channels))

    def CreateAOVoltageChan(self, request: Any, context: Any) -> Any:
        self._add_channel(request, "ao", self.chassis.dacs)
        return daqmx.CreateAOVoltageChanResponse()

    def CreateAIVoltageChan(self, request: Any, context: Any) -> Any:
        internal = [
            dac.replace("/ao", "/_ao") + "_vs_aognd" for dac in self.chassis.dacs
        ]  # what an output module's own multiplexer sees
        self._add_channel(request, "ai", [*self.chassis.adcs, *internal])
        return daqmx.CreateAIVoltageChanResponse()

    def CfgSampClkTiming(self, request: Any, context: Any) -> Any:
        task = self._idle(request)
        if not 1.0 <= request.rate <= 1e5:
            raise DaqError(ni.BAD_VALUE, f"Requested rate {request.rate:g} is not supported.")
        task.rate = self.chassis.coerced(request.rate)
        task.source, task.n_samples = request.source, request.samps_per_chan
        task.finite = request.sample_mode_raw == AcquisitionType.FINITE.value
        if task.finite and task.n_samples < 2:
            raise DaqError(ni.BAD_VALUE, "Samples per channel must be 2 or more.")
        return daqmx.CfgSampClkTimingResponse()

    def CfgDigEdgeStartTrig(self, request: Any, context: Any) -> Any:
        self._idle(request).trigger = request.trigger_source
        return daqmx.CfgDigEdgeStartTrigResponse()

    def GetTimingAttributeDouble(self, request: Any, context: Any) -> Any:
        assert request.attribute_raw == SAMPLE_RATE
        return daqmx.GetTimingAttributeDoubleResponse(value=self._task(request).rate)

    def SetWriteAttributeInt32(self, request: Any, context: Any) -> Any:
        assert request.attribute_raw == REGENERATION
        allow = RegenerationMode.ALLOW_REGENERATION.value
        self._idle(request).regenerates = request.value_raw == allow
        return daqmx.SetWriteAttributeInt32Response()

    def SetBufferAttributeUInt32(self, request: Any, context: Any) -> Any:
        assert request.attribute_raw in (OUTPUT_BUFFER, INPUT_BUFFER)
        self._idle(request).buffer_size = request.value
        return daqmx.SetBufferAttributeUInt32Response()

    def GetWriteAttributeUInt32(self, request: Any, context: Any) -> Any:
        return daqmx.GetWriteAttributeUInt32Response(value=len(self._task(request).channels))

    def GetReadAttributeUInt32(self, request: Any, context: Any) -> Any:
        return daqmx.GetReadAttributeUInt32Response(value=len(self._task(request).channels))

    def GetWriteAttributeUInt64(self, request: Any, context: Any) -> Any:
        assert request.attribute_raw == GENERATED
        with self.chassis.lock:
            self.chassis.advance()
            task = self._task(request)
            if not task.running:
                raise DaqError(ni.NOT_RUNNING, "Property cannot be queried: not running.")
            return daqmx.GetWriteAttributeUInt64Response(value=task.n_done)

    def TaskControl(self, request: Any, context: Any) -> Any:
        assert request.action_raw == TaskMode.TASK_VERIFY.value
        self._check_shared_clock(self._task(request))
        return daqmx.TaskControlResponse()

    def StartTask(self, request: Any, context: Any) -> Any:
        task = self._any(request)
        if isinstance(task, WatchdogTask):
            task.running, task.fed = True, time.monotonic()
            self.chassis.watchdog = task
        else:
            self._check_shared_clock(task)
            self.chassis.start(task)
        return daqmx.StartTaskResponse()

    def WriteAnalogF64(self, request: Any, context: Any) -> Any:
        task = self._task(request)
        n = request.num_samps_per_chan
        voltage = np.array(request.write_array).reshape(len(task.channels), n)
        self.chassis.write(task, voltage, request.timeout)
        return daqmx.WriteAnalogF64Response(samps_per_chan_written=n)

    def WaitUntilTaskDone(self, request: Any, context: Any) -> Any:
        task = self._task(request)
        until = time.monotonic() + request.time_to_wait
        while not task.is_done:
            if time.monotonic() > until:
                raise DaqError(-200560, "Wait Until Done did not indicate that the task was done.")
            time.sleep(0.001)
            self.chassis.advance()
        if task.error:
            raise DaqError(task.error, "The task stopped before it was done.")
        return daqmx.WaitUntilTaskDoneResponse()

    def ReadAnalogF64(self, request: Any, context: Any) -> Any:
        task, n = self._task(request), request.num_samps_per_chan
        if task.rate:
            status, volts = self.chassis.read(task, n, request.timeout)
        else:
            status, volts = 0, self.chassis.read_now(task.channels, n)
        return daqmx.ReadAnalogF64Response(
            status=status, read_array=volts.ravel(), samps_per_chan_read=volts.shape[1]
        )

    def StopTask(self, request: Any, context: Any) -> Any:
        self.chassis.stop(self._task(request))
        return daqmx.StopTaskResponse()

    def ClearTask(self, request: Any, context: Any) -> Any:
        task = self._any(request)
        with self.chassis.lock:
            self.chassis.advance()
            task.running = False
            del self.sessions[request.task.name]
            if task is self.chassis.watchdog:
                self.chassis.watchdog = None
        return daqmx.ClearTaskResponse()

    # The watchdog.

    def CreateWatchdogTimerTaskEx(self, request: Any, context: Any) -> Any:
        make = partial(WatchdogTask, timeout_s=request.timeout)
        if request.initialization_behavior != ATTACH and not self.chassis.has_watchdog:
            raise DaqError(ni.NO_WATCHDOG, "Watchdog timer is not supported by this device.")
        name, is_new = self._session(request, make)
        return daqmx.CreateWatchdogTimerTaskExResponse(
            task=Session(name=name), new_session_initialized=is_new
        )

    def CfgWatchdogAOExpirStates(self, request: Any, context: Any) -> Any:
        channels = [c.strip() for c in _unflattened(request.channel_names)]
        self._dog(request).states = dict(zip(channels, request.expir_state_array, strict=True))
        return daqmx.CfgWatchdogAOExpirStatesResponse()

    def ControlWatchdogTask(self, request: Any, context: Any) -> Any:
        dog = self._dog(request)
        if request.action_raw == WDTTaskAction.CLEAR_EXPIRATION.value:
            dog.expired = False
        elif dog.expired:
            raise DaqError(ni.EXPIRED, "Watchdog timer has expired and has not been cleared.")
        dog.fed = time.monotonic()
        return daqmx.ControlWatchdogTaskResponse()

    def GetWatchdogAttributeBool(self, request: Any, context: Any) -> Any:
        assert request.attribute_raw == DOG_EXPIRED
        self.chassis.advance()
        return daqmx.GetWatchdogAttributeBoolResponse(value=self._dog(request).expired)

    # What they stand on.

    def _session(self, request: Any, make: Callable[[str], Any]) -> tuple[str, bool]:
        name = request.session_name
        if name and name in self.sessions:
            if request.initialization_behavior == INITIALIZE:
                raise grpc_status("ALREADY_EXISTS", f"session {name} exists")
            return name, False
        if request.initialization_behavior == ATTACH:
            raise grpc_status("FAILED_PRECONDITION", f"session {name} has not been initialized")
        if not name:
            self._unnamed += 1
            name = f"_unnamedTask<{self._unnamed}>"
        self.sessions[name] = make(name)
        return name, True

    def _any(self, request: Any) -> Any:
        task = self.sessions.get(request.task.name)
        if task is None:
            raise DaqError(ni.NO_TASK, "Task specified is invalid or does not exist.")
        return task

    def _task(self, request: Any) -> AnalogTask:
        task = self._any(request)
        assert isinstance(task, AnalogTask)
        return task

    def _dog(self, request: Any) -> WatchdogTask:
        task = self._any(request)
        assert isinstance(task, WatchdogTask)
        return task

    def _idle(self, request: Any) -> AnalogTask:
        task = self._task(request)
        if task.running:
            raise DaqError(ni.RUNNING, "Specified operation cannot be performed while running.")
        return task

    def _module(self, name: str) -> Any:
        if name not in self.chassis.modules:
            raise DaqError(ni.NO_DEVICE, f"Device identifier is invalid: {name}.")
        return self.chassis.modules[name]

    def _add_channel(self, request: Any, kind: str, there: list[str]) -> None:
        task = self._idle(request)
        if request.physical_channel not in there:
            raise DaqError(
                ni.NO_CHANNEL, f"Physical channel {request.physical_channel} does not exist."
            )
        task.kind = kind
        task.channels.append(request.physical_channel)
        task.limits_v.append((request.min_val, request.max_val))

    def _check_shared_clock(self, task: AnalogTask) -> None:
        if task.kind != "ao":
            return
        name = self.chassis.modules[task.channels[0].partition("/")[0]].chassis
        if (task.source, task.trigger) != (f"/{name}/ai/SampleClock", f"/{name}/ai/StartTrigger"):
            raise DaqError(-89120, f"No route from {task.source!r}, {task.trigger!r}.")
        if task.regenerates:
            raise DaqError(ni.NOT_SUPPORTED, "This chassis only streams without regeneration.")


class grpc_status(Exception):  # noqa: N801, N818 - reads as what it is
    """Ends a call with a status of gRPC's own."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = grpc.StatusCode[code]


class Server:
    """A chassis at a port of this computer, in this process.

    Parameters
    ----------
    make_rig : callable or Device
        The device behind its converters, by sampling rate; of a Device, a `SimulatedRig` without
        noise.
    port : int
        0: any that is free.
    **chassis
        `gain_na_per_v`, `delay`, `speed`, `patient`, `has_watchdog`, `record` of `Chassis`.
    """

    def __init__(self, make_rig: Any, *, port: int = 0, **chassis: Any) -> None:
        if not callable(make_rig):
            make_rig = partial(_quiet_rig, make_rig)
        self.chassis = Chassis(make_rig, **chassis)
        self.service = Service(self.chassis)
        self.chassis.on_kill = self._die
        self.port = port
        self._serve()
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="chassis", daemon=True)
        self._clock.start()

    @property
    def address(self) -> str:
        """host:port"""
        return f"127.0.0.1:{self.port}"

    @property
    def faults(self) -> Faults:
        """What goes wrong; set it to begin anew."""
        return self.service.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.service.faults = faults
        self.chassis.begin_faults(faults)

    def reset_connections(self, away_s: float = 0.0) -> None:
        """Cut all connections; the chassis goes on, and the server answers again after a while."""
        self._server.stop(None).wait()
        time.sleep(away_s)
        self._serve()

    def restart(self) -> None:
        """Another process in its place: sessions and tasks are gone, the outputs hold."""
        self._server.stop(None).wait()
        with self.chassis.lock:
            self.chassis.advance()
            for task in self.service.sessions.values():
                task.running = False
            self.service.sessions.clear()
            self.chassis.watchdog = None
        self._serve()

    def kill(self) -> None:
        """As by KILL: connections and playing end here."""
        with self.chassis.lock:
            self.chassis.advance()
            self.chassis.dead = True
        self._server.stop(None)

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._clock.join()
        self._server.stop(None).wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _serve(self) -> None:
        size = ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)
        self._server = grpc.server(
            ThreadPoolExecutor(16, thread_name_prefix="ni"),
            interceptors=[_Around(self.service)],
            options=[*size, ("grpc.so_reuseport", 0)],
        )
        daqmx_grpc.add_NiDAQmxServicer_to_server(self.service, self._server)
        for _ in range(100):  # the port of a server just stopped is free a moment later
            try:
                self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
                break
            except RuntimeError:
                time.sleep(0.02)
        self._server.start()

    def _tick(self) -> None:
        while not self._ended.wait(TICK_S):
            self.chassis.advance()

    def _die(self) -> None:
        threading.Thread(target=self._server.stop, args=(None,), daemon=True).start()


class _Around(grpc.ServerInterceptor):
    """Counts calls, makes them go wrong, and turns errors into what NI's server sends."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        rpc = details.method.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(
            partial(self._call, rpc, handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _call(self, rpc: str, do: Any, request: Any, context: Any) -> Any:
        faults = self._service.faults
        self._service.calls[rpc] += 1
        what, code = faults.of_call(rpc)
        if what == "drop":
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        try:
            if what == "refuse":
                raise DaqError(code, "The instrument refused.")
            answer = do(request, context)
        except DaqError as error:
            self._unless_dead(context)
            metadata = [("ni-error", str(error.code))]
            if "written" in error.extra:
                metadata.append(("ni-samps-per-chan-written", str(error.extra["written"])))
            context.set_trailing_metadata(tuple(metadata))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except grpc_status as error:
            context.abort(error.code, str(error))
        self._unless_dead(context)
        late_s = faults.lateness(rpc)
        if late_s:
            time.sleep(late_s)
        if what == "lose":
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        return answer

    def _unless_dead(self, context: Any) -> None:
        if self._service.chassis.dead:
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")


def _quiet_rig(device: Any, rate: float) -> Rig:
    return SimulatedRig(device, rate=rate, noise=None)


def _unflattened(channels: str) -> list[str]:
    from nidaqmx.utils import unflatten_channel_string

    return list(unflatten_channel_string(channels))


def _device(name: str) -> Any:
    if name == "ohmic":
        from .ohmic7 import Ohmic7

        return Ohmic7()
    from inmateria.devices.dopant.network import DopantNetwork

    return DopantNetwork()


def main() -> None:
    """Serve until ended; the first line printed is the port."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--device", choices=("ohmic", "default"), default="ohmic")
    parser.add_argument("--gain", type=float, default=100.0, help="nA/V; negative: inverted")
    parser.add_argument("--delay", type=int, default=0, help="samples")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--noise", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-watchdog", action="store_true")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--faults", type=json.loads, default={}, help="Faults, as JSON")
    given = parser.parse_args()
    device = _device(given.device)

    def noisy(rate: float) -> Rig:
        return SimulatedRig(device, rate=rate, seed=given.seed)

    server = Server(
        noisy if given.noise else device,
        port=given.port,
        gain_na_per_v=given.gain,
        delay=given.delay,
        speed=given.speed,
        has_watchdog=not given.no_watchdog,
        record=given.record,
    )
    server.chassis.on_kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
    server.faults = Faults(**given.faults)
    print(server.port, flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    server.close()


if __name__ == "__main__":
    main()
