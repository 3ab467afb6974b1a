"""What a measurement costs beside itself, and whether rigs keep up.

    python -m benchmarks.rigs [simulated] [ni] [qcodes] [--rates 10000 20000 50000 100000]

Seven terminals and two outputs through a guard, voltages on the disk before they are sent.
First, for each rig, short measurements one after the other: the time that each takes beyond the
time that it lasts (a simulated rig has no clock: what it takes at all). `qcodes` steps parameters
without an instrument behind them, at 1 kHz, in the time of this computer's clock.

Then, for each rig and sampling rate, a long waveform: the time that it takes over the time that
it lasts, and the share of one core that this process needs. A rig on a wire (`ni`) cannot be
faster than its clock: 1.0 is all there is, "runs dry" means that its outputs were not fed in time.
Its server is a process of its own on this computer (`tests/wire/ni_server.py`), in front of
a chassis of seven resistors. `simulated` plays the same device without a wire, without a
clock and without noise: what the guard and the chain cost.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
from tests.wire.ohmic7 import Ohmic7

from inmateria.errors import InstrumentError
from inmateria.rigs.guard import Guard
from inmateria.rigs.rig import Rig
from inmateria.rigs.simulated import SimulatedRig
from inmateria.rigs.voltage_record import VoltageRecord

SLEW = 200.0
BUFFER_S = 0.1


@contextmanager
def simulated(rate: float) -> Iterator[Rig]:
    """The device behind the simulated chain."""
    yield SimulatedRig(Ohmic7(), rate=rate, noise=None)


@contextmanager
def ni(rate: float) -> Iterator[Rig]:
    """The same behind NI's protocol, in real time."""
    from tests.wire.wiring import inputs, outputs

    from inmateria.rigs.ni import NIRig

    command = [sys.executable, "-m", "tests.wire.ni_server", "--delay", "38"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = f"127.0.0.1:{int(server.stdout.readline())}"
        with NIRig(
            outputs(),
            inputs(),
            rate=rate,
            server=address,
            delay_samples=38,
            buffer_s=BUFFER_S,
        ) as rig:
            yield rig
    finally:
        server.terminate()
        server.wait()


@contextmanager
def qcodes(rate: float) -> Iterator[Rig]:
    """QCoDeS parameters that only remember what they are set to."""
    from qcodes.parameters import ManualParameter

    from inmateria.rigs.qcodes_rig import Meter, QcodesRig, Source

    sources = [
        Source(f"e{n}", ManualParameter(f"v{n}", initial_value=0.0), -1.0, 1.0) for n in range(1, 8)
    ]
    meters = [Meter(name, ManualParameter(name, initial_value=0.0), 1.0) for name in "xy"]
    yield QcodesRig(sources, meters, rate=rate)


RIGS: dict[str, Callable[[float], AbstractContextManager[Rig]]] = {
    "simulated": simulated,
    "ni": ni,
    "qcodes": qcodes,
}
# Of the first table, Hz; the second one is for rigs with a sampling clock.
RATE = {"simulated": 1e4, "ni": 1e4, "qcodes": 1e3}
CLOCKED = ("simulated", "ni")


def overhead(name: str, seconds: float, times: int = 30) -> str:
    """One line of the first table."""
    rate = RATE[name]
    with (
        tempfile.TemporaryDirectory() as folder,
        RIGS[name](rate) as rig,
        contextlib.closing(
            VoltageRecord(f"{folder}/voltages", [t.name for t in rig.terminals], rate, SLEW)
        ) as record,
        Guard(rig, slew_v_per_s=SLEW, block_s=BUFFER_S, record=record) as guard,
    ):
        t = np.arange(round(seconds * rig.rate)) / rig.rate
        tones = 0.01 * np.sin(2 * np.pi * np.arange(1, 8)[:, None] * t / seconds)
        guard.play(tones)  # compiles, sets up, connects
        took = []
        for _ in range(times):
            before = time.perf_counter()
            guard.play(tones)
            took.append(time.perf_counter() - before)
    lasts = 0.0 if name == "simulated" else seconds
    beyond = 1e3 * (np.array(took) - lasts)
    return (
        f"{name:12} {rate:>9.0f} {1e3 * seconds:>9.0f} {np.median(beyond):>12.1f} "
        f"{beyond.max():>12.1f}"
    )


def measure(name: str, rate: float, seconds: float) -> str:
    """One line of the table."""
    with RIGS[name](rate) as rig, Guard(rig, slew_v_per_s=SLEW, block_s=BUFFER_S) as guard:
        t = np.arange(round(seconds * rig.rate)) / rig.rate
        tones = 0.2 * np.sin(2 * np.pi * np.arange(3, 24, 3)[:, None] * t)
        guard.play(tones[:, : round(0.2 * rig.rate)])  # compiles, sets up, connects
        guard.ramp_to(tones[:, 0])
        before, busy_before = time.perf_counter(), time.process_time()
        try:
            guard.play(tones)
        except InstrumentError as error:
            if "-200290" not in str(error):
                raise
            return f"{name:12} {rate:>9.0f} {'runs dry':>12}"
        took, busy = time.perf_counter() - before, time.process_time() - busy_before
    return f"{name:12} {rate:>9.0f} {took / seconds:12.3f} {busy / took:12.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rigs", nargs="*", default=list(RIGS), metavar="RIG")
    parser.add_argument("--rates", nargs="*", type=float, default=[1e4, 2e4, 5e4, 1e5])
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args(arguments)
    print(f"{'rig':12} {'rate, Hz':>9} {'lasts, ms':>9} {'beyond, ms':>12} {'longest, ms':>12}")
    for name in given.rigs:
        for seconds in (0.01, 0.1):
            print(overhead(name, seconds), flush=True)
    print(f"\n{'rig':12} {'rate, Hz':>9} {'time taken':>12} {'of a core':>12}")
    for name in (name for name in given.rigs if name in CLOCKED):
        for rate in given.rates:
            print(measure(name, rate, given.seconds), flush=True)


if __name__ == "__main__":
    main()
