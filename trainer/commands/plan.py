"""`benben-train plan`: a run's predict memory, time and the longest sequence, without a GPU."""

from __future__ import annotations

import argparse
from typing import Any

HOST_GIB = 100.0


def positive(text: str) -> int:
    """Read a number of at least one. Raises ArgumentTypeError."""
    return int(_at_least(text, 1))


def amount(text: str) -> float:
    """Read a number of at least zero. Raises ArgumentTypeError."""
    return _at_least(text, 0)


def _at_least(text: str, least: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = least - 1.0
    if not value >= least:
        raise argparse.ArgumentTypeError(f"{text}: needs a number of at least {least}")
    return value


def add(commands: Any) -> None:
    """Add the `plan` command."""
    parser = commands.add_parser(
        "plan", help="predict memory, time and the longest sequence, without a GPU"
    )
    parser.add_argument("config", help="a YAML file, or the name of a config in configs/trainer")
    parser.add_argument("overrides", nargs="*", help="dotted.key=value")
    parser.add_argument("--gpu", default="h200", help="v100, a100, h100 or h200")
    parser.add_argument("--gpus", type=positive, nargs="+", default=[1])
    parser.add_argument("--tokens", type=positive, help="of a sequence; data.seq_len by default")
    parser.add_argument("--host-gib", type=amount, default=HOST_GIB, help="a GPU's for states")
    parser.add_argument(
        "--longest", action="store_true", help="search for the longest sequence that fits"
    )
    parser.add_argument("--advise", action="store_true", help="what to switch on to fit")
    parser.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> None:
    from benben.trainer.config import load
    from benben.trainer.planning import hardware, memory, published

    config = published.with_sizes(load(options.config, options.overrides))
    if options.tokens:
        data = config.data.model_copy(update={"seq_len": options.tokens})
        config = config.model_copy(update={"data": data})
    card = hardware.gpu(options.gpu)
    sizes = f"{memory.parameter_count(config.model):,} parameters, {config.data.seq_len:,} tokens"
    print(f"{sizes}; {card.name}, {card.gib:g} GiB")
    print("predicted, not measured:")
    print("| GPUs | states GiB | device GiB | host GiB | step s | tokens/s | MFU | fits |")
    print("|---|---|---|---|---|---|---|---|")
    for count in options.gpus:
        _row(config, card, count, options)


def _row(config: Any, card: Any, count: int, options: argparse.Namespace) -> None:
    from benben.common.config_files import ConfigError
    from benben.trainer.distributed.degrees import misfits
    from benben.trainer.planning import memory, steptime

    parallel = config.parallel
    if count % (parallel.sp * parallel.tp):
        raise ConfigError(f"{count} GPUs do not divide by sp {parallel.sp} x tp {parallel.tp}")
    degree = {"dp": count // (parallel.sp * parallel.tp)}
    config = config.model_copy(update={"parallel": parallel.model_copy(update=degree)})
    refused = misfits(config, degree["dp"], parallel.sp, parallel.tp)
    if refused:
        print(f"| {count} |{' |' * 6} no: {'; '.join(refused)} |")
        return
    need = memory.run_memory(config, config.data.seq_len)
    step = steptime.predict(config, card, count, need.host)
    fits = need.device <= card.gib * memory.GIB and need.host <= options.host_gib * memory.GIB
    gib = [v / memory.GIB for v in (memory.state_bytes(config), need.device, need.host)]
    cells = [f"{v:.1f}" for v in gib] + [f"{step.seconds:.2f}", f"{step.tokens_per_second:,.0f}"]
    print(f"| {count} | {' | '.join(cells)} | {step.mfu:.0%} | {'yes' if fits else 'no'} |")
    if options.longest:
        caps = (card.gib * memory.GIB, options.host_gib * memory.GIB)
        print(f"longest sequence on {count}: {memory.longest(config, *caps):,} tokens")
    if options.advise:
        found = memory.advise(config, card.gib, options.host_gib)
        if found is None:
            print(f"nothing fits on {count}: more GPUs (dp, sp) or a shorter sequence")
        else:
            changes, _, need = found
            told = " ".join(changes) or "fits as it is"
            print(f"advice for {count}: {told} ({need.device / memory.GIB:.1f} GiB)")
