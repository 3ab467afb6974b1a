"""Drivers of the instruments in source_and_meter.yaml, as a laboratory writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcodes.instrument import InstrumentChannel, VisaInstrument
from qcodes.validators import Numbers

SIMULATED = f"{Path(__file__).parent / 'source_and_meter.yaml'}@sim"


class Channel(InstrumentChannel):
    """One output; its set waits for an OK."""

    def __init__(self, parent: Source3, name: str, number: int) -> None:
        super().__init__(parent, name)
        self.number = number
        self.add_parameter(
            "voltage",
            unit="V",
            get_cmd=f"SOUR{number}:VOLT?",
            get_parser=float,
            set_cmd=self._put,
            vals=Numbers(-2.0, 2.0),
        )

    def _put(self, voltage: float) -> None:
        parent = self.parent
        parent.n_sets += 1
        if parent.lost_at is not None and parent.n_sets >= parent.lost_at:
            parent.ask("LOST?")
        answer = self.ask(f"SOUR{self.number}:VOLT {voltage:.6f}")
        if answer != "OK":
            raise RuntimeError(answer)


class Source3(VisaInstrument):
    """Three channels. From set number `lost_at` on, it does not answer to sets."""

    default_terminator = "\n"
    default_timeout = 0.05

    def __init__(self, name: str, address: str = "GPIB::1::INSTR", **kwargs: Any) -> None:
        super().__init__(name, address, visalib=SIMULATED, **kwargs)
        self.n_sets = 0
        self.lost_at: int | None = None
        for number in (1, 2, 3):
            self.add_submodule(f"ch{number}", Channel(self, f"ch{number}", number))
        self.connect_message()


class Ammeter(VisaInstrument):
    """Reads a constant; `query` is what it is asked."""

    default_terminator = "\n"
    default_timeout = 0.05

    def __init__(self, name: str, address: str = "GPIB::2::INSTR", **kwargs: Any) -> None:
        super().__init__(name, address, visalib=SIMULATED, **kwargs)
        self.query = "READ?"
        self.add_parameter("current", unit="A", get_cmd=self._read, get_parser=float)
        self.connect_message()

    def _read(self) -> str:
        return self.ask(self.query)


class Unplugged(Ammeter):
    """Asks something at opening, and gets no answer."""

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        super().__init__(name, address, **kwargs)
        self.ask("LOST?")
