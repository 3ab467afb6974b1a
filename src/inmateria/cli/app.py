"""The command group: names and one-line helps here, each command's module on demand."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from inmateria.errors import StoppedError
from inmateria.version import __version__

# Listing the commands must not import them: what they stand on takes seconds.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("inmateria.cli.demo", "Sample, fit, train and verify a device; write a report."),
    "sample": ("inmateria.cli.sample", "Drive a device's terminals and record its current."),
    "show": ("inmateria.cli.show", "Print what is in a measurement, a model or a run."),
    "fit": ("inmateria.cli.fit", "Fit a surrogate to a measurement."),
    "train": (
        "inmateria.cli.train",
        "Find control voltages for tasks, on a surrogate or a device.",
    ),
    "verify": ("inmateria.cli.verify", "Apply found controls to the device, noise on."),
    "refit": ("inmateria.cli.refit", "Bring an old surrogate up to date by a short measurement."),
    "bench": ("inmateria.cli.bench", "What stands on a table in the lab: test it."),
    "check": ("inmateria.cli.check", "Say what a run would send, without an instrument."),
    "iv": ("inmateria.cli.iv", "I-V curves of every output against every terminal."),
    "stability": (
        "inmateria.cli.stability",
        "Has the device changed since a reference?",
    ),
    "park": ("inmateria.cli.park", "Bring the terminals of a bench to 0 V after a crash."),
    "watch": ("inmateria.cli.watch", "Show a run in the browser while it goes on."),
    "runs": ("inmateria.cli.runs", "List all runs: when, what, how they stand, what came out."),
    "compare": ("inmateria.cli.compare", "Run every training method on one bench: a scoreboard."),
    "accuracy": ("inmateria.cli.accuracy", "Check a dopant network's engine by Monte Carlo."),
    "survey": ("inmateria.cli.survey", "Find what random devices can do: gates, non-linearity."),
    "transport": (
        "inmateria.cli.transport",
        "Quantum transport through a disordered electron gas.",
    ),
    "reconstruct": (
        "inmateria.cli.reconstruct",
        "The disorder behind an image of transport: networks and refinement.",
    ),
    "import": ("inmateria.cli.import_", "Take over models and data of brains-py."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    Parameters
    ----------
    modules : mapping
        From a command's name to its module, which calls it `command`, and to its help in a line.
    """

    def __init__(self, *args: Any, modules: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modules = modules

    # The signatures are click's, whether or not we need the context.
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of a work day."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command itself, or None where there is none of that name."""
        if cmd_name not in self.modules:
            return None
        command = import_module(self.modules[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C leaves as our own error, before click prints a blank line.

        Raises
        ------
        StoppedError
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise StoppedError(f"{str(stop) or 'Ctrl-C'}; nothing is running any more") from stop

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list in the help, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.modules.items()])


@click.group(
    cls=LazyGroup,
    modules=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="inmateria")
def app() -> None:
    """Machine learning on nanoelectronic devices.

    Take a device from "a disordered thing with eight wires" to "a thing that
    computes". `inmateria demo` does the whole job on the embedded device.
    """
