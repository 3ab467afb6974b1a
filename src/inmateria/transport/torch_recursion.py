"""Block-tridiagonal recursion in transverse modes, batched, on any device of PyTorch.

With A = E - H among a slice's modes and the lead's self-energies complete and complex,
slices are eliminated from the far lead on:

    S_last = (A_last - Sigma_far)^-1,    S_i = (A_i - P^dagger S_(i+1) P)^-1,

with Sigma_near in S_0, which then is G_00. -P leads from slice i to i + 1 (`field`). For
right-hand sides b on the first slice

    x_0 = S_0 b,    x_(i+1) = -S_(i+1) P x_i,

and for those on the last one, w_last = S_last b, w_i = -S_i P^dagger w_(i+1) and then
x_0 = w_0, x_(i+1) = w_(i+1) - S_(i+1) P x_i.

The far lead should be the one with more open modes. What is eliminated then drains into
it, S_i has no poles near the real energy, and single precision is enough for most uses,
which it is not for the real recursion of `sweep`. A strong field holds electrons on orbits
that do not reach a lead, and brings poles back near.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inmateria.transport.torch_slices import Slices


def eliminate(slices: Slices, potential_t: Tensor) -> list[Tensor]:
    """S_i of all slices, (batch, counts[i], counts[i]) each; the first is G_00.

    A singular slice gives values that are not finite.

    Parameters
    ----------
    potential_t : (batch, n_x, n_y) tensor, real, in t
    """
    series = slices.series(potential_t)
    last = len(slices.counts) - 1
    found: list[Tensor] = []
    for i in range(last, -1, -1):
        n = slices.counts[i]
        if i == last:
            matrix = slices.far.expand(len(series), n, n).clone()
        else:
            matrix = _folded(slices, found[-1], n)
        if i == 0:
            matrix += slices.near
        real = torch.view_as_real(matrix)[..., 0]
        slices.subtract(series[:, i], real)
        real.diagonal(dim1=-2, dim2=-1).add_(slices.diagonal[:n])
        # `inv` would wait for the device at every slice to see whether one was singular.
        found.append(torch.linalg.inv_ex(matrix).inverse)
    return found[::-1]


def _folded(slices: Slices, S: Tensor, n: int) -> Tensor:
    """-P^dagger S P among the first n modes of the slice before."""
    if slices.coupling is None:
        folded = S.new_zeros(len(S), n, n)
        shared = min(n, S.shape[-1])
        folded[:, :shared, :shared] = -S[:, :shared, :shared]
        return folded
    P = slices.coupling[: S.shape[-1], :n]
    back = -P.mH.expand(len(S), n, S.shape[-1])
    return torch.bmm(back, S @ P)


def ahead(slices: Slices, x: Tensor, n: int) -> Tensor:
    """P x among the first n modes of the next slice, (batch, n, n_columns)."""
    return _carried(slices.coupling, x, n)


def behind(slices: Slices, x: Tensor, n: int) -> Tensor:
    """P^dagger x among the first n modes of the slice before, (batch, n, n_columns)."""
    return _carried(None if slices.coupling is None else slices.coupling.mH, x, n)


def _carried(coupling: Tensor | None, x: Tensor, n: int) -> Tensor:
    if coupling is not None:
        return coupling[:n, : x.shape[-2]] @ x
    if n <= x.shape[-2]:
        return x[:, :n]
    return torch.nn.functional.pad(x, (0, 0, 0, n - x.shape[-2]))


def from_near(slices: Slices, S: list[Tensor], b: Tensor) -> Tensor:
    """G b for b (counts[0], n_columns) on the first slice, (batch, n_x, n_modes, n_columns)."""
    x = S[0] @ b
    found = _blank(slices, x)
    found[:, 0, : x.shape[-2]] = x
    for i in range(1, len(S)):
        x = -(S[i] @ ahead(slices, x, slices.counts[i]))
        found[:, i, : x.shape[-2]] = x
    return found


def from_far(slices: Slices, S: list[Tensor], b: Tensor) -> Tensor:
    """G b for b (counts[-1], n_columns) on the last slice, (batch, n_x, n_modes, n_columns)."""
    w = S[-1] @ b
    found = _blank(slices, w)
    found[:, -1, : w.shape[-2]] = w
    for i in range(len(S) - 2, -1, -1):
        w = -(S[i] @ behind(slices, w, slices.counts[i]))
        found[:, i, : w.shape[-2]] = w
    x = w
    for i in range(1, len(S)):
        n = slices.counts[i]
        found[:, i, :n] -= S[i] @ ahead(slices, x, n)
        x = found[:, i, :n]
    return found


def _blank(slices: Slices, x: Tensor) -> Tensor:
    return x.new_zeros(len(x), len(slices.counts), len(slices.diagonal), x.shape[-1])
