"""The grid of an ablation: its arms, trained on equal tokens in the same data order.

A grid is YAML: `base` (a config), `set` (overrides of every arm), `arms` (name to overrides) or
`grid` (key to values: every combination is an arm), `seeds`, and `evaluate` with `packs`,
`lengths` (times the training length) and `on` (corpora by name; the base's by default). Datasets
made with other filter rules are arms too: override `data.mix`.
"""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

from pydantic import model_validator

from benben.common.config_files import ConfigError, validate
from benben.trainer import config as configs
from benben.trainer.object_stores import local_folder
from benben.trainer.settings import Config, Section, Source


class Evaluation(Section):
    packs: int = 16
    lengths: tuple[int, ...] = (1,)
    on: dict[str, Source] = {}


class Grid(Section):
    """The file that describes an ablation."""

    base: str
    set: dict[str, Any] = {}
    arms: dict[str, dict[str, Any]] = {}
    grid: dict[str, list[Any]] = {}
    seeds: tuple[int, ...] = (0, 1)
    evaluate: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _one_kind(self) -> Grid:
        if bool(self.arms) == bool(self.grid):
            raise ValueError("give either arms or grid")
        if len(set(self.seeds)) < 2:
            raise ValueError("give at least two seeds: one seed does not show the noise")
        return self

    def changes(self) -> dict[str, dict[str, Any]]:
        """Return each arm's overrides."""
        if self.arms:
            return self.arms
        names = list(self.grid)
        found = {}
        for values in itertools.product(*self.grid.values()):
            pairs = dict(zip(names, values, strict=True))
            arm = ",".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in pairs.items())
            found[arm] = pairs
        return found


def read(path: Path) -> Grid:
    """Read a grid; raises ConfigError for mistakes."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    return validate(Grid, configs.FILES.parse_yaml(str(path)), str(path))


def arm_config(grid: Grid, arm: str, seed: int, folder: Path, tokenizer: str | None) -> Config:
    """Return the config of one run. The seed sets weights and data order, the same in every arm."""
    data = copy.deepcopy(configs.read(grid.base))
    changes = {**grid.set, **grid.changes()[arm], "data.seed": seed, "run.seed": seed}
    if tokenizer and "data.tokenizer" not in changes:
        changes["data.tokenizer"] = tokenizer
    changes |= {"checkpoint.dir": str(folder), "run.eval_packs": 0, "checkpoint.keep": 1}
    for key, value in changes.items():
        configs.set_key(data, key, value)
    return configs.parse(data, f"arm {arm}")


def run(grid: Grid, out: Path) -> list[dict[str, Any]]:
    """Train and evaluate every arm with every seed; finished runs are read, not run again.

    A run that was stopped goes on from its checkpoint. Raises ConfigError when a folder holds the
    results of another config.
    """
    from benben.trainer.checkpoint.store import barrier
    from benben.trainer.distributed.parallel import is_first

    shared = _tokenizer(grid, out)
    records = []
    for seed in grid.seeds:
        for arm in grid.changes():
            folder = out / arm.replace("/", "-") / f"seed_{seed}"
            config = arm_config(grid, arm, seed, folder, shared)
            file = folder / "record.json"
            asked = {
                "config": config.model_dump(mode="json"),
                "evaluate": grid.evaluate.model_dump(mode="json"),
            }
            if file.is_file():
                record = json.loads(file.read_text())
                if record.pop("asked") != asked:
                    raise ConfigError(f"{file}: made by another grid; choose another --out")
            else:
                record = {"arm": arm, "seed": seed, **_one(config, grid)}
                if is_first():
                    file.write_text(json.dumps({**record, "asked": asked}, indent=1) + "\n")
                barrier()
            records.append(record)
    return records


def _tokenizer(grid: Grid, out: Path) -> str | None:
    """Return a tokenizer for all arms: the base's, or one trained on the first arm's data."""
    from benben.trainer.distributed.parallel import make_mesh, pick_device
    from benben.trainer.loop.session import find_vocabulary

    arm = next(iter(grid.changes()))
    config = arm_config(grid, arm, grid.seeds[0], out, None)
    if not config.data.tokenizer:
        mesh = make_mesh(config.parallel, pick_device(config.run.device))
        find_vocabulary(config, mesh)
        return str(out / "tokenizer.json")
    return config.data.tokenizer


def _one(config: Config, grid: Grid) -> dict[str, Any]:
    """Train a run and evaluate it on the held-out documents that all runs share."""
    from benben.trainer.evaluation import evaluate
    from benben.trainer.loop.train import Training

    training = Training(config)
    values = training.run()
    session = training.session
    if training.stopped:
        raise ConfigError("stopped; the same command goes on where it was")
    first = arm_config(grid, next(iter(grid.changes())), 0, local_folder(session.folder), None)
    sources = grid.evaluate.on or {entry.name or entry.path: entry for entry in first.data.mix}
    result: dict[str, Any] = {"tokens": session.tokens, "train_loss": values.get("loss")}
    for name, entry in sources.items():
        for times in grid.evaluate.lengths:
            changes = {"mix": [entry], "seq_len": times * config.data.seq_len, "seed": 0}
            data = config.data.model_copy(update=changes)
            found = evaluate.held_out(session, grid.evaluate.packs, data)
            result.setdefault("evaluations", {})[f"{name} x{times}"] = found
    return result
