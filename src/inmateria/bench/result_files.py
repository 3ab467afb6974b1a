"""First measurements on a bench as files: what was recorded, and what was found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from inmateria.data.first_measurements_file import IV_CURVES, SELF_TEST, STABILITY
from inmateria.data.measurement import write_measurement
from inmateria.data.provenance import canonical_json, software, utc_now
from inmateria.data.schema import measurement

if TYPE_CHECKING:
    from inmateria.bench.iv import IVCurves
    from inmateria.bench.self_test import SelfTest
    from inmateria.bench.stability_result import Stability
    from inmateria.rigs.guard import Guard


def write_self_test(
    folder: str | os.PathLike[str], found: SelfTest, guard: Guard
) -> tuple[Path, Path]:
    """``self-test.nc`` and ``at-rest.nc``, the recording at rest, in a folder.

    Raises
    ------
    StorageError
    """
    tones, lines = found.tones, found.lines
    values: dict[str, ArrayLike] = {
        "offset": found.offset_na,
        "offset_error": found.offset_error_na,
        "rms": found.rms_na,
        "hold_noise": found.hold_noise_na,
        "frequency": found.spectrum.frequency_hz,
        "density": found.spectrum.density,
        "line_output": [line.channel for line in lines],
        "line_frequency": [line.frequency_hz for line in lines],
        "line_amplitude": [line.amplitude for line in lines],
        "line_error": [line.standard_error for line in lines],
        "tone": tones.frequency_hz,
        "amplitude": tones.amplitude_v,
        "rest": tones.rest,
        "response_real": tones.response.real,
        "response_imag": tones.response.imag,
        "response_error": tones.response_error,
        "gain": tones.gain,
        "gain_error": tones.gain_error,
        "shorted": tones.shorted,
        "delay": tones.delay_s,
        "delay_error": tones.delay_error_s,
        "undriven_gain": found.undriven_gain,
        "undriven_error": found.undriven_error,
    }
    attrs = _attributes(guard, found.terminals, found.outputs) | _lines(found.findings)
    n_samples = found.recording.shape[1]
    recorded = measurement(
        np.repeat(tones.rest[None], n_samples, axis=0),
        found.recording.T,
        segment=np.zeros(n_samples, dtype=np.int32),
        clipped=np.abs(found.recording.T) >= guard.current_range_na,
        **_recorded(guard, "self-test at rest"),
    )
    return (
        SELF_TEST.write(Path(folder) / "self-test.nc", values, attrs),
        write_measurement(Path(folder) / "at-rest.nc", recorded),
    )


def write_iv(folder: str | os.PathLike[str], found: IVCurves, guard: Guard) -> tuple[Path, Path]:
    """``iv-curves.nc``, and ``measurement.nc`` with a row a plateau, in a folder.

    Raises
    ------
    StorageError
    """
    names = ("voltage", "up", "down", "standard_error", "hysteresis", "hysteresis_noise", "slope",
             "slope_error")  # fmt: skip
    attrs = _attributes(guard, found.terminals, found.outputs) | _lines(found.findings)
    attrs |= {"rest_v": canonical_json(found.rest), "hold_s": found.hold_s}
    n_swept, n_points = found.voltage.shape
    where = [[t.name for t in guard.terminals].index(name) for name in found.terminals]
    voltage = np.tile(found.rest, (n_swept, 2 * n_points, 1))
    for k, row in enumerate(where):
        voltage[k, :, row] = np.concatenate([found.voltage[k], found.voltage[k, ::-1]])
    current = np.concatenate([found.up, found.down[..., ::-1]], axis=-1)
    clipped = np.concatenate([found.clipped[:, :, 0], found.clipped[:, :, 1]], axis=-1)
    n_outputs = len(found.outputs)
    recorded = measurement(
        voltage.reshape(-1, voltage.shape[-1]),
        np.moveaxis(current, 1, -1).reshape(-1, n_outputs),
        # Up and down are stretches of their own.
        segment=np.repeat(np.arange(2 * n_swept), n_points),
        clipped=np.moveaxis(clipped, 1, -1).reshape(-1, n_outputs),
        **_recorded(guard, "iv curves"),
    )
    return (
        IV_CURVES.write(
            Path(folder) / "iv-curves.nc", {n: getattr(found, n) for n in names}, attrs
        ),
        write_measurement(Path(folder) / "measurement.nc", recorded),
    )


def write_stability(
    folder: str | os.PathLike[str], found: Stability, guard: Guard
) -> tuple[Path, Path]:
    """``stability.nc``, and ``measurement.nc`` with the visits of today, in a folder.

    Raises
    ------
    StorageError
    """
    values: dict[str, ArrayLike] = {
        "points": found.points,
        "level_then": found.then.level,
        "level_now": found.now.level,
        "error_then": found.then.error,
        "error_now": found.now.error,
        "noise_then": found.then.noise,
        "noise_now": found.now.noise,
        "change": found.change_na,
        "expected": found.expected_na,
        "offset": found.offset_na,
        "offset_error": found.offset_error_na,
    }
    same = ("statistic", "p_value", "offset_p_value", "gain", "gain_error", "correlation",
            "left_p_value")  # fmt: skip
    values |= {name: getattr(found, name) for name in same}
    attrs = _attributes(guard, [t.name for t in guard.terminals], found.outputs)
    attrs |= {"verdict": found.verdict, "verdicts": canonical_json(found.verdicts)}
    attrs |= {"then_utc": found.then_utc, "now_utc": found.now_utc} | _lines(found.findings)
    return (
        STABILITY.write(Path(folder) / "stability.nc", values, attrs),
        write_measurement(Path(folder) / "measurement.nc", found.measurement),
    )


def _attributes(guard: Guard, terminals: Any, outputs: Any) -> dict[str, Any]:
    return {
        "terminals": canonical_json(list(terminals)),
        "outputs": canonical_json(list(outputs)),
        "rig": canonical_json(guard.describe()),
        "rate_hz": float(guard.rate),
        "fidelity": guard.fidelity,
        "software": software(),
        "finished_utc": utc_now(),
    }


def _lines(findings: Any) -> dict[str, str]:
    return {"findings": "\n".join(str(f) for f in findings)}


def _recorded(guard: Guard, kind: str) -> dict[str, Any]:
    described = guard.describe()
    device = described.get("device")
    return {
        "terminals": guard.terminals,
        "outputs": guard.outputs,
        "rate_hz": guard.rate,
        "fidelity": guard.fidelity,
        "device": device if isinstance(device, dict) else {"name": str(device)},
        "rig": described,
        "design": {"kind": kind},
    }
