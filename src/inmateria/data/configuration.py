"""TOML files into checked configurations.

A configuration is a frozen pydantic model with ``extra="forbid"`` (derive from
`Configuration`). Whatever is wrong with a file becomes one line that names the
file, the key, what stands there, and what would do.
"""

from __future__ import annotations

import difflib
import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from inmateria.atomic import write_text
from inmateria.data.provenance import plain
from inmateria.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)

# How a field's name ends, and what its number counts.
UNITS = {
    "v": "volts",
    "mv": "millivolts",
    "na": "nanoamperes",
    "s": "seconds",
    "hz": "hertz",
    "k": "kelvin",
    "nm": "nanometres",
    "mev": "millielectronvolts",
    "v_per_s": "volts per second",
}


class Configuration(BaseModel):
    """Base of all configurations: frozen, and no key that it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )


def read_configuration(path: str | os.PathLike[str], model: type[Model]) -> Model:
    """A TOML file as a checked configuration.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not TOML, or does not suit `model`.
    """
    source = Path(path)
    try:
        with open(source, "rb") as file:
            fields = tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{source} does not exist; check the path") from error
    except OSError as error:
        raise ConfigurationError(f"cannot read {source}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{source} is not TOML: {error}") from error
    return parse_configuration(fields, model, source=str(source))


def parse_configuration(
    fields: Mapping[str, Any], model: type[Model], *, source: str = "the configuration"
) -> Model:
    """Values from anywhere as a checked configuration; `source` names them in errors.

    Raises
    ------
    ConfigurationError
    """
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # a misspelt key tends to leave its right name missing: the cause comes first
        problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigurationError(f"{source}: {_explain(dict(problems[0]), model)}{more}") from error


def to_toml(values: BaseModel | Mapping[str, Any]) -> str:
    """A configuration as TOML text; fields that are `None` are left out, as TOML has none."""
    fields = values.model_dump(mode="json") if isinstance(values, BaseModel) else dict(values)
    return tomli_w.dumps(_without_none(plain(fields)))


def write_toml(path: str | os.PathLike[str], values: BaseModel | Mapping[str, Any]) -> Path:
    """Write a configuration as TOML, all of it or nothing.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    return write_text(Path(path), to_toml(values))


def _explain(problem: dict[str, Any], model: type[BaseModel]) -> str:
    location = [part for part in problem["loc"] if not _is_tag(part)]
    key = ".".join(str(part) for part in location)
    kind = problem["type"]
    if kind == "extra_forbidden":
        return _unknown_key(location, model)
    if kind == "missing":
        return f"key '{key}' is missing; add it"
    message = str(problem["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = problem.get("input")
    names = [str(part) for part in location if not isinstance(part, int)]
    unit = _unit(names[-1]) if names else None
    if unit and isinstance(given, str):
        return f"key '{key}' is {given!r}; give a plain number in {unit}"
    if not key:
        return message.splitlines()[0]
    unit_text = f" (in {unit})" if unit else ""
    return f"key '{key}' is {_short(given)}{unit_text}: {message.splitlines()[0]}"


def _unknown_key(location: list[Any], model: type[BaseModel]) -> str:
    *parents, name = location
    valid = sorted(_keys_at(model, parents))
    where = f" in [{'.'.join(str(p) for p in parents)}]" if parents else ""
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.6)
    if near:
        fix = f"did you mean '{near[0]}'?"
    elif valid:
        fix = f"use {', '.join(valid)}"
    else:
        fix = "remove it"
    return f"key '{name}'{where} is unknown; {fix}"


def _keys_at(model: type[BaseModel], parents: list[Any]) -> set[str]:
    """Names that a table may hold, in whichever models can stand at that place."""
    candidates = [model]
    for parent in parents:
        if isinstance(parent, int):
            continue
        found: list[type[BaseModel]] = []
        for candidate in candidates:
            field = candidate.model_fields.get(str(parent))
            if field is not None:
                found += _models_in(field.annotation)
        candidates = found
    return {
        field.alias or name
        for candidate in candidates
        for name, field in candidate.model_fields.items()
    }


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models in ``Model``, ``Model | None``, ``tuple[Model, ...]`` and the like."""
    parts = typing.get_args(annotation)
    if parts:
        return [found for part in parts for found in _models_in(part)]
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [annotation] if is_model else []


def _is_tag(part: Any) -> bool:
    """Whether pydantic put the name of a member of a union into the location."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part)


def _unit(name: str) -> str | None:
    for ending in sorted(UNITS, key=len, reverse=True):
        if name == ending or name.endswith(f"_{ending}"):
            return UNITS[ending]
    return None


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
