"""A model or a solution of another device than the one on the bench is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inmateria.bench.bench import Bench, open_bench
from inmateria.bench.same_device import refuse_another_device
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.errors import ConfigurationError

from .benches import NAMES, ni_fields, write_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return open_bench(write_bench(tmp_path, ni_fields(device="chip 1")))


def model(**changes: Any) -> dict[str, Any]:
    """A surrogate's description."""
    return {
        "kind": "surrogate",
        "terminals": [{"name": name, "low_v": -1.0, "high_v": 1.0} for name in NAMES],
        "outputs": ["e0"],
        "provenance": {"training_data": changes},
    }


@pytest.mark.parametrize(
    "described",
    [
        model(),  # of nobody knows which
        model(device="chip 1"),
        model(device={"kind": "sample", "name": "chip 1"}),
        model(rig={"bench": {"device": "chip 1"}}),
        model(rig={"bench": {"device": ""}}),
        {"kind": "ni", "device": {"kind": "sample", "name": ""}},  # what a solution was found on
        {},
    ],
)
def test_the_same_or_not_known(bench: Bench, described: dict[str, Any]) -> None:
    refuse_another_device(bench, described, what="it")


@pytest.mark.parametrize(
    "described",
    [
        model(device="chip 2"),
        model(device={"kind": "sample", "name": "chip 2"}),
        model(rig={"bench": {"device": "chip 2"}}),
        {"kind": "ni", "device": {"kind": "sample", "name": "chip 2"}},
        {"kind": "simulated", "device": {}, "bench": {"device": "chip 2"}},
    ],
)
def test_another(bench: Bench, described: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"it is of the device 'chip 2', .* 'chip 1'"):
        refuse_another_device(bench, described, what="it")


def test_other_terminals_or_outputs(bench: Bench) -> None:
    swapped = model()
    swapped["terminals"] = swapped["terminals"][::-1]
    with pytest.raises(ConfigurationError, match="it has the terminals e7, e6"):
        refuse_another_device(bench, swapped, what="it")
    with pytest.raises(ConfigurationError, match="it has the outputs x"):
        refuse_another_device(bench, model() | {"outputs": ["x"]}, what="it")


def test_a_simulated_bench_against_the_network_itself(tmp_path: Path) -> None:
    bench = open_bench(write_bench(tmp_path, instrument={"kind": "simulated"}, device=""))
    refuse_another_device(bench, model(device=DopantNetwork().describe()), what="it")
    other = DopantNetwork(seed=3)
    with pytest.raises(ConfigurationError, match="of seed 3"):
        refuse_another_device(bench, model(device=other.describe()), what="it")
