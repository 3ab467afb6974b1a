"""Faults on a bench, at random moments, and what became of the terminals.

    python -m tests.faults.bench_faults [N]

injects N faults (200) into a session on the bench of `tests/wire` (the real client, a
simulated chassis on loopback that keeps every sample it puts out) and on a simulated rig, and
prints the table of docs/safety.md: did every terminal end at 0 V, was a sample beyond a
limit or a step beyond the slew ever put out, can the data up to the fault be read.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.wire.faults import Faults, Refusal
from tests.wire.ni_server import Server
from tests.wire.ohmic7 import Ohmic7

from inmateria.bench.bench import Bench, open_bench
from inmateria.bench.park import park
from inmateria.data.blocks import read_journal
from inmateria.data.designs import Sinusoids
from inmateria.data.sampling import sample
from inmateria.errors import InMateriaError, InstrumentError, ParkingError, StoppedError
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

LIMIT_V, SLEW_V_PER_S, RATE_HZ = 1.2, 200.0, 10_000.0
# The guard rounds by 1e-9 of a step; the converters of the chassis do not round.
STEP_V = SLEW_V_PER_S / RATE_HZ * (1 + 1e-6) + 1e-9
SAMPLE_S = 0.8

BENCH = """
name = "bench of faults"
device = "seven resistors"
rate_hz = 10000.0
slew_v_per_s = {slew}
block_s = 0.05
{compliance}
[instrument]
kind = "ni"
server = "{server}"
delay_samples = 20
buffer_s = {buffer}
timeout_s = 0.6
"""
TERMINAL = """
[[terminal]]
name = "e{k}"
channel = "{channel}"
readback = "{readback}"
limits_v = [-{limit}, {limit}]
"""
OUTPUT = """
[[output]]
name = "{name}"
channel = "cDAQ1Mod4/ai{k}"
gain_na_per_v = {gain}
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one fault.

    Attributes
    ----------
    kind : str
    seed : int
    error : str
        Class of what the session ended with; empty where it ended as if nothing had been.
    parked_by : str
        ``"guard"``, or ``"park"`` where `inmateria park` was needed.
    at_zero, within_limits, within_slew : bool
    rows : int
        That can be read; -1 where there is no readable file.
    seconds : float
        From the fault to the end of the session, `inmateria park` included.
    """

    kind: str
    seed: int
    error: str
    parked_by: str
    at_zero: bool
    within_limits: bool
    within_slew: bool
    rows: int
    seconds: float

    @property
    def harmless(self) -> bool:
        """Whether nothing happened to the device, or to the data before the fault."""
        safe = self.at_zero and self.within_limits and self.within_slew
        return safe and self.rows >= 0

    @property
    def as_expected(self) -> bool:
        """Whether it was this fault that ended the session."""
        return self.error in ENDS[self.kind.removesuffix(ON_SIMULATED)]


def write_bench(
    folder: Path, server: str, *, gain: float = 100.0, compliance: str = "", buffer_s: float = 0.05
) -> Path:
    """A bench file for the chassis at `server`."""
    channels = [f"cDAQ1Mod{1 + k // 4}/ao{k % 4}" for k in range(7)]
    parts = [BENCH.format(server=server, slew=SLEW_V_PER_S, compliance=compliance, buffer=buffer_s)]
    parts += [
        TERMINAL.format(
            k=k + 1,
            channel=channel,
            readback=channel.replace("/", "/_") + "_vs_aognd",
            limit=LIMIT_V,
        )
        for k, channel in enumerate(channels)
    ]
    parts += [OUTPUT.format(name=name, k=k, gain=gain) for k, name in enumerate("xy")]
    path = folder / "bench.toml"
    path.write_text("".join(parts))
    return path


def session(guard: Guard, folder: Path, seed: int, at_row: Callable[[int, int], object]) -> None:
    """What an experiment does: sample into a file, go somewhere, play tones there."""
    sample(guard, Sinusoids(SAMPLE_S, base_hz=3.0, seed=seed), path=folder / "data.nc", block_s=0.2,
           progress=at_row)  # fmt: skip
    point = np.random.default_rng(seed).uniform(-0.5, 0.5, 7)
    guard.ramp_to(point)
    seconds = np.arange(3000) / guard.rate
    tones = 0.02 * np.sin(2 * np.pi * np.arange(10, 80, 10)[:, None] * seconds)
    guard.play(point[:, None] + tones)


# In the middle of playing, as far as a clock can tell.


class Later:
    """Does something after a while, from another thread; knows when that was."""

    def __init__(self, wait_s: float, do: Callable[[], object]) -> None:
        self.at = 0.0
        self._do = do
        self._timer = threading.Timer(wait_s, self._act)
        self._timer.daemon = True

    def _act(self) -> None:
        self.at = time.monotonic()
        self._do()

    def __enter__(self) -> Later:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self._timer.join()


class CallbackError(Exception):
    """Of a user's own code."""


@dataclass
class Injection:
    """How a fault is brought about.

    Parameters
    ----------
    server : Server or None
        None on a simulated rig.
    generator : Generator
        Says when.
    """

    server: Server | None
    generator: np.random.Generator

    def signals(self, *numbers: signal.Signals) -> Later:
        """Sent to this process, 0.1 s apart."""

        def send() -> None:
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(0.1)

        return Later(self.moment(), send)

    def moment(self) -> float:
        """s after the session began: within its sampling, its ramps or its tones."""
        return float(self.generator.uniform(0.02, 1.0))

    def server_killed(self) -> Later:
        """And started again a moment later, as a service is."""
        server, away_s = self._server, float(self.generator.uniform(0.1, 0.4))

        def act() -> None:
            server.kill()
            time.sleep(away_s)
            server.chassis.dead = False
            server.restart()

        return Later(self.moment(), act)

    def connection_reset(self) -> Later:
        """The chassis plays on while nobody can be reached."""
        away_s = float(self.generator.uniform(0.0, 0.4))
        return Later(self.moment(), lambda: self._server.reset_connections(away_s))

    def timeout(self) -> Later:
        """The sample clock stands still for a second, as with a cable pulled and put back."""
        self._server.faults = Faults(stall_at_sample=int(self.generator.integers(1, 8000)))

        def put_back() -> None:
            self._server.faults = Faults()

        return Later(2.0, put_back)

    def refused(self) -> Later:
        """A call of the instrument's driver fails, once."""
        rpc = str(self.generator.choice(["WriteAnalogF64", "ReadAnalogF64", "StartTask"]))
        nth = int(self.generator.integers(0, 3 if rpc == "StartTask" else 12))
        self._server.faults = Faults(refuse={rpc: Refusal(-200077, nth=nth)})
        return Later(60.0, lambda: None)

    def answer_lost(self) -> Later:
        """A write arrives, but nobody is told."""
        self._server.faults = Faults(lose={"WriteAnalogF64": int(self.generator.integers(0, 12))})
        return Later(60.0, lambda: None)

    def not_a_number(self) -> Later:
        """A reading is NaN."""
        self._server.faults = Faults(nan_at=(0, int(self.generator.integers(0, 1500))))
        return Later(60.0, lambda: None)

    @property
    def _server(self) -> Server:
        assert self.server is not None
        return self.server


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
KINDS = {
    "exception in a callback": 22,
    "Ctrl-C": 16,
    "Ctrl-C twice": 20,
    "TERM": 16,
    "HUP": 16,
    "server killed": 16,
    "connection reset": 16,
    "timeout": 10,
    "call refused": 16,
    "answer lost": 8,
    "input clipped": 10,
    "NaN": 12,
    "disk full": 12,
    "kill -9, then park": 10,
}
# What a session ends with; "" is the end as if nothing had been, where that is possible.
_WIRE = ("InstrumentError", "ParkingError")
ENDS: dict[str, tuple[str, ...]] = {
    "exception in a callback": ("CallbackError",),
    **dict.fromkeys(("Ctrl-C", "Ctrl-C twice", "TERM", "HUP"), ("StoppedError",)),
    "server killed": _WIRE,
    "connection reset": (*_WIRE, ""),
    "timeout": _WIRE,
    "call refused": _WIRE,
    "answer lost": _WIRE,
    "input clipped": ("ComplianceError",),
    "NaN": ("InstrumentError",),
    "disk full": ("StorageError", ""),
    "kill -9, then park": ("killed",),
}
SIMULATED = ("exception in a callback", "Ctrl-C twice", "TERM", "HUP", "NaN")
ON_SIMULATED = " (simulated rig)"
SIGNALS = {"Ctrl-C": (INT,), "Ctrl-C twice": (INT, INT), "TERM": (TERM,), "HUP": (HUP,)}


def inject(kind: str, seed: int) -> Outcome:
    """One fault, over the wire, in a new session."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        gain = 1.0 if kind == "input clipped" else 100.0
        with Server(Ohmic7(), gain_na_per_v=gain, delay=20) as server:
            compliance = "compliance_na = 9.9" if kind == "input clipped" else ""
            bench = open_bench(
                write_bench(
                    folder,
                    server.address,
                    gain=gain,
                    compliance=compliance,
                    # A process that starts has other things to do than to feed outputs.
                    buffer_s=0.2 if kind == "kill -9, then park" else 0.05,
                )
            )
            if kind == "kill -9, then park":
                error, began = _killed(bench, folder, seed)
            else:
                error, began = _disturbed(kind, seed, server, bench, folder)
            last, parked_by = bench.last_voltages(), "guard"
            if last is not None and not last.at_rest:
                # Where only the record could not be written, the terminals are at 0 V already.
                parked_by = "park" if server.chassis.held.any() else "guard"
                server.faults = Faults()
                park(bench)
                last = bench.last_voltages()
            seconds = time.monotonic() - began if began else 0.0
            played = server.chassis.played
            return Outcome(
                kind, seed, error, parked_by,
                at_zero=not server.chassis.held.any() and last is not None and last.at_rest,
                within_limits=bool((np.abs(played) <= LIMIT_V).all()),
                within_slew=bool((np.abs(np.diff(played, axis=1, prepend=0.0)) <= STEP_V).all()),
                rows=_rows(folder), seconds=seconds,
            )  # fmt: skip


def inject_simulated(kind: str, seed: int) -> Outcome:
    """One fault on a rig in software."""
    generator = np.random.default_rng([seed, 1])

    class Device(Ohmic7):
        """Takes its time, so that a moment can be hit; may answer NaN."""

        def __init__(self) -> None:
            super().__init__()
            self.nan_at = int(generator.integers(1, 20)) if kind == "NaN" else -1

        def current(self, voltage: object) -> np.ndarray:
            self.nan_at -= 1
            current = super().current(voltage)
            time.sleep(len(np.atleast_2d(current)) / RATE_HZ)
            return current * np.nan if self.nan_at == 0 else current

    rig = SimulatedRig(Device(), rate=RATE_HZ, noise=None)
    limits = {t.name: (-LIMIT_V, LIMIT_V) for t in rig.terminals}
    with tempfile.TemporaryDirectory() as place:
        guard = Guard(rig, limits=limits, slew_v_per_s=SLEW_V_PER_S, block_s=0.05)
        with guard:
            error, began = _session(kind, seed, guard, Path(place), Injection(None, generator))
        seconds = time.monotonic() - began if began else 0.0
        seen = rig.transcript
        steepest = seen.steepest_v_per_s / RATE_HZ
        return Outcome(
            kind + ON_SIMULATED, seed, error, "guard",
            at_zero=not rig.held_voltage.any(),
            within_limits=bool(max(-seen.lowest_v.min(), seen.highest_v.max()) <= LIMIT_V),
            within_slew=bool((steepest <= STEP_V).all()),
            rows=_rows(Path(place)), seconds=seconds,
        )  # fmt: skip


def _disturbed(
    kind: str, seed: int, server: Server, bench: Bench, folder: Path
) -> tuple[str, float]:
    injection = Injection(server, np.random.default_rng([seed, 0]))
    error, began = "", 0.0
    try:
        with bench.guard() as guard:
            error, began = _session(kind, seed, guard, folder, injection)
    except (ParkingError, StoppedError) as error_at_exit:
        # A second Ctrl-C may come while it parks, and is told when it has.
        return type(error_at_exit).__name__, began or time.monotonic()
    return error, began


def _session(
    kind: str, seed: int, guard: Guard, folder: Path, injection: Injection
) -> tuple[str, float]:
    """Class of the error that ended it, and when the fault came (0: nobody knows)."""
    began, rows = 0.0, 0
    fail_at = int(injection.generator.integers(1, 5)) if kind == "exception in a callback" else -1

    def at_row(done: int, _: int) -> None:
        nonlocal began, rows
        rows += 1
        if rows == fail_at:
            began = time.monotonic()
            raise CallbackError("of the user's own code")

    later: Later | None = None
    try:
        with contextlib.ExitStack() as stack:
            if kind == "disk full":
                stack.enter_context(_full_disk(int(injection.generator.integers(2_000, 400_000))))
            elif kind not in ("exception in a callback", "input clipped") and not (
                kind == "NaN" and injection.server is None
            ):
                later = stack.enter_context(_later(kind, injection))
            session(guard, folder, seed, at_row)
    except ParkingError:
        return "ParkingError", (later.at if later else 0.0) or began
    except (InMateriaError, CallbackError, OSError) as error:
        return _public(error), (later.at if later else 0.0) or began
    return "", 0.0


def _public(error: Exception) -> str:
    """Name of the class that users catch."""
    return "InstrumentError" if isinstance(error, InstrumentError) else type(error).__name__


def _later(kind: str, injection: Injection) -> Later:
    if kind in SIGNALS:
        return injection.signals(*SIGNALS[kind])
    return {
        "server killed": injection.server_killed,
        "connection reset": injection.connection_reset,
        "timeout": injection.timeout,
        "call refused": injection.refused,
        "answer lost": injection.answer_lost,
        "NaN": injection.not_a_number,
    }[kind]()


@contextlib.contextmanager
def _full_disk(n_bytes: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _killed(bench: Bench, folder: Path, seed: int) -> tuple[str, float]:
    """`inmateria sample` on the bench, killed at a random moment of its driving."""
    generator = np.random.default_rng([seed, 2])
    child = subprocess.Popen(
        [sys.executable, "-m", "inmateria.cli", "sample", "--bench", str(bench.path),
         "--design", "sinusoids", "--duration", "20", "--rate", "10000",
         "-o", str(folder / "data.nc")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            with contextlib.suppress(InMateriaError):
                last = bench.last_voltages()
                if last is not None and not last.at_rest:
                    break
            time.sleep(0.01)
        time.sleep(generator.uniform(0.0, 2.0))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    last = bench.last_voltages()
    driven = last is not None and not last.at_rest
    return "killed" if driven else "killed before it drove", time.monotonic()


def _rows(folder: Path) -> int:
    """Rows of the measurement that can be read, checked; 0 where none had been written yet."""
    part, whole = folder / "data.nc.part", folder / "data.nc"
    try:
        if part.exists():
            return int(read_journal(part).n_rows)
        if whole.exists():
            from inmateria.data.measurement import open_measurement

            return int(open_measurement(whole).sizes["sample"])
    except (InMateriaError, OSError):
        return -1
    return 0


def plan(n: int) -> list[tuple[Callable[[str, int], Outcome], str, int]]:
    """So many faults, over all kinds in the shares of `KINDS`, each with a seed of its own."""
    faults = [(inject, kind, k) for kind, share in KINDS.items() for k in range(share)]
    # In the place of the last ones over the wire of these kinds.
    for k, kind in enumerate(SIMULATED * 2):
        at = max(i for i, (do, what, _) in enumerate(faults) if do is inject and what == kind)
        faults[at] = (inject_simulated, kind, k)
    order = np.random.default_rng(0).permutation(len(faults))
    return [faults[i] for i in order[:n]] if n < len(faults) else faults


def main(arguments: list[str]) -> None:
    """Inject, and print the table."""
    n = int(arguments[0]) if arguments else 200
    outcomes: list[Outcome] = []
    for k, (do, kind, seed) in enumerate(plan(n)):
        outcomes.append(do(kind, seed))
        if not (outcomes[-1].harmless and outcomes[-1].as_expected):
            print(outcomes[-1], file=sys.stderr)
        print(f"\r{k + 1} of {n}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print("| fault | injected | at 0 V | within limits | within slew | data readable "
          "| by `inmateria park` | s to 0 V, median (longest) |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    kinds = dict.fromkeys(o.kind for o in outcomes)
    for kind in [*sorted(kinds), "all"]:
        some = [o for o in outcomes if kind in (o.kind, "all")]
        # Where only the chassis knows when the fault came, nobody measured.
        timed = [o.seconds for o in some if o.seconds]
        cells = [
            kind, len(some), *(sum(getattr(o, name) for o in some)
                               for name in ("at_zero", "within_limits", "within_slew")),
            sum(o.rows >= 0 for o in some), sum(o.parked_by == "park" for o in some),
            f"{np.median(timed):.2f} ({max(timed):.2f})" if timed else "",
        ]  # fmt: skip
        print("| " + " | ".join(str(cell) for cell in cells) + " |")
    errors = sorted({(o.kind, o.error) for o in outcomes})
    print("\nended with: " + "; ".join(f"{k}: {e or 'nothing noticed'}" for k, e in errors))
    sys.exit(not all(o.harmless and o.as_expected for o in outcomes))


if __name__ == "__main__":
    main(sys.argv[1:])
