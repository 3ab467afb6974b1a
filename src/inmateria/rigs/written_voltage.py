"""What was handed to an instrument that plays on its own, until it is known to be played."""

from __future__ import annotations

from collections import deque

import numpy as np

from inmateria.devices.device import FloatArray


class WrittenVoltage:
    """Voltages in the order in which they were written, from what was held before.

    A number of samples that the instrument generated then gives, to the sample, what its
    terminals hold. Stretches that are known to be played are forgotten, but for one.

    Parameters
    ----------
    held : (n_terminals,) array, V
        Before the first sample.
    """

    def __init__(self, held: FloatArray) -> None:
        self._held = np.array(held)
        self._n_held = 0  # samples before the first stretch kept
        self._n_played = 0
        self._kept: deque[FloatArray] = deque()

    @property
    def n_offered(self) -> int:
        """Samples handed over, whether the instrument took them or not."""
        return self._n_held + sum(int(stretch.shape[1]) for stretch in self._kept)

    @property
    def last(self) -> FloatArray:
        """Last sample handed over, (n_terminals,) V; before the first, what was held."""
        return (self._kept[-1][:, -1] if self._kept else self._held).copy()

    @property
    def now(self) -> FloatArray:
        """Last sample that is known to be played, (n_terminals,) V."""
        now = self.after(min(self._n_played, self.n_offered))
        assert now is not None  # what is known to be played is kept
        return now

    @property
    def middle(self) -> FloatArray:
        """Middle of what may be held where nothing is known, (n_terminals,) V."""
        all_of_it = np.column_stack([self._held, *self._kept])
        return np.asarray((all_of_it.min(axis=1) + all_of_it.max(axis=1)) / 2)

    def offer(self, stretch: FloatArray) -> None:
        """(n_terminals, n) V, about to be written."""
        if stretch.shape[1]:
            self._kept.append(stretch)

    def played(self, n_samples: int) -> None:
        """The instrument has played at least so many since the beginning."""
        self._n_played = n_samples
        # One stretch more than needed is kept: a count may lag by a sample or two.
        while len(self._kept) > 1:
            first, second = self._kept[0].shape[1], self._kept[1].shape[1]
            if self._n_held + first + second > n_samples:
                return
            self._held = self._kept.popleft()[:, -1].copy()
            self._n_held += first

    def after(self, n_samples: int) -> FloatArray | None:
        """(n_terminals,) V held after so many samples; None where that was never written."""
        at = self._n_held
        if n_samples <= at:
            return self._held.copy() if n_samples == at else None
        for stretch in self._kept:
            if n_samples <= at + stretch.shape[1]:
                return np.array(stretch[:, n_samples - at - 1])
            at += stretch.shape[1]
        return None
