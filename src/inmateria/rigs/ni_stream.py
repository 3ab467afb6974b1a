"""Blocks of voltage through a buffer that is smaller than they may be.

    written:   |== buffer ==|== buffer ==|
    read:      |== buffer ==|               then the next one is written

Two buffers are ahead of what was read, so that the outputs do not run dry while the
computer sees to something else for as long as one of them plays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import ShapeError
from inmateria.rigs.ni_tasks import Tasks
from inmateria.rigs.written_voltage import WrittenVoltage

BUFFERS_AHEAD = 2


@dataclass(frozen=True, eq=False)
class Piece:
    """At most a buffer of a block, (n_terminals, n) V; the block's last or not."""

    voltage: FloatArray
    ends_block: bool


def pieces(blocks: Iterable[FloatArray], n_samples: int, buffer: int) -> Iterator[Piece]:
    """Blocks cut to buffers; the next block is taken when its first piece is asked for.

    Raises
    ------
    ShapeError
        If they hold more than `n_samples`.
    """
    n_taken = 0
    for block in blocks:
        n_taken += block.shape[1]
        if n_taken > n_samples:
            raise ShapeError(
                f"blocks of {n_taken} samples and more, where {n_samples} were announced; "
                "announce the sum of all blocks"
            )
        cuts = range(0, max(block.shape[1], 1), buffer)
        for first in cuts:
            yield Piece(block[:, first : first + buffer], first == cuts[-1])


class Stream:
    """One stretch, played and recorded in pieces.

    Parameters
    ----------
    tasks : Tasks
        Set up.
    written : WrittenVoltage
        Told of everything before it is written.
    n_all : int
        Samples that the outputs are set up for: blocks, delay and what fills up.
    delay : int
        Samples by which a recording lags.
    buffer : int
        Samples of a piece at most.
    each, finished : callable
        Called once a piece; when all was played, before the last block is handed out.
    """

    def __init__(
        self,
        tasks: Tasks,
        written: WrittenVoltage,
        *,
        n_all: int,
        delay: int,
        buffer: int,
        each: Callable[[], None],
        finished: Callable[[], None],
    ) -> None:
        self._tasks, self._written = tasks, written
        self._each, self._finished = each, finished
        self._n_all, self._delay, self._buffer = n_all, delay, buffer
        self._ahead: deque[tuple[int, bool]] = deque()
        self._n_written = self._n_read = 0
        self._source: Iterator[Piece] | None = None

    def run(self, source: Iterator[Piece]) -> Iterator[FloatArray]:
        """Readings of each block, (n_inputs, n_k) V, as soon as it is recorded."""
        self._source = source
        self._fill()
        if self._n_written:
            self._tasks.start()
            for first in range(0, self._delay, self._buffer):
                self._read(min(self._buffer, self._delay - first))
        reading: list[FloatArray] = []
        if not self._ahead:
            self._finish()
        while self._ahead:
            n, ends_block = self._ahead.popleft()
            reading.append(self._read(n))
            if not self._ahead:
                self._finish()
            if ends_block:
                yield np.concatenate(reading, axis=1)
                reading = []

    def _read(self, n: int) -> FloatArray:
        """The next readings; what they made room for is written."""
        self._each()
        reading = self._tasks.read(n)
        self._n_read += n
        self._written.played(self._n_read)
        self._fill()
        return reading

    def _fill(self) -> None:
        while (
            self._source is not None
            and self._n_written - self._n_read < BUFFERS_AHEAD * self._buffer
        ):
            piece = next(self._source, None)
            if piece is None:
                self._source = None
                self._hold()
            else:
                self._write(piece.voltage)
                self._ahead.append((piece.voltage.shape[1], piece.ends_block))

    def _hold(self) -> None:
        """The last value until its recording has come, and so long that nothing runs dry."""
        if self._n_written:
            longest = self._delay + BUFFERS_AHEAD * self._buffer
            n = min(self._n_all - self._n_written, longest)
            self._write(np.repeat(self._written.last[:, None], n, axis=1))

    def _write(self, voltage: FloatArray) -> None:
        if voltage.shape[1]:
            self._written.offer(voltage)
            self._tasks.write(voltage)
            self._n_written += voltage.shape[1]

    def _finish(self) -> None:
        if self._n_written:
            self._tasks.finish(early=self._n_written < self._n_all)
        self._finished()
