"""A recording that is being made: rows so far, its last block, and the finished file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from inmateria.data.blocks import Header, pack_block
from inmateria.data.designs import Plateaus, Triangles
from inmateria.data.journal import Journal, journal_path
from inmateria.data.sampling import sample
from inmateria.data.schema import Rows
from inmateria.rigs.simulated import SimulatedRig
from inmateria.watch.sampling_state import SamplingWatch
from inmateria.watch.state import STALE_S

from ..training.stand_ins import TanhNetwork  # noqa: TID252

IDENTITY = {
    "terminals": [["e1", -1.0, 1.0], ["e2", -0.5, 0.5]],
    "outputs": ["o0"],
    "rate_hz": 100.0,
    "fidelity": "simulation",
    "design": {"kind": "triangles"},
    "device": {},
    "rig": {},
}


def block(n: int, value: float) -> Rows:
    return Rows(
        np.full((n, 2), 0.1),
        np.full((n, 1), value),
        np.array([[k == 0] for k in range(n)], dtype=np.int8),
        np.zeros(n, dtype=np.int32),
    )


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    header = Header(IDENTITY, {"started_utc": "2026-01-31T12:00:00.000Z", "parents": []}, 100)
    return Journal(tmp_path / "data.nc", header)


def test_rows_come_block_by_block(journal: Journal) -> None:
    watch = SamplingWatch(journal.path)
    watch.refresh()
    part = watch.part()
    assert (part["rows"], part["n_rows"], part["strip"]) == (0, 100, None)
    assert part["state"] == "running"
    for k in range(3):
        journal.append(block(20, float(k)))
        assert watch.refresh()
        part = watch.part()
        assert part["rows"] == 20 * (k + 1)
        assert part["strip"]["current"][0]["y"] == [float(k)] * 20
    # At 100 Hz the third block of 20 rows begins after 0.4 s.
    assert part["strip"]["current"][0]["x"][0] == 0.4
    assert part["strip"]["clipped_share"] == 0.05
    assert part["terminals"][1] == {"name": "e2", "low_v": -0.5, "high_v": 0.5}


@pytest.mark.parametrize("cut", [1, 31, 36, 200, 400])
def test_a_torn_block_does_not_count_yet(journal: Journal, cut: int) -> None:
    journal.append(block(20, 1.0))
    torn = pack_block(block(20, 2.0), index=1, session=0, first_row=20)
    with open(journal.part, "ab") as file:
        file.write(torn[:cut])
    watch = SamplingWatch(journal.path)
    watch.refresh()
    assert watch.part()["rows"] == 20
    with open(journal.part, "ab") as file:
        file.write(torn[cut:])
    os.utime(journal.part, (2e9, 2e9))  # later, however coarse the clock of the disk
    watch.refresh()
    assert watch.part()["rows"] == 40
    assert watch.part()["strip"]["current"][0]["y"] == [2.0] * 20


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"format":"x"}\n', b"[]\n", b"null\n", b"\0" * 99]
)
def test_what_is_no_journal_is_never_fatal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.nc.part").write_bytes(content)
    watch = SamplingWatch(tmp_path / "data.nc")
    watch.refresh()
    assert watch.part()["rows"] == 0


def test_another_recording_under_the_same_name(journal: Journal) -> None:
    journal.append(block(20, 1.0))
    watch = SamplingWatch(journal.path)
    watch.refresh()
    journal.close()
    journal.part.unlink()
    watch.refresh()
    other = Journal(journal.path, Header(IDENTITY, {"started_utc": "", "parents": []}, 40))
    other.append(block(10, 1.0))
    watch.refresh()
    assert (watch.part()["rows"], watch.part()["n_rows"]) == (10, 40)


def test_without_news_nobody_knows(journal: Journal) -> None:
    past = os.stat(journal.part).st_mtime - STALE_S - 5
    os.utime(journal.part, (past, past))
    assert SamplingWatch(journal.path).state().name == "stale"
    journal.part.unlink()
    assert SamplingWatch(journal.path).state().name == "waiting"


@pytest.mark.parametrize("design", [Triangles(0.6, base_hz=8.0), Plateaus(40)])
def test_the_finished_file_says_the_same(tmp_path: Path, design: Triangles | Plateaus) -> None:
    seen = []
    path = tmp_path / "data.nc"
    watch = SamplingWatch(path)

    def look(done: int, total: int) -> None:
        watch.refresh()
        seen.append((done, watch.part()["rows"], total))

    rig = SimulatedRig(TanhNetwork(), rate=1000.0, seed=1)
    sample(rig, design, path=path, block_s=0.2, progress=look)
    assert all(done == rows for done, rows, _ in seen)
    before = watch.part()
    watch.refresh()
    after = watch.part()
    assert not journal_path(path).exists()
    assert after["state"] == "finished"
    for name in ("rows", "n_rows", "design", "rate_hz", "terminals", "outputs", "fidelity"):
        assert after[name] == before[name]
    last = [curves["y"][-1] for curves in after["strip"]["current"]]
    assert last == [curves["y"][-1] for curves in before["strip"]["current"]]
    # Whoever comes after the end sees it too.
    late = SamplingWatch(path)
    late.refresh()
    assert late.part() == after
