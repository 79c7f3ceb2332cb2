"""The command line of one stage: `spark-submit jobs/STAGE.py CONFIG [key=value ...]`."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benben.common.terminal import safe_output
from benben.jobs.engine import failure, session
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
    stage: Stage = importlib.import_module(module).STAGE
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="print stack traces")

    def act() -> int:
        options = parser.parse_args(given)
        settings = load_config(options.config, options.overrides)
        Run(settings, stage.name).execute(stage, options.force)
        return 0

    return exit_code(act, "--debug" in given)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every stage takes."""
    parser.add_argument("config", metavar="CONFIG", help="YAML file, or name of a shipped config")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override a config value")
    parser.add_argument("--force", action="store_true", help="run even if up to date")


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
