"""NIRig through the real `nidaqmx` client and gRPC, against a simulated chassis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from inmateria.errors import (
    ComplianceError,
    ConfigurationError,
    InstrumentError,
    MissingExtraError,
    ShapeError,
)
from inmateria.rigs.delay import measure_delay
from inmateria.rigs.guard import Guard
from inmateria.rigs.ni import AnalogInput, AnalogOutput, NIRig
from inmateria.rigs.rig import Rig
from inmateria.rigs.simulated import SimulatedRig

pytest.importorskip("nidaqmx")
pytest.importorskip("grpc")

from .faults import Faults
from .ni_server import Server
from .ohmic7 import Ohmic7
from .wiring import RATE, held, inputs, outputs, rig_on, some_waveform

# What 24 bits in +-10 V leave of a current at 100 nA/V, with room for the sums' own rounding.
READING_NA = 100.0 * 20.0 / 2**24 * 1.01


def ideal(rate: float) -> Rig:
    """A chain without memory and rounding."""
    return SimulatedRig.ideal(Ohmic7(), rate=rate)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(ideal, delay=38, patient=True) as running:
        yield running


def test_it_is_the_simulated_rig_seen_through_a_wire():
    voltage = some_waveform(4_000)
    with (
        Server(Ohmic7(), delay=38, patient=True) as server,
        rig_on(server, delay_samples=38) as rig,
    ):
        reading = rig.play(voltage)
    direct = SimulatedRig(Ohmic7(), noise=None).play(voltage)
    assert isinstance(rig, Rig)
    assert np.abs(direct).max() > 10
    np.testing.assert_allclose(reading, direct, rtol=0, atol=READING_NA)
    # Not a sample more or less was put out, but for the last one while the recording comes in.
    np.testing.assert_array_equal(server.chassis.played[:7, :4_000], voltage)
    assert (server.chassis.played[:7, 4_000:] == voltage[:, -1:]).all()
    np.testing.assert_array_equal(rig.held_voltage, voltage[:, -1])


def test_gain_and_inversion_are_calibration():
    voltage = some_waveform(500)
    with Server(ideal, gain_na_per_v=-28.5) as server:
        rig = NIRig(outputs(), inputs(28.5, inverted=True), rate=RATE, server=server.address)
        with rig:
            reading = rig.play(voltage)
            assert rig.current_range_na == pytest.approx(285.0, rel=1e-4)
    np.testing.assert_allclose(reading, Ohmic7().current(voltage.T).T, rtol=1e-12, atol=1e-9)


def test_two_halves_are_the_whole(server):
    voltage = some_waveform(3_000)
    with rig_on(server, delay_samples=38) as rig:
        whole = rig.play(voltage)
        back = np.linspace(voltage[:, -1], 0 * voltage[:, -1], 300).T
        rig.play(back)
        parts = [rig.play(voltage[:, :1_234]), rig.play(voltage[:, 1_234:])]
    np.testing.assert_allclose(np.hstack(parts), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_short_waveforms(server, n):
    with Server(ideal) as server, rig_on(server) as rig:
        reading = rig.play(np.full((7, n), 0.25))
        assert reading.shape == (2, n)
        np.testing.assert_allclose(reading, Ohmic7().current(np.full((n, 7), 0.25)).T, rtol=1e-12)


def test_an_uncorrected_delay_is_seen_and_measured(server):
    voltage = some_waveform(1_000)
    true = Ohmic7().current(voltage.T).T
    with rig_on(server) as rig:
        late = rig.play(voltage)
        np.testing.assert_allclose(late[:, 38:], true[:, :-38], rtol=0, atol=1e-9)
        assert (late[:, :38] == 0).all()  # the 0 V before
        with Guard(rig) as guard:
            delay = measure_delay(guard, "e1", duration_s=0.05, repeats=4)
    assert delay.whole == 38
    assert delay.samples == pytest.approx(38, abs=1e-3)


def test_blocks_are_taken_when_they_are_written_and_come_back_one_by_one(server):
    voltage = some_waveform(20_000)
    cuts = [0, 700, 700, 2_900, 9_000, 9_001, 14_000, 20_000]
    taken: list[int] = []

    def blocks():
        for a, b in pairwise(cuts):
            taken.append(b)
            yield voltage[:, a:b]

    done, buffer = 0, 1_000
    with rig_on(server, delay_samples=38, buffer_s=buffer / RATE) as rig:
        for k, reading in enumerate(rig.stream(blocks(), 20_000)):
            a, b = cuts[k], cuts[k + 1]
            true = Ohmic7().current(voltage[:, a:b].T).T
            np.testing.assert_allclose(reading, true, rtol=0, atol=1e-9)
            done = b
            # The last block taken begins within two buffers of what is recorded by now.
            furthest = done + 38 + 2 * buffer
            assert taken[-1] <= next((c for c in cuts if c >= furthest), cuts[-1])
    assert done == 20_000
    # Never more in the instrument than two buffers, and the one by which they were overstepped.
    assert server.chassis.largest_buffer <= 3 * buffer
    np.testing.assert_array_equal(server.chassis.played[:7, :20_000], voltage)


def test_blocks_that_end_early_are_played_and_their_end_is_held(server):
    voltage = some_waveform(2_500)
    with rig_on(server, delay_samples=38, buffer_s=0.1) as rig:
        readings = list(rig.stream([voltage[:, :2_000], voltage[:, 2_000:]], 1_000_000))
        assert [r.shape[1] for r in readings] == [2_000, 500]
        true = Ohmic7().current(voltage.T).T
        np.testing.assert_allclose(np.hstack(readings), true, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(held(server), voltage[:, -1])
        np.testing.assert_array_equal(rig.held_voltage, voltage[:, -1])
        assert list(rig.stream([], 100)) == []
        rig.play(voltage[:, -1:])  # and it is ready for more


def test_more_than_was_announced_is_refused(server):
    voltage = some_waveform(3_000)
    with rig_on(server) as rig:
        with pytest.raises(ShapeError, match="announced"):
            list(rig.stream([voltage[:, :500], voltage[:, 500:]], 600))
        np.testing.assert_array_equal(rig.held_voltage, held(server))


def test_a_stream_that_is_closed_stops_where_it_is_and_knows_where(server):
    voltage = some_waveform(20_000)
    with rig_on(server) as rig:
        stream = rig.stream(np.hsplit(voltage, 20), 20_000)
        next(stream)
        stream.close()
        n = server.chassis.played.shape[1]
        # Not to the end of what was written, two buffers and a block.
        assert 1_000 <= n < 5_000
        np.testing.assert_array_equal(rig.held_voltage, voltage[:, n - 1])
        np.testing.assert_array_equal(held(server), voltage[:, n - 1])
        assert rig.describe()["held_voltage_is"] == "counted by the instrument"


def test_a_stream_that_was_left_open_ends_when_another_one_begins(server):
    voltage = some_waveform(20_000)
    with rig_on(server) as rig:
        stream = rig.stream(np.hsplit(voltage, 20), 20_000)
        next(stream)
        np.testing.assert_array_equal(rig.held_voltage, voltage[:, 999])  # as far as is known
        with pytest.raises(InstrumentError, match="not where they were left"):
            rig.play(rig.held_voltage[:, None])
        n = server.chassis.played.shape[1]
        np.testing.assert_array_equal(rig.held_voltage, voltage[:, n - 1])
        rig.play(rig.held_voltage[:, None])
        with pytest.raises(InstrumentError, match="another one began"):
            next(stream)
        np.testing.assert_array_equal(rig.held_voltage, held(server))


def test_a_guard_parks_from_where_compliance_stopped_it(server):
    slew = 20.0
    with rig_on(server, delay_samples=38) as rig:
        guard = Guard(rig, slew_v_per_s=slew, block_s=0.1, compliance_na=60.0)
        up = np.zeros((7, 20_000))
        up[0] = np.linspace(0, 2, 20_000)  # 50 nA/V: too much at 1.2 V, after 1.2 s
        with pytest.raises(ComplianceError):
            guard.play(up)
        np.testing.assert_allclose(held(server), 0, atol=1e-12)
        assert guard.last_voltage.tolist() == [0.0] * 7
    # Stopped before the block in which it was read, and two buffers ahead, were played out.
    assert 1.2 <= server.chassis.highest_v[0] < 1.2 + 0.1 + 2 * 0.2
    assert server.chassis.largest_step_v.max() <= slew / RATE * (1 + 1e-9)


def test_seven_outputs_at_ten_kilosamples_keep_up_with_buffers_of_a_tenth_of_a_second():
    voltage = some_waveform(20_000)
    with Server(ideal) as server, rig_on(server, buffer_s=0.1) as rig:
        reading = rig.play(voltage)
    np.testing.assert_allclose(reading, Ohmic7().current(voltage.T).T, rtol=0, atol=1e-9)


def test_messages_may_be_larger_than_grpc_allows_by_default():
    n = 150_000  # of 4 inputs: 4.8 MB in one answer, of 7 outputs 8.4 MB in one request
    four = [AnalogInput(f"o{i}", f"cDAQ1Mod4/ai{i}", 100.0) for i in range(4)]
    with Server(ideal, speed=20, patient=True) as server:
        rig = NIRig(outputs(), four, rate=1e5, server=server.address, buffer_s=1.6)
        with rig:
            assert rig.play(np.full((7, n), 0.1)).shape == (4, n)


def test_the_rate_is_what_the_clock_can_do(server):
    with rig_on(server, rate=3_000.0) as rig:
        assert rig.rate == pytest.approx(80e6 / 26_667, rel=1e-12)
        assert rig.describe()["asked_rate_hz"] == 3_000.0


def test_a_clipped_reading_says_so(server):
    server.faults = Faults(nan_at=(1, 130), clip_v=10.0)
    with rig_on(server, delay_samples=38) as rig:
        voltage = np.zeros((7, 200))
        voltage[0] = np.linspace(0, 2, 200)
        assert np.isnan(rig.play(voltage)[1, 130 - 38])
        assert rig.current_range_na == pytest.approx(1_000.0, rel=1e-4)
    with Server(ideal, gain_na_per_v=1.0) as server:
        rig = NIRig(outputs(), inputs(1.0), rate=RATE, server=server.address, watchdog_s=0.0)
        with rig:
            reading = rig.play(voltage)[0]
            true = Ohmic7().current(voltage.T).T[0]
            assert (np.abs(reading[true > 10]) >= rig.current_range_na).all()
            assert (true > 10).sum() > 100


def test_the_description_is_complete(server):
    with rig_on(server, device="chip B7") as rig:
        said = rig.describe()
    assert json.loads(json.dumps(said)) == said
    assert said["device"] == {"kind": "sample", "name": "chip B7"}
    assert said["modules"] == {
        "cDAQ1Mod1": "NI 9263",
        "cDAQ1Mod2": "NI 9263",
        "cDAQ1Mod4": "NI 9215",
    }
    assert said["outputs"][1]["channel"] == "cDAQ1Mod4/ai1"
    assert "taken to be 0 V" in said["held_voltage_is"]
    assert rig.fidelity == "measurement"


def replaced(entries, k, **changes):
    """A copy of a wiring with one entry changed."""
    return [replace(e, **changes) if i == k else e for i, e in enumerate(entries)]


BAD = {
    "a terminal twice": (replaced(outputs(), 1, terminal="e1"), inputs(), "terminal e1"),
    "a channel twice": (
        replaced(outputs(), 1, channel="CDAQ1Mod1/AO0"),
        inputs(),
        "cdaq1mod1/ao0 is named 2 times",
    ),
    "an output twice": (outputs(), replaced(inputs(), 1, output="x"), "output x"),
    "an input twice": (outputs(), replaced(inputs(), 1, channel="cDAQ1Mod4/ai0"), "2 times"),
    "a list of channels": (replaced(outputs(), 0, channel="cDAQ1Mod1/ao0:3"), inputs(), "ao0:3"),
    "an input as an output": (replaced(outputs(), 0, channel="cDAQ1Mod4/ai0"), inputs(), "/ao0"),
    "no module": (replaced(outputs(), 0, channel="cDAQ1Mod9/ao0"), inputs(), "no module cDAQ1Mod9"),
    "no channel": (replaced(outputs(), 0, channel="cDAQ1Mod1/ao7"), inputs(), "ao0, cDAQ1Mod1/ao1"),
    "a range it has not": (replaced(outputs(), 0, high_v=12.0), inputs(), "-10 V to 10 V"),
    "an input's range": (outputs(), replaced(inputs(), 0, range_v=20.0), "-10 V to 10 V"),
    "an empty range": (replaced(outputs(), 0, low_v=3.0), inputs(), "no range"),
    "no gain": (outputs(), replaced(inputs(), 0, gain_na_per_v=0.0), "gain_na_per_v"),
    "a negative gain": (outputs(), replaced(inputs(), 0, gain_na_per_v=-1.0), "inverted = true"),
    "two chassis": (outputs(), replaced(inputs(), 0, channel="cDAQ2Mod1/ai0"), "cDAQ1, cDAQ2"),
    "nothing": ([], inputs(), "at least one"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_wiring_is_refused_in_one_line_before_anything_is_driven(server, case):
    wrong_outputs, wrong_inputs, says = BAD[case]
    with pytest.raises(ConfigurationError) as caught:
        NIRig(wrong_outputs, wrong_inputs, rate=RATE, server=server.address)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.service.calls["StartTask"] == 0
    assert not server.service.sessions


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": -1.0},
        {"rate": np.nan},
        {"delay_samples": -1},
        {"delay_samples": 1.5},
        {"buffer_s": 0.0},
        {"timeout_s": -1.0},
        {"watchdog_s": -1.0},
    ],
)
def test_bad_numbers_are_refused(server, wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        rig_on(server, **wrong)
    assert server.service.calls["CreateTask"] == 0


def test_a_rate_that_the_hardware_cannot_do_is_refused(server):
    with pytest.raises(InstrumentError, match=r"200000 Hz.*\(NI-DAQmx -200077\)"):
        rig_on(server, rate=2e5)
    assert not server.service.sessions


def test_an_unreachable_chassis():
    with Server(ideal) as server:
        address = server.address
    with pytest.raises(InstrumentError, match=f"no NI gRPC device server answers at {address}"):
        NIRig(outputs(), inputs(), rate=RATE, server=address, timeout_s=0.3)


def test_a_driver_that_is_not_installed():
    with pytest.raises(InstrumentError, match=r"driver is not installed.*server = 'host:port'"):
        NIRig(outputs(), inputs(), rate=RATE)


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nidaqmx", None)
    with pytest.raises(MissingExtraError, match=r"inmateria\[ni\]"):
        NIRig([AnalogOutput("e1", "Dev1/ao0", -1, 1)], inputs()[:1], rate=RATE)
