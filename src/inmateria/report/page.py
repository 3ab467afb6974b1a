"""One self-contained page per run: sections are data, nothing is fetched, nothing runs.

Everything that is text is escaped; the only markup let through is the SVG that
our own figures made. The same page gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from inmateria.errors import StorageError
from inmateria.report.canvas import TOKENS


@dataclass(frozen=True)
class Picture:
    """An inline SVG with its caption."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """A header and rows of text; `verdict_column` is coloured by yes and no."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    verdict_column: int | None = None
    numeric: Sequence[int] = ()


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Listing:
    """Text in a fixed-width face behind a fold, for example a configuration."""

    title: str
    text: str


Block: TypeAlias = Picture | Table | Note | Listing


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; pictures that follow each other share a grid."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report.

    Parameters
    ----------
    title : str
    result : str
        The one sentence that matters, for example ``16 of 16 gates verified``.
    facts : mapping
        What was run: device, seed, versions, times.
    sections : sequence of Section
    """

    title: str
    result: str
    facts: Mapping[str, str] = field(default_factory=dict)
    sections: Sequence[Section] = ()


def render_page(page: Page) -> str:
    """HTML of a page, self-contained."""
    facts = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in page.facts.items()
    )
    contents = "".join(
        f'<li><a href="#s{i}">{escape(section.title)}</a></li>'
        for i, section in enumerate(page.sections)
    )
    body = "\n".join(_section(i, section) for i, section in enumerate(page.sections))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(page.title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n"
        f'<header>\n<h1>{escape(page.title)}</h1>\n<p class="result">{escape(page.result)}</p>\n'
        f"<dl>{facts}</dl>\n</header>\n"
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def write_page(path: str | Path, page: Page) -> Path:
    """Write a page to `path`.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        target.write_text(render_page(page), encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(
            f"cannot write the report {target}: {error.strerror or error}; "
            "free space or choose another folder"
        ) from error
    return target


def _style() -> str:
    light = "".join(f"--{name}: {day}; " for name, (_, day, _) in TOKENS.items())
    dark = "".join(f"--{name}: {night}; " for name, (_, _, night) in TOKENS.items())
    sheet = files("inmateria.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        f":root {{ {light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n{sheet}"
    )


def _section(number: int, section: Section) -> str:
    parts: list[str] = []
    gallery: list[str] = []
    for block in section.blocks:
        if isinstance(block, Picture):
            gallery.append(
                f"<figure>{block.svg}<figcaption>{escape(block.caption)}</figcaption></figure>"
            )
            continue
        parts += _gallery(gallery)
        gallery = []
        parts.append(_block(block))
    parts += _gallery(gallery)
    inner = "\n".join(parts)
    return (
        f'<section id="s{number}" aria-labelledby="h{number}">\n'
        f'<h2 id="h{number}">{escape(section.title)}</h2>\n{inner}\n</section>'
    )


def _gallery(figures: Sequence[str]) -> list[str]:
    if not figures:
        return []
    kind = "gallery many" if len(figures) > 4 else "gallery"
    return [f'<div class="{kind}">' + "\n".join(figures) + "</div>"]


def _block(block: Table | Note | Listing) -> str:
    if isinstance(block, Note):
        return f"<p>{escape(block.text)}</p>"
    if isinstance(block, Listing):
        return (
            f"<details><summary>{escape(block.title)}</summary>"
            f"<pre>{escape(block.text)}</pre></details>"
        )
    caption = f"<caption>{escape(block.caption)}</caption>" if block.caption else ""
    head = "".join(
        f'<th scope="col"{_numeric(block, i)}>{escape(name)}</th>'
        for i, name in enumerate(block.header)
    )
    rows = "\n".join(f"<tr>{_row(block, row)}</tr>" for row in block.rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(block.caption)}">'
        f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(table: Table, row: Sequence[str]) -> str:
    first, *others = row
    cells = [f'<th scope="row">{escape(first)}</th>']
    for i, text in enumerate(others, start=1):
        verdict = ""
        if i == table.verdict_column:
            verdict = f' class="{"good" if text == "yes" else "bad"}"'
        cells.append(f"<td{verdict or _numeric(table, i)}>{escape(text)}</td>")
    return "".join(cells)


def _numeric(table: Table, column: int) -> str:
    return ' class="number"' if column in table.numeric else ""
