"""What a row of blocks says: mean, standard error, and where the start was forgotten.

A block holds sums y_b of a rate over time and the time t_b itself. The
estimate is the ratio sum y / sum t, and with z_b = y_b - t_b sum y / sum t its
variance is B / (B - 1) sum z_b^2 / (sum t)^2. That holds for blocks much longer
than the correlation time. It is checked by doing the same with pairs of
blocks: the larger of both errors is reported, and its number of pairs gives the
degrees of freedom of Student's t.

Equilibration is detected by the marginal standard error rule: of all
truncations d, take the one that minimises (variance of the blocks that stay) /
(their number). A run whose best truncation lies beyond the middle has not
forgotten its start.

Sources: G. S. Fishman, Discrete-Event Simulation, Springer 2001, ch. 6 (batch
means, doubling); K. P. White, Simulation 69, 323 (1997) (truncation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Blocks kept at the end of the row by every truncation: fewer have no variance to speak of.
FEWEST_LEFT = 12


def ratio(sums: FloatArray, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean rate and its standard error.

    Parameters
    ----------
    sums : (..., n_blocks, n_rates) array
    time : (..., n_blocks) array

    Returns
    -------
    two (..., n_rates) arrays
    """
    mean = sums.sum(axis=-2) / time.sum(axis=-1)[..., None]
    return mean, np.maximum(_error(sums, time, mean), _error(pairs(sums), pairs(time, -1), mean))


def _error(sums: FloatArray, time: FloatArray, mean: FloatArray) -> FloatArray:
    blocks = time.shape[-1]
    rest = sums - mean[..., None, :] * time[..., :, None]
    spread = (rest * rest).sum(axis=-2) * (blocks / (blocks - 1))
    return np.asarray(np.sqrt(spread) / time.sum(axis=-1)[..., None])


def pairs(blocks: FloatArray, axis: int = -2) -> FloatArray:
    """Neighbouring blocks added: half as many, twice as long."""
    moved = np.moveaxis(blocks, axis, 0)
    return np.asarray(np.moveaxis(moved[0::2] + moved[1::2], 0, axis))


def truncation(series: FloatArray) -> NDArray[np.int64]:
    """Blocks to leave out at the start by the marginal standard error rule.

    Parameters
    ----------
    series : (..., n_blocks, n_series) array
        Block means of several quantities.

    Returns
    -------
    (...,) array
        The largest truncation that one of the quantities asks for.
    """
    blocks = series.shape[-2]
    # Sums over what stays, for every truncation at once; centred against cancellation.
    centred = (series - series.mean(axis=-2, keepdims=True))[..., ::-1, :]
    stay = np.arange(1, blocks + 1)[:, None]
    first = np.cumsum(centred, axis=-2)
    second = np.cumsum(centred * centred, axis=-2)
    marginal = (second - first * first / stay) / stay**2
    candidates = marginal[..., FEWEST_LEFT - 1 :, :][..., ::-1, :]
    return np.asarray(candidates.argmin(axis=-2).max(axis=-1))
