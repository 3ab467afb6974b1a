"""Which device is which neuron, which terminals take features, and how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inmateria.devices.device import Device, terminal_index
from inmateria.errors import ParameterError, TerminalError

WIRINGS = ("same", "each", "linear")
LIMITS = ("clip", "tanh")


def one_per_neuron(devices: Device | Sequence[Device], n_neurons: int | None) -> tuple[Device, ...]:
    """The device of every neuron; a single one serves all.

    Raises
    ------
    ParameterError, TerminalError
        Not a device, wrong numbers, or unequal terminals or outputs.
    """
    given = (devices,) if isinstance(devices, Device) else tuple(devices)
    for device in given:
        if not isinstance(device, Device):
            raise ParameterError(
                f"{type(device).__name__} is no device (terminals, outputs, current, describe)"
            )
    if n_neurons is not None and not (isinstance(n_neurons, int) and n_neurons >= 1):
        raise ParameterError(f"n_neurons is {n_neurons!r}; give a whole number of 1 or more")
    if len(given) == 1:
        given = given * (n_neurons or 1)
    if not given or (n_neurons is not None and n_neurons != len(given)):
        raise ParameterError(
            f"{len(given)} devices for {n_neurons or 'no'} neurons; give one per neuron, or a "
            "single one for all"
        )
    first = given[0]
    names = tuple(t.name for t in first.terminals)
    for k, device in enumerate(given):
        if tuple(t.name for t in device.terminals) != names or device.outputs != first.outputs:
            raise TerminalError(
                f"device {k} has terminals {', '.join(t.name for t in device.terminals)} and "
                f"outputs {', '.join(device.outputs)}, device 0 {', '.join(names)} and "
                f"{', '.join(first.outputs)}; a layer needs equal ones"
            )
    return given


def input_positions(device: Device, inputs: Sequence[str | int]) -> list[int]:
    """Positions of the input terminals; refuses unknown and repeated ones."""
    if isinstance(inputs, str | int) or not len(inputs):
        raise TerminalError(f"inputs is {inputs!r}; give a list such as ('e2', 'e6')")
    found = [terminal_index(device.terminals, name) for name in inputs]
    if len(set(found)) < len(found):
        raise TerminalError(f"inputs {list(inputs)} name a terminal twice; name each once")
    return found


def check_options(
    wiring: str,
    limit: str,
    feature_range: tuple[float, float] | None,
    input_share: float,
    noise_na: float,
) -> None:
    """Refuse options that do not exist or have no meaning."""
    if wiring not in WIRINGS:
        raise ParameterError(f"wiring {wiring!r} is unknown; choose one of {', '.join(WIRINGS)}")
    if limit not in LIMITS:
        raise ParameterError(f"limit {limit!r} is unknown; choose one of {', '.join(LIMITS)}")
    if not 0 < input_share <= 1:
        raise ParameterError(f"input_share is {input_share}; give a share above 0, up to 1")
    if not 0 <= noise_na < math.inf:
        raise ParameterError(f"noise_na is {noise_na} nA; give 0 or more")
    if feature_range is not None:
        low_high = tuple(feature_range)
        if not (
            len(low_high) == 2 and all(map(math.isfinite, low_high)) and low_high[0] < low_high[1]
        ):
            raise ParameterError(
                f"feature_range is {feature_range}; give a finite low below a finite high"
            )


def count_features(wiring: str, n_features: int | None, n_inputs: int, n_neurons: int) -> int:
    """Number of features that a layer takes."""
    if wiring == "linear":
        if not (isinstance(n_features, int) and n_features >= 1):
            raise ParameterError(
                f"n_features is {n_features!r}; a linear map needs a whole number of 1 or more"
            )
        return n_features
    expected = n_inputs if wiring == "same" else n_inputs * n_neurons
    if n_features not in (None, expected):
        raise ParameterError(
            f"n_features is {n_features}; wiring {wiring!r} of {n_inputs} inputs and {n_neurons} "
            f"neurons takes {expected}"
        )
    return expected
