"""Two NI-DAQmx tasks on one clock: what plays, and what records.

The outputs are armed on the inputs' start trigger and clocked by the inputs' sample
clock, so that sample k is put out and sample k is read on the same edge, on however many
modules of the chassis. Stopping the inputs therefore stops the clock, and with it the
outputs, which hold the sample that they are at: then their count stands still and can be
asked for.

Nothing here sets an output to anything but the next sample: tasks are stopped and
cleared, which leaves the outputs as they are, and a device is never reset.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import InstrumentError
from inmateria.rigs.ni_connection import Connection, LostError, RefusedError
from inmateria.rigs.ni_wiring import AnalogInput, AnalogOutput

# NI-DAQmx takes no finite task of a single sample.
FEWEST_SAMPLES = 2
# Edges of the clock beyond the last sample: an output that was armed an edge late gets its own.
_SPARE_EDGES = 2
_STANDS_STILL_S = 0.02
_NOT_RUNNING = -200983


class Tasks:
    """Outputs and inputs, set up once, and played on in one stretch after the other.

    Parameters
    ----------
    connection : Connection
    session : str
        Names the tasks on a server; "" for a try that is never started.
    timeout_s : float
        Longest wait for samples beyond the time they take, s.
    """

    def __init__(self, connection: Connection, session: str, *, timeout_s: float) -> None:
        self._connection, self._session, self._timeout = connection, session, timeout_s
        self._inputs: Any = None
        self._outputs: Any = None
        self._writer: Any = None
        self._reader: Any = None
        self._n_inputs, self._rate, self._clock = 0, 1.0, ""
        self._n_generated: int | None = None
        self._started = self._may_be_there = False

    def set_up(
        self,
        outputs: Sequence[AnalogOutput],
        inputs: Sequence[AnalogInput],
        *,
        chassis: str,
    ) -> None:
        """Make both tasks; nothing is driven. `chassis` has the clock and the trigger to share.

        Raises
        ------
        InstrumentError
            Nothing is left behind, but where nobody answers: `attach` finds it.
        """
        try:
            self._make(outputs, inputs, chassis)
        except LostError:
            self._may_be_there = True
            raise
        except InstrumentError:
            self.abandon()
            raise

    @property
    def are_set_up(self) -> bool:
        """Ready for the next stretch."""
        return self._writer is not None and self._outputs is not None

    def prepare(self, *, rate: float, n_samples: int, room: int) -> None:
        """For a stretch of at most `n_samples` at `rate` Hz, of which the buffer holds `room`.

        The stretch before is stopped here only: until then the instrument can be asked how many
        of its samples were put out, by another process too.
        """
        finite = import_module("nidaqmx.constants").AcquisitionType.FINITE
        self._rate, self._started, self._n_generated = rate, False, None
        self._stop(self._outputs)
        self._stop(self._inputs)
        n_edges = n_samples + _SPARE_EDGES
        with self._connection.doing(f"setting the clock to {rate:g} Hz"):
            self._inputs.timing.cfg_samp_clk_timing(
                rate, sample_mode=finite, samps_per_chan=n_edges
            )
            # However long the recording, only what was not fetched yet is kept.
            self._inputs.in_stream.input_buf_size = min(n_edges, max(2 * room, round(rate)))
            self._outputs.timing.cfg_samp_clk_timing(
                rate, source=self._clock, sample_mode=finite, samps_per_chan=n_samples
            )
            self._outputs.out_stream.output_buf_size = max(FEWEST_SAMPLES, min(n_samples, room))

    def attach(self) -> None:
        """Take over what is on the server under this session's name, if anything is."""
        self._started = True  # as far as we know
        if self._inputs is None:
            self._inputs = self._connection.left_task(self._name("inputs"))
        if self._outputs is None:
            self._outputs = self._connection.left_task(self._name("outputs"))

    def coerced_rate(self) -> float:
        """Verify both tasks and read back the rate that the clock can have, Hz."""
        verify = import_module("nidaqmx.constants").TaskMode.TASK_VERIFY
        with self._connection.doing(f"asking for {self._rate:g} samples per second"):
            self._inputs.control(verify)
            self._outputs.control(verify)
            return float(self._inputs.timing.samp_clk_rate)

    def write(self, voltage: FloatArray) -> None:
        """(n_terminals, n) V into the outputs' buffer; waits until there is room."""
        self._raise_if_ended()
        with self._connection.doing("writing to the outputs"):
            self._writer.write_many_sample(np.ascontiguousarray(voltage), timeout=self._timeout)

    def start(self) -> None:
        """The outputs, which wait for the trigger; then the inputs, which give it."""
        with self._connection.doing("starting the outputs"):
            self._outputs.start()
        self._started = True
        try:
            with self._connection.doing("starting the inputs"):
                self._inputs.start()
        except RefusedError:
            self._started = False  # no clock: not a sample was put out
            raise

    def read(self, n_samples: int) -> FloatArray:
        """The next (n_inputs, n_samples) V; waits until they are recorded."""
        self._raise_if_ended()
        voltage = np.empty((self._n_inputs, n_samples))
        if n_samples:
            with self._connection.doing("reading the inputs"):
                timeout = self._timeout + n_samples / self._rate
                self._reader.read_many_sample(voltage, n_samples, timeout=timeout)
        return voltage

    def finish(self, *, early: bool) -> None:
        """End what was played to its end, or, `early`, what holds its last value already.

        Raises
        ------
        InstrumentError
            If the outputs did not play all of it.
        """
        if early:
            self._stop(self._inputs)
        else:
            with self._connection.doing("waiting for the outputs"):
                self._outputs.wait_until_done(timeout=self._timeout)

    def break_off(self) -> int | None:
        """Stop where it is, and clear.

        May be called again after a lost connection.

        Returns
        -------
        int or None
            Samples put out; None if the instrument does not know.
        """
        if self._may_be_there:
            self.attach()
        elif not self._started:
            self._n_generated = 0
        if self._n_generated is None and self._outputs is not None:
            self._stop(self._inputs)
            try:
                self._n_generated = self._count()
            except RefusedError as error:
                # One that does not run was prepared, and has put out nothing since.
                self._n_generated = 0 if error.code == _NOT_RUNNING else None
        self.clear()
        return self._n_generated

    def clear(self) -> None:
        """Give the channels back; what the outputs hold stays."""
        outputs, inputs = self._outputs, self._inputs
        # A task whose clearing failed cannot be cleared again, but attached to.
        self._outputs = self._inputs = None
        try:
            clear_task(self._connection, outputs)
            clear_task(self._connection, inputs)
        except LostError:
            self._may_be_there = True
            raise
        self._may_be_there = False

    def abandon(self) -> None:
        """Clear, if anybody answers."""
        try:
            self.clear()
        except LostError:
            return  # the server keeps them; `recover` clears them

    def _make(
        self, outputs: Sequence[AnalogOutput], inputs: Sequence[AnalogInput], chassis: str
    ) -> None:
        self._n_inputs, self._clock = len(inputs), f"/{chassis}/ai/SampleClock"
        with self._connection.doing("setting up the inputs"):
            self._inputs = task = self._connection.task(self._name("inputs"))
            for entry in inputs:
                task.ai_channels.add_ai_voltage_chan(
                    entry.channel, min_val=-entry.range_v, max_val=entry.range_v
                )
        with self._connection.doing("setting up the outputs"):
            self._outputs = task = self._connection.task(self._name("outputs"))
            for output in outputs:
                task.ao_channels.add_ao_voltage_chan(
                    output.channel, min_val=output.low_v, max_val=output.high_v
                )
            task.triggers.start_trigger.cfg_dig_edge_start_trig(f"/{chassis}/ai/StartTrigger")
            regeneration = import_module("nidaqmx.constants").RegenerationMode
            task.out_stream.regen_mode = regeneration.DONT_ALLOW_REGENERATION
        writers, readers = (import_module(f"nidaqmx.stream_{w}") for w in ("writers", "readers"))
        self._writer = writers.AnalogMultiChannelWriter(self._outputs.out_stream, auto_start=False)
        self._reader = readers.AnalogMultiChannelReader(self._inputs.in_stream)
        # The shapes are ours; to have them verified costs a question to the server each time.
        self._writer.verify_array_shape = self._reader.verify_array_shape = False

    def _raise_if_ended(self) -> None:
        if not self.are_set_up:
            raise InstrumentError(
                "this stream was ended where it was, because another one began; "
                "take all recordings of one before the next"
            )

    def _stop(self, task: Any) -> None:
        if task is None:
            return
        try:
            with self._connection.doing("stopping a task"):
                task.stop()
        except RefusedError:
            return  # it had stopped by itself; why was told when it was waited for

    def _count(self) -> int:
        with self._connection.doing("asking how far the outputs came"):
            n_before, n = -1, int(self._outputs.out_stream.total_samp_per_chan_generated)
            while n != n_before:
                time.sleep(_STANDS_STILL_S)
                n_before, n = n, int(self._outputs.out_stream.total_samp_per_chan_generated)
        return n

    def _name(self, which: str) -> str:
        return f"{self._session}-{which}" if self._session else ""


def clear_task(connection: Connection, task: Any | None) -> None:
    """Clear a task, also one that the driver has lost.

    Raises
    ------
    LostError
        If nobody answers.
    """
    if task is None:
        return
    try:
        with connection.doing("clearing a task"):
            task.close()
    except LostError:
        raise
    except InstrumentError:
        return  # it is gone, which was the aim
