"""One page on this machine that shows a run while it goes on.

Only this machine can reach it, and only pages of this server can read it: it listens on
127.0.0.1, answers nobody who came by another name (a page elsewhere whose name was made to
point here), and knows five paths, all of them to be read. The browser is sent the whole state
once, then the sections of it that changed (server-sent events).
"""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from inmateria.errors import ParameterError, StorageError
from inmateria.report.colours import TOKENS
from inmateria.version import __version__
from inmateria.watch.run_state import SCHEMA, SCHEMA_VERSION, RunWatch

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost")
EVERY_S = 0.5
KEEP_ALIVE_S = 10.0
_AT_ONCE_S = 0.3
_REST = 9.0
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}


class Look:
    """The state of a run, looked at twice a second at most however many pages ask.

    Nobody asks, nobody looks: without an open page the files are left alone.
    """

    def __init__(self, path: Path) -> None:
        self._watch = RunWatch(path)
        self._lock = threading.Lock()
        self._next = 0.0
        self._sections: dict[str, str] = {}

    def sections(self) -> Mapping[str, str]:
        """JSON of each section, as fresh as it may be."""
        with self._lock:
            if time.monotonic() >= self._next:
                began = time.monotonic()
                until = began + _AT_ONCE_S
                self._watch.refresh()
                while self._watch.more and time.monotonic() < until:
                    self._watch.refresh()
                found = self._watch.sections()
                self._sections = {name: _json(value) for name, value in found.items()}
                now = time.monotonic()
                # What is not read to its end goes on at once; else the most of the time is rest.
                rest = 0.0 if self._watch.more else max(EVERY_S, _REST * (now - began))
                self._next = now + rest
            return dict(self._sections)


def message(sections: Mapping[str, str | None], *, whole: bool) -> str:
    """A state, or what changed of one, as one line of JSON.

    Parameters
    ----------
    sections : mapping
        Names to JSON, None for a section that is gone.
    whole : bool
        Whether these are all.
    """
    body = ",".join(f"{_json(name)}:{text or 'null'}" for name, text in sections.items())
    head = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": f"inmateria {__version__}",
        "whole": whole,
        "now": round(time.time(), 2),
    }
    return f'{_json(head)[:-1]},"sections":{{{body}}}}}'


class PageServer(ThreadingHTTPServer):
    """Serves the page of one run.

    Parameters
    ----------
    path : Path
        As `inmateria.watch.target.find_target` gives it.
    port : int
        0 for any that is free.

    Raises
    ------
    ParameterError
        If there is no such port.
    StorageError
        If it is taken, or this user may not have it.
    """

    daemon_threads = True
    block_on_close = False
    # On Linux this only skips the wait for connections of a server that has ended.
    allow_reuse_address = True

    def __init__(self, path: Path, *, port: int = 0) -> None:
        if not 0 <= port <= 65535:
            raise ParameterError(f"port {port} is none; give 1 to 65535, or 0 for any free one")
        # First: a port that is taken closes what has hardly begun.
        self.look, self.closing = Look(path), threading.Event()
        try:
            super().__init__((HOST, port), _Answer)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                reason = "is taken" if error.errno == errno.EADDRINUSE else "is not yours to open"
                raise StorageError(
                    f"port {port} {reason}; give another one with --port, or --port 0 for any "
                    "that is free"
                ) from error
            raise

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def server_close(self) -> None:
        """Let go of the port; open pages are told nothing more."""
        self.closing.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that was closed in the middle of an answer is no error worth a word."""


class _Answer(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: PageServer
    server_version = "inmateria"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        if not self._is_local():
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", "ask by 127.0.0.1 only\n")
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._send(HTTPStatus.OK, "text/html", _page(self.server.look.sections()))
        elif path == "/page.css":
            self._send(HTTPStatus.OK, "text/css", _style())
        elif path == "/page.js":
            self._send(HTTPStatus.OK, "text/javascript", _asset("page.js"))
        elif path == "/state.json":
            state = message(self.server.look.sections(), whole=True)
            self._send(HTTPStatus.OK, "application/json", state + "\n")
        elif path == "/events":
            self._stream()
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", "there is nothing here; see /\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: the terminal belongs to the person."""

    def _is_local(self) -> bool:
        """Whether the browser came by a name of this machine (and not by one made to look so)."""
        host = self.headers.get("Host", "")
        return host.rpartition(":")[0] in NAMES or host in NAMES

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self._begin(status, kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        for name, value in _HEADERS.items():
            self.send_header(name, value)

    def _stream(self) -> None:
        """The whole state, then what changes of it, until the page is closed."""
        self._begin(HTTPStatus.OK, "text/event-stream")
        self.end_headers()
        sent: Mapping[str, str] = {}
        said = time.monotonic()
        first = True
        while not self.server.closing.is_set():
            now = self.server.look.sections()
            changed: dict[str, str | None] = {k: v for k, v in now.items() if sent.get(k) != v}
            changed |= dict.fromkeys(sent.keys() - now.keys())
            if changed or first:
                data = message(changed, whole=first)
                self.wfile.write(f"retry: 1000\ndata: {data}\n\n".encode())
                sent, first, said = now, False, time.monotonic()
            elif time.monotonic() > said + KEEP_ALIVE_S:
                # Finds out, too, whether anybody is still there.
                self.wfile.write(b": nothing new\n\n")
                said = time.monotonic()
            self.wfile.flush()
            self.server.closing.wait(EVERY_S)


def _page(sections: Mapping[str, str]) -> str:
    """The page with the present state in it: it shows something before any script asks."""
    # In a data block of HTML only the end of the block has a meaning.
    state = message(sections, whole=True).replace("<", "\\u003c")
    return _asset("page.html").replace("{{state}}", state)


def _style() -> str:
    """The colours of our reports, then the page's own rules."""
    light = "".join(f"--{name}: {day}; " for name, (_, day, _) in TOKENS.items())
    dark = "".join(f"--{name}: {night}; " for name, (_, _, night) in TOKENS.items())
    return (
        f":root {{ {light}}}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n{_asset('page.css')}"
    )


def _asset(name: str) -> str:
    return files("inmateria.watch").joinpath(name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
