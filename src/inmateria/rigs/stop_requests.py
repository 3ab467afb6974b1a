"""INT, TERM and HUP while a device is driven: kept until it is safe to act on them.

The first Ctrl-C (INT) is a wish: the measurement that runs is finished. A second one, or
TERM or HUP at once, is an order: what runs is cut short.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from inmateria.errors import StoppedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """Signals of one process, taken over and given back.

    Parameters
    ----------
    inside : callable
        Given the frame that a signal fell into, whether whoever keeps the terminals'
        voltages is at work there, and will look here itself.
    notice : callable, optional
        Told in a line what a first Ctrl-C will do.
    """

    def __init__(
        self,
        inside: Callable[[FrameType | None], bool],
        *,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self._inside = inside
        self._notice = notice
        self._first: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._depth = 0
        self.urgent = False

    def take_over(self) -> None:
        """Listen; does nothing outside the main thread, to which signals belong."""
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # What the parent told us to ignore (nohup) stays ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._on_signal)

    def give_back(self) -> StoppedError | None:
        """Stop listening; the error that is due, if a stop was asked for and not yet raised."""
        self._depth -= 1
        if self._depth:
            return None
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        return self._due()

    def raise_if_asked(self) -> None:
        """Act on a request.

        Raises
        ------
        StoppedError
        """
        error = self._due()
        try:
            if error is not None:
                raise error
        finally:
            # Else it keeps its own frame alive, and with it a bench that is to be released.
            del error

    def _due(self) -> StoppedError | None:
        number, self._first, self.urgent = self._first, None, False
        if number is None:
            return None
        return StoppedError(f"stopped by {number.name}; the guard takes the rig to 0 V")

    def _note(self, number: signal.Signals) -> None:
        if self._first is not None or number != signal.SIGINT:
            self.urgent = True
        self._first = self._first or number
        outer = getattr(self._previous.get(number), "__self__", None)
        if isinstance(outer, StopRequests):  # of a guard around this one
            outer._note(number)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._note(signal.Signals(number))
        if not self._inside(frame):
            self.raise_if_asked()
        elif not self.urgent and self._notice is not None:
            self._notice("finishing the measurement that runs; Ctrl-C again parks at once")
