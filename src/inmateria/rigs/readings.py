"""What a recording must be for anything more to be played."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inmateria.devices.device import FloatArray, Terminal
from inmateria.errors import ComplianceError, InstrumentError, ShapeError


def wrong_with(
    reading: FloatArray,
    block: FloatArray,
    *,
    outputs: Sequence[str],
    terminals: Sequence[Terminal],
    compliance_na: float | None,
) -> Exception | None:
    """Why nothing more may be played after a reading; None where nothing is wrong.

    Parameters
    ----------
    reading : (n_outputs, n_samples) array, nA
    block : (n_terminals, n_samples) array, V
        What was played meanwhile.
    outputs, terminals
        Names and terminals of the two.
    compliance_na : float, optional
        Current, either way, that no output may reach, nA.
    """
    due = (len(outputs), block.shape[1])
    if reading.shape != due:
        return ShapeError(
            f"the rig returned a recording of shape {reading.shape} where {due} (outputs, "
            "samples) was due; check the rig's outputs and rate"
        )
    for name, row in zip(outputs, reading, strict=True):
        if np.isnan(row).any():
            return InstrumentError(
                f"output {name} read {row[np.isnan(row)][0]} at sample "
                f"{int(np.isnan(row).argmax())} of a block, which is no current; the rig was "
                "taken to 0 V, check the instrument"
            )
        if compliance_na is not None and (np.abs(row) >= compliance_na).any():
            worst = int(np.abs(row).argmax())
            held = ", ".join(
                f"{t.name} {v:.3g} V" for t, v in zip(terminals, block[:, worst], strict=True)
            )
            return ComplianceError(
                f"output {name} carried {row[worst]:.4g} nA, compliance {compliance_na:g} nA, at "
                f"{held}; the rig was taken to 0 V, keep away from there or raise compliance_na"
            )
    return None
