"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[1] / ".." / "shared" / "reference"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own: they neither read nor write this user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INMATERIA_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference arrays; tests that need it skip where it is absent."""
    if not REFERENCE.is_dir():
        pytest.skip("reference arrays are not on this machine (../shared/reference)")
    return REFERENCE.resolve()
