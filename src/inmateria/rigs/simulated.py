"""A rig in software: any device behind the electrical chain of a real one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from inmateria.devices.device import Device, FloatArray, Terminal
from inmateria.errors import ParameterError
from inmateria.rigs.chain import ADC, DAC, Converter, ElectrodeRC, LowPass
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.rig import check_waveform

DEFAULT_DAC = DAC()
DEFAULT_ELECTRODES = ElectrodeRC()
DEFAULT_NOISE = PowerLawNoise()
DEFAULT_CONVERTER = Converter()
DEFAULT_LOWPASS = LowPass()
DEFAULT_ADC = ADC()


class CurrentStream(Protocol):
    """Steady states along a path, one solve starting from the one before."""

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(n_samples, n_terminals) V, in order of time, to (n_samples, n_outputs) nA."""


@runtime_checkable
class StreamingDevice(Device, Protocol):
    """A device that is quicker along a path than on scattered points."""

    def stream(self) -> CurrentStream:
        """A path that begins at any voltage."""


@dataclass(frozen=True, eq=False)
class Transcript:
    """Everything that was ever asked of a simulated rig, in brief.

    Parameters
    ----------
    n_calls, n_samples : int
    lowest_v, highest_v : (n_terminals,) arrays, V
        The 0 V before the first sample included.
    steepest_v_per_s : (n_terminals,) array, V/s
        Largest step between neighbouring samples times the rate; steps between
        calls and the one from 0 V to the first sample included.
    """

    n_calls: int
    n_samples: int
    lowest_v: FloatArray
    highest_v: FloatArray
    steepest_v_per_s: FloatArray

    @classmethod
    def empty(cls, n_terminals: int) -> Self:
        """Nothing was asked yet."""
        zero = np.zeros(n_terminals)
        return cls(0, 0, zero, zero, zero)

    def after(self, asked: FloatArray, *, held: FloatArray, rate: float) -> Self:
        """With a call (n_terminals, n_samples) V, (n_terminals,) V having been held before."""
        steps = np.abs(np.diff(asked, axis=1, prepend=held[:, None])).max(axis=1)
        return replace(
            self,
            n_calls=self.n_calls + 1,
            n_samples=self.n_samples + asked.shape[1],
            lowest_v=np.minimum(self.lowest_v, asked.min(axis=1)),
            highest_v=np.maximum(self.highest_v, asked.max(axis=1)),
            steepest_v_per_s=np.maximum(self.steepest_v_per_s, steps * rate),
        )


class SimulatedRig:
    """A device behind converters, electrodes and noise.

    DAC, electrode RC, device, current noise, IV converter, low-pass, clip, ADC:
    each stage may be `None`. Hopping is instantaneous at these rates, so the
    device sees a steady state at each sample; all settling is the circuit's.

    A call that fails (the device does not converge) leaves the rig as it was.

    Parameters
    ----------
    device : Device
        With a method `stream`, its warm starts are carried from call to call.
    rate : float
        Samples per second, Hz.
    dac, electrodes, noise, converter, lowpass, adc : stages or None
        The default low-pass is left out where `rate` is too slow to show it.
    seed : int
        Of the noise.

    Raises
    ------
    ParameterError
        If a stage does not fit the rate, or an ADC has no converter before it.
    """

    def __init__(
        self,
        device: Device,
        *,
        rate: float = 10_000.0,
        dac: DAC | None = DEFAULT_DAC,
        electrodes: ElectrodeRC | None = DEFAULT_ELECTRODES,
        noise: PowerLawNoise | None = DEFAULT_NOISE,
        converter: Converter | None = DEFAULT_CONVERTER,
        lowpass: LowPass | None = DEFAULT_LOWPASS,
        adc: ADC | None = DEFAULT_ADC,
        seed: int = 0,
    ) -> None:
        if not (np.isfinite(rate) and rate > 0):
            raise ParameterError(f"rate = {rate} Hz; give a number above zero")
        if adc is not None and converter is None:
            raise ParameterError("the ADC reads volts: give a converter, or leave it out, adc=None")
        if lowpass is DEFAULT_LOWPASS and not lowpass.cutoff_hz < rate / 2:
            # It settles between two samples: nothing of it is seen.
            lowpass = None
        n_terminals, n_outputs = len(device.terminals), len(device.outputs)
        self.device = device
        self._rate = float(rate)
        self._seed = seed
        self._dac, self._converter, self._adc = dac, converter, adc
        self._stages = {
            "dac": dac,
            "electrodes": electrodes,
            "noise": noise,
            "converter": converter,
            "lowpass": lowpass,
            "adc": adc,
        }
        self._electrodes = electrodes
        self._noise = noise.stream(n_outputs, rate, seed=seed) if noise else None
        self._lowpass = lowpass.start(n_outputs, rate) if lowpass else None
        self._path: CurrentStream = (
            device.stream() if isinstance(device, StreamingDevice) else device
        )
        self._held = np.zeros(n_terminals)
        self._on_electrodes = np.zeros(n_terminals)
        self._solved: tuple[FloatArray, FloatArray] | None = None
        self._transcript = Transcript.empty(n_terminals)

    @classmethod
    def ideal(cls, device: Device, *, rate: float = 10_000.0) -> Self:
        """The device itself, sample by sample: no noise, no stages, no limits."""
        return cls(
            device,
            rate=rate,
            dac=None,
            electrodes=None,
            noise=None,
            converter=None,
            lowpass=None,
            adc=None,
        )

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven terminals of the device."""
        return self.device.terminals

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs of the device."""
        return self.device.outputs

    @property
    def rate(self) -> float:
        """Samples per second, Hz."""
        return self._rate

    @property
    def current_range_na(self) -> float:
        """Reading of a clipped current, nA: |reading| >= this means clipped."""
        if self._converter is None:
            return float("inf")
        largest = np.array(self._converter.clip_v)
        if self._adc is not None:
            largest = self._adc.convert(largest)
        return float(largest) * self._converter.gain_na_per_v

    @property
    def fidelity(self) -> str:
        """``"simulation"``."""
        return "simulation"

    @property
    def held_voltage(self) -> FloatArray:
        """Voltage asked for last, which the terminals hold now, (n_terminals,) V."""
        return self._held.copy()

    @property
    def transcript(self) -> Transcript:
        """Extremes of everything played so far."""
        return self._transcript

    def play(self, voltage: ArrayLike) -> FloatArray:
        """Play voltages and record currents.

        Parameters
        ----------
        voltage : (n_terminals, n_samples) array, V

        Returns
        -------
        (n_outputs, n_samples) array, nA

        Raises
        ------
        ShapeError, NotFiniteError
            And whatever the device raises (`ConvergenceError`).
        """
        asked = check_waveform(self.terminals, voltage)
        n_samples = asked.shape[1]
        if n_samples == 0:
            return np.empty((len(self.outputs), 0))
        sent = asked if self._dac is None else self._dac.convert(asked)
        current = self._steady_states(sent)
        self._write_down(asked)
        if self._noise is not None:
            current = current + self._noise.next(n_samples)
        if self._converter is None:
            return current if self._lowpass is None else self._lowpass(current)
        reading = current / self._converter.gain_na_per_v
        if self._lowpass is not None:
            reading = self._lowpass(reading)
        reading = np.clip(reading, -self._converter.clip_v, self._converter.clip_v)
        if self._adc is not None:
            reading = self._adc.convert(reading)
        return reading * self._converter.gain_na_per_v

    def describe(self) -> dict[str, Any]:
        """Device and every stage, `None` where one is left out."""
        stages = {k: None if s is None else asdict(s) for k, s in self._stages.items()}
        return {
            "kind": "simulated",
            "device": self.device.describe(),
            "rate_hz": self._rate,
            **stages,
            "seed": self._seed,
        }

    def _steady_states(self, sent: FloatArray) -> FloatArray:
        """Current at each sample, (n_outputs, n_samples) nA; equal neighbours solved once."""
        if self._electrodes is not None:
            sent = self._electrodes.follow(sent, self._on_electrodes, self._rate)
        path = np.ascontiguousarray(sent.T)
        new = np.ones(len(path), dtype=bool)
        new[1:] = (path[1:] != path[:-1]).any(axis=1)
        known = self._solved is not None and np.array_equal(self._solved[0], path[0])
        new[0] = not known
        solved = self._path.current(path[new]) if new.any() else np.empty((0, len(self.outputs)))
        if self._solved is not None:
            solved = np.vstack([self._solved[1][None], solved])
            which = np.cumsum(new)
        else:
            which = np.cumsum(new) - 1
        self._on_electrodes, self._solved = path[-1], (path[-1], solved[-1])
        return np.ascontiguousarray(solved[which].T)

    def _write_down(self, asked: FloatArray) -> None:
        self._transcript = self._transcript.after(asked, held=self._held, rate=self._rate)
        self._held = asked[:, -1].copy()
