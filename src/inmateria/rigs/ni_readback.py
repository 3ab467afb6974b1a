"""What terminals hold, read on inputs that are wired to them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.rigs.ni_connection import Connection
from inmateria.rigs.ni_wiring import AnalogOutput

# Readings on demand, averaged; they follow each other by a fraction of a millisecond.
_READINGS = 16


def read_back(connection: Connection, outputs: Sequence[AnalogOutput]) -> FloatArray | None:
    """Voltages on the terminals now, (n_terminals,) V; None unless each has a `readback`.

    Raises
    ------
    InstrumentError
    """
    channels = [output.readback for output in outputs]
    if not all(channels):
        return None
    largest = max(max(abs(o.low_v), abs(o.high_v)) for o in outputs)
    reader = import_module("nidaqmx.stream_readers").AnalogMultiChannelReader
    voltage = np.empty((len(outputs), _READINGS))
    with connection.doing("reading back the outputs"):
        task = connection.task()
        try:
            for channel in channels:
                task.ai_channels.add_ai_voltage_chan(channel, min_val=-largest, max_val=largest)
            reading = reader(task.in_stream)
            reading.verify_array_shape = False
            reading.read_many_sample(voltage, _READINGS)
        finally:
            task.close()
    return np.asarray(voltage.mean(axis=1))
