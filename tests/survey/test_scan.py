"""Scans: which cases, what becomes of those that fail, what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inmateria.devices.device import Device
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.errors import (
    ConvergenceError,
    DataFileError,
    ParameterError,
    StoppedError,
    TaskError,
)
from inmateria.survey.abundance import VARYING
from inmateria.survey.device_survey import Criterion
from inmateria.survey.files import read_outcome, write_outcome
from inmateria.survey.samples import Protocol, Samples, take_samples
from inmateria.survey.scan import Case, Failure, assemble, attempt, drawer, list_cases, survey
from inmateria.survey.summary import device_row, results, summarise

from .known_devices import linear, product

SMALL = Protocol(("a", "b"), settings=20, points=20, sweeps=4)
QUICK = Protocol(settings=10, points=20, sweeps=2, sweep_points=5)
TINY: dict[str, list[int | float | str]] = {
    "n_acceptors": [6], "n_donors": [0], "radius_nm": [80.0], "electrode_width_nm": [40.0],
}  # fmt: skip


def draw(case: Case) -> Device:
    if case.seed == 1:
        raise ParameterError("site 3 cannot reach any electrode")
    if case.seed == 2:
        raise ConvergenceError("residual 1e-3")
    return linear() if case.seed == 0 else product()


def test_cases_are_all_combinations() -> None:
    cases = list_cases([0, 1], {"disorder_ev": [0.05, 0.1], "rates": ["glauber"]})
    assert [case.name for case in cases] == [
        "seed0-disorder_ev=0.05-rates=glauber",
        "seed1-disorder_ev=0.05-rates=glauber",
        "seed0-disorder_ev=0.1-rates=glauber",
        "seed1-disorder_ev=0.1-rates=glauber",
    ]
    assert cases[1].label == "seed 1, disorder_ev 0.05, rates glauber"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"disorder": [0.1]}, "did you mean 'disorder_ev'"),
        ({"radius_nm": [-3]}, "radius_nm = -3"),
        ({"n_acceptors": [30.5]}, "whole number"),
        ({"disorder_ev": []}, "give one or more"),
        ({"disorder_ev": [0.1, 0.1]}, "each once"),
    ],
)
def test_parameters_without_meaning(parameters: dict[str, list[float]], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        list_cases([0], parameters)


def test_engine_that_does_not_exist() -> None:
    with pytest.raises(ParameterError, match="'fast' is unknown; choose one of meanfield"):
        drawer("fast")


def test_failures_are_outcomes_with_their_error() -> None:
    cases = [Case(seed) for seed in range(4)]
    found = assemble([(c, attempt(c, draw, SMALL)) for c in cases], SMALL, Criterion())
    assert [case.seed for case, _ in found.devices] == [0, 3]
    assert [(case.seed, failure.kind) for case, failure in found.failures] == [
        (1, "ParameterError"),
        (2, "ConvergenceError"),
    ]
    assert found.n_cases == 4
    listed = results(found)["failures"]
    assert listed[0] == {
        "case": "seed 1",
        "error": "ParameterError: site 3 cannot reach any electrode",
    }


def test_a_stop_and_wrong_inputs_are_no_failures_of_a_device() -> None:
    def stop(case: Case) -> Device:
        raise StoppedError("Ctrl-C")

    with pytest.raises(StoppedError):
        attempt(Case(0), stop, SMALL)
    with pytest.raises(TaskError, match="'x'"):
        attempt(Case(0), draw, Protocol(("a", "x")))


def test_a_parameter_changes_the_device_and_not_the_voltages() -> None:
    found = survey([3], parameters={**TINY, "disorder_ev": [0.0, 0.1]}, protocol=QUICK)
    (_, one), (_, other) = found.devices
    assert np.array_equal(one.samples.controls_v, other.samples.controls_v)
    assert not np.array_equal(one.samples.vectors_na, other.samples.vectors_na)
    assert [dict(values)["disorder_ev"] for values in found.groups()] == [0.0, 0.1]
    assert one.samples.device["parameters"]["n_acceptors"] == 6


def test_each_seed_has_voltages_of_its_own_and_progress_is_told() -> None:
    told = []
    found = survey(
        [0, 1], parameters=TINY, engine="exact", protocol=QUICK,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    (_, one), (_, other) = found.devices
    assert not np.array_equal(one.samples.controls_v, other.samples.controls_v)
    assert told == [(1, 2), (2, 2)]
    assert one.samples.device["engine"] == "exact"


def test_wrong_inputs_show_before_anything_is_surveyed() -> None:
    with pytest.raises(TaskError, match="'e9'"):
        survey([0], parameters=TINY, protocol=replace(QUICK, inputs=("e2", "e9")))


def test_outcomes_come_back_from_disk(tmp_path: Path) -> None:
    case = Case(7, (("disorder_ev", 0.05),))
    samples = take_samples(linear(), SMALL)
    assert read_outcome(tmp_path, case) is None
    write_outcome(tmp_path, case, samples)
    write_outcome(tmp_path, Case(8), Failure("ConvergenceError", "residual"))
    back = read_outcome(tmp_path, case)
    assert isinstance(back, Samples)
    for name in ("controls_v", "vectors_na", "uniform_na", "sweep_v", "sweep_na", "levels_v"):
        assert np.array_equal(getattr(back, name), getattr(samples, name))
    assert (back.device, back.inputs, back.controls) == (
        samples.device,
        samples.inputs,
        samples.controls,
    )
    assert read_outcome(tmp_path, Case(8)) == Failure("ConvergenceError", "residual")


def test_damaged_outcomes_are_named(tmp_path: Path) -> None:
    path = write_outcome(tmp_path, Case(7), take_samples(linear(), SMALL))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), bytes(content[:200]), b""):
        path.write_bytes(damaged)
        with pytest.raises(DataFileError, match=r"seed7\.npz is damaged.*delete it"):
            read_outcome(tmp_path, Case(7))


def test_summary_is_the_mean_of_its_devices() -> None:
    outcomes = [(Case(seed), attempt(Case(seed), draw, SMALL)) for seed in (0, 3)]
    found = assemble(outcomes, SMALL, Criterion(margin=0.0))
    devices = [device for _, device in found.devices]
    summary = summarise(devices)
    for gate in VARYING:
        counts = [device.counts[gate] for device in devices]
        assert summary.abundance[gate].mean == sum(counts) / 40
        assert summary.devices_with[gate] == sum(n > 0 for n in counts)
    assert summary.n_complete == 5  # OR, A and AND of one, XOR and XNOR of the other
    assert summary.overlap.sum() == pytest.approx(4.0)
    row = device_row(*found.devices[1])
    assert row["coupling"] is None  # infinite, which CSV does not know
    assert row["count XOR"] == devices[1].counts["XOR"]


def _means(found: dict[str, object]) -> dict[str, float]:
    return {gate: share.mean for gate, share in found.items()}  # type: ignore[attr-defined]


@pytest.mark.slow
def test_known_order_of_gates_on_the_default_kind() -> None:
    # Tertilt et al. 2024: AND and OR far more frequent than XOR and XNOR, all present.
    found = survey(range(30), engine="meanfield", protocol=Protocol(settings=500, sweeps=10))
    assert not found.failures
    summary = summarise([device for _, device in found.devices])
    share = _means(dict(summary.abundance))
    assert summary.n_complete == 14
    assert min(share["AND"], share["OR"]) > 10 * max(share["XOR"], share["XNOR"])
    assert min(share["XOR"], share["XNOR"]) > 0
    # The mean takes most of the variance, and hopping is not linear.
    assert np.median(summary.component_share[:, 0]) > 0.8
    assert (summary.indicators[:, 2] > 0).all()
    assert summary.ndr_sweeps.mean() > 0


def test_default_device_has_the_rare_gates() -> None:
    # docs/default-device.md: 5 XOR and 4 XNOR of 1,500 settings, AND and OR some 300 each.
    samples = take_samples(
        DopantNetwork(engine="meanfield"), Protocol(settings=1500, sweeps=0), seed=(0, 91)
    )
    found = assemble([(Case(91), samples)], Protocol(settings=1500), Criterion())
    counts = found.devices[0][1].counts
    assert min(counts["AND"], counts["OR"]) > 10 * max(1, counts["XOR"], counts["XNOR"])
    assert counts["XOR"] + counts["XNOR"] > 0
