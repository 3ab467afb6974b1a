"""Lines of a file that grows: each once, whole, and none of a file that is another one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from inmateria.watch.tail import Tail


def test_lines_cut_anywhere_come_whole_and_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = b"".join(b"%d %s\n" % (k, b"x" * int(rng.integers(0, 40))) for k in range(200))
    path, got = tmp_path / "log", []
    tail = Tail(path)
    assert tail.read() == []  # not there yet
    with open(path, "wb", buffering=0) as file:
        at = 0
        while at < len(data):
            step = int(rng.integers(1, 90))
            file.write(data[at : at + step])
            at += step
            got += tail.read(most=int(rng.integers(1, 200)))
    while lines := tail.read():
        got += lines
    assert b"".join(got) == data
    assert not tail.more
    assert tail.share == 1.0


def test_the_beginning_of_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    tail = Tail(path)
    assert tail.read() == [b"one\n"]
    assert tail.read() == []
    with open(path, "ab") as file:
        file.write(b"o\n")
    assert tail.read() == [b"two\n"]


def test_a_shorter_or_another_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    tail = Tail(path)
    tail.read()
    path.write_bytes(b"new\n")
    assert (tail.read(), tail.begun_anew) == ([b"new\n"], True)
    (tmp_path / "other").write_bytes(b"other\nlines\n")
    os.replace(tmp_path / "other", path)
    assert (tail.read(), tail.begun_anew) == ([b"other\n", b"lines\n"], True)
    path.unlink()
    assert (tail.read(), tail.begun_anew) == ([], False)


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0123456789\n" * 100)
    tail = Tail(path)
    first = tail.read(most=500)
    assert tail.more
    assert 0.4 < tail.share < 0.5
    assert len(first) == 45
    assert len(tail.read()) == 55
