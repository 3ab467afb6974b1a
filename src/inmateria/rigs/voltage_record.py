"""The last known voltages of a bench, on the disk before they are on the wire.

After a power cut or `kill -9` this file says what the terminals may hold, so that they can
be brought to 0 V no faster than is allowed. It has two slots of fixed size, written in turn
and in place: a torn write leaves the other one, and a disk that is full by then is no
obstacle. The file is locked while a process drives the bench.

    header, 4096 bytes of JSON | slot | slot
    slot: SHA-256 of the rest | number, time, n_terminals, n_in_flight, before | voltages, f8
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from inmateria.atomic import make_folder, storage_error, sync_folder
from inmateria.devices.device import FloatArray
from inmateria.errors import BenchInUseError, DataFileError, DataIntegrityError, ParameterError

AT_REST_V = 0.01
"""A terminal that its instrument reads within this of 0 V is at 0 V: converters have offsets."""

SCHEMA = "inmateria-voltages-1"
_HEADER = 4096
_DIGEST = 32
_NUMBERS = struct.Struct("<QdQQQ")


@dataclass(frozen=True, eq=False)
class LastVoltages:
    """What terminals held when something was last written down.

    Attributes
    ----------
    terminals : (n,) tuple of str
    held : (n,) array, V
        The last voltage that is certain to have been reached.
    in_flight : (n, m) array, V
        Samples that followed and may have been played, in part or all; m is 0 at rest.
    before : int
        Samples of the same stream that were played before them.
    rate : float, Hz
    slew_v_per_s : float
    utc : str
    """

    terminals: tuple[str, ...]
    held: FloatArray
    in_flight: FloatArray
    before: int
    rate: float
    slew_v_per_s: float
    utc: str

    @property
    def at_rest(self) -> bool:
        """Whether every terminal is at 0 V for certain."""
        return not self.held.any() and self.in_flight.shape[1] == 0

    def __str__(self) -> str:
        """In a line: each terminal that is not known to be at 0 V, and when that was."""
        possible = np.column_stack([self.held, self.in_flight])
        spans = zip(self.terminals, possible.min(axis=1), possible.max(axis=1), strict=True)
        parts = [
            f"{name} {low:.3g} V" if low == high else f"{name} {low:.3g} V to {high:.3g} V"
            for name, low, high in spans
            if low or high
        ]
        return f"{', '.join(parts) or 'all at 0 V'} on {self.utc}"


class VoltageRecord:
    """The record of a bench, held open and locked.

    Parameters
    ----------
    path : path
    terminals : sequence of str
    rate : float
        Samples per second, Hz.
    slew_v_per_s : float
    capacity_s : float
        Longest stretch in flight that there is room for, s.
    carry_on : bool
        Go on with a record that does not end at 0 V, as parking does.

    Attributes
    ----------
    found : LastVoltages, optional
        What the file said when it was opened; None where there was none.

    Raises
    ------
    BenchInUseError
        If another process has it.
    DataFileError
        If the file is of other terminals, or something else, or says that the terminals are
        not at 0 V.
    StorageError
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        terminals: Sequence[str],
        rate: float,
        slew_v_per_s: float,
        *,
        capacity_s: float = 2.0,
        carry_on: bool = False,
    ) -> None:
        self.path = Path(path)
        self._n = len(terminals)
        self._number = 0
        self._capacity = max(1, round(capacity_s * rate))
        header = {
            "schema": SCHEMA,
            "terminals": list(terminals),
            "rate_hz": float(rate),
            "slew_v_per_s": float(slew_v_per_s),
            "capacity": self._capacity,
        }
        make_folder(self.path.parent)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise storage_error(self.path, error, fix="choose another place") from error
        try:
            self._lock()
            found = _read(self.path) if os.fstat(self._file).st_size else None
            self.found = None if found is None else found[1]
            if found is not None:
                self._same_bench(found[0], header)
            if found is None or found[1].at_rest:
                self._begin(header)
            elif carry_on:
                self._capacity, self._number = int(found[0]["capacity"]), found[2]
            else:
                raise DataFileError(
                    f"{self.path} says that terminals may not be at 0 V: {found[1]}; "
                    "bring them down with `inmateria park` first"
                )
        except BaseException:
            self.close()
            raise

    def about_to_play(self, held: FloatArray, in_flight: FloatArray, *, before: int = 0) -> None:
        """Write down what is about to be sent; on the disk when this returns.

        Parameters
        ----------
        held : (n,) array, V
        in_flight : (n, m) array, V
            All that may be played and is not known to have been, the new samples last.
        before : int
            Samples of the stream that are known to have been played.

        Raises
        ------
        ParameterError
            If there is no room for so many samples.
        StorageError
        """
        if in_flight.shape[1] > self._capacity:
            raise ParameterError(
                f"{in_flight.shape[1]} samples in flight, but {self.path} has room for "
                f"{self._capacity}; play shorter blocks"
            )
        self._write(held, in_flight, before)

    def holds(self, held: FloatArray) -> None:
        """Write down voltages that are held now, (n,) V, with nothing in flight.

        Raises
        ------
        StorageError
        """
        self._write(held, np.empty((self._n, 0)), 0)

    def forget(self) -> None:
        """Remove the file if it was not there before and nothing but 0 V was written to it."""
        if self.found is None and _read(self.path)[1].at_rest:
            self.path.unlink()

    def close(self) -> None:
        """Let others drive the bench."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BenchInUseError(
                f"another process drives this bench ({self.path} is locked); wait until it has "
                "ended, or stop it"
            ) from error

    def _same_bench(self, found: dict[str, Any], header: dict[str, Any]) -> None:
        if found["terminals"] != header["terminals"]:
            raise DataFileError(
                f"{self.path} is the record of terminals {', '.join(found['terminals'])}, not of "
                f"{', '.join(header['terminals'])}; name another record for this bench"
            )

    def _begin(self, header: dict[str, Any]) -> None:
        line = json.dumps(header).encode()
        if len(line) > _HEADER:
            raise ParameterError(f"names of terminals fill {len(line)} bytes; give shorter ones")
        try:
            size = _HEADER + 2 * _slot_bytes(self._n, self._capacity)
            os.ftruncate(self._file, 0)
            os.posix_fallocate(self._file, 0, size)
            os.pwrite(self._file, line.ljust(_HEADER), 0)
            os.fsync(self._file)
            sync_folder(self.path.parent)
        except OSError as error:
            fix = "free space or choose another place"
            raise storage_error(self.path, error, fix=fix) from error
        self.holds(np.zeros(self._n))

    def _write(self, held: FloatArray, in_flight: FloatArray, before: int) -> None:
        self._number += 1
        numbers = _NUMBERS.pack(self._number, time.time(), self._n, in_flight.shape[1], before)
        body = numbers + np.column_stack([held, in_flight]).astype("<f8").tobytes()
        offset = _HEADER + (self._number % 2) * _slot_bytes(self._n, self._capacity)
        try:
            data = hashlib.sha256(body).digest() + body
            if os.pwrite(self._file, data, offset) != len(data):
                raise OSError(errno.ENOSPC, "only a part was written")
            os.fdatasync(self._file)
        except OSError as error:
            fix = "nothing is sent that is not written down; make the file writable again"
            raise storage_error(self.path, error, fix=fix) from error


def read_voltage_record(path: str | os.PathLike[str]) -> LastVoltages:
    """The newest entry of a record.

    Raises
    ------
    DataFileError
        If there is no record at `path`, or neither slot can be read.
    """
    return _read(Path(path))[1]


def _slot_bytes(n_terminals: int, capacity: int) -> int:
    return _DIGEST + _NUMBERS.size + 8 * n_terminals * (1 + capacity)


def _read(path: Path) -> tuple[dict[str, Any], LastVoltages, int]:
    """Header, newest entry and its number."""
    try:
        data = path.read_bytes()
        header = json.loads(data[:_HEADER])
        if header["schema"] != SCHEMA:
            raise KeyError("schema")
        n, slot = (
            len(header["terminals"]),
            _slot_bytes(len(header["terminals"]), header["capacity"]),
        )
    except FileNotFoundError as error:
        raise DataFileError(f"{path} does not exist: nothing was driven from there") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFileError(
            f"{path} is not a record of voltages; check the bench's key `record`"
        ) from error
    entries = [_entry(data[_HEADER + k * slot : _HEADER + (k + 1) * slot], n) for k in range(2)]
    known = [entry for entry in entries if entry is not None]
    if not known:
        raise DataIntegrityError(
            f"{path} is damaged; find out by hand what the terminals hold, bring them to 0 V, and "
            "delete it"
        )
    number, when, before, values = max(known, key=lambda entry: entry[0])
    last = LastVoltages(
        terminals=tuple(header["terminals"]),
        held=values[:, 0],
        in_flight=values[:, 1:],
        before=before,
        rate=header["rate_hz"],
        slew_v_per_s=header["slew_v_per_s"],
        utc=datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds"),
    )
    return header, last, number


def _entry(slot: bytes, n_terminals: int) -> tuple[int, float, int, FloatArray] | None:
    """Number, time, samples before and voltages (n, 1 + m); None if torn or never written."""
    head = _DIGEST + _NUMBERS.size
    if len(slot) < head:
        return None
    number, when, n, m, before = _NUMBERS.unpack(slot[_DIGEST:head])
    end = head + 8 * n * (1 + m)
    if n != n_terminals or end > len(slot):
        return None
    if hashlib.sha256(slot[_DIGEST:end]).digest() != slot[:_DIGEST]:
        return None
    values = np.frombuffer(slot[head:end], dtype="<f8").reshape(n, 1 + m)
    return number, when, before, values.astype(np.float64)
