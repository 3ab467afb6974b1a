"""What error a tone plan will make, term by term, before anything is measured.

The in-phase amplitude X_m of a tone is a fixed weight w_m(t) for each sample of
the window, X_m = sum_t w_m(t) I(t). With W_m(f) = sum_t w_m(t) exp(-2 pi i f t),
the response of the finite window,

    noise of one-sided density S(f)   adds  integral S(f) |W_m(f)|^2 df
    a line A sin(2 pi f t + random)   adds  A^2 |W_m(f)|^2 / 2

to the variance of X_m, and the derivative X_m / a_m has a mean squared error
smaller by a_m^2. Lines are the other tones of the group, I_n = a_n dI/dV_n, and
what the device's curvature makes of pairs of tones,

    second harmonics  a_n^2 H_nn / 4       at 2 f_n,
    sums, differences a_n a_k H_nk / 2     at f_n + f_k and |f_n - f_k|,

each counted as a line of its own. Third-order products are left out: they move
the derivative itself, by a_m^2 / 8 d3I/dV_m^3 and a_n^2 / 4 d3I/dV_m dV_n^2, in
any lock-in measurement.

Boon et al. 2025 (eq. 8) write the same with the infinite-time response of the
low-pass; see `paper_model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError, ShapeError
from inmateria.gradients.lockin_measurement import DEMODULATORS, DemodulatorName
from inmateria.gradients.window_response import (
    Noise,
    error_from_lines,
    errors_from_tones,
    noise_variance,
    sampled_density,
    second_order_lines,
)
from inmateria.signals.lockin import Demodulator, butterworth, least_squares
from inmateria.signals.tones import TonePlan


@dataclass(frozen=True, eq=False)
class Response:
    """How a device answers around an operating point.

    Parameters
    ----------
    gradient : (n_controls,) array, nA/V
    curvature : (n_controls, n_controls) array, nA/V^2, optional
        Symmetric second derivatives.
    """

    gradient: FloatArray
    curvature: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class ErrorBudget:
    """Mean squared errors of a derivative, term by term, (n_controls,) (nA/V)^2 each.

    Parameters
    ----------
    noise : array
        From the noise of the measurement.
    parallel : array
        From the other tones of the group.
    second_order : array
        From second harmonics, sums and differences of tones.
    own_tone : array
        From the tone itself, where the demodulator does not give back exactly its
        amplitude (the paper's 2f term; nothing for least squares).
    """

    noise: FloatArray
    parallel: FloatArray
    second_order: FloatArray
    own_tone: FloatArray

    @property
    def total(self) -> FloatArray:
        """Mean squared error, (n_controls,) (nA/V)^2."""
        return self.noise + self.parallel + self.second_order + self.own_tone

    @property
    def standard_error(self) -> FloatArray:
        """Root of it, (n_controls,) nA/V."""
        return np.asarray(np.sqrt(self.total))

    def summary(self) -> str:
        """One line: the error to expect and the largest cause."""
        terms = ("noise", "parallel", "second_order", "own_tone")
        share = {name: float(getattr(self, name).sum()) for name in terms}
        worst = max(share, key=lambda name: share[name])
        part = share[worst] / (sum(share.values()) or 1.0)
        rms = float(np.sqrt(self.total.mean()))
        return f"expect {rms:.2g} nA/V, {100 * part:.0f} % of its square from {_WORDS[worst]}"


_WORDS = {
    "noise": "noise",
    "parallel": "other tones",
    "second_order": "curvature",
    "own_tone": "the tone itself",
}


def error_budget(
    plan: TonePlan,
    noise: Noise,
    response: Response | None = None,
    *,
    demodulator: DemodulatorName | Sequence[Demodulator] | None = None,
    random_phases: bool = True,
) -> ErrorBudget:
    """Predict the mean squared error of every derivative that a plan measures.

    Parameters
    ----------
    plan : TonePlan
    noise : PowerLawNoise, or anything with `density`, or a function
        One-sided density, Hz to nA^2/Hz. Of a PowerLawNoise, the spectrum of its
        samples at the plan's rate, aliases included.
    response : Response, optional
        Without it, noise alone.
    demodulator : str or sequence of Demodulator, optional
        ``"least_squares"`` (default), ``"hann"``, ``"butterworth"``, or one
        demodulator for each group.
    random_phases : bool
        Average over the phases of the lines. If False, the phases of the plan
        count: lines add up before they are squared.

    Raises
    ------
    ShapeError, ParameterError, FrequencyPlanError
    """
    n = plan.n_controls
    gradient, curvature = _checked(response, n)
    if demodulator is None or isinstance(demodulator, str):
        chosen: Sequence[Demodulator] = demodulators(plan, demodulator or "least_squares")
    else:
        chosen = demodulator
    if len(chosen) != plan.n_groups:
        raise ShapeError(f"{len(chosen)} demodulators for {plan.n_groups} groups; give one each")
    density = sampled_density(noise, plan.rate)
    noise_part, parallel, second, own = (np.zeros(n) for _ in range(4))
    for g in plan.groups:
        members = plan.members(g)
        weights = chosen[g].matrix[:, : members.size]
        if chosen[g].matrix.shape != (plan.n_samples, 2 * members.size):
            raise ShapeError(
                f"demodulator of group {g} has {len(chosen[g].matrix)} samples and "
                f"{chosen[g].frequency_hz.size} tones; the plan has {plan.n_samples} and "
                f"{members.size}"
            )
        noise_part[members] = noise_variance(weights, density, plan.rate)
        f, a, phi = (x[members] for x in (plan.frequency_hz, plan.amplitude_v, plan.phase))
        tone = a * gradient[members]
        own[members], parallel[members] = errors_from_tones(
            weights, f, tone, phi, plan.rate, random_phases
        )
        if curvature is not None:
            lines = second_order_lines(f, a, phi, curvature[np.ix_(members, members)])
            second[members] = error_from_lines(weights, *lines, plan.rate, random_phases)
    scale = plan.amplitude_v**2
    return ErrorBudget(noise_part / scale, parallel / scale, second / scale, own / scale)


def demodulators(
    plan: TonePlan, kind: DemodulatorName = "least_squares"
) -> tuple[Demodulator, ...]:
    """One demodulator for each group of a plan.

    Two tones that share a frequency in quadrature are one sine and one cosine to
    the fit: what is one's quadrature part is the other's in-phase part.

    Raises
    ------
    ParameterError, FrequencyPlanError
    """
    if kind not in DEMODULATORS:
        raise ParameterError(f"demodulator {kind!r}; choose one of {', '.join(DEMODULATORS)}")
    result = []
    for g in plan.groups:
        members = plan.members(g)
        f, phi = plan.frequency_hz[members], plan.phase[members]
        if kind == "butterworth":
            result.append(butterworth(f, rate=plan.rate, n_samples=plan.n_samples, phase=phi))
            continue
        single, first, which = np.unique(f, return_index=True, return_inverse=True)
        fitted = least_squares(
            single,
            rate=plan.rate,
            n_samples=plan.n_samples,
            phase=phi[first],
            taper="hann" if kind == "hann" else "none",
        )
        x, y = fitted.matrix[:, : single.size][:, which], fitted.matrix[:, single.size :][:, which]
        # A sin(theta + d) has the sine part A cos(d) and the cosine part A sin(d).
        ahead = phi - phi[first][which]
        cos, sin = np.cos(ahead), np.sin(ahead)
        result.append(Demodulator(np.hstack([cos * x + sin * y, cos * y - sin * x]), f, plan.rate))
    return tuple(result)


def describe_plan(
    plan: TonePlan,
    noise: Noise | None = None,
    response: Response | None = None,
    *,
    demodulator: DemodulatorName | Sequence[Demodulator] | None = None,
) -> str:
    """A plan in one line: tones, spacing and, where the noise is known, the error to expect."""
    f = np.unique(plan.frequency_hz)
    n = plan.n_controls
    band = f"{f[0]:.5g} Hz" if f.size == 1 else f"{f[0]:.5g}-{f[-1]:.5g} Hz"
    words = f"{n} tone{'s' if n > 1 else ''}, {band}"
    if f.size > 1:
        gap = np.diff(f)
        words += f", {gap.min():.4g} Hz apart" + (" or more" if np.ptp(gap) > 1e-6 else "")
    if noise is not None:
        budget = error_budget(plan, noise, response, demodulator=demodulator)
        words += f"; expect {np.sqrt(budget.total.mean()):.2g} nA/V"
    if plan.n_groups == 1:
        return f"{words} ({plan.duration_s:g} s, parallel)"
    return f"{words} ({plan.n_groups} x {plan.duration_s:g} s, one group after another)"


def _checked(response: Response | None, n: int) -> tuple[FloatArray, FloatArray | None]:
    if response is None:
        return np.zeros(n), None
    gradient = np.asarray(response.gradient, dtype=np.float64)
    if gradient.shape != (n,):
        raise ShapeError(f"gradient has shape {gradient.shape}; give one number a control, ({n},)")
    if response.curvature is None:
        return gradient, None
    curvature = np.asarray(response.curvature, dtype=np.float64)
    if curvature.shape != (n, n):
        raise ShapeError(f"curvature has shape {curvature.shape}; give ({n}, {n})")
    return gradient, (curvature + curvature.T) / 2
