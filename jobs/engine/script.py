"""The command line of one stage: `spark-submit jobs/STAGE.py CONFIG [key=value ...]`."""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from click.shell_completion import CompletionItem

from benben.common.command_line import Command, call
from benben.common.terminal import safe_output
from benben.jobs.engine import failure, session
from benben.jobs.engine.progress import say
from benben.jobs.engine.stage import Run, Stage
from benben.pipeline import config
from benben.pipeline.errors import UserError
from benben.pipeline.manifest import ConservationError
from benben.pipeline.settings import Config


def main(module: str, arguments: Sequence[str] | None = None) -> int:
    """Run the stage of a module, such as `benben.jobs.extract`; return the exit code.

    A stage's file that spark-submit runs is the module `__main__`, where Spark's workers would not
    find its functions. It therefore passes its own name, and is imported under that.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = module.rpartition(".")[2]
    return exit_code(lambda: call(stage_command(module, ""), given, name), "--debug" in given)


def config_arguments(function: Callable[..., int]) -> Callable[..., int]:
    """Add the arguments `path`, of a config, and `overrides` to a command's function."""
    changes = click.argument(
        "overrides", metavar="[KEY=VALUE]...", nargs=-1, shell_complete=complete_keys
    )
    return click.argument("path", metavar="CONFIG", shell_complete=complete_configs)(
        changes(function)
    )


def stage_command(module: str, text: str) -> click.Command:
    """Return the command that runs the stage of a module, which is imported when it runs."""
    name = module.rpartition(".")[2]

    @click.command(name, cls=Command, help=f"{text[:1].upper()}{text[1:]}.")
    @config_arguments
    @click.option("--force", is_flag=True, help="Run it even if its tables are up to date.")
    def run_stage(path: str, overrides: tuple[str, ...], force: bool) -> int:
        settings = load_config(path, overrides)
        stage: Stage = importlib.import_module(module).STAGE
        if "rules" in stage.sections:
            say(config.describe_rules(path, settings.rules))
        Run(settings, name).execute(stage, force)
        return 0

    return run_stage


def complete_configs(_: click.Context, __: click.Parameter, begun: str) -> list[Any]:
    """Return the shipped configs whose names begin so; the shell adds files."""
    names = [name for name in config.shipped() if name.startswith(begun)]
    return [CompletionItem(name) for name in names] + [CompletionItem(begun, type="file")]


def complete_keys(_: click.Context, __: click.Parameter, begun: str) -> list[Any]:
    """Return the keys of a config that begin so, each with an equals sign behind it."""
    return [f"{key}=" for key in config.key_names() if key.startswith(begun)]


def load_config(path: str, overrides: Sequence[str] = ()) -> Config:
    """Load a config and check its rules and model files before any work. Raises UserError."""
    return checked(config.load(path, overrides))


def checked(settings: Config) -> Config:
    """Raise UserError for a rule on an unknown signal or a missing model file, else return."""
    from benben.filters.signal_table import check_rules
    from benben.filters.signals import models

    check_rules(settings.rules)
    models.require(settings.signals)
    return settings


def exit_code(act: Callable[[], int], debug: bool) -> int:
    """Call `act`, print what goes wrong, and return the exit code.

    0: done. 1: a failure. 2: a mistake that the user can mend. 130: interrupted. 143: terminated.
    Nothing that is printed can steer the terminal, whatever the pages hold.
    """
    with safe_output(), _stoppable():
        return _exit_code(act, debug)


class Stopped(BaseException):
    """The process was asked to end by a signal, the exception's only value.

    Not KeyboardInterrupt, of which Py4J writes a stack trace.
    """


@contextmanager
def _stoppable() -> Iterator[None]:
    """Raise Stopped on SIGINT and SIGTERM, so that what has begun is closed.

    Signals that come while the process ends are ignored.
    """

    def stop(number: int, _: object) -> None:
        for other in session.SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    with session.handled(stop):
        yield


def _exit_code(act: Callable[[], int], debug: bool) -> int:
    try:
        return act()
    except (KeyboardInterrupt, Stopped) as stopped:
        session.end()
        print("benben: stopped; the same command goes on from here", file=sys.stderr)
        return 128 + (stopped.args[0] if isinstance(stopped, Stopped) else signal.SIGINT)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _print_error(error, debug)


def _print_error(error: Exception, debug: bool) -> int:
    if isinstance(error, UserError):
        print(f"benben: {error}", file=sys.stderr)
        return 2
    if isinstance(error, ConservationError):
        print(f"benben: counts do not add up: {error}", file=sys.stderr)
        return 1
    print(f"benben: {failure.cause(error)}", file=sys.stderr)
    if not debug:
        print("benben: run again with --debug for the stack trace", file=sys.stderr)
    return 1
