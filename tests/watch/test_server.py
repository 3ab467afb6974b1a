"""The server: this machine only, reading only, and a state that follows the files."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inmateria.data.runs import Run
from inmateria.errors import ParameterError, StorageError
from inmateria.watch.server import PageServer

NASTY = '</script><script>alert(1)</script><!--"&\u2028'


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path, "demo", config={"note": NASTY})


@pytest.fixture
def server(run: Run) -> Iterator[PageServer]:
    with PageServer(run.path, port=0) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def ask(
    server: PageServer, path: str, *, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    headers = {} if host is None else {"Host": host}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def events(server: PageServer) -> Iterator[dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    try:
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    finally:
        connection.close()


def test_it_listens_on_this_machine_only(server: PageServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


def test_the_five_paths_and_no_other(server: PageServer) -> None:
    kinds = {"/": "html", "/page.css": "css", "/page.js": "javascript", "/state.json": "json",
             "/?x=1": "html"}  # fmt: skip
    for path, kind in kinds.items():
        status, headers, _ = ask(server, path)
        assert status == 200
        assert kind in headers["Content-Type"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert not any(name.startswith("Access-Control") for name in headers)
    for path in ("/config.toml", "/../config.toml", "/page.css/..", "/%2e%2e/provenance.json",
                 "http://127.0.0.1/state.json"):  # fmt: skip
        assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_there_is_nothing_to_be_done_but_read(server: PageServer, method: str) -> None:
    assert ask(server, "/", method=method)[0] == 501


def test_a_page_elsewhere_cannot_ask(server: PageServer) -> None:
    port = server.server_address[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "[::1]", ""):
        for path in ("/", "/state.json", "/events"):
            assert ask(server, path, host=host)[0] == 421
    # Through a tunnel the port is another one.
    for host in ("127.0.0.1", f"127.0.0.1:{port}", "localhost:9999"):
        assert ask(server, "/state.json", host=host)[0] == 200


def test_a_name_is_demanded(server: PageServer) -> None:
    with socket.create_connection(server.server_address, timeout=20) as raw:
        raw.sendall(b"GET /state.json HTTP/1.0\r\n\r\n")
        assert b" 421 " in raw.recv(100)


def test_text_from_files_is_never_markup(server: PageServer) -> None:
    _, _, page = ask(server, "/")
    block = page.partition('id="state">')[2]
    # The block ends where ours ends, and holds what the file holds.
    inside, _, after = block.partition("</script>")
    kept = tomllib.loads(json.loads(inside)["sections"]["configuration"])
    assert kept == {"note": NASTY}
    assert "<" not in inside
    assert after.lstrip().startswith('<script src="page.js">')
    assert page.count("<script") == 2


def test_the_page_asks_nobody_else(server: PageServer) -> None:
    whole = "".join(ask(server, path)[2] for path in ("/", "/page.css", "/page.js"))
    addresses = {word for word in whole.split('"') if "://" in word}
    # The name of the SVG language is a name; nothing is fetched from there.
    assert addresses == {"http://www.w3.org/2000/svg"}
    for word in ("eval(", "innerHTML", "document.write", "@import", "url("):
        assert word not in whole


def test_the_whole_state_first_then_what_changes(server: PageServer, run: Run) -> None:
    stream = events(server)
    first = next(stream)
    assert (first["schema"], first["schema_version"]) == ("inmateria.watch", 1)
    assert first["whole"]
    assert set(first["sections"]) == {"head", "log", "files", "configuration"}
    assert first["sections"]["head"]["state"] == "running"
    run.record("sampled", rows=7)
    second = next(stream)
    assert not second["whole"]
    # With the age of the newest file the head changes too, unless that was a moment ago.
    assert {"log", "files"} <= set(second["sections"]) <= {"head", "log", "files"}
    assert second["sections"]["log"][-1]["text"] == "sampled: rows 7"
    run.finish(result="done")
    states = next(e["sections"]["head"] for e in stream if "head" in e["sections"])
    assert (states["state"], states["result"]) == ("finished", "done")
    # A page that comes back is told everything again, and the same.
    again = next(events(server))["sections"]
    assert again["head"] == states
    assert json.loads(ask(server, "/state.json")[2])["sections"] == again


def test_a_port_that_is_taken_or_none(server: PageServer, run: Run) -> None:
    taken = server.server_address[1]
    with pytest.raises(StorageError, match=f"port {taken} is taken; .*--port 0"):
        PageServer(run.path, port=taken)
    with pytest.raises(ParameterError, match="port 70000 is none"):
        PageServer(run.path, port=70000)
