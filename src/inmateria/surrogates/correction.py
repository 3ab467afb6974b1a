"""What has changed between a surrogate and its device, in a few numbers.

    I(V) = gain * I_old(factor * V + shift) + offset

A converter changes gain and offset of an output. A changed coupling of an
electrode (its lever arm) multiplies its voltage, a charge that has moved shifts
it: a factor and a shift for each terminal. These 2 (n_terminals + n_outputs)
numbers are found from seconds of data and cannot forget what the network knows
elsewhere. Folded into its first and last layer, they leave a network of the
same shape and the same scaling.

Gauss-Newton steps on the squared residuals find them. Slow noise is taken out
by an intercept per segment; the offset is what these have in common. What
cannot be told apart (on a linear device, all of it) is shared: changes are
weighed against usual ones, as in ridge regression. An offset is known only as
well as slow noise lets it be, and only so much of it is believed,

    offset -> offset max(0, 1 - (standard error / offset)^2),

the positive-part estimator of James & Stein (1961).
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from inmateria.devices.device import FloatArray
from inmateria.surrogates.drift import drift_groups, error_of_mean, segment_means, without_drift
from inmateria.surrogates.recording import Recording
from inmateria.surrogates.surrogate import Surrogate

STEPS = 6
HALVINGS = 4
ENOUGH = 1e-4  # a step that lowers the squared residual by a smaller share is the last
MOST_ROWS = 50_000
USUAL_GAIN = 0.2
USUAL_FACTOR = 0.1
USUAL_SHIFT = 0.1  # of half a terminal's range
# Errors of neighbouring rows are alike: so many count as one against what is usual.
ALIKE_ROWS = 10


@dataclass(frozen=True)
class Correction:
    """A change of outputs and terminals.

    Parameters
    ----------
    gain, offset_na : (n_outputs,) tuples
    factor, shift_v : (n_terminals,) tuples
        The old surrogate is asked at factor * V + shift.
    offset_found_na, offset_error_na : (n_outputs,) tuples
        The offset as it was found, and its standard error.
    """

    gain: tuple[float, ...]
    offset_na: tuple[float, ...]
    factor: tuple[float, ...]
    shift_v: tuple[float, ...]
    offset_found_na: tuple[float, ...]
    offset_error_na: tuple[float, ...]

    def as_dict(self) -> dict[str, list[float]]:
        """Plain JSON values."""
        return {name: list(values) for name, values in asdict(self).items()}


def find_correction(
    surrogate: Surrogate, recording: Recording, *, outputs: bool = True, inputs: bool = True
) -> Correction:
    """The change that explains a recording best.

    Parameters
    ----------
    surrogate : Surrogate
        Of the device as it was.
    recording : Recording
        Terminals and outputs in the surrogate's order.
    outputs, inputs : bool
        Whether gains, and factors and shifts, are looked for. The offset always is.
    """
    every = max(1, len(recording.voltage) // MOST_ROWS)
    voltage, measured = recording.voltage[::every], recording.current[::every]
    segment = np.unique(recording.segment[::every], return_inverse=True)[1]
    n_out, n_in = len(surrogate.outputs), len(surrogate.terminals)
    ones, zeros = (1.0,) * n_out, (0.0,) * n_out
    found = Correction(ones, zeros, (1.0,) * n_in, (0.0,) * n_in, zeros, zeros)
    if outputs or inputs:
        group = drift_groups(segment)
        found = _search(surrogate, found, voltage, measured, group, outputs, inputs)
    residual = measured - apply_correction(surrogate, found).current(voltage)
    offset = residual.mean(axis=0)
    error = np.array([error_of_mean(means) for means in segment_means(residual, segment).T])
    share = 1 - np.divide(error, offset, out=np.full(n_out, np.inf), where=offset != 0) ** 2
    return replace(
        found,
        offset_na=_numbers(offset * np.maximum(share, 0)),
        offset_found_na=_numbers(offset),
        offset_error_na=_numbers(error),
    )


def apply_correction(surrogate: Surrogate, correction: Correction) -> Surrogate:
    """The corrected surrogate; the old one is left as it is."""
    network = copy.deepcopy(surrogate.network).double()
    gain, offset, factor, shift = (
        torch.tensor(values, dtype=torch.float64)
        for values in (
            correction.gain, correction.offset_na, correction.factor, correction.shift_v
        )
    )  # fmt: skip
    first, last = network.linear_layers()[0], network.linear_layers()[-1]
    with torch.no_grad():
        # (f V + s - c) / h = f (V - c) / h + ((f - 1) c + s) / h, and the like for the outputs
        moved = ((factor - 1) * network.input_centre + shift) / network.input_half_width
        first.bias.add_(first.weight @ moved)
        first.weight.mul_(factor)
        raised = ((gain - 1) * network.output_mean + offset) / network.output_std
        last.bias.copy_(gain * last.bias + raised)
        last.weight.mul_(gain[:, None])
    return replace(surrogate, network=network.float())


def _search(
    surrogate: Surrogate,
    found: Correction,
    voltage: FloatArray,
    measured: FloatArray,
    group: NDArray[np.int64],
    outputs: bool,
    inputs: bool,
) -> Correction:
    scale = surrogate.network.output_std.double().numpy()
    half = surrogate.network.input_half_width.double().numpy()

    def left(correction: Correction) -> FloatArray:
        """Residuals without their groups' means, in units of the outputs' spread."""
        current = apply_correction(surrogate, correction).current(voltage)
        return without_drift((measured - current) / scale, group)

    residual = left(found)
    for _ in range(STEPS):
        slopes, usual = _slopes(surrogate, found, voltage, group, scale, half, outputs, inputs)
        noise = ALIKE_ROWS * float(np.mean(residual**2))
        system = slopes.T @ slopes + np.diag(noise / usual**2)
        # the change made so far is held against what is usual, too
        already = noise / usual**2 * _change(found, outputs, inputs)
        step = np.linalg.solve(system, slopes.T @ residual.ravel() - already)
        better = None
        for halving in range(HALVINGS):
            tried = _moved(found, step / 2**halving, outputs, inputs)
            residual_tried = left(tried)
            if np.sum(residual_tried**2) < np.sum(residual**2):
                better = tried
                break
        if better is None:
            break
        gained = 1 - np.sum(residual_tried**2) / np.sum(residual**2)
        found, residual = better, residual_tried
        if gained < ENOUGH:
            break
    return found


def _slopes(
    surrogate: Surrogate,
    found: Correction,
    voltage: FloatArray,
    group: NDArray[np.int64],
    scale: FloatArray,
    half: FloatArray,
    outputs: bool,
    inputs: bool,
) -> tuple[FloatArray, FloatArray]:
    """Derivatives of all currents, (n_rows n_outputs, n_numbers), and what is usual of each."""
    corrected = apply_correction(surrogate, replace(found, offset_na=(0.0,) * len(found.gain)))
    n_rows, n_out = len(voltage), len(found.gain)
    columns, usual = [], []
    if outputs:
        own = without_drift(corrected.current(voltage) / np.array(found.gain) / scale, group)
        columns += [own * np.eye(n_out)[k] for k in range(n_out)]
        usual += [USUAL_GAIN] * n_out
    if inputs:
        # of the old surrogate at the corrected voltage, gain included
        slope = corrected.gradient(voltage) / np.array(found.factor) / scale[:, None]
        n_in = voltage.shape[1]
        columns += [without_drift(slope[..., i] * voltage[:, [i]], group) for i in range(n_in)]
        columns += [without_drift(slope[..., i], group) for i in range(n_in)]
        usual += [USUAL_FACTOR] * n_in + list(USUAL_SHIFT * half)
    return np.stack([c.reshape(n_rows * n_out) for c in columns], axis=1), np.array(usual)


def _change(found: Correction, outputs: bool, inputs: bool) -> FloatArray:
    gain, factor, shift = np.array(found.gain) - 1, np.array(found.factor) - 1, found.shift_v
    return np.concatenate([gain[: len(gain) if outputs else 0], *([factor, shift] * inputs)])


def _moved(found: Correction, step: FloatArray, outputs: bool, inputs: bool) -> Correction:
    n_out, n_in = len(found.gain) if outputs else 0, len(found.factor)
    if outputs:
        found = replace(found, gain=_numbers(np.array(found.gain) + step[:n_out]))
    if inputs:
        factor, shift = step[n_out : n_out + n_in], step[n_out + n_in :]
        found = replace(
            found,
            factor=_numbers(np.array(found.factor) + factor),
            shift_v=_numbers(np.array(found.shift_v) + shift),
        )
    return found


def _numbers(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
