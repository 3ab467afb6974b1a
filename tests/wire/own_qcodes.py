"""QCoDeS with a home of its own: it neither reads nor writes this user's settings and logs."""

from __future__ import annotations

import atexit
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("pyvisa_sim")

FOLDER = tempfile.TemporaryDirectory(prefix="qcodes-home-")
atexit.register(FOLDER.cleanup)
HOME = Path(FOLDER.name)

with pytest.MonkeyPatch.context() as patch:
    # Its configuration looks for the home folder once, when it is imported.
    patch.setenv("HOME", str(HOME))
    patch.setenv("QCODES_USER_PATH", str(HOME / ".qcodes"))
    patch.setenv("QCODES_CONFIG", "")
    qcodes = pytest.importorskip("qcodes")
