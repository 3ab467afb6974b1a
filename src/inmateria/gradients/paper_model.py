"""The error model of Boon et al. 2025, eq. 8: the paper's curve, and no more.

    MSE_m = 4 (P_parallel + P_2f + P_noise) / a_m^2
    P_noise    = f_enbw S(f_m) / 2
    P_2f       = I_m^2 / 4 |H(2 f_m)|^2
    P_parallel = sum over n != m of I_n^2 / 4 (|H(f_m + f_n)|^2 + |H(f_m - f_n)|^2)

H is a third-order Butterworth low-pass that was switched on infinitely long ago,
with a cutoff of 1.056 / T (settled to 2 % at T) and a noise bandwidth of
1.047 times the cutoff. Two things keep it from being a prediction: I^2 / 4 is the
peak of a line, twice its mean over phases, and a window that starts at t = 0
leaks more than a filter that always ran. `error_budget` does both right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import FloatArray
from inmateria.errors import ShapeError
from inmateria.gradients.window_response import HasDensity, Noise
from inmateria.signals.lockin import SETTLED_CUTOFF

ORDER = 3
# Integral of |H|^2 over the cutoff: (pi / 2 n) / sin(pi / 2 n), 1.047 for the third order.
NOISE_BANDWIDTH = np.pi / (2 * ORDER) / np.sin(np.pi / (2 * ORDER))


def paper_curve(
    frequency_hz: ArrayLike,
    current_na: ArrayLike,
    amplitude_v: ArrayLike,
    *,
    duration_s: float,
    noise: Noise,
) -> FloatArray:
    """Mean squared error of every derivative as the paper's eq. 8 has it.

    Parameters
    ----------
    frequency_hz : (..., n_tones) array, Hz
        Tones that run at once.
    current_na : (..., n_tones) array, nA
        Amplitude I_n that each makes in the output.
    amplitude_v : (..., n_tones) array or float, V
    duration_s : float
        T, s.
    noise
        As in `error_budget`: one-sided density.

    Returns
    -------
    (..., n_tones) array, (nA/V)^2

    Raises
    ------
    ShapeError
    """
    f = np.atleast_1d(np.asarray(frequency_hz, dtype=np.float64))
    current = np.asarray(current_na, dtype=np.float64)
    if f.shape[-1] != np.atleast_1d(current).shape[-1]:
        raise ShapeError(
            f"{f.shape[-1]} frequencies and {np.atleast_1d(current).shape[-1]} currents; "
            "give one current a tone"
        )
    cutoff = SETTLED_CUTOFF / duration_s

    def passed(frequency: FloatArray) -> FloatArray:
        return np.asarray(1 / (1 + (frequency / cutoff) ** (2 * ORDER)))

    density = noise.density if isinstance(noise, HasDensity) else noise
    p_noise = NOISE_BANDWIDTH * cutoff * density(f) / 2
    p_2f = current**2 / 4 * passed(2 * f)
    one, other = f[..., :, None], f[..., None, :]
    leak = (passed(one + other) + passed(one - other)) * (1 - np.eye(f.shape[-1]))
    p_parallel = (leak * (current**2 / 4)[..., None, :]).sum(axis=-1)
    return np.asarray(4 * (p_noise + p_2f + p_parallel) / np.asarray(amplitude_v) ** 2)
