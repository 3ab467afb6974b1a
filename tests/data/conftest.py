"""The rig that tests of recordings share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def ohmic() -> ModuleType:
    """The module `ohmic.py` beside this file."""
    name = "inmateria_tests_ohmic"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("ohmic.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
