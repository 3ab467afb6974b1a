"""The small set that these tests share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from inmateria.datasets.settings import GenerationSettings


@pytest.fixture(scope="session")
def small() -> Callable[..., GenerationSettings]:
    """The function of `small.py` beside this file."""
    spec = importlib.util.spec_from_file_location("small", Path(__file__).with_name("small.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., GenerationSettings] = module.small
    return found
