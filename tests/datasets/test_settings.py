"""Settings of a set: what is refused, and what counts as the same set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inmateria.data.configuration import read_configuration, write_toml
from inmateria.data.sample_layout import configuration_sha256
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ConfigurationError, ParameterError

Small = Callable[..., GenerationSettings]


def test_a_file_and_back(small: Small, tmp_path: Path) -> None:
    settings = small(field_t=(0.0, 0.1), scanning_gate={"tip_width_nm": 20.0})
    path = write_toml(tmp_path / "set.toml", settings)
    assert read_configuration(path, GenerationSettings) == settings


def test_leads_by_default_and_spelt_out_are_the_same_set() -> None:
    plain, spelt = (
        GenerationSettings(),
        GenerationSettings.model_validate(
            {"gas": {"source_rows": "86:106", "drain_rows": "0:192"}}
        ),
    )
    digests = {configuration_sha256(s.configuration()) for s in (plain, spelt)}
    assert len(digests) == 1
    moved = GenerationSettings.model_validate({"gas": {"source_rows": "85:105"}})
    assert configuration_sha256(moved.configuration()) not in digests


def test_sets_from_before_a_key_came_are_the_same_sets(small: Small) -> None:
    """The digest of a set that was begun by version 0.1.0's first days, written down then."""
    gate = {"tip_height_mev": 0.3, "tip_width_nm": 20.0, "tip_shape": "gaussian"}
    old = {
        "n_samples": 1000,
        "seed": 0,
        "accuracy": 0.001,
        "block_size": 128,
        "temperature_k": 0.0,
        "field_t": [],
        "gas": {
            "n_x": 256,
            "n_y": 192,
            "spacing_nm": 5.0,
            "mass_kg": 5.74e-32,
            "permittivity": 12.9,
            "fermi_mev": 5.6,
            "source_rows": "86:106",
            "drain_rows": "0:192",
        },
        "disorder": {
            "spacing_nm": [40.0, 60.0],
            "density_per_cm2": [5e11, 1.5e12],
            "periodic": True,
            "cutoff": 3.5,
        },
        "keep": {"pldos": True, "coefficients": True, "potential": "no", "resolution": 1},
        "scanning_gate": None,
    }
    assert GenerationSettings().configuration() == old
    again = GenerationSettings.model_validate(old | {"scanning_gate": gate})
    assert again.configuration() == old | {"scanning_gate": gate}
    digest = configuration_sha256(again.configuration())
    for changes in ({"method": "exact"}, {"stride": 2}):
        other = GenerationSettings.model_validate(old | {"scanning_gate": gate | changes})
        assert other.configuration()["scanning_gate"] == gate | changes
        assert configuration_sha256(other.configuration()) != digest
    fixed = small(temperature_k=1.0, temperature_energies=9)
    assert fixed.configuration()["temperature_energies"] == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temperature_k = 1.0\ntemperature_energies = 8", "give an odd number"),
        ("temperature_energies = 9", "without a temperature; give temperature_k"),
        ("[scanning_gate]\nmethod = 'none'", "first-order"),
        ("[scanning_gate]\nstride = 0", "stride"),
        ("[disorder]\nspacing_nm = [60, 40]", "give .lowest, highest., both above 0"),
        ("[keep]\nresolution = 5", "256 x 192 sites cannot be averaged over squares of 5"),
        ("temperature_k = 1.0\nfield_t = [0.1]", "at 0 K; leave out temperature_k"),
        ("temperature_k = 1.0\n[scanning_gate]", "at 0 K; leave out temperature_k"),
        ("[scanning_gate]\ntip_height_mev = 0.0", "a tip of height zero"),
        ("n_sample = 3", "did you mean 'n_samples'"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "set.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(path, GenerationSettings)


@pytest.mark.parametrize(
    ("gas", "error", "message"),
    [
        ({"source_rows": "12"}, ConfigurationError, "not FIRST:STOP"),
        ({"source_rows": "10:300"}, ParameterError, "rows 10 to 299"),
    ],
)
def test_leads_that_do_not_fit(gas: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        GenerationSettings.model_validate({"gas": gas}).complete()
