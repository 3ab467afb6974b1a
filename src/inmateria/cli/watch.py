"""`inmateria watch`: a live page of a run, on this machine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import click


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--port", type=int, default=8750, show_default=True, help="Of 127.0.0.1; 0 for any free one."
)
@click.option(
    "--open/--no-browser", "browser", default=False, help="Open the page in a browser.  [no]"
)
def command(run: Path | None, port: int, browser: bool) -> None:
    """Show RUN on a page that follows it: learning curve, controls, output, tones, log.

    RUN is a run folder, the output folder of a command, a search log, or a recording that is
    being made; without it, the newest in 'runs' and the present folder. Files are only read:
    watching never disturbs an experiment, and may begin and end at any time. Ctrl-C ends it.
    """
    from inmateria.watch.server import PageServer
    from inmateria.watch.target import find_target

    target = find_target(run)
    with PageServer(target, port=port) as server, contextlib.suppress(KeyboardInterrupt):
        # The experiment beside us goes first.
        with contextlib.suppress(OSError):
            os.nice(5)
        click.echo(f"watching {target}")
        click.echo(f"{server.url}  (Ctrl-C ends the page, never the run)")
        if browser:
            _open(server.url)
        server.serve_forever(poll_interval=0.25)


def _open(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        click.echo("no browser could be opened; open the address yourself", err=True)
