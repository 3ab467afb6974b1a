"""What a rig was handed and has not yet said that it played.

Where a rig fails, its terminals may be anywhere in that. Without a `held_voltage` of the rig
the middle of each terminal's excursion is the best guess: it is off by half of it at most.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from inmateria.devices.device import FloatArray


class Flight:
    """Blocks on their way, and the last voltage that is certain.

    Parameters
    ----------
    held : (n_terminals,) array, V
    """

    def __init__(self, held: FloatArray) -> None:
        self.held = held.copy()
        self.played = 0
        self._blocks: deque[FloatArray] = deque()
        self._lost: FloatArray | None = None

    @property
    def landed(self) -> bool:
        """Whether nothing is on its way or lost."""
        return not self._blocks and self._lost is None

    @property
    def possible(self) -> FloatArray:
        """Voltages after `held` that may have been reached, (n_terminals, m) V, in order."""
        lost = self.held[:, None][:, :0] if self._lost is None else self._lost
        return np.column_stack([lost, *self._blocks])

    @property
    def middle(self) -> FloatArray:
        """Middle of each terminal's excursion, (n_terminals,) V."""
        reached = np.column_stack([self.held, self.possible])
        return np.asarray((reached.min(axis=1) + reached.max(axis=1)) / 2)

    def leaves(self, block: FloatArray) -> None:
        """A block (n_terminals, m) V is handed over."""
        self._blocks.append(block)

    def stays(self) -> None:
        """The block that was to leave last did not."""
        self._blocks.pop()

    def arrives(self) -> FloatArray:
        """The oldest block was played: it, (n_terminals, m) V; its last voltage is held."""
        block = self._blocks.popleft()
        self.held, self._lost = block[:, -1].copy(), None
        self.played += block.shape[1]
        return block

    def fails(self) -> None:
        """Whatever is on its way may have been played in part."""
        if self._blocks:
            self._lost = self.possible
            self._blocks.clear()

    def strays(self) -> None:
        """The rig has to be asked where it is, even where nothing was on its way."""
        self._lost = self.possible
        self._blocks.clear()

    def lands(self, held: FloatArray) -> None:
        """Whatever was on its way: the terminals are known to hold (n_terminals,) V."""
        self.held, self._lost = held.copy(), None
        self._blocks.clear()
