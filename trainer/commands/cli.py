"""The `benben-train` command."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from benben.common.errors import UserError
from benben.trainer.commands import ablate, checkpoint, plan, prove, shape, tokenizer
from benben.trainer.config import ConfigError, load
from benben.trainer.object_stores import place


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `benben-train`; return the exit status (2: the user's mistake)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given or ["--help"])
    try:
        return int(options.run(options) or 0)
    except UserError as error:
        lines = str(error).splitlines()
        many = f"{len(lines)} mistakes\n" if isinstance(error, ConfigError) and lines[1:] else ""
        print(f"benben-train: {many}{error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benben-train",
        description="Train a vision-language model on the dataset; on several processes: "
        "`torchrun -m benben.trainer.commands.cli train CONFIG`.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train from the newest checkpoint, or from the start")
    _config_arguments(train)
    train.set_defaults(run=_train)
    evaluate = commands.add_parser("eval", help="evaluate the newest checkpoint")
    _config_arguments(evaluate)
    evaluate.add_argument("--checkpoint", type=place, help="a step_N folder")
    evaluate.add_argument("--shots", type=int, nargs="*", default=[], help="made set: examples")
    evaluate.set_defaults(run=_evaluate)
    plan.add(commands)
    shape.add_shape(commands)
    shape.add_size(commands)
    ablate.add(commands)
    prove.add(commands)
    tokenizer.add(commands)
    checkpoint.add(commands)
    return parser


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a YAML file, or the name of a config in configs/trainer")
    parser.add_argument("overrides", nargs="*", help="dotted.key=value")


def _train(options: argparse.Namespace) -> None:
    from benben.trainer.distributed.parallel import close
    from benben.trainer.loop.train import train

    config = load(options.config, options.overrides)
    result = train(config)
    print(json.dumps(result.get("evaluation", result), indent=1))
    close()


def _evaluate(options: argparse.Namespace) -> None:
    from benben.trainer.distributed.parallel import close
    from benben.trainer.evaluation import evaluate, fewshot
    from benben.trainer.loop.session import Session

    config = load(options.config, options.overrides)
    session = Session(config)
    if session.resume(options.checkpoint, training=False) is None:
        raise ConfigError(f"{session.folder}: no checkpoint to evaluate")
    result = evaluate.held_out(session, config.run.eval_packs)
    for shots in options.shots:
        result[f"made_{shots}_shot"] = fewshot.evaluate(session, shots)
    if session.mesh.rank == 0:
        evaluate.write(result, session.folder)
        print(json.dumps(result, indent=1))
    close()


if __name__ == "__main__":
    sys.exit(main())
