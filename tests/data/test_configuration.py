"""A wrong configuration is one line: the file, the key, what stands there, what would do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, StrictInt, ValidationError

from inmateria.data.configuration import (
    Configuration,
    parse_configuration,
    read_configuration,
    write_toml,
)
from inmateria.errors import ConfigurationError, StorageError


class Guarding(Configuration):
    slew_v_per_s: float = Field(200.0, gt=0)
    limits: dict[str, tuple[float, float]] = {}


class Step(Configuration):
    duration_s: float = 1.0


class Sampling(Configuration):
    duration_s: float = Field(10.0, gt=0)
    base_hz: float = 8.0
    kind: Literal["sinusoids", "triangles"] = "triangles"
    seed: StrictInt = 0
    note: str | None = None
    guard: Guarding = Guarding()
    steps: tuple[Step, ...] = ()


def read(tmp_path: Path, text: str) -> Sampling:
    path = tmp_path / "sample.toml"
    path.write_text(text, encoding="utf-8")
    return read_configuration(path, Sampling)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    config = Sampling(
        duration_s=2.5,
        base_hz=1e-9,
        guard=Guarding(limits={"e1": (-0.5, 0.5)}),
        steps=(Step(duration_s=0.1), Step()),
    )
    path = write_toml(tmp_path / "config.toml", config)
    assert read_configuration(path, Sampling) == config
    assert "note" not in path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, "base_hz = 1e-9\nduration_s = 3").base_hz == 1e-9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("duraton_s = 3", "key 'duraton_s' is unknown; did you mean 'duration_s'?"),
        ("duration_ms = 3", "key 'duration_ms' is unknown; did you mean 'duration_s'?"),
        (
            "[guard]\nslew = 3\n",
            "key 'slew' in [guard] is unknown; use limits, slew_v_per_s",
        ),
        (
            "[guard]\nslew_v_per_sec = 3\n",
            "key 'slew_v_per_sec' in [guard] is unknown; did you mean 'slew_v_per_s'?",
        ),
        (
            "[[steps]]\nduration_s = 1\n[[steps]]\nduration = 1\n",
            "key 'duration' in [steps.1] is unknown; did you mean 'duration_s'?",
        ),
        ("duration_s = '3 s'", "key 'duration_s' is '3 s'; give a plain number in seconds"),
        (
            "[guard]\nslew_v_per_s = '200 V/s'\n",
            "key 'guard.slew_v_per_s' is '200 V/s'; give a plain number in volts per second",
        ),
        (
            "duration_s = -1.0",
            "key 'duration_s' is -1.0 (in seconds): input should be greater than 0",
        ),
        ("base_hz = nan", "key 'base_hz' is nan (in hertz): input should be a finite number"),
        (
            "kind = 'spirals'",
            "key 'kind' is 'spirals': input should be 'sinusoids' or 'triangles'",
        ),
        ("seed = true", "key 'seed' is True: input should be a valid integer"),
        (
            "duraton_s = 3\nseed = 'x'",
            "key 'duraton_s' is unknown; did you mean 'duration_s'? (and 1 more)",
        ),
    ],
)
def test_mistakes(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'sample.toml'}: {message}"


def test_a_missing_key() -> None:
    class Needs(Configuration):
        device: str

    with pytest.raises(ConfigurationError, match="flags: key 'device' is missing; add it"):
        parse_configuration({}, Needs, source="flags")
    with pytest.raises(ConfigurationError, match="did you mean 'device'"):
        parse_configuration({"devise": "x"}, Needs)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist; check the path"):
        read_configuration(tmp_path / "none.toml", Sampling)
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_configuration(tmp_path, Sampling)
    with pytest.raises(ConfigurationError, match=r"is not TOML: .*line 1") as caught:
        read(tmp_path, "a = = 3\n")
    assert "\n" not in str(caught.value)
    (tmp_path / "latin.toml").write_bytes(b"note = '\xe9'\n")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        read_configuration(tmp_path / "latin.toml", Sampling)


def test_configurations_are_frozen() -> None:
    config = Sampling()
    with pytest.raises(ValidationError):
        config.duration_s = 3.0  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Sampling(duration_s=math.inf)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="choose another folder"):
        write_toml(tmp_path / "none" / "config.toml", {"a": 1})
