"""Is what was measured the device that a surrogate stands for?

Terminals and outputs are told by their names. A device that has a name itself
(that of a chip, the seed of a simulated one) is held against the name in the
surrogate's provenance, where both are known: two chips on the same bench have
the same terminals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from inmateria.devices.device import Terminal
from inmateria.errors import TrainingError
from inmateria.surrogates.surrogate import Surrogate


def check_same_device(
    surrogate: Surrogate,
    *,
    terminals: Sequence[Terminal],
    outputs: Sequence[str],
    device: Any = None,
) -> None:
    """Refuse another device than the one that the surrogate was fitted to.

    Parameters
    ----------
    surrogate : Surrogate
    terminals, outputs
        Of what is measured, in any order.
    device : str or mapping, optional
        How it describes itself.

    Raises
    ------
    TrainingError
    """
    fix = "give the surrogate of this device, or fit one"
    for noun, known, found in (
        ("terminals", [t.name for t in surrogate.terminals], [t.name for t in terminals]),
        ("outputs", list(surrogate.outputs), list(outputs)),
    ):
        if set(known) != set(found):
            raise TrainingError(
                f"the surrogate has {noun} {', '.join(known)}, what is measured has "
                f"{', '.join(found)}: another device; {fix}"
            )
    known_as = device_name(surrogate.provenance.get("training_data", {}).get("device"))
    found_as = device_name(device)
    if known_as and found_as and known_as != found_as:
        raise TrainingError(
            f"the surrogate was fitted to {known_as!r}, what is measured is {found_as!r}; {fix}"
        )


def device_name(described: Any) -> str | None:
    """What a device is called in its own description; None where it has no name.

    A simulated network without a seed was made from arrays: it has none.
    """
    if isinstance(described, str):
        if described[:1] not in ('"', "{"):
            return described.strip() or None
        try:
            # files keep descriptions as JSON text
            parsed = json.loads(described)
        except ValueError:
            return described
        return parsed if isinstance(parsed, str) else device_name(parsed)
    if not isinstance(described, Mapping):
        return None
    if isinstance(described.get("name"), str):
        return str(described["name"])
    if described.get("seed") is not None:
        return f"{described.get('kind', 'device')}, seed {described['seed']}"
    return None


def described_device(rig: Any) -> Any:
    """The device, however deep in the description of its chain; None where it is not said."""
    while isinstance(rig, Mapping):
        if "device" in rig:
            return rig["device"]
        rig = rig.get("rig")
    return None
