"""Small models that show what filter rules are worth: the trials of a proof, and running them.

A trial is an arm (a set of rules, or the base without one of its rules) and a seed. All arms train
on equally many bytes, with documents in an order that depends on the seed alone, and are scored on
main text that people marked on pages of other sites. The model counts n-grams, or is one that the
trainer trains.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benben.common.config_files import ConfigError
from benben.trainer.ablation import proof_data
from benben.trainer.ablation.ngrams import NGrams
from benben.trainer.ablation.proof_data import Contents, Text

MODEL = "ngrams"  # the model that is no config's
GOLD_BYTES = 2_000  # scored of each gold text


@dataclass(frozen=True)
class Request:
    """What to prove: the folder of datasets, the folder of results, and with which models."""

    data: Path
    out: Path
    seeds: tuple[int, ...] = tuple(range(10))
    size: int | None = None  # bytes that each model is trained on; None: what the least arm has
    model: str = MODEL  # or a config of the trainer
    overrides: tuple[str, ...] = ()  # of that config
    arms: tuple[str, ...] = ()  # none: all
    processes: int = 1


@dataclass(frozen=True)
class Trial:
    """A model to train and score, by everything that its scores depend on."""

    arm: str
    seed: int
    size: int
    model: str
    settings: dict[str, Any] | None  # of the config that the model is trained by
    data: str
    facts: dict[str, Any]  # what `proof.json` says of the datasets
    folder: str  # of the results

    @property
    def record(self) -> Path:
        """Where its result is written."""
        return Path(self.folder) / self.arm.replace("/", "-") / f"seed_{self.seed}.json"

    @property
    def asked(self) -> dict[str, Any]:
        """What another trial must be equal in to have the same scores."""
        return {k: v for k, v in asdict(self).items() if k not in ("data", "folder")}


def size_of(contents: Contents, request: Request) -> int:
    """Return the bytes that each model is trained on: by default all that the least arm has."""
    return request.size or min(part.bytes for part in contents.arms.values() if part.bytes)


def trials(contents: Contents, request: Request) -> list[Trial]:
    """Return the trials, seed after seed. Raises ConfigError for an arm that is not there."""
    names = contents.names()
    unknown = [name for name in request.arms if name not in names]
    if unknown:
        raise ConfigError(f"no arm {', '.join(unknown)}; there are {', '.join(names)}")
    chosen = [name for name in names if not request.arms or name in request.arms]
    settings = None
    if request.model != MODEL:
        from benben.trainer.ablation import neural

        settings = neural.settings(request.model, request.overrides)
    facts = contents.model_dump(mode="json")
    common = (size_of(contents, request), request.model, settings, str(request.data), facts)
    return [Trial(arm, seed, *common, str(request.out)) for seed in request.seeds for arm in chosen]


def run(contents: Contents, request: Request) -> list[dict[str, Any]]:
    """Run all trials and return their records; finished ones are read, not run again.

    A proof that was killed goes on with the trials that have no record. Raises ConfigError when the
    folder holds records of another request.
    """
    wanted = trials(contents, request)
    found = {trial.record: _finished(trial) for trial in wanted}
    missing = [trial for trial in wanted if found[trial.record] is None]
    found |= dict(_run_all(missing, request.processes))
    return [record for trial in wanted if (record := found[trial.record]) is not None]


def _run_all(
    missing: Sequence[Trial], processes: int
) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    if processes > 1 and len(missing) > 1:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            yield from pool.imap_unordered(run_one, missing)
    else:
        yield from map(run_one, missing)


def _finished(trial: Trial) -> dict[str, Any] | None:
    if not trial.record.is_file():
        return None
    record: dict[str, Any] = json.loads(trial.record.read_text())
    if record.pop("asked") != trial.asked:
        raise ConfigError(f"{trial.record}: made by another request; choose another --out")
    return record


def run_one(trial: Trial) -> tuple[Path, dict[str, Any]]:
    """Train and score one model; its record appears when it is complete."""
    folder = Path(trial.data)
    contents = Contents.model_validate(trial.facts)
    texts = proof_data.training_texts(folder, contents, trial.arm, trial.seed, trial.size)
    gold = proof_data.gold(folder, GOLD_BYTES)
    if trial.settings is None:
        model = NGrams([text.data for text in texts])
        bits, parameters = model.bits([text.data for text in gold]), model.parameters
    else:
        from benben.trainer.ablation import neural

        work = trial.record.with_suffix("")
        shutil.rmtree(work, ignore_errors=True)  # of a trial that was killed
        bits, parameters = neural.bits(trial.settings, trial.seed, texts, gold, work)
        shutil.rmtree(work)
    record = {
        "arm": trial.arm,
        "seed": trial.seed,
        "bytes": sum(len(text.data) for text in texts),
        "documents": len(texts),
        "parameters": parameters,
        "sites": _by_site(gold, bits),
    }
    trial.record.parent.mkdir(parents=True, exist_ok=True)
    partial = trial.record.with_suffix(".partial")
    partial.write_text(json.dumps({**record, "asked": trial.asked}) + "\n")
    os.replace(partial, trial.record)
    return trial.record, record


def _by_site(gold: Sequence[Text], bits: Sequence[float]) -> dict[str, list[float]]:
    """Sum bits and bytes of each site's texts."""
    found: dict[str, list[float]] = {}
    for text, value in zip(gold, bits, strict=True):
        entry = found.setdefault(text.host, [0.0, 0.0])
        entry[0] += value
        entry[1] += len(text.data)
    return dict(sorted(found.items()))
