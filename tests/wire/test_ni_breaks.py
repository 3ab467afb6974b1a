"""Whatever breaks, one line says what, and `held_voltage` is what the terminals hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inmateria.devices.device import FloatArray
from inmateria.errors import ConfigurationError, InstrumentError
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import Rig
from inmateria.rigs.simulated import SimulatedRig
from inmateria.rigs.voltage_record import LastVoltages, read_voltage_record

nidaqmx = pytest.importorskip("nidaqmx")
grpc = pytest.importorskip("grpc")

# They import the client's stubs.
from . import recorded  # noqa: E402
from .faults import Faults, Refusal  # noqa: E402
from .ni_server import Server  # noqa: E402
from .ohmic7 import Ohmic7  # noqa: E402
from .wiring import RATE, held, rig_on, some_waveform  # noqa: E402

SLEW = 200.0
COUNTED = "counted by the instrument"


def ideal(rate: float) -> Rig:
    """A chain without memory and rounding."""
    return SimulatedRig.ideal(Ohmic7(), rate=rate)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(ideal, delay=38, patient=True) as running:
        yield running


@pytest.fixture
def hurried() -> Iterator[Server]:
    """A server that waits for nobody, as NI's."""
    with Server(ideal, delay=38) as running:
        yield running


def settled(server: Server) -> np.ndarray:
    """What the terminals hold once everything written has been played, (7,) V."""
    n = -1
    while n != (n := server.chassis.played.shape[1]):
        time.sleep(0.05)
    return held(server)


def assert_it_goes_on_from_there(rig, server):
    """A guard takes the rig to 0 V from what it says it holds, without a step."""
    before = held(server)
    n = server.chassis.played.shape[1]
    with Guard(rig, slew_v_per_s=SLEW) as guard:
        np.testing.assert_array_equal(guard.last_voltage, before)
    np.testing.assert_allclose(held(server), 0, atol=1e-12)
    way = np.column_stack([before, server.chassis.played[:7, n:]])
    assert np.abs(np.diff(way, axis=1)).max(initial=0) <= SLEW / RATE * (1 + 1e-9)


BREAKS = {
    "a refused write": (
        {"refuse": {"WriteAnalogF64": Refusal(-200621, nth=4)}},
        r"writing to the outputs: .*\(NI-DAQmx -200621\); .*raise buffer_s",
    ),
    "a refused start": (
        {"refuse": {"StartTask": Refusal(-50103)}},
        r"starting the outputs: .*\(NI-DAQmx -50103\); another program",
    ),
    "a refused start of the inputs": (
        {"refuse": {"StartTask": Refusal(-50103, nth=1)}},
        "starting the inputs",
    ),
    "a refused read": (
        {"refuse": {"ReadAnalogF64": Refusal(-200279, nth=3)}},
        r"reading the inputs: .*\(NI-DAQmx -200279\)",
    ),
    "a clock that stops": (
        {"stall_at_sample": 3_456},
        r"no samples came within the timeout \(NI-DAQmx -200284\); is the sample clock",
    ),
    "an answer that is lost, of a write": (
        {"lose": {"WriteAnalogF64": 4}},
        r"writing to the outputs: the connection to 127.0.0.1:\d+ is lost",
    ),
    "a write that nobody gets": (
        {"drop": {"WriteAnalogF64": 4}},
        "writing to the outputs: the connection",
    ),
    "an answer that is lost, of the start": (
        {"lose": {"StartTask": 1}},
        "starting the inputs: the connection",
    ),
    "an answer that is lost, of a read": (
        {"lose": {"ReadAnalogF64": 3}},
        "reading the inputs: the connection",
    ),
    "an answer that comes too late": (
        {"late_s": {"ReadAnalogF64": 3.5}},
        r"reading the inputs: 127.0.0.1:\d+ does not answer any more",
    ),
    "an answer that is lost, of the end": (
        {"lose": {"WaitUntilTaskDone": 0}},
        "waiting for the outputs: the connection",
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_after_a_break_the_voltage_held_is_known(server, case):
    faults, says = BREAKS[case]
    voltage = some_waveform(10_000)
    with rig_on(server, timeout_s=1.0) as rig:
        server.faults = Faults(**faults)
        with pytest.raises(InstrumentError, match=says) as caught:
            rig.play(voltage)
        assert "\n" not in str(caught.value)
        server.faults = Faults()  # the cable is plugged in again
        told = rig.held_voltage
        np.testing.assert_array_equal(told, settled(server))
        n = server.chassis.played[:7].shape[1]
        expected = voltage[:, min(n, 10_000) - 1] if n else np.zeros(7)
        np.testing.assert_array_equal(told, expected)
        assert rig.describe()["held_voltage_is"] == COUNTED
        assert_it_goes_on_from_there(rig, server)


def test_a_lost_answer_while_tasks_are_set_up_leaves_none_behind(server):
    with rig_on(server) as rig:
        rig.play(some_waveform(10)[:, :0])
    for rpc in ("CreateTask", "CreateAOVoltageChan", "CfgSampClkTiming"):
        server.faults = Faults(lose={rpc: 0})
        with pytest.raises(InstrumentError, match="connection"):
            rig_on(server)
        server.faults = Faults()
        server.service.sessions.clear()  # what it could not clear: `recover` is for that
    with rig_on(server) as rig:
        rig.play(some_waveform(1_000))
        server.faults = Faults(lose={"CfgSampClkTiming": 1})
        with pytest.raises(InstrumentError, match="setting the clock"):
            rig.play(np.repeat(rig.held_voltage[:, None], 10, axis=1))
        server.faults = Faults()
        np.testing.assert_array_equal(rig.held_voltage, some_waveform(1_000)[:, -1])
        assert_it_goes_on_from_there(rig, server)
    assert not server.service.sessions


def test_outputs_that_run_dry(hurried):
    server, voltage = hurried, some_waveform(10_000)

    def slow():
        for k, block in enumerate(np.hsplit(voltage, 20)):
            if k == 8:
                time.sleep(0.6)
            yield block

    with rig_on(server, buffer_s=0.1) as rig:
        with pytest.raises(InstrumentError, match=r"-200290\); .* raise buffer_s"):
            list(rig.stream(slow(), 10_000))
        n = server.chassis.played.shape[1]
        assert n % 500 == 0  # at the end of a block: all that was written was played
        np.testing.assert_array_equal(rig.held_voltage, voltage[:, n - 1])
        np.testing.assert_array_equal(held(server), voltage[:, n - 1])
        assert_it_goes_on_from_there(rig, server)


def test_an_error_of_whoever_hands_out_the_blocks(server):
    def failing():
        yield from np.hsplit(some_waveform(3_000), 3)
        raise ZeroDivisionError

    with rig_on(server, buffer_s=0.1) as rig:
        with pytest.raises(ZeroDivisionError):
            list(rig.stream(failing(), 10_000))
        np.testing.assert_array_equal(rig.held_voltage, held(server))
        assert_it_goes_on_from_there(rig, server)


def test_a_stream_that_outlives_its_connection_ends_quietly(server):
    rig = rig_on(server, reconnect_s=0.2)
    stream = rig.stream(np.hsplit(some_waveform(10_000), 10), 10_000)
    next(stream)
    rig._player._connection.close()  # as the interpreter does when it clears all at its end
    stream.close()
    with pytest.raises(InstrumentError, match="this connection was closed"):
        rig.play(rig.held_voltage[:, None])


def test_connections_that_are_reset_while_it_plays(hurried):
    server, voltage = hurried, some_waveform(60_000)
    with rig_on(server, buffer_s=0.5, delay_samples=38) as rig:
        stream = rig.stream(np.hsplit(voltage, 60), 60_000)
        next(stream)
        server.reset_connections(away_s=1.6)  # more than two buffers and a block
        # The client may have found the server again: then its outputs have run dry.
        with pytest.raises(InstrumentError, match=r"connection to .* is lost|-200290"):
            list(stream)
        np.testing.assert_array_equal(rig.held_voltage, settled(server))
        assert rig.describe()["held_voltage_is"] == COUNTED
        assert_it_goes_on_from_there(rig, server)


def test_parking_waits_for_a_server_that_is_away(server):
    with rig_on(server, reconnect_s=5.0, buffer_s=0.1) as rig:
        guard = Guard(rig, slew_v_per_s=SLEW)
        guard.ramp_to(np.full(7, 0.5))
        server.faults = Faults(drop={"ReadAnalogF64": 2})
        with pytest.raises(InstrumentError, match="connection"):
            guard.play(np.repeat(guard.last_voltage[:, None], 9_000, axis=1))
        later = threading.Timer(0.8, lambda: setattr(server, "faults", Faults()))
        later.start()
        guard.park()
        later.join()
    np.testing.assert_allclose(held(server), 0, atol=1e-12)
    assert server.chassis.largest_step_v.max() <= SLEW / RATE * (1 + 1e-9)


def test_a_server_that_is_gone_for_good():
    voltage = some_waveform(10_000)
    with Server(ideal) as server:
        rig = rig_on(server, reconnect_s=0.3, timeout_s=0.5, buffer_s=0.1)
        server.faults = Faults(kill_at_sample=2_345)
        with pytest.raises(InstrumentError, match="connection"):
            rig.play(voltage)
        assert server.chassis.played.shape[1] == 2_345
        before = time.monotonic()
        told = rig.held_voltage
        assert rig.held_voltage.tolist() == told.tolist()  # asked twice, waited for once
        assert time.monotonic() - before < 3
        # An instrument plays what it was given: the last sample written is the best guess there
        # is, within three buffers of the truth; and it is said to be one.
        assert "did not answer" in rig.describe()["held_voltage_is"]
        assert np.abs(told - held(server)).max() <= 3 * 1_000 * 0.01
        with pytest.raises(InstrumentError, match=r"nothing can be played: .*connection"):
            rig.play(told[:, None])
        rig.close()
        rig.close()


@pytest.mark.parametrize("readback", [True, False])
def test_a_server_that_was_started_anew(server, readback):
    """It knows of no task: only a read-back can tell, else the middle of what was in flight."""
    voltage = some_waveform(10_000)
    with rig_on(server, buffer_s=0.1, readback=readback, reconnect_s=3.0) as rig:
        stream = rig.stream(np.hsplit(voltage, 10), 10_000)
        next(stream)
        server.restart()
        with pytest.raises(InstrumentError):
            list(stream)
        told, true = rig.held_voltage, settled(server)
        said = rig.describe()["held_voltage_is"]
        if readback:
            assert said == "read back"
            np.testing.assert_allclose(told, true, rtol=0, atol=1e-12)
        else:
            assert "middle of what was in flight" in said
            in_flight = voltage[:, : server.chassis.played.shape[1] + 3_000]
            half = (in_flight.max(axis=1) - in_flight.min(axis=1)) / 2
            assert (np.abs(told - true) <= half).all()


def test_what_was_told_before_is_not_jumped_from(server):
    """Who plays on from a guess, when the truth is known meanwhile, is stopped."""
    voltage = some_waveform(10_000)
    with rig_on(server, reconnect_s=0.2, timeout_s=0.5, buffer_s=0.1) as rig:
        server.faults = Faults(drop={"WriteAnalogF64": 4})
        with pytest.raises(InstrumentError):
            rig.play(voltage)
        guess = rig.held_voltage
        server.faults = Faults()
        true = settled(server)
        assert np.abs(guess - true).max() > 1e-3
        n = server.chassis.played.shape[1]
        with pytest.raises(InstrumentError, match="not where they were left"):
            rig.play(guess[:, None])
        assert server.chassis.played.shape[1] == n
        np.testing.assert_array_equal(rig.held_voltage, true)
        assert_it_goes_on_from_there(rig, server)


def test_a_running_task_is_not_to_be_started_or_changed(server):
    """NI's -200479, to a second client that attaches to what is playing."""
    with rig_on(server, buffer_s=0.1) as rig:
        stream = rig.stream(np.hsplit(some_waveform(5_000), 5), 5_000)
        next(stream)
        with grpc.insecure_channel(server.address) as channel:
            attach = nidaqmx.SessionInitializationBehavior.ATTACH_TO_SERVER_SESSION
            name = "inmateria-outputs"
            options = nidaqmx.GrpcSessionOptions(channel, name, initialization_behavior=attach)
            task = nidaqmx.Task(name, grpc_options=options)
            for touch in (task.start, lambda: task.timing.cfg_samp_clk_timing(100.0)):
                with pytest.raises(nidaqmx.DaqError) as caught:
                    touch()
                assert caught.value.error_code == -200479
        assert len(list(stream)) == 4  # and it did no harm


def test_a_second_rig_is_told_that_the_first_one_runs(server):
    with rig_on(server) as first:
        with rig_on(server) as second, pytest.raises(InstrumentError, match="runs elsewhere"):
            second.play(np.zeros((7, 1)))
        np.testing.assert_array_equal(first.play(np.zeros((7, 3))), np.zeros((2, 3)))


# A process that is killed.


def last_voltages(held: FloatArray, in_flight: FloatArray, before: int = 0) -> LastVoltages:
    """As a record of the seven terminals says it."""
    names = tuple(t.name for t in Ohmic7().terminals)
    return LastVoltages(names, held, in_flight, before, RATE, SLEW, "2026-01-01T00:00:00+00:00")


def kill_a_run(
    server: Server, path: Path, *, at_sample: int = 4_321, watchdog_s: float = 0.0
) -> LastVoltages:
    """Start a run in a process, kill it, and read its record."""
    command = [sys.executable, "-m", "tests.wire.recorded", server.address, str(path)]
    run = subprocess.Popen(
        [*command, str(watchdog_s)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while server.chassis.played.shape[1] < at_sample:
        assert run.poll() is None
        time.sleep(0.001)
    run.send_signal(signal.SIGKILL)
    run.wait()
    return read_voltage_record(path)


@pytest.mark.parametrize(
    ("at_sample", "how"),
    [
        (4_321, "counted"),
        pytest.param(1, "counted", marks=pytest.mark.slow),
        pytest.param(7_000, "counted", marks=pytest.mark.slow),
        pytest.param(7_050, "counted", marks=pytest.mark.slow),
        pytest.param(4_321, "read back", marks=pytest.mark.slow),
        pytest.param(4_321, "middle", marks=pytest.mark.slow),
    ],
)
def test_after_kill_another_process_finds_what_is_held(server, tmp_path, at_sample, how):
    last = kill_a_run(server, tmp_path / "record", at_sample=at_sample)
    if how != "counted":
        settled(server)
        server.restart()  # and with it what could have been counted
    with rig_on(server, readback=how == "read back") as rig:
        if how == "counted":
            with pytest.raises(InstrumentError, match="bring it down first"):
                rig.play(np.zeros((7, 1)))
        told = rig.recover(last)
        # The server had gone on with what it had.
        true = held(server)
        n = server.chassis.played.shape[1]
        assert n >= at_sample
        np.testing.assert_array_equal(true, recorded.waveform()[:, n - 1])
        assert how in rig.describe()["held_voltage_is"]
        if how == "middle":
            reach = np.column_stack([last.held, last.in_flight])
            half = (reach.max(axis=1) - reach.min(axis=1)) / 2
            assert (np.abs(told - true) <= half * (1 + 1e-9)).all()
        else:
            np.testing.assert_allclose(told, true, rtol=0, atol=1e-12)
            assert_it_goes_on_from_there(rig, server)


def test_a_stream_that_had_ended_and_one_that_had_not_begun_when_the_process_died(server):
    """The record does not know of the end, or knows of what was never played."""
    first, second = some_waveform(1_000), np.linspace(1.0, 1.1, 700)
    died = rig_on(server, delay_samples=38)
    died.play(first)
    with rig_on(server) as rig:
        told = rig.recover(last_voltages(first[:, 299], first[:, 300:], before=300))
        np.testing.assert_array_equal(told, first[:, -1])
        assert rig.describe()["held_voltage_is"] == COUNTED
        rig.play(told[:, None])
        server.faults = Faults(drop={"StartTask": 0})
        with pytest.raises(InstrumentError, match="connection"):
            rig.play(told[:, None] + np.append(0, second))
        server.faults = Faults()
        with rig_on(server) as another:
            in_flight = told[:, None] + second
            np.testing.assert_array_equal(another.recover(last_voltages(told, in_flight)), told)
            assert another.describe()["held_voltage_is"] == COUNTED
    died.close()


def test_a_run_that_still_plays_is_stopped_where_it_is(server):
    voltage = some_waveform(10_000)
    first = rig_on(server)
    server.faults = Faults(stall_at_sample=3_210)  # however slow this computer
    stream = first.stream(np.hsplit(voltage, 10), 10_000)
    next(stream)
    with rig_on(server) as rig:
        in_flight = voltage[:, 1_000:]
        told = rig.recover(last_voltages(voltage[:, 999], in_flight, before=1_000))
        n = server.chassis.played.shape[1]
        assert 1_000 < n <= 3_210
        server.faults = Faults()
        np.testing.assert_array_equal(told, voltage[:, n - 1])
        np.testing.assert_array_equal(held(server), told)
        with pytest.raises(InstrumentError, match="the task is gone"):
            list(stream)
        assert_it_goes_on_from_there(rig, server)
    first.close()


def test_recovering_with_another_wiring_is_refused(server):
    of_another = replace(last_voltages(np.zeros(7), np.zeros((7, 0))), terminals=("a",))
    with rig_on(server) as rig, pytest.raises(ConfigurationError, match="record is of terminals a"):
        rig.recover(of_another)


def test_recovering_when_nothing_was_left(server):
    here = np.full(7, 0.25)
    with rig_on(server) as rig:
        told = rig.recover(last_voltages(here, np.empty((7, 0))))
        np.testing.assert_array_equal(told, here)


# The watchdog.


def test_the_watchdog_bites_when_the_process_was_killed(server, tmp_path):
    last = kill_a_run(server, tmp_path / "record", watchdog_s=1.0)
    while held(server).any():
        time.sleep(0.02)
    with rig_on(server, watchdog_s=1.0) as rig:
        assert rig.recover(last).tolist() == [0.0] * 7
        assert "watchdog" in rig.describe()["held_voltage_is"]
        assert "armed" in rig.describe()["watchdog"]
        assert_it_goes_on_from_there(rig, server)


def test_the_watchdog_is_fed_through_pauses(server):
    with rig_on(server, watchdog_s=0.4) as rig:
        guard = Guard(rig, slew_v_per_s=SLEW)
        guard.ramp_to(np.full(7, 0.3))
        time.sleep(1.2)
        np.testing.assert_array_equal(held(server), np.full(7, 0.3))
        guard.park()
    assert "inmateria-watchdog" not in server.service.sessions


def test_a_watchdog_that_bit_is_noticed(server):
    with rig_on(server, watchdog_s=0.5) as rig:
        guard = Guard(rig, slew_v_per_s=SLEW)
        guard.ramp_to(np.full(7, 0.3))
        server.faults = Faults(drop={"ControlWatchdogTask": 0})
        while held(server).any():
            time.sleep(0.02)
        server.faults = Faults()
        n = server.chassis.played.shape[1]
        with pytest.raises(InstrumentError, match="where the watchdog left it"):
            rig.play(np.full((7, 10), 0.3))
        assert server.chassis.played.shape[1] == n
        assert rig.held_voltage.tolist() == [0.0] * 7
        assert_it_goes_on_from_there(rig, server)


def test_a_chassis_without_a_watchdog():
    with Server(ideal, has_watchdog=False) as server:
        with rig_on(server, watchdog_s=None) as rig:
            assert rig.describe()["watchdog"].startswith("none: ")
            rig.play(np.zeros((7, 10)))
        with pytest.raises(InstrumentError, match=r"no watchdog of 3 s .*leave watchdog_s out"):
            rig_on(server, watchdog_s=3.0)
        assert not server.service.sessions


def test_what_could_not_be_learned_is_left_for_who_recovers(server):
    voltage = some_waveform(10_000)
    with rig_on(server, reconnect_s=0.2, timeout_s=0.5, buffer_s=0.1) as rig:
        server.faults = Faults(drop={"ReadAnalogF64": 3})
        with pytest.raises(InstrumentError, match="connection"):
            rig.play(voltage)
    server.faults = Faults()
    true = settled(server)
    with rig_on(server) as rig:
        np.testing.assert_array_equal(rig.recover(last_voltages(np.zeros(7), voltage)), true)
        assert rig.describe()["held_voltage_is"] == COUNTED
        assert_it_goes_on_from_there(rig, server)
