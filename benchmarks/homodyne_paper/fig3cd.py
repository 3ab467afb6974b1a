"""Figures 3c and 3d: derivatives measured in parallel against the same one at a time.

1,000 operating points of the default device, seven tones of 8 mV up to 1 kHz,
10 Hz apart and 40 Hz apart, T = 0.1 s, the paper's demodulation, phases drawn
anew at every point. A straight line through the origin is fitted; what counts is
the residual, since the slope scatters around 1 with the phases.

The points are Taylor series to second order. A few are measured on the network
itself, sample by sample, where third and higher orders act as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.homodyne_paper.curved_points import (
    Agreement,
    CurvedPoints,
    agreement,
    draw_points,
    in_window,
)
from inmateria.devices.device import FloatArray
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.gradients.error_budget import demodulators
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.tones import TonePlan

RATE, DURATION_S, AMPLITUDE_V, HIGHEST_HZ = 10_000.0, 0.1, 8e-3, 1000.0
POINTS, ON_THE_NETWORK = 1000, 20
SPACINGS_HZ = (10.0, 40.0)
GOAL = {10.0: "0.2 or more", 40.0: "0.02 or less"}


def tones(spacing_hz: float, n: int, phase: FloatArray, *, parallel: bool) -> TonePlan:
    """`n` tones up to 1 kHz."""
    return TonePlan(
        rate=RATE,
        n_samples=round(RATE * DURATION_S),
        n_wait=0,
        frequency_hz=HIGHEST_HZ - spacing_hz * np.arange(n)[::-1],
        amplitude_v=np.full(n, AMPLITUDE_V),
        phase=phase,
        group=np.zeros(n, dtype=np.int64) if parallel else np.arange(n),
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """Derivatives, (n_points, n_controls) nA/V each."""

    sequential: FloatArray
    parallel: FloatArray

    @property
    def agreement(self) -> Agreement:
        """Parallel on sequential."""
        return agreement(self.sequential, self.parallel)


def measure(points: CurvedPoints, spacing_hz: float, noise: PowerLawNoise | None) -> Measured:
    """Both ways at all points."""
    n_points, n = points.gradient.shape
    random = np.random.default_rng(7)
    stream = None if noise is None else noise.stream(1, RATE, seed=11)
    found = []
    for point in range(n_points):
        phase = random.uniform(0, 2 * np.pi, n)
        together = tones(spacing_hz, n, phase, parallel=True)
        alone = tones(spacing_hz, n, phase, parallel=False)
        excitation = np.concatenate([in_window(together), in_window(alone)])
        window = points.current(excitation, point)
        if stream is not None:
            window = window + stream.next(window.size).reshape(window.shape)
        # A filter and a mixer do not know of other tones: one matrix serves both ways.
        x = demodulators(together, "butterworth")[0](window).in_phase / AMPLITUDE_V
        found.append((np.diagonal(x[1:]), x[0]))
    return Measured(*(np.array(part) for part in zip(*found, strict=True)))


def on_the_network(points: CurvedPoints, spacing_hz: float, n_points: int) -> Measured:
    """The same without noise on the network itself, at the first points."""
    n = points.gradient.shape[1]
    random = np.random.default_rng(8)
    rig = SimulatedRig.ideal(DopantNetwork())
    found = []
    for voltage in points.voltage[:n_points]:
        phase = random.uniform(0, 2 * np.pi, n)
        both = []
        for parallel in (False, True):
            plan = tones(spacing_hz, n, phase, parallel=parallel)
            waveform = plan.waveform(voltage, np.arange(n), slew_v_per_s=200.0)
            window = plan.windows(rig.play(waveform.voltage), waveform)[0, :, 0]
            read = [
                d(w).in_phase
                for d, w in zip(demodulators(plan, "butterworth"), window, strict=True)
            ]
            both.append(np.concatenate(read) / AMPLITUDE_V)
        found.append(both)
    sequential, parallel_ = np.swapaxes(np.array(found), 0, 1)
    return Measured(sequential, parallel_)


def main(out: Path) -> None:
    """Print slopes and residuals, draw both panels."""
    points = draw_points(POINTS)
    figure, panels = plt.subplots(1, 2, figsize=(9.2, 4.4), sharey=True)
    print("spacing  noise    slope  residual  goal           on the network: slope, residual")
    for panel, letter, spacing in zip(panels, "cd", SPACINGS_HZ, strict=True):
        real = on_the_network(points, spacing, ON_THE_NETWORK)
        noisy, quiet = measure(points, spacing, PowerLawNoise()), measure(points, spacing, None)
        for name, found in (("none", quiet), ("seed's", noisy)):
            line, check = found.agreement, real.agreement
            tail = f"{check.slope:.3f}, {check.residual:.4f}" if name == "none" else ""
            goal = GOAL[spacing] if name == "none" else ""
            print(
                f"{spacing:4g} Hz  {name:6s}  {line.slope:.3f}   {line.residual:.4f}   "
                f"{goal:13s}  {tail}"
            )
        for found, size, colour, label in (
            (noisy, 2, "C0", "1,000 points, with noise"),
            (real, 5, "C1", "20 points on the network itself"),
        ):
            x, y = found.sequential.ravel(), found.parallel.ravel()
            panel.plot(x, y, "o", ms=size, color=colour, mew=0, alpha=0.6, label=label)
        limit = np.percentile(np.abs(noisy.sequential), 99.5)
        panel.plot([-limit, limit], [-limit, limit], "k", lw=0.7)
        panel.set(
            xlim=(-limit, limit), ylim=(-limit, limit),
            title=f"3{letter}: {spacing:g} Hz apart; residual {noisy.agreement.residual:.2f}, "
            f"{quiet.agreement.residual:.2g} without noise",
            xlabel="one at a time, nA/V",
        )  # fmt: skip
    panels[0].set_ylabel("in parallel, nA/V")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left", markerscale=1.5)
    figure.tight_layout()
    figure.savefig(out / "homodyne-3cd.png", dpi=150)
    plt.close(figure)
