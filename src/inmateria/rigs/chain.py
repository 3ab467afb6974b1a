"""The stages between a computer and a device, one small class each.

    DAC - electrode RC - (device, current noise) - IV converter - low-pass - clip - ADC

A stage is a frozen description; what it remembers between two stretches of a
signal is held by whoever runs it, so that the result does not depend on how the
signal is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from inmateria.devices.device import FloatArray
from inmateria.errors import ParameterError


def _require_positive(stage: str, **values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise ParameterError(f"{stage} {name} = {value}; give a number above zero")


def _quantise(voltage: FloatArray, bits: int, range_v: float) -> FloatArray:
    """Nearest level of a two's-complement converter; 0 V is a level."""
    step = 2 * range_v / 2**bits
    code = np.clip(np.rint(voltage / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return np.asarray(code * step)


@dataclass(frozen=True)
class DAC:
    """Digital-to-analogue converter: rounds voltages to 2^bits levels in +-`range_v`.

    Parameters
    ----------
    bits : int
    range_v : float
        Full scale, V. Voltages beyond it saturate.
    """

    bits: int = 16
    range_v: float = 10.0

    def __post_init__(self) -> None:
        _require_positive("DAC", bits=self.bits, range_v=self.range_v)

    def convert(self, voltage: FloatArray) -> FloatArray:
        """(...) V to (...) V."""
        return _quantise(voltage, self.bits, self.range_v)


@dataclass(frozen=True)
class ElectrodeRC:
    """Series resistance and stray capacitance of each electrode.

    The DAC holds a voltage u for a whole sample and the ADC reads at the end of
    it, so the exact solution of tau dv/dt = u - v is
    v[n] = v[n-1] + (1 - exp(-1 / (rate tau))) (u[n] - v[n-1]).

    Parameters
    ----------
    tau_s : float
        Time constant, s. The default loses 1 % at 1 kHz.
    """

    tau_s: float = 23e-6

    def __post_init__(self) -> None:
        _require_positive("electrode", tau_s=self.tau_s)

    def follow(self, voltage: FloatArray, before: FloatArray, rate: float) -> FloatArray:
        """Voltages on the electrodes at the end of each sample.

        Parameters
        ----------
        voltage : (n_terminals, n_samples) array, V
        before : (n_terminals,) array, V
            On the electrodes just before; the last column of the stretch before.
        rate : float
            Samples per second, Hz.

        Returns
        -------
        (n_terminals, n_samples) array, V
        """
        a = np.exp(-1 / (rate * self.tau_s))
        out, _ = lfilter([1 - a], [1.0, -a], voltage, axis=1, zi=a * before[:, None])
        return np.asarray(out)


@dataclass(frozen=True)
class Converter:
    """Current-to-voltage converter that clips.

    Parameters
    ----------
    gain_na_per_v : float
        Current that gives one volt, nA/V.
    clip_v : float
        Largest output, V; behind the low-pass.
    """

    gain_na_per_v: float = 100.0
    clip_v: float = 4.0

    def __post_init__(self) -> None:
        _require_positive("converter", gain_na_per_v=self.gain_na_per_v, clip_v=self.clip_v)


@dataclass(frozen=True)
class LowPass:
    """Butterworth low-pass behind the converter.

    Parameters
    ----------
    cutoff_hz : float
        Frequency at which the power is halved, Hz.
    order : int
    """

    cutoff_hz: float = 4e3
    order: int = 2

    def __post_init__(self) -> None:
        _require_positive("low-pass", cutoff_hz=self.cutoff_hz, order=self.order)

    def start(self, n_channels: int, rate: float) -> RunningLowPass:
        """The filter at rest, with nothing having come in before.

        Raises
        ------
        ParameterError
            If the cutoff is not below half the sampling rate.
        """
        if not self.cutoff_hz < rate / 2:
            raise ParameterError(
                f"low-pass cutoff {self.cutoff_hz:g} Hz is not below half the sampling rate, "
                f"{rate / 2:g} Hz; lower it, or leave the stage out with lowpass=None"
            )
        sections = butter(self.order, self.cutoff_hz, fs=rate, output="sos")
        return RunningLowPass(sections, np.zeros((len(sections), n_channels, 2)))


class RunningLowPass:
    """A low-pass in operation: (n_channels, n_samples) in and out, state carried on."""

    def __init__(self, sections: FloatArray, state: FloatArray) -> None:
        self._sections = sections
        self._state = state

    def __call__(self, signal: FloatArray) -> FloatArray:
        """Next stretch of the filtered signal."""
        if signal.shape[1] == 0:
            return signal
        out, self._state = sosfilt(self._sections, signal, axis=1, zi=self._state)
        return np.asarray(out)


@dataclass(frozen=True)
class ADC:
    """Analogue-to-digital converter: rounds voltages to 2^bits levels in +-`range_v`.

    Parameters
    ----------
    bits : int
    range_v : float
        Full scale, V. Voltages beyond it saturate.
    """

    bits: int = 24
    range_v: float = 10.0

    def __post_init__(self) -> None:
        _require_positive("ADC", bits=self.bits, range_v=self.range_v)

    def convert(self, voltage: FloatArray) -> FloatArray:
        """(...) V to (...) V."""
        return _quantise(voltage, self.bits, self.range_v)
