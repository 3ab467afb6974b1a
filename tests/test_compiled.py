"""Machine code on disk that is older than a source file is thrown away."""

from __future__ import annotations

import os

from inmateria.compiled import discard_stale_code


def test_only_stale_code_goes(tmp_path):
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    source, old, new = tmp_path / "a.py", cache / "a.f-1.nbi", cache / "a.g-1.nbi"
    plain = tmp_path / "b.py"
    for file, time in ((old, 100), (source, 200), (new, 300), (plain, 400)):
        file.write_text("from inmateria.compiled import compiled" if file == source else "")
        os.utime(file, (time, time))
    discard_stale_code(tmp_path)
    assert not old.exists()
    assert new.exists()
