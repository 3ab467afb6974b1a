"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[1] / ".." / "shared" / "reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference arrays; tests that need it skip where it is absent."""
    if not REFERENCE.is_dir():
        pytest.skip("reference arrays are not on this machine (../shared/reference)")
    return REFERENCE.resolve()
