"""Digests, versions and plain values."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from inmateria.data.provenance import canonical_json, parent, plain, sha256_file, utc_now, versions
from inmateria.errors import DataFileError, ParameterError


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert sha256_file(path) == hashlib.sha256(b"abc").hexdigest()
    assert parent(path) == {"path": str(path), "sha256": sha256_file(path)}
    with pytest.raises(DataFileError, match="check the path"):
        sha256_file(tmp_path / "none")


def test_equal_values_give_equal_text() -> None:
    one = {"b": np.float64(0.5), "a": (1, np.int64(2)), "p": Path("x")}
    other = {"a": [1, 2], "p": "x", "b": 0.5}
    assert canonical_json(one) == canonical_json(other)
    assert json.loads(canonical_json(one)) == other


def test_what_json_cannot_say() -> None:
    with pytest.raises(ParameterError, match="has no JSON form"):
        plain({"x": 1j})


def test_times_are_utc_and_sort_as_text() -> None:
    first, second = utc_now(), utc_now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first)
    assert first <= second


def test_versions_name_what_makes_numbers() -> None:
    found = versions()
    assert found["numpy"] == np.__version__
    assert {"inmateria", "python", "platform", "torch"} <= set(found)
