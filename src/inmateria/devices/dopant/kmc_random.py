"""Random numbers for Monte Carlo: xoshiro256++, one stream per operating point.

A stream's four words come from ``SeedSequence(seed, spawn_key=(point,))``, so
what a point gives depends on the seed and its place in the batch only, not on
the number of cores that share the work.

Source: D. Blackman and S. Vigna, ACM Trans. Math. Softw. 47, 36 (2021);
M. E. O'Neill's hash behind `SeedSequence` is described in NumPy's manual.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inmateria.compiled import compiled

_11, _17, _19, _23, _41, _45 = (np.uint64(k) for k in (11, 17, 19, 23, 41, 45))
# A double in [0, 1) holds 53 random bits.
UNIT = 1.0 / 9007199254740992.0


def streams(seed: int, first: int, count: int) -> NDArray[np.uint64]:
    """(count, 4) words of the points `first`, `first` + 1, ..."""
    words = np.empty((count, 4), dtype=np.uint64)
    for k in range(count):
        source = np.random.SeedSequence(seed, spawn_key=(first + k,))
        words[k] = source.generate_state(4, np.uint64)
    return words


@compiled
def next_word(s):  # type: ignore[no-untyped-def]
    """64 random bits; moves the stream `s` on."""
    total = s[0] + s[3]
    word = ((total << _23) | (total >> _41)) + s[0]
    t = s[1] << _17
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = (s[3] << _45) | (s[3] >> _19)
    return word


@compiled
def uniform(s):  # type: ignore[no-untyped-def]
    """A double in [0, 1)."""
    return (next_word(s) >> _11) * UNIT
