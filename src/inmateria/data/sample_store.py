"""A store of generated samples on disk: Zarr 3, written block by block.

    set.zarr/
      zarr.json        schema, configuration and its digest, provenance
      x_nm/ ...        coordinates
      pldos/ ...       variables: one file a block, each chunk with a CRC-32C
      done/            one file a block: SHA-256 of its part of every variable

A block's variables are written first and its digests last, so a block without a file in
`done` does not exist, whatever else is there. Each block is written by one process, in
files of its own: nothing is shared between processes, and nothing is appended to. Reading
checks the digests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from inmateria.atomic import storage_error, sync_folder
from inmateria.data.provenance import canonical_json
from inmateria.data.sample_files import (
    DAMAGE,
    DONE,
    chunk_file,
    open_array,
    read_layout,
    write_new_store,
)
from inmateria.data.sample_layout import (
    SampleLayout,
    Variable,
    block_digest,
    check_block,
    configuration_sha256,
)
from inmateria.errors import ConfigurationError, DataFileError, DataIntegrityError, ParameterError

_BLOCK = re.compile(r"c\.(\d+)\.0\.0")


@dataclass(frozen=True)
class SampleStore:
    """A store that is open.

    Parameters
    ----------
    path : Path
    layout : SampleLayout
    attributes : mapping
        Of its group: versions of the software, time of creation, digests.
    """

    path: Path
    layout: SampleLayout
    attributes: Mapping[str, Any]
    _arrays: dict[tuple[str, bool], zarr.Array[Any]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the configuration."""
        return configuration_sha256(self.layout.configuration)

    def done_blocks(self) -> list[int]:
        """Blocks whose digests are there, rising. Reads nothing but the names of files."""
        names = (entry.name for entry in os.scandir(self.path / DONE))
        return sorted(int(found[1]) for name in names if (found := _BLOCK.fullmatch(name)))

    def missing_blocks(self) -> list[int]:
        """Blocks that are not computed yet, rising."""
        done = set(self.done_blocks())
        return [block for block in range(self.layout.n_blocks) if block not in done]

    def write_block(self, block: int, arrays: Mapping[str, ArrayLike]) -> None:
        """Write a block, flush it to the disk, then record it as done.

        Parameters
        ----------
        arrays : mapping of name to (n, ...) array
            All variables of the layout, n the samples of this block.

        Raises
        ------
        ParameterError, ShapeError, NotFiniteError
        StorageError
            If writing fails; the block is then not recorded, and all others stay as they are.
        """
        values = check_block(self.layout, block, arrays)
        rows = slice(block * self.layout.block_size, (block + 1) * self.layout.block_size)
        digests = [
            np.frombuffer(block_digest(self.identity, v, block, values[v.name]), dtype="u1")
            for v in self.layout.variables
        ]
        try:
            self.forget_block(block)
            for variable in self.layout.variables:
                self._array(variable.name, write=True)[rows] = values[variable.name]
            _to_disk([self._file(variable, block) for variable in self.layout.variables])
            self._array(DONE, write=True)[block] = np.stack(digests)
            _to_disk([chunk_file(self.path, DONE, block, 3)])
        except OSError as error:
            fix = "all blocks that were recorded are kept; free space and run it again"
            raise storage_error(self.path, error, fix=fix) from error

    def forget_block(self, block: int) -> None:
        """Remove a block, its digests first.

        A damaged chunk would be read again when it is written (where the last block is
        shorter than its chunk), so it has to go before.
        """
        chunk_file(self.path, DONE, block, 3).unlink(missing_ok=True)
        for variable in self.layout.variables:
            self._file(variable, block).unlink(missing_ok=True)

    def read_block(
        self, block: int, names: Iterable[str] | None = None
    ) -> dict[str, NDArray[np.generic]]:
        """Variables of a block, checked against their digests.

        Parameters
        ----------
        names : iterable of str, optional
            By default all.

        Returns
        -------
        dict of name to (n, ...) array
            As they are stored; see `values`.

        Raises
        ------
        DataFileError
            If the block is not computed yet.
        DataIntegrityError
            If it is damaged; the message names the variable.
        """
        wanted = self.layout.variables if names is None else [self.variable(n) for n in names]
        digests = self.block_digests(block)
        return {v.name: self._read(v, block, digests[v.name]) for v in wanted}

    def values(self, block: int, name: str) -> NDArray[np.generic]:
        """A variable of a block in its unit: where it is stored with a scale, float32."""
        variable = self.variable(name)
        if variable.scale is None:
            return self.read_block(block, [name])[name]
        found = self.read_block(block, [name, variable.scale])
        scale = found[variable.scale].astype(np.float32)
        maps = found[name].astype(np.float32)
        return np.asarray(maps * scale.reshape(scale.shape + (1,) * (maps.ndim - scale.ndim)))

    def samples(self, names: Iterable[str]) -> Iterator[dict[str, NDArray[np.generic]]]:
        """`values` of variables, block by block, of all blocks that are done."""
        chosen = list(names)
        for block in self.done_blocks():
            yield {name: self.values(block, name) for name in chosen}

    def block_digests(self, block: int) -> dict[str, bytes]:
        """SHA-256 of a block of every variable.

        Raises
        ------
        DataFileError
            If the block is not computed yet.
        DataIntegrityError
        """
        if not 0 <= block < self.layout.n_blocks:
            raise ParameterError(f"block {block} of a set of {self.layout.n_blocks}; count from 0")
        if not chunk_file(self.path, DONE, block, 3).exists():
            raise DataFileError(
                f"{self.path}: block {block} is not computed; run the same command again to go on"
            )
        try:
            found = np.asarray(self._array(DONE)[block])
        except DAMAGE as error:
            raise _damaged(self.path, block, DONE, error) from error
        names = [variable.name for variable in self.layout.variables]
        return {name: found[i].tobytes() for i, name in enumerate(names)}

    def variable(self, name: str) -> Variable:
        """A variable by name.

        Raises
        ------
        ParameterError
        """
        for variable in self.layout.variables:
            if variable.name == name:
                return variable
        kept = ", ".join(variable.name for variable in self.layout.variables)
        raise ParameterError(f"{self.path} does not hold {name!r}; it holds {kept}")

    def remove_torn_files(self) -> None:
        """Remove what writers that were killed left half written."""
        for entry in (*self.layout.variables, None):
            for file in (self.path / (entry.name if entry else DONE)).glob("*.partial"):
                file.unlink(missing_ok=True)

    def _read(self, variable: Variable, block: int, digest: bytes) -> NDArray[np.generic]:
        if not self._file(variable, block).exists():
            raise _damaged(self.path, block, variable.name, None)
        numbers = self.layout.samples(block)
        try:
            values = np.asarray(self._array(variable.name)[numbers.start : numbers.stop])
        except DAMAGE as error:
            raise _damaged(self.path, block, variable.name, error) from error
        if block_digest(self.identity, variable, block, values) != digest:
            raise _damaged(self.path, block, variable.name, None)
        return values

    def _file(self, variable: Variable, block: int) -> Path:
        return chunk_file(self.path, variable.name, block, 1 + len(variable.shape))

    def _array(self, name: str, *, write: bool = False) -> zarr.Array[Any]:
        if (name, write) not in self._arrays:
            self._arrays[name, write] = open_array(self.path, self.attributes, name, write=write)
        return self._arrays[name, write]


def open_store(path: str | os.PathLike[str]) -> SampleStore:
    """Open a store to read it, or to go on writing.

    Raises
    ------
    DataFileError, DataIntegrityError, SchemaVersionError
    """
    return SampleStore(Path(path), *read_layout(Path(path)))


def create_or_open_store(path: str | os.PathLike[str], layout: SampleLayout) -> SampleStore:
    """The store of a set, made where there is none.

    Raises
    ------
    ConfigurationError
        If a store of another configuration is there.
    DataFileError, DataIntegrityError, SchemaVersionError, StorageError
    """
    target = Path(path)
    if not target.exists():
        write_new_store(target, layout)
    store = open_store(target)
    if store.identity != configuration_sha256(layout.configuration):
        what = first_difference(store.layout.configuration, layout.configuration)
        raise ConfigurationError(
            f"{target} was generated with other settings ({what}); give another path, or those "
            "settings"
        )
    return store


def first_difference(stored: Mapping[str, Any], asked: Mapping[str, Any], prefix: str = "") -> str:
    """The first key in which two configurations differ, in words."""
    for key in sorted({*stored, *asked}):
        old, new = stored.get(key), asked.get(key)
        if canonical_json(old) == canonical_json(new):
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            return first_difference(old, new, f"{prefix}{key}.")
        return f"{prefix}{key} = {canonical_json(old)} there, {canonical_json(new)} here"
    return "none differs"


def _damaged(path: Path, block: int, name: str, error: BaseException | None) -> DataIntegrityError:
    reason = "" if error is None else f" ({(str(error) or type(error).__name__).splitlines()[0]})"
    return DataIntegrityError(
        f"{path}: block {block} of {name} is damaged or missing{reason}; mark it to be computed "
        "again (verify --repair) and run generate"
    )


def _to_disk(files: list[Path]) -> None:
    """Flush files and their folders, side by side: the disk is waited for once, not each time."""

    def flush(file: Path) -> None:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(file.parent)

    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(flush, files))
