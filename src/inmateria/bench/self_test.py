"""The first thing to do with a bench: listen to it, then whisper to it.

At rest every output is recorded: offset, noise, lines of the mains. Then a tone of a few
millivolts on every terminal tells the gain from each terminal to each output, and the
delay of the chain. Nothing is played that could harm a device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inmateria.bench.finding import Finding, sorted_findings
from inmateria.bench.self_test_findings import findings_at_rest, findings_of_tones
from inmateria.bench.tone_response import ToneResponse, rest_point, tone_response
from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError
from inmateria.rigs.guard import Guard
from inmateria.signals.allan import mean_error
from inmateria.signals.lockin import least_squares
from inmateria.signals.mains import Line, mains_lines
from inmateria.signals.spectra import Spectrum, power_spectrum

Progress = Callable[[int, int], object]

HOLD_S = 0.02
"""Length of the means whose noise is told: a plateau as tasks and sweeps hold it, s."""

_LEAST_SAMPLES = 512
_SEGMENTS = 8
_SETTLE_S = 0.05


@dataclass(frozen=True, eq=False)
class SelfTest:
    """What a bench does at rest, and with tiny tones.

    Parameters
    ----------
    terminals, outputs : tuples of str
    reach_v : (n_terminals,) array, V
        Highest voltage that a terminal may see, of either sign.
    rate_hz, current_range_na : float
    recording : (n_outputs, n_samples) array, nA
        At rest.
    offset_na, offset_error_na : (n_outputs,) arrays
        Mean at rest, and how far the next mean of that length would be from it.
    rms_na : (n_outputs,) array
        About the mean.
    hold_noise_na : (n_outputs,) array
        Standard error of a mean over `HOLD_S`, from how neighbouring ones differ.
    spectrum : Spectrum
        Of each output at rest.
    lines : tuple of Line
        Of the mains.
    tones : ToneResponse
    undriven_gain, undriven_error : (n_outputs,) arrays, nA/V
        What the recording at rest holds at the tones' frequencies, taken for a gain, and
        how much of that is noise: nothing was driven.
    device_s : float, s
    """

    terminals: tuple[str, ...]
    outputs: tuple[str, ...]
    reach_v: FloatArray
    rate_hz: float
    current_range_na: float
    recording: FloatArray
    offset_na: FloatArray
    offset_error_na: FloatArray
    rms_na: FloatArray
    hold_noise_na: FloatArray
    spectrum: Spectrum
    lines: tuple[Line, ...]
    tones: ToneResponse
    undriven_gain: FloatArray
    undriven_error: FloatArray
    device_s: float

    @property
    def delay_samples(self) -> FloatArray:
        """Delay of each output, (n_outputs,) samples."""
        return np.asarray(self.tones.delay_s * self.rate_hz)

    @property
    def delay_error_samples(self) -> FloatArray:
        """Its standard error, (n_outputs,) samples."""
        return np.asarray(self.tones.delay_error_s * self.rate_hz)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is good and what is wrong, the latter first."""
        at_rest = findings_at_rest(
            self.outputs,
            self.recording,
            offset=self.offset_na,
            offset_error=self.offset_error_na,
            rms=self.rms_na,
            hold_noise=self.hold_noise_na,
            hold_s=HOLD_S,
            lines=self.lines,
            limit=self.current_range_na,
            rate=self.rate_hz,
        )
        dead = (self.recording == self.recording[:, :1]).all(axis=1)
        tones = findings_of_tones(
            self.terminals,
            self.outputs,
            self.tones,
            dead=dead,
            undriven=(self.undriven_gain, self.undriven_error),
            reach=self.reach_v,
            limit=self.current_range_na,
            rate=self.rate_hz,
        )
        return sorted_findings([*at_rest, *tones])

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return all(f.kind != "wrong" for f in self.findings)


def self_test(
    guard: Guard,
    *,
    amplitude_v: float = 0.005,
    noise_s: float = 4.0,
    tone_s: float = 0.5,
    progress: Progress | None = None,
) -> SelfTest:
    """Listen at rest, then play a tiny tone on every terminal.

    Parameters
    ----------
    guard : Guard
    amplitude_v : float, V
        Of each tone.
    noise_s : float, s
        Recorded at rest; at least 512 samples.
    tone_s : float, s
        Of each of the windows, as many as there are terminals and six at least.
    progress : callable, optional
        Called with (steps done, 2).

    Raises
    ------
    ParameterError
    """
    if not (np.isfinite(noise_s) and noise_s > 0 and np.isfinite(tone_s) and tone_s > 0):
        raise ParameterError(f"noise_s = {noise_s} s, tone_s = {tone_s} s; give times above zero")
    rest, _ = rest_point(guard, amplitude_v)
    began = guard.played_s
    guard.ramp_to(rest)
    guard.play(_held(rest, max(1, round(_SETTLE_S * guard.rate))))
    recording = guard.play(_held(rest, max(_LEAST_SAMPLES, round(noise_s * guard.rate))))
    if progress is not None:
        progress(1, 2)
    tones = tone_response(guard, amplitude_v=amplitude_v, duration_s=tone_s)
    guard.ramp_to(rest)
    if progress is not None:
        progress(2, 2)
    n_samples = recording.shape[1]
    segment_s = n_samples // _SEGMENTS / guard.rate
    hold = max(1, round(HOLD_S * guard.rate))
    held = recording[:, : n_samples // hold * hold].reshape(len(recording), -1, hold).mean(axis=2)
    undriven_gain, undriven_error = _undriven(recording, tones, guard.rate)
    return SelfTest(
        terminals=tuple(t.name for t in guard.terminals),
        outputs=tuple(guard.outputs),
        reach_v=np.array([max(-t.low_v, t.high_v) for t in guard.terminals]),
        rate_hz=guard.rate,
        current_range_na=guard.current_range_na,
        recording=recording,
        offset_na=recording.mean(axis=1),
        offset_error_na=mean_error(recording[:, None]).standard_error,
        rms_na=recording.std(axis=1),
        hold_noise_na=np.sqrt((np.diff(held, axis=1) ** 2).mean(axis=1) / 2),
        spectrum=power_spectrum(recording, guard.rate, segment_s=segment_s),
        lines=mains_lines(recording, guard.rate),
        tones=tones,
        undriven_gain=undriven_gain,
        undriven_error=undriven_error,
        device_s=guard.played_s - began,
    )


def _held(voltage: FloatArray, n_samples: int) -> FloatArray:
    return np.repeat(voltage[:, None], n_samples, axis=1)


def _undriven(
    recording: FloatArray, tones: ToneResponse, rate: float
) -> tuple[FloatArray, FloatArray]:
    """Gains that are read where nothing is driven, and what noise makes of them, nA/V.

    A gain is the mean of as many amplitudes as there are tones; here each frequency's
    share is its mean square over windows of the recording, so that a source which is not
    in step with the windows counts too.
    """
    length = round(tones.window_s * rate)
    n_windows = recording.shape[1] // length
    if n_windows == 0:
        nothing = np.full(len(recording), np.nan)
        return nothing, nothing
    n_tones, amplitude = tones.frequency_hz.size, tones.amplitude_v
    read = least_squares(tones.frequency_hz, rate=rate, n_samples=length)
    windows = recording[:, : n_windows * length].reshape(len(recording), n_windows, length)
    power = (np.abs(read(windows).complex) ** 2 / 2).mean(axis=1)
    noise = ((tones.response_error * amplitude[:, None]) ** 2).mean(axis=1)
    per_volt = 1 / (n_tones * amplitude.max())
    return np.sqrt(power.sum(axis=-1)) * per_volt, np.sqrt(noise.sum(axis=-1)) * per_volt
