"""What goes wrong on a chassis or on the way to it, and when.

Everything here may be set while the server runs: `server.faults = Faults(...)` begins to count
calls and samples anew. A name of an RPC is that of NI's service ("WriteAnalogF64"); "*" is any.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refusal:
    """NI's error `code` instead of doing it, at the `nth` call (0 is the first), `times` times."""

    code: int
    nth: int = 0
    times: int = 1


@dataclass
class Faults:
    """Nothing goes wrong unless it is named.

    Parameters
    ----------
    late_s : dict of RPC to float
        Each answer comes so late, s. What was asked is done at once.
    refuse : dict of RPC to Refusal, or to its fields
        The instrument says no; nothing is done.
    drop : dict of RPC to int
        The n-th call finds nobody (UNAVAILABLE), and so do all that follow until `drop` is
        emptied; nothing is done.
    lose : dict of RPC to int
        The n-th call is done, but its answer is lost (UNAVAILABLE).
    kill_at_sample : int, optional
        The server dies (as by KILL) when its outputs have put out so many samples from now; they
        hold that sample.
    stall_at_sample : int, optional
        The sample clock stops there: reads time out, as with a cable that was pulled.
    nan_at : tuple of (input, sample), optional
        One reading is NaN: row of the inputs, number of the sample since the inputs' start.
    clip_v : float, optional
        Inputs read no more than this, V.
    """

    late_s: dict[str, float] = field(default_factory=dict)
    refuse: dict[str, Refusal] = field(default_factory=dict)
    drop: dict[str, int] = field(default_factory=dict)
    lose: dict[str, int] = field(default_factory=dict)
    kill_at_sample: int | None = None
    stall_at_sample: int | None = None
    nan_at: tuple[int, int] | None = None
    clip_v: float | None = None

    def __post_init__(self) -> None:
        for rpc, refusal in self.refuse.items():
            if isinstance(refusal, dict):  # from the command line
                self.refuse[rpc] = Refusal(**refusal)
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._dropping = False

    def of_call(self, rpc: str) -> tuple[str, int]:
        """What happens to this call: "drop", "refuse" (with the code), "lose" or ""."""
        with self._lock:
            before = {name: self._calls[name] for name in (rpc, "*")}
            self._calls.update(before.keys())
        self._dropping = bool(self.drop) and self._dropping
        for name, n in before.items():
            if self._dropping or self.drop.get(name) == n:
                self._dropping = True
                return "drop", 0
            refusal = self.refuse.get(name)
            if refusal and refusal.nth <= n < refusal.nth + refusal.times:
                return "refuse", refusal.code
            if self.lose.get(name) == n:
                return "lose", 0
        return "", 0

    def lateness(self, rpc: str) -> float:
        """s by which the answer to this call is late."""
        return self.late_s.get(rpc, self.late_s.get("*", 0.0))
