"""A rig that plays blocks without a gap: the guard writes each down before it leaves."""

from __future__ import annotations

import os
import signal
from collections import deque

import numpy as np
import pytest

from inmateria.errors import (
    ComplianceError,
    InstrumentError,
    ParameterError,
    ParkingError,
    StoppedError,
    StorageError,
)
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import StreamingRig
from inmateria.rigs.voltage_record import VoltageRecord, read_voltage_record

from .ohmic import HonestBench

AHEAD = 2
STEP = 200.0 / 10_000.0 * (1 + 1e-9) + 1e-12
WAVE = np.zeros((3, 1000))
WAVE[0] = 0.8 * np.sin(2 * np.pi * np.arange(1000) / 1000)


class Streaming(HonestBench):
    """Takes `AHEAD` blocks before the first is played; plays in halves of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[np.ndarray] = []
        self.starts = 0
        self.before_block = lambda number: None  # number of the block that is about to be played

    def stream(self, blocks, n_samples):
        self.starts += 1
        waiting: deque[np.ndarray] = deque()
        source = iter(blocks)
        number = 0
        while True:
            while len(waiting) < AHEAD and (block := next(source, None)) is not None:
                self.taken.append(block)
                waiting.append(block)
            if not waiting:
                return
            block = waiting.popleft()
            self.sent = np.hstack([self.sent, block[:, : block.shape[1] // 2]])
            self.before_block(number)
            self.sent = np.hstack([self.sent, block[:, block.shape[1] // 2 :]])
            number += 1
            yield block[:1].copy()

    def play(self, voltage):
        raise AssertionError("a rig that can stream is not cut into calls")


def test_it_is_one_stream_of_blocks_and_ends_at_0_v():
    rig = Streaming()
    assert isinstance(rig, StreamingRig)
    with Guard(rig, block_s=0.01) as guard:
        reading = guard.play(WAVE)
    np.testing.assert_array_equal(reading[0], WAVE[0])
    np.testing.assert_array_equal(rig.sent[:, :1000], WAVE)
    assert rig.starts == 2  # the wave and the way home
    assert rig.sent[:, -1].tolist() == [0, 0, 0]


def test_all_that_is_taken_is_on_the_disk_first(tmp_path):
    path = tmp_path / "voltages"
    rig = Streaming()
    record = VoltageRecord(path, "abc", rig.rate, 200.0)
    seen = []

    def look(number):
        last = read_voltage_record(path)
        seen.append(number)
        # Everything that was taken, less what was confirmed before.
        taken = np.column_stack(rig.taken)
        possible = np.column_stack([last.held, last.in_flight])
        np.testing.assert_array_equal(
            possible[:, 1:], taken[:, last.before :], err_msg=f"block {number}"
        )
        assert (np.isclose(possible.T, rig.sent[:, -1]).all(axis=1)).any()

    with Guard(rig, block_s=0.01, record=record) as guard:
        rig.before_block = look
        guard.play(WAVE)
        rig.before_block = lambda number: None
        held = read_voltage_record(path)
        assert held.in_flight.shape == (3, 0)
        np.testing.assert_array_equal(held.held, WAVE[:, -1])
    assert seen == list(range(10))
    assert read_voltage_record(path).at_rest
    record.close()


@pytest.mark.parametrize("at", [0, 3, 9])
def test_a_failure_within_a_stream_goes_home_from_where_it_is(at):
    rig = Streaming()

    def fail(number):
        if number == at:
            rig.before_block = lambda number: None
            raise InstrumentError("the card was unplugged")

    rig.before_block = fail
    with pytest.raises(InstrumentError), Guard(rig, block_s=0.01) as guard:
        guard.play(WAVE)
    assert rig.sent[:, -1].tolist() == [0, 0, 0]
    assert (rig.steps_v <= STEP).all()
    assert rig.sent[0].max() <= 0.8


def test_compliance_closes_the_stream_and_what_was_taken_does_not_follow():
    rig = Streaming()
    with pytest.raises(ComplianceError), Guard(rig, block_s=0.01, compliance_na=0.5) as guard:
        guard.play(WAVE)
    # 0.5 is passed in block 1; block 2 was taken and is never played.
    np.testing.assert_array_equal(rig.sent[:, :200], WAVE[:, :200])
    assert (np.diff(np.abs(rig.sent[0, 200:])) <= 1e-15).all()
    assert rig.sent[:, -1].tolist() == [0, 0, 0]
    assert (rig.steps_v <= STEP).all()


@pytest.mark.parametrize(("signals", "played"), [(1, 1000), (2, 400)])
def test_ctrl_c_once_plays_all_and_twice_stops_it(signals, played):
    rig = Streaming()

    def interrupt(number):
        if number == 3:
            for _ in range(signals):
                os.kill(os.getpid(), signal.SIGINT)

    rig.before_block = interrupt
    with pytest.raises(StoppedError), Guard(rig, block_s=0.01) as guard:
        guard.play(WAVE)
    np.testing.assert_array_equal(rig.sent[:, :played], WAVE[:, :played])
    assert (np.diff(np.abs(rig.sent[0, played:])) <= 1e-15).all()
    assert rig.sent[:, -1].tolist() == [0, 0, 0]


class FullDisk:
    """A record that can be written `n` times."""

    def __init__(self, n: int) -> None:
        self.left = n

    def about_to_play(self, held, in_flight, *, before=0):
        self.left -= 1
        if self.left < 0:
            raise StorageError("cannot write: no space left on device")

    def holds(self, held):
        if self.left < 0:
            raise StorageError("cannot write: no space left on device")


@pytest.mark.parametrize("n", range(5))
def test_what_cannot_be_written_down_is_not_sent_and_it_still_goes_home(n):
    rig = Streaming()
    with pytest.raises(StorageError), Guard(rig, block_s=0.01, record=FullDisk(n)) as guard:
        guard.play(WAVE)
    waves = [block for block in rig.taken if block.shape[1] == 100 and (block[0] > 0).all()]
    assert len(waves) <= n
    assert rig.sent.size == 0 or rig.sent[:, -1].tolist() == [0, 0, 0]
    assert (rig.steps_v <= STEP).all()


def test_a_rig_that_stays_broken_says_what_it_holds():
    rig = Streaming()

    def fail(number):
        raise InstrumentError("the chassis does not answer")

    guard = Guard(rig, block_s=0.01)
    guard.ramp_to([0.5, 0, 0])
    rig.before_block = fail
    with pytest.raises(ParkingError, match=r"last known: a at 0\.5 V"):
        guard.park()


class Biting(Streaming):
    """Once bitten by a watchdog it is at 0 V, and says so when it is asked to play on."""

    bitten = False

    def stream(self, blocks, n_samples):
        if self.bitten:
            self.bitten = False
            raise InstrumentError("the terminals are not where they were left")
        yield from super().stream(blocks, n_samples)


def test_a_rig_that_moved_by_itself_is_asked_again(tmp_path):
    rig = Biting()
    guard = Guard(rig, block_s=0.01)
    guard.ramp_to([0.8, 0, 0])
    rig.bitten, rig.sent = True, np.hstack([rig.sent, np.zeros((3, 1))])
    bite = rig.sent.shape[1]
    with pytest.raises(InstrumentError):
        guard.ramp_to([0.9, 0, 0])
    guard.park()
    guard.ramp_to([0.1, 0, 0])
    assert np.abs(np.diff(rig.sent[:, bite - 1 :], axis=1)).max() <= STEP


def test_the_record_does_not_mix_what_was_lost_with_what_follows(tmp_path):
    rig = Streaming()
    record = VoltageRecord(tmp_path / "voltages", "abc", rig.rate, 200.0)
    guard = Guard(rig, block_s=0.01, record=record)

    def fail(number):
        if number == 3:
            raise InstrumentError("the card was unplugged")

    rig.before_block = fail
    with pytest.raises(InstrumentError):
        guard.play(WAVE)
    first = []

    def look(number):
        last = read_voltage_record(tmp_path / "voltages")
        first.append((last.before, last.held, last.in_flight))

    here = rig.held_voltage.copy()
    rig.taken.clear()
    rig.before_block = look
    guard.ramp_to([0, 0, 0])
    before, held, in_flight = first[0]
    assert before == 0
    np.testing.assert_array_equal(held, here)
    np.testing.assert_array_equal(in_flight, np.column_stack(rig.taken)[:, : in_flight.shape[1]])
    record.close()


def test_a_record_without_room_does_not_stop_the_way_home(tmp_path):
    rig = Streaming()
    record = VoltageRecord(tmp_path / "voltages", "abc", rig.rate, 200.0, capacity_s=0.015)
    with (
        pytest.raises(ParameterError, match="room for"),
        Guard(rig, block_s=0.01, record=record) as guard,
    ):
        guard.play(WAVE)
    assert rig.sent.size == 0 or rig.sent[:, -1].tolist() == [0, 0, 0]
    record.close()
