"""What all commands share: options that stand anywhere, and mistakes told in one way."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from benben.common.text import did_you_mean

_QUIET = [False]  # what `--quiet` sets, for this process


def quiet() -> bool:
    """Tell whether only results and mistakes are to be printed."""
    return _QUIET[0]


def _set_quiet(_: click.Context, __: click.Parameter, given: bool) -> None:
    _QUIET[0] |= given


def _common() -> list[click.Parameter]:
    return [
        click.Option(["--quiet"], is_flag=True, expose_value=False, callback=_set_quiet,
                     help="Print results and mistakes only."),
        click.Option(["--debug"], is_flag=True, expose_value=False,
                     help="Print the stack trace of a failure."),
    ]  # fmt: skip


class Command(click.Command):
    """A command with the options that all commands have."""

    def __init__(
        self, name: str | None, params: list[click.Parameter] | None = None, **more: Any
    ) -> None:
        more.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(name, params=[*(params or []), *_common()], **more)


RUN = click.argument("run", metavar="RUN", type=click.Path())  # the folder of a run
Listed = Mapping[str, tuple[str | click.Command, str]]  # command or `module.name`, by its name


class LazyGroup(click.Group):
    """A command with commands of its own, listed under titles without importing them.

    `titles` maps a title to its commands: name -> (command or its place, one line of help).
    """

    def __init__(self, name: str, titles: Mapping[str, Listed], **more: Any) -> None:
        self.titles = titles
        more.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        params = [*more.pop("params", []), *_common()]
        super().__init__(name, params=params, invoke_without_command=True, **more)
        self.callback = self._help

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names, in the order of the titles."""
        return [name for commands in self.titles.values() for name in commands]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, imported if it is given by its place; None for an unknown name."""
        place = next((some[name][0] for some in self.titles.values() if name in some), None)
        if place is None or isinstance(place, click.Command):
            return place
        module, _, attribute = place.rpartition(".")
        return getattr(import_module(module), attribute)  # type: ignore[no-any-return]

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of arguments. Raises UsageError, which names a similar command."""
        try:
            return super().resolve_command(context, arguments)
        except click.exceptions.NoSuchCommand:
            name = arguments[0]
            hint = did_you_mean(name, self.list_commands(context))
            raise click.UsageError(f"no such command '{name}'{hint}", context) from None

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each title and its commands."""
        for title, commands in self.titles.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    @staticmethod
    def _help() -> None:
        """Show the help when no command is named."""
        context = click.get_current_context()
        if context.invoked_subcommand is None:
            click.echo(context.get_help())


def call(command: click.Command, arguments: Sequence[str], name: str) -> int:
    """Run a command and return its exit code; 2 for a mistake in its arguments."""
    _QUIET[0] = False
    try:
        return int(command.main(list(arguments), prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else name
        said = error.format_message()
        print(f"{where}: {said[:1].lower()}{said[1:]}", file=sys.stderr)
        print(f"`{where} --help` shows what it takes", file=sys.stderr)
        return 2
