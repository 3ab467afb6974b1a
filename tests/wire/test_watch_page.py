"""The page of `inmateria watch` in a real browser: what it draws, and that it follows."""

from __future__ import annotations

import html
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from inmateria.data.runs import Run
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks import Gate
from inmateria.training.search_log import SearchLog, read_search_log
from inmateria.training.task_on_rig import Stop
from inmateria.training.train import train
from inmateria.watch.server import PageServer

from ..training.stand_ins import TanhNetwork  # noqa: TID252

BUDGET_S = 50.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser is here ({', '.join(NAMES)})")
    return found


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that was made once."""
    folder = tmp_path_factory.mktemp("search")
    train(
        Gate("XOR", ("e1", "e3"), min_margin_na=1000.0),
        SimulatedRig(TanhNetwork(), seed=1),
        method="homodyne",
        seed=3,
        log=folder / "XOR.search.jsonl",
        budget_s=BUDGET_S,
        stop=Stop(iterations=12, passed=True),
    )
    return folder


@contextmanager
def served(path: Path, port: int = 0) -> Iterator[str]:
    with PageServer(path, port=port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def dom(chromium: str, url: str, folder: Path) -> str:
    """The page as it stands once it is loaded.

    Not with a budget of virtual time: that waits for the stream of events, which never ends.
    """
    done = subprocess.run(
        [chromium, *FLAGS, "--timeout=30000", f"--user-data-dir={folder / 'profile'}",
         "--dump-dom", url],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def text_of(page: str) -> str:
    """What a person reads, without the data block."""
    body = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


def test_a_search_that_is_done(chromium: str, search: Path, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    shutil.copytree(search, folder)
    (folder / "XOR.verification.json").write_text('{"task": "XOR", "passed": true}')
    (folder / "report.html").write_text("")
    with served(folder) as url:
        page = dom(chromium, url, tmp_path)
        picture = tmp_path / "page.png"
        subprocess.run(
            [chromium, *FLAGS, "--timeout=30000", f"--user-data-dir={tmp_path / 'profile'}",
             "--window-size=1280,1800", f"--screenshot={picture}", url],
            capture_output=True, timeout=120, check=True,
        )  # fmt: skip
    assert picture.read_bytes().startswith(PNG)
    # An empty page of this size has some 10 kB.
    assert picture.stat().st_size > 60_000
    said = text_of(page)
    assert '<span id="badge" class="finished"' in page
    assert "1 of 1 task verified on the device" in said
    _, entries = read_search_log(folder / "XOR.search.jsonl")
    spent = sum(e.get("device_s", 0.0) for e in entries if e["kind"] != "final")
    assert f"{BUDGET_S - spent:.1f} s" in said
    for title in ("Learning curve", "Controls within their limits", "Output", "Log",
                  "Spectrum of the output with the tones", "12 iterations are done"):  # fmt: skip
        assert title in said
    # Twelve points in two curves, one row a control, a level a point, a stem a tone.
    curve = re.search(r'<svg [^>]*class="curve".*?</svg>', page, re.DOTALL)
    assert curve is not None
    assert curve.group().count("<circle") == 12
    assert "loss" in curve.group()
    for name in ("e2", "e4", "e5", "e6"):
        assert re.search(rf'aria-label="{name} at [^"]+ V of -1 V to 1 V"', page)
    assert page.count('class="line thick c-high"') >= 2
    assert re.search(r'aria-label="Spectrum of the output, tones at [\d.]+ Hz, ', page)


def test_a_search_that_was_stopped(chromium: str, search: Path, tmp_path: Path) -> None:
    log = tmp_path / "XOR.search.jsonl"
    head, entries = read_search_log(search / log.name)
    with SearchLog(log, head["search"]) as kept:
        for entry in entries[:-1]:
            kept.append(entry)
        kept.append({"kind": "note", "ended": "stopped by SIGTERM; <b>0 V</b>"})
    with served(log) as url:
        page = dom(chromium, url, tmp_path)
    assert '<span id="badge" class="stopped"' in page
    assert "stopped by SIGTERM; &lt;b&gt;0 V&lt;/b&gt;" in page
    assert "<b>" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "no budget is known" in text_of(page)


def test_a_run_without_anything_to_draw(chromium: str, tmp_path: Path) -> None:
    nasty = "<img src=x onerror=document.title='taken'>"
    run = Run.create(tmp_path, "demo", config={"note": nasty})
    run.record(nasty, rows=nasty)
    with served(run.path) as url:
        page = dom(chromium, url, tmp_path)
    assert "Nothing to draw" in page
    assert "<title>running" in page
    assert "<img" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert page.count("&lt;img src=x") >= 2


class Browser:
    """A browser that is asked questions while a page lives."""

    def __init__(self, chromium: str, folder: Path) -> None:
        from websockets.sync.client import connect

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [chromium, *FLAGS, f"--remote-debugging-port={port}",
             f"--user-data-dir={folder / 'live'}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._number = 0
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                    pages = [p for p in json.load(answer) if p["type"] == "page"]
                self._closing = ExitStack()
                self._socket = self._closing.enter_context(
                    connect(pages[0]["webSocketDebuggerUrl"], max_size=None)
                )
                break
            except (OSError, IndexError):
                if time.monotonic() > deadline:
                    self.process.kill()
                    raise
                time.sleep(0.1)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        call = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(call))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                return dict(answer["result"])

    def ask(self, expression: str) -> Any:
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def wait(self, expression: str, wanted: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + 60
        while not wanted(value := self.ask(expression)):
            assert time.monotonic() < deadline, f"{expression} stays {value!r}"
            time.sleep(0.1)
        return value

    def close(self) -> None:
        self._closing.close()
        self.process.terminate()
        self.process.wait(timeout=30)


@pytest.fixture
def browser(chromium: str, tmp_path: Path) -> Iterator[Browser]:
    pytest.importorskip("websockets", reason="no way to talk to a browser that lives")
    made = Browser(chromium, tmp_path)
    yield made
    made.close()


def test_a_page_follows_a_search_through_reload_restart_and_end(
    browser: Browser, search: Path, tmp_path: Path
) -> None:
    log = tmp_path / "out" / "XOR.search.jsonl"
    head, entries = read_search_log(search / log.name)
    badge = "document.getElementById('badge')?.className"
    iterations = (
        "[...document.querySelectorAll('.numbers div')]"
        ".find((d) => d.firstChild.textContent === 'iterations')?.lastChild.textContent"
    )
    lost = "document.getElementById('lost').hidden"
    first, rest = entries[:7], entries[7:]
    with SearchLog(log, head["search"], session=head["session"]) as kept:
        for entry in first:
            kept.append(entry)
        done = sum(e["kind"] in ("measure", "extract") for e in first)
        with served(log.parent) as url:
            port = int(url.rpartition(":")[2].strip("/"))
            browser.send("Page.navigate", url=url)
            browser.wait(iterations, lambda text: text == str(done))
            assert browser.ask(badge) == "running"
            kept.append(rest[0])
            browser.wait(iterations, lambda text: text == str(done + 1))
            before = browser.ask("document.getElementById('panels').innerHTML")
            browser.send("Page.reload")
            browser.wait(iterations, lambda text: text == str(done + 1))
            assert browser.ask("document.getElementById('panels').innerHTML") == before
        # The server is gone: the page says so, and keeps what it knows.
        browser.wait(lost, lambda hidden: hidden is False)
        assert browser.ask(iterations) == str(done + 1)
        for entry in rest[1:]:
            kept.append(entry)
        with served(log.parent, port):
            browser.wait(lost, lambda hidden: hidden is True)
            browser.wait(iterations, lambda text: text == "12")
            (log.parent / "report.html").write_text("")
            browser.wait(badge, lambda name: name == "finished")
            shutil.rmtree(log.parent)
            browser.wait(badge, lambda name: name == "gone")
            assert "not there any more" in browser.ask("document.body.innerText")
            assert browser.ask(iterations) == "12"
