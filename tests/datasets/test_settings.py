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


@pytest.mark.parametrize(
    ("text", "message"),
    [
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
