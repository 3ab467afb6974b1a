"""Whether a model or a solution belongs to the device on a bench."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inmateria.errors import ConfigurationError

if TYPE_CHECKING:
    from inmateria.bench.bench import Bench


def refuse_another_device(bench: Bench, described: Mapping[str, Any], *, what: str) -> None:
    """Refuse what was made for another device than the one on the bench.

    Compared are the names of terminals and outputs of a model, and the name of the
    device, where both sides have one. A simulated bench is held against the dopant
    network itself.

    Parameters
    ----------
    bench : Bench
    described : mapping
        `describe()` of a surrogate, or what a solution was trained on.
    what : str
        Names it in the error, for example ``"model.json"``.

    Raises
    ------
    ConfigurationError
    """
    if described.get("kind") == "surrogate":
        _compare_names(
            bench, what, "terminals", [t["name"] for t in described.get("terminals", ())],
            [t.name for t in bench.terminals],
        )  # fmt: skip
        outputs = list(described.get("outputs", ()))
        _compare_names(bench, what, "outputs", outputs, list(bench.outputs))
    rig, device = _measured_on(described)
    name = rig.get("bench", {}).get("device") or _sample_name(device)
    here = bench.settings.device
    if name and here and name != here:
        raise ConfigurationError(
            f"{what} is of the device {name!r}, and {bench.path} has {here!r}; use one of that "
            "device, or correct the key device of the bench file"
        )
    if bench.is_simulated and isinstance(device, Mapping):
        _compare_networks(bench, what, device)


def _measured_on(described: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """The rig that a model was measured with, or a search ran on, and its device."""
    if described.get("kind") != "surrogate":
        return described, described.get("device")
    data = described.get("provenance", {}).get("training_data", {})
    rig = data.get("rig", {})
    return rig if isinstance(rig, Mapping) else {}, data.get("device")


def _sample_name(device: Any) -> str:
    """The name by which a rig of instruments knows its sample."""
    if isinstance(device, Mapping):
        return str(device.get("name", "")) if device.get("kind") == "sample" else ""
    return device if isinstance(device, str) else ""


def _compare_names(bench: Bench, what: str, kind: str, found: list[str], here: list[str]) -> None:
    if found != here:
        raise ConfigurationError(
            f"{what} has the {kind} {', '.join(found)}, and {bench.path} has {', '.join(here)}; "
            "use a model of this device, wired in this order"
        )


def _compare_networks(bench: Bench, what: str, device: Mapping[str, Any]) -> None:
    from inmateria.bench.simulated import simulated_device

    here = simulated_device(bench.settings, folder=bench.path.parent).describe()
    kind = "dopant network"
    if here.get("kind") != kind or device.get("kind") != kind:
        return
    if any(here.get(name) != device.get(name) for name in ("seed", "parameters")):
        raise ConfigurationError(
            f"{what} is of the dopant network of seed {device.get('seed')}, and {bench.path} "
            f"simulates that of seed {here.get('seed')}; use one of that device"
        )
