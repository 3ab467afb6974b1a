"""Three indicators of non-linearity of the four-input current vectors.

The four currents of a control setting in another basis: with I00, I01, I10, I11
the outputs for the states of (first, second) input,

    mean   = (I11 + I10 + I01 + I00) / 4
    first  = (I11 + I10 - I01 - I00) / 4     half the effect of the first input
    second = (I11 - I10 + I01 - I00) / 4     half the effect of the second input
    cross  = (I11 - I10 - I01 + I00) / 4     what no sum of the two explains

A device in which the inputs add up has cross = 0, one whose current follows
every input upwards has first, second > 0. Over many settings:

    NDR of an input = (1 - tanh(<M> / std(M))) / 2     M = first or second
    coupling        = <cross^2> / (<first^2> + <second^2>)

NDR is 0 where the input always raises the current, 1/2 where it raises and
lowers it alike, 1 where it always lowers it. NAND, NOR and the NOT gates need
NDR; XOR and XNOR, which are not separable linearly, need coupling as well.

Tertilt et al. 2024 (Phys. Rev. Applied 22, 024063) characterise dopant networks
by three such indicators. The forms above are those of the published analysis
code of one of its authors for networks of nanoparticles (Mensing et al. 2024,
Front. Nanotechnol. 6, 1364985; github.com/JonasMnsing/NanoNets), written anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.survey.abundance import check_vectors

MODES = ("mean", "first", "second", "cross")
"""Names of the rows of `BASIS`."""

BASIS: FloatArray = 0.5 * np.array(
    [[1, 1, 1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, 1]], dtype=np.float64
)
"""Orthonormal: rows are the modes over the states 00, 01, 10, 11."""

INDICATORS = ("ndr_first", "ndr_second", "coupling")
_RESAMPLES = 200


@dataclass(frozen=True)
class Nonlinearity:
    """The three indicators of one device.

    Parameters
    ----------
    ndr_first, ndr_second : float
        0 (never lowers the current) to 1 (always does), per input.
    coupling : float
        0 and up; infinite where neither input has an effect of its own.
    error : (float, float, float)
        Standard errors, from drawing the settings again with replacement.
    """

    ndr_first: float
    ndr_second: float
    coupling: float
    error: tuple[float, float, float]


def responses(current: ArrayLike) -> FloatArray:
    """Mean, effects of the inputs and cross term of (..., 4) nA, the same shape, in nA."""
    return check_vectors(current) @ (0.5 * BASIS.T)


def indicators(current: ArrayLike) -> FloatArray:
    """The three `INDICATORS` over settings, (..., n_settings, 4) nA to (..., 3)."""
    return _indicators(responses(current))


def nonlinearity(current: ArrayLike) -> Nonlinearity:
    """The indicators over (n_settings, 4) nA, with their standard errors."""
    modes = responses(current)
    values = _indicators(modes)
    n = len(modes)
    # Settings are drawn again, not currents: the four of a setting stay together.
    draws = np.random.default_rng(0).integers(n, size=(_RESAMPLES, n))
    again = _indicators(modes[draws])
    # inf - inf: a device without effects of its own has no error to speak of.
    with np.errstate(invalid="ignore"):
        error = np.nan_to_num(again.std(axis=0, ddof=1), nan=0.0, posinf=0.0)
    first, second, coupling = (float(v) for v in values)
    return Nonlinearity(first, second, coupling, tuple(float(e) for e in error))  # type: ignore[arg-type]


def _indicators(modes: FloatArray) -> FloatArray:
    """(..., n_settings, 4) responses to (..., 3) indicators."""
    _, first, second, cross = np.moveaxis(modes, -1, 0)
    # A sum of four currents is exact to rounding only: what is below counts as zero.
    noise = 8 * np.finfo(np.float64).eps * np.abs(modes).max(axis=(-1, -2))
    ndr = [_ndr(m, noise) for m in (first, second)]
    own = (first**2).mean(axis=-1) + (second**2).mean(axis=-1)
    shared = (cross**2).mean(axis=-1)
    floor = noise**2
    own, shared = np.where(own > floor, own, 0.0), np.where(shared > floor, shared, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        coupling = np.where(shared > 0, shared / own, 0.0)
    return np.stack([*ndr, coupling], axis=-1)


def _ndr(effect: FloatArray, noise: FloatArray) -> FloatArray:
    mean, std = effect.mean(axis=-1), effect.std(axis=-1)
    mean = np.where(np.abs(mean) > noise, mean, 0.0)
    # Where all settings agree (a linear device) the sign alone decides.
    varies = std > noise
    certainty = np.where(varies, np.tanh(mean / np.where(varies, std, 1.0)), np.sign(mean))
    return np.asarray(0.5 * (1.0 - certainty))
