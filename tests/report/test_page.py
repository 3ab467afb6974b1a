"""The page: escaped, self-contained, well-formed, the same bytes twice."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from inmateria.errors import StorageError
from inmateria.report.learning_curve import draw_learning_curve
from inmateria.report.page import (
    Listing,
    Note,
    Page,
    Picture,
    Section,
    Table,
    render_page,
    write_page,
)
from inmateria.report.scoreboard import COLUMNS, TaskRow, cells, count_line
from inmateria.report.terminal import print_facts, print_scoreboard

EVIL = '<script>alert("x")</script>&'
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Outline(HTMLParser):
    """Checks that tags nest, and keeps what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def rows() -> list[TaskRow]:
    controls = (("e1", 0.25), ("e3", -0.5))
    return [
        TaskRow("AND", True, 5.0, 40.0, 5.5, 1.0, controls),
        TaskRow("XOR", False, 0.5, 2.0, None, None, controls),
    ]


def page() -> Page:
    curve = draw_learning_curve([0, 1], {"training": [2.0, 1.0]})
    table = Table(COLUMNS, [cells(row) for row in rows()], EVIL, 1, (2, 3))
    return Page(
        title=EVIL,
        result=count_line(rows()),
        facts={EVIL: EVIL},
        sections=[
            Section(EVIL, [table, Note(EVIL), Listing(EVIL, EVIL)]),
            Section("Curve", [Picture(curve, EVIL)]),
        ],
    )


@pytest.fixture(scope="module")
def outline() -> Outline:
    parser = Outline()
    parser.feed(render_page(page()))
    parser.close()
    return parser


def test_tags_nest_and_close(outline: Outline) -> None:
    assert outline.open == []
    assert {"main", "table", "caption", "figure", "svg", "nav"} <= {tag for tag, _ in outline.seen}


def test_text_is_escaped_everywhere(outline: Outline) -> None:
    assert "script" not in {tag for tag, _ in outline.seen}
    # Title element, heading, fact name and value, contents, section heading, caption, note,
    # listing title and text, figure caption.
    assert outline.text.count(EVIL) == 11


def test_nothing_is_fetched(outline: Outline) -> None:
    for tag, attributes in outline.seen:
        assert tag not in {"link", "img", "iframe", "object"}
        for name, value in attributes.items():
            if not name.startswith("xmlns"):
                assert "//" not in (value or "")
            assert not name.startswith("on")
    assert "@import" not in render_page(page())


def test_ids_are_unique(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.seen if "id" in attributes]
    assert len(ids) == len(set(ids)) > 0


def test_two_colour_schemes_and_print() -> None:
    html = render_page(page())
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_written_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_page(tmp_path / "a.html", page()).read_bytes()
    assert write_page(tmp_path / "b.html", page()).read_bytes() == first


def test_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/report\.html"):
        write_page(tmp_path / "nowhere" / "report.html", page())


def test_count_line() -> None:
    assert count_line(rows()) == "1 of 2 gates verified"


def test_terminal_shows_every_verdict() -> None:
    for width in (80, 160):
        console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        print_scoreboard(console, rows())
        print_facts(console, {"device": "[bold]not markup[/bold]"})
        console.file.close()
        text = console.export_text()
        assert "AND" in text
        assert "yes" in text
        assert "no" in text
        assert "5.00 nA" in text
        assert "[bold]not markup[/bold]" in text
