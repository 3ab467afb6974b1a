"""`inmateria show` on what is unfinished, and on what was named by its stem."""

from __future__ import annotations

from inmateria.data.blocks import Header
from inmateria.data.journal import Journal, journal_path
from inmateria.surrogates.brainspy import read_brainspy_model


def test_a_recording_without_a_row_is_shown(inmateria, tmp_path):
    identity = {
        "design": {"kind": "test", "seed": 1},
        "device": {"kind": "none"},
        "rig": {},
        "rate_hz": 1e3,
        "fidelity": "simulation",
        "terminals": [["e1", -1.0, 1.0]],
        "outputs": ["out"],
    }
    notes = {"started_utc": "2024-01-01T00:00:00.000Z", "parents": []}
    target = tmp_path / "data.nc"
    with Journal(target, Header(identity, notes, 30)):
        pass
    outcome = inmateria("show", journal_path(target))
    assert outcome.status == 0, outcome.err
    assert "0, 0 clipped" in outcome.out
    assert "unfinished" in outcome.out


def test_a_model_is_found_by_its_stem(inmateria, reference, tmp_path):
    read_brainspy_model(reference / "real-devices" / "device-a.pt").save(tmp_path / "twin")
    outcome = inmateria("show", tmp_path / "twin")
    assert outcome.status == 0, outcome.err
    assert "weights and record match" in outcome.out
    assert "-1.2" in outcome.out
