"""A recording as its journal tells it: rows so far, and the last block of them.

The heads of blocks are read one by one, the payload of the last one only: a journal of
gigabytes is followed at the cost of a kilobyte a block.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from inmateria.data.provenance import plain_attribute
from inmateria.watch.numbers import clean, curve
from inmateria.watch.state import State, newest_s, state_of

STRIP_POINTS = 400
LAST_ROWS = 1000  # of a finished recording
BLOCKS_AT_ONCE = 5000
SUFFIX = ".part"


class SamplingWatch:
    """Follows a recording, ``NAME.nc`` that is to be or is.

    Parameters
    ----------
    path : Path
        Of the finished file; the journal lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.journal = path.with_name(path.name + SUFFIX)
        self.more = False
        self._clear()

    def _clear(self) -> None:
        self._header: dict[str, Any] = {}
        self._inode, self._end, self._n_rows, self._n_blocks = -1, 0, 0, 0
        self._last: tuple[int, int] | None = None
        self._strip: dict[str, Any] | None = None
        self._seen = -1.0

    @property
    def finished(self) -> bool:
        """Whether the file is there and its journal is not."""
        return self.path.is_file() and not self.journal.exists()

    def state(self) -> State:
        """How the recording stands."""
        if self.finished:
            return State("finished", "the recording is complete")
        return state_of({}, self.journal)

    def refresh(self) -> bool:
        """Read what is new; whether the page may look different now."""
        now = newest_s(self.journal, self.path) or 0.0
        if now == self._seen and not self.more:
            return False
        self._seen, self.more = now, False
        if self.finished:
            self._finish()
            return True
        try:
            with open(self.journal, "rb") as file:
                self._follow(file)
        except (OSError, ValueError, LookupError, TypeError):
            # Gone meanwhile, or a header that is not whole yet: the next look will tell.
            self._seen = -1.0
        return True

    def part(self) -> dict[str, Any]:
        """Everything that the page draws of it; empty where the file is no measurement."""
        if self.finished and not self._header:
            return {}
        identity = self._header.get("identity", {})
        state = self.state()
        total = self._header.get("n_rows")
        drawn = {
            "kind": "sampling",
            "name": self.name,
            "file": self.path.name,
            "state": state.name,
            "state_text": state.text,
            "rows": self._n_rows,
            "n_rows": total,
            "rate_hz": identity.get("rate_hz"),
            "design": identity.get("design", {}).get("kind"),
            "fidelity": identity.get("fidelity"),
            "terminals": [
                {"name": t[0], "low_v": t[1], "high_v": t[2]} for t in identity.get("terminals", ())
            ],
            "outputs": identity.get("outputs", []),
            "strip": self._strip,
        }
        return dict(clean(drawn))

    def _follow(self, file: IO[bytes]) -> None:
        # With the format come schemas and xarray, which the start need not wait for.
        from inmateria.data.blocks import DIGEST_SIZE, HEAD, MAGIC

        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self._end:
            self._clear()
            self._inode = status.st_ino
        if not self._header:
            self._header = _header_of(file.readline())
            self._end = file.tell()
        before = self._n_blocks
        while self._end + HEAD.size <= status.st_size:
            if self._n_blocks - before >= BLOCKS_AT_ONCE:
                self.more = True
                break
            file.seek(self._end)
            head = file.read(HEAD.size)
            magic, _, _, first_row, count, length, crc = HEAD.unpack(head)
            total = HEAD.size + length + DIGEST_SIZE
            whole = magic == MAGIC and crc == zlib.crc32(head[:-4])
            if not whole or self._end + total > status.st_size or first_row != self._n_rows:
                break
            self._last = (self._end, total)
            self._end += total
            self._n_rows += count
            self._n_blocks += 1
        if self._last is not None and self._n_blocks > before:
            offset, total = self._last
            file.seek(offset)
            self._strip = self._drawn(file.read(total))

    def _finish(self) -> None:
        """Take header and last rows from the finished file, which has the same numbers."""
        found = _finished(self.path)
        if found is not None:
            self._header, first, arrays = found
            self._n_rows = self._header["n_rows"]
            self._strip = _strip(self._header["identity"], first, arrays)

    def _drawn(self, data: bytes) -> dict[str, Any] | None:
        """Voltages and currents of a block, made short; None where it is not whole."""
        from inmateria.data.blocks import DIGEST_SIZE, HEAD
        from inmateria.data.schema import ROW_VARIABLES, VARIABLES

        if hashlib.sha256(data[:-DIGEST_SIZE]).digest() != data[-DIGEST_SIZE:]:
            return None
        identity = self._header["identity"]
        first, n = HEAD.unpack_from(data)[3:5]
        columns = {"terminal": len(identity["terminals"]), "output": len(identity["outputs"])}
        offset, arrays = HEAD.size, {}
        for name in ROW_VARIABLES:
            dims, dtype, _ = VARIABLES[name]
            shape = (n, *(columns[dim] for dim in dims[1:]))
            array = np.frombuffer(data, dtype=dtype, count=int(np.prod(shape)), offset=offset)
            arrays[name] = array.reshape(shape)
            offset += array.nbytes
        return _strip(identity, first, arrays)


def _strip(identity: Mapping[str, Any], first: int, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The last rows as curves, and the share of them that was clipped."""
    # Plateaus have no rate of rows: rows are counted then.
    timed = identity.get("design", {}).get("kind") != "plateaus"
    row = first + np.arange(len(arrays["voltage"]))
    x = row / float(identity["rate_hz"]) if timed else row
    return {
        "x": "time (s)" if timed else "row",
        "voltage": [curve(x, column, most=STRIP_POINTS) for column in arrays["voltage"].T],
        "current": [curve(x, column, most=STRIP_POINTS) for column in arrays["current"].T],
        "clipped_share": float(arrays["clipped"].astype(bool).any(axis=1).mean()),
    }


def _header_of(line: bytes) -> dict[str, Any]:
    from inmateria.data.blocks import FORMAT

    fields = json.loads(line)
    if fields["format"] != FORMAT:
        raise ValueError("not a journal")
    header = fields["header"]
    return {"identity": header["identity"], "n_rows": int(header["n_rows"])}


def _finished(path: Path) -> tuple[dict[str, Any], int, dict[str, Any]] | None:
    """Header, first row shown and last rows of a finished measurement; None if it is none.

    Opened without a lock: nobody may be kept from the file by us.
    """
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            n = int(file["voltage"].shape[0])
            first = max(0, n - LAST_ROWS)
            arrays = {name: file[name][first:] for name in ("voltage", "current", "clipped")}
            names = [_text(name) for name in file["terminal"][:]]
            limits = zip(names, file["low_v"][:], file["high_v"][:], strict=True)
            identity = {
                "terminals": [[name, float(low), float(high)] for name, low, high in limits],
                "outputs": [_text(name) for name in file["output"][:]],
                "rate_hz": float(plain_attribute(file.attrs["rate_hz"])),
                "design": json.loads(plain_attribute(file.attrs["design"])),
                "fidelity": plain_attribute(file.attrs["fidelity"]),
            }
    except (OSError, KeyError, ValueError, TypeError, RuntimeError):
        return None
    if arrays["voltage"].ndim != 2 or not len(arrays["voltage"]):
        return None
    return {"identity": identity, "n_rows": n}, first, arrays


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
