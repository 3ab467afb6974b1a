"""What a self-test says of each channel, in plain words, and where each limit comes from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from inmateria.bench.finding import Finding, plus_minus
from inmateria.bench.tone_response import FALSE_ALARM, ToneResponse
from inmateria.devices.device import FloatArray
from inmateria.signals.mains import Line

_OFFSET_SHARE = 0.03
_TOO_MUCH_SHARE = 0.1
"""Of an output's range. An offset or noise of a tenth takes that much of the range away from what
is to be measured. An offset of a thirtieth does little harm, and is more than drift explains."""

_SHORT_SHARE = 0.1
"""A terminal that drives an output through its range within a tenth of its own is no terminal of a
device any more: nine tenths of it cannot be used."""

_DELAY_SAMPLES = 0.5  # what a whole number of samples cannot correct better
_N_SIGMA = 4.0
_UNDRIVEN = 2.0
"""Times the noise, in the root of a mean square over two windows and more: at eight windows, and if
the slowest tone alone counts, noise does that once in a million."""


def findings_at_rest(
    outputs: Sequence[str],
    recording: FloatArray,
    *,
    offset: FloatArray,
    offset_error: FloatArray,
    rms: FloatArray,
    hold_noise: FloatArray,
    hold_s: float,
    lines: Sequence[Line],
    limit: float,
    rate: float,
) -> list[Finding]:
    """Offset, noise and lines of each output, n_outputs numbers in nA each."""
    found: list[Finding] = []
    for o, name in enumerate(outputs):
        if (recording[o] == recording[o, 0]).all():
            found.append(Finding("wrong", (
                f"{name} reads {recording[o, 0]:.4g} nA throughout, without any noise: not "
                "connected, switched off, or at the end of its range"
            )))  # fmt: skip
            continue
        if (np.abs(recording[o]) >= limit).any():
            found.append(Finding("wrong", (
                f"{name} reaches the end of its range, {limit:g} nA, at rest: check its zero, its "
                "gain and what is wired to it"
            )))  # fmt: skip
        share = f" ({abs(offset[o]) / limit:.1%} of its range)" if np.isfinite(limit) else ""
        text = f"{name}: offset {plus_minus(offset[o], offset_error[o], sign=True)} nA{share}"
        sure = abs(offset[o]) > _N_SIGMA * offset_error[o]
        if abs(offset[o]) > _TOO_MUCH_SHARE * limit:
            found.append(Finding("wrong", f"{text}: adjust its zero"))
        elif sure and abs(offset[o]) > _OFFSET_SHARE * limit:
            found.append(Finding("look", f"{text}: worth a zero adjustment"))
        else:
            found.append(Finding("good", text))
        seconds = recording.shape[1] / rate
        text = (
            f"{name}: noise {rms[o]:.2g} nA rms in {seconds:.3g} s, {hold_noise[o]:.2g} nA for "
            f"means over {1e3 * hold_s:g} ms"
        )
        loud = rms[o] > _TOO_MUCH_SHARE * limit
        found.append(
            Finding("wrong", f"{text}: more than {_TOO_MUCH_SHARE:.0%} of its range")
            if loud
            else Finding("good", text)
        )
        found += _line_findings(name, [line for line in lines if line.channel == o], rms[o])
    return found


def _line_findings(name: str, lines: Sequence[Line], rms: float) -> list[Finding]:
    if not lines:
        return [Finding("good", f"{name}: no lines of the mains")]
    total = float(np.sqrt(sum(line.amplitude**2 for line in lines) / 2))
    listed = ", ".join(f"{line.frequency_hz:.4g} Hz {line.amplitude:.2g} nA" for line in lines)
    # The rest of the noise, without the lines.
    rest = float(np.sqrt(max(rms**2 - total**2, 0.0)))
    text = f"{name}: mains at {listed}: look for ground loops and unscreened wires"
    return [Finding("wrong" if total > rest else "look", text)]


def findings_of_tones(
    terminals: Sequence[str],
    outputs: Sequence[str],
    tones: ToneResponse,
    *,
    dead: NDArray[np.bool_],
    undriven: tuple[FloatArray, FloatArray],
    reach: FloatArray,
    limit: float,
    rate: float,
) -> list[Finding]:
    """Who answers whom, how late, and who is shorted or open.

    Parameters
    ----------
    dead : (n_outputs,) bool array
        Outputs of which there is nothing more to say.
    undriven : two (n_outputs,) arrays, nA/V
        What is read where nothing is driven, and what noise makes of it.
    reach : (n_terminals,) array, V
        Highest voltage that a terminal may see, of either sign.
    limit : float, nA
    rate : float, Hz
    """
    found = _shorts(terminals, outputs, tones, reach, limit)
    n = tones.gain.size
    # Two-sided, over all pairs of channels together.
    z = float(norm.isf(FALSE_ALARM / (2 * n)))
    # A comparison with NaN is false: what was not read does not answer.
    answers: NDArray[np.bool_] = np.asarray(np.abs(tones.gain) > z * tones.gain_error)
    read: NDArray[np.bool_] = np.isfinite(tones.gain)
    for o, name in enumerate(outputs):
        if dead[o] or not read[o].any():
            continue
        least = z * float(tones.gain_error[o].max())
        if not answers[o].any():
            found.append(Finding("look", (
                f"{name} answers to no terminal (less than {least:.2g} nA/V): open, or the sample "
                "does not conduct at rest; I-V curves over the whole range tell"
            )))  # fmt: skip
            continue
        strongest = int(np.nanargmax(np.abs(tones.gain[o])))
        listed = ", ".join(terminals[m] for m in np.flatnonzero(answers[o]).tolist())
        slope = plus_minus(tones.gain[o, strongest], tones.gain_error[o, strongest])
        found.append(Finding("good", (
            f"{name} answers to {listed}; most to {terminals[strongest]}, "
            f"{slope} nA/V"
        )))  # fmt: skip
        found.append(_delay(name, tones.delay_s[o] * rate, tones.delay_error_s[o] * rate, tones))
    found += _undriven(outputs, dead, *undriven)
    open_ones = [
        name for m, name in enumerate(terminals)
        if not answers[:, m].any() and not tones.shorted[:, m].any()
    ]  # fmt: skip
    if open_ones and answers.any():
        least = z * float(np.nanmax(tones.gain_error))
        found.append(Finding("look", (
            f"no output answers to {', '.join(open_ones)} (less than {least:.2g} nA/V): open, or "
            "the sample does not conduct at rest; I-V curves over the whole range tell"
        )))  # fmt: skip
    return found


def _shorts(
    terminals: Sequence[str],
    outputs: Sequence[str],
    tones: ToneResponse,
    reach: FloatArray,
    limit: float,
) -> list[Finding]:
    found: list[Finding] = []
    for o, output in enumerate(outputs):
        for m in np.flatnonzero(tones.shorted[o]).tolist():
            found.append(Finding("wrong", (
                f"{terminals[m]} brings {output} to the end of its range with "
                f"{1e3 * tones.amplitude_v[m]:.3g} mV: a short, or a leak of less than "
                f"{1e6 * tones.amplitude_v[m] / limit:.2g} kOhm"
            )))  # fmt: skip
        if not np.isfinite(limit):
            continue
        for m in np.flatnonzero(np.isfinite(tones.gain[o])).tolist():
            gain = abs(float(tones.gain[o, m]))
            sure = gain > _N_SIGMA * tones.gain_error[o, m]
            if sure and gain * _SHORT_SHARE * reach[m] > limit:
                found.append(Finding("wrong", (
                    f"{terminals[m]} brings {output} to the end of its range at "
                    f"{1e3 * limit / gain:.3g} mV ({gain:.3g} nA/V): a short, or too high a gain"
                )))  # fmt: skip
    return found


def _delay(name: str, samples: float, error: float, tones: ToneResponse) -> Finding:
    text = f"{name} is late by {plus_minus(samples, error)} samples"
    if abs(samples) <= _DELAY_SAMPLES + _N_SIGMA * error:
        return Finding("good", text)
    more = f"{round(samples):+d}"
    longest = 1e3 * tones.longest_delay_s
    return Finding("wrong", (
        f"{text}: change delay_samples by {more} (delays beyond {longest:.3g} ms look like "
        "shorter ones)"
    ))  # fmt: skip


def _undriven(
    outputs: Sequence[str], dead: NDArray[np.bool_], gain: FloatArray, error: FloatArray
) -> list[Finding]:
    found: list[Finding] = []
    for o, name in enumerate(outputs):
        if not dead[o] and gain[o] > _UNDRIVEN * error[o]:
            found.append(Finding("look", (
                f"{name} carries something at the tones' frequencies that nobody plays: "
                f"{gain[o]:.2g} nA/V where noise makes {error[o]:.2g} nA/V"
            )))  # fmt: skip
    return found
