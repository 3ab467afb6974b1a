"""Run folders: everything that one command made, in one place.

runs/20240131T120000Z-demo/
  config.toml       the resolved configuration
  provenance.json   versions of the software, the platform, times
  history.jsonl     what happened, one JSON object a line, append-only
  session.json      the process that writes or wrote it, for those who watch
  data/  model/     measurements; surrogates
  report.html
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from inmateria.atomic import write_text
from inmateria.data.configuration import to_toml, write_toml
from inmateria.data.provenance import plain, utc_now, versions
from inmateria.data.session import is_alive, this_session
from inmateria.errors import ConfigurationError, DataFileError, ParameterError, StorageError

FINISHED = "finished"
_STAMP = re.compile(r"\d{8}T\d{6}Z-")


@dataclass(frozen=True)
class Run:
    """A run folder.

    Parameters
    ----------
    path : Path
        The folder itself.
    """

    path: Path

    @classmethod
    def create(
        cls,
        root: str | os.PathLike[str],
        name: str,
        *,
        config: BaseModel | Mapping[str, Any] | None = None,
    ) -> Run:
        """A new folder ``root/<UTC stamp>-<name>``.

        Raises
        ------
        ParameterError
            If the name would not do as part of a folder's name.
        StorageError
            If the folder cannot be made.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ParameterError(
                f"run name {name!r} is not one; use letters, digits, '-', '_' and '.'"
            )
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = Path(root) / f"{stamp}-{name}"
        count = 1
        while True:
            try:
                path.mkdir(parents=True)
                break
            except FileExistsError:
                # two runs within a second; the stamp stays sortable
                count += 1
                path = Path(root) / f"{stamp}-{name}-{count}"
            except OSError as error:
                raise StorageError(
                    f"cannot make {path}: {error.strerror}; choose another folder"
                ) from error
        run = cls(path)
        run.data.mkdir()
        run.model.mkdir()
        write_toml(run.config, {} if config is None else config)
        provenance = {"name": name, "started_utc": utc_now(), "versions": versions()}
        run.write_text("provenance.json", json.dumps(provenance, indent=2) + "\n")
        run._begin_session()
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """A folder that `create` made.

        Raises
        ------
        DataFileError
            If it is not one.
        """
        run = cls(Path(path))
        if not run.config.is_file() or not (run.path / "provenance.json").is_file():
            raise DataFileError(
                f"{run.path} is not a run folder (no config.toml and provenance.json in it); "
                "check the path"
            )
        return run

    @classmethod
    def resume_or_create(
        cls,
        root: str | os.PathLike[str],
        name: str,
        *,
        config: BaseModel | Mapping[str, Any] | None = None,
    ) -> Run:
        """The latest unfinished run of this name and configuration, or a new one.

        Raises
        ------
        ConfigurationError
            If another process is at work on it.
        """
        for run in reversed(list_runs(root, name=name)):
            if not run.is_finished and run.has_configuration({} if config is None else config):
                run._refuse_another_process()
                run._begin_session()
                return run
        return cls.create(root, name, config=config)

    def _refuse_another_process(self) -> None:
        try:
            session = json.loads((self.path / "session.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(session, dict) and session.get("pid") != os.getpid() and is_alive(session):
            raise ConfigurationError(
                f"{self.path} is being made by process {session['pid']}; wait until it has ended, "
                f"or look on with `inmateria watch {self.path}`"
            )

    def _begin_session(self) -> None:
        self.write_text("session.json", json.dumps(this_session()) + "\n")

    @property
    def name(self) -> str:
        """The name it was created with."""
        fields = json.loads((self.path / "provenance.json").read_text(encoding="utf-8"))
        return str(fields["name"])

    @property
    def config(self) -> Path:
        """Path of the resolved configuration."""
        return self.path / "config.toml"

    @property
    def data(self) -> Path:
        """Folder of measurements."""
        return self.path / "data"

    @property
    def model(self) -> Path:
        """Folder of surrogates."""
        return self.path / "model"

    @property
    def report(self) -> Path:
        """Path of the report."""
        return self.path / "report.html"

    @property
    def history_path(self) -> Path:
        """Path of the history."""
        return self.path / "history.jsonl"

    @property
    def is_finished(self) -> bool:
        """Whether `finish` was called."""
        return any(entry.get("event") == FINISHED for entry in self.history())

    def has_configuration(self, config: BaseModel | Mapping[str, Any]) -> bool:
        """Whether the run was made with exactly this configuration."""
        try:
            kept = tomllib.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self.config} cannot be read: {error}") from error
        return bool(kept == tomllib.loads(to_toml(config)))

    def record(self, event: str, **fields: Any) -> None:
        """Append one line to the history, on the disk before this returns.

        Raises
        ------
        StorageError
        """
        line = json.dumps({"utc": utc_now(), "event": event, **plain(fields)}) + "\n"
        try:
            handle = os.open(self.history_path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                size = os.fstat(handle).st_size
                # a line that a crash tore must not swallow this one
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    line = "\n" + line
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageError(
                f"cannot write {self.history_path}: {error.strerror}; what was written before "
                "is kept"
            ) from error

    def finish(self, **fields: Any) -> None:
        """Record that the run is complete."""
        self.record(FINISHED, **fields)

    def history(self) -> list[dict[str, Any]]:
        """All that was recorded; lines that a crash tore are left out."""
        if not self.history_path.exists():
            return []
        entries: list[dict[str, Any]] = []
        for line in self.history_path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    entries.append(entry)
        return entries

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of the run as a whole or not at all.

        Raises
        ------
        StorageError
        """
        return write_text(self.path / name, text)


def list_runs(root: str | os.PathLike[str], *, name: str | None = None) -> list[Run]:
    """The runs in a folder, oldest first; of one name if given."""
    folder = Path(root)
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        run = Run(path)
        complete = run.config.is_file() and (path / "provenance.json").is_file()
        if _STAMP.match(path.name) and complete and name in (None, run.name):
            found.append(run)
    return found
