"""`benben tune RUN --labels FILE`: a config with learned bounds, and what it rests on."""

from __future__ import annotations

from benben.analysis.tables import RunTables
from benben.analysis.tuning import labelled, learn, written
from benben.analysis.tuning.labelled import Labelled
from benben.analysis.tuning.learn import Learned
from benben.filters.signal_table import read_rules, required_columns
from benben.pipeline import config, storage

TUNED = "tuned.yaml"  # in the run's folder
SCOPES = {"text_node": "paragraphs", "image_node": "images", "document": "documents"}


def tune(
    run: str,
    labels: str,
    rules: str | None = None,
    path: str | None = None,
    min_documents: int = learn.MIN_DOCUMENTS,
    keep_harmful: bool = False,
) -> list[str]:
    """Learn bounds from labels and write a config; returns lines that say what it rests on.

    `rules`: config to start from, default the run's own; `path`: of the config that is written.
    Raises InputError for a run or labels that cannot be read, ConfigError for a wrong config.
    """
    source = rules or config.of_run(run) or "default"
    before = read_rules(source)
    found = labelled.collect(RunTables(run), labelled.read(labels), required_columns(before))
    learned = learn.learn(found, before, min_documents, keep_harmful)
    base = str(config.of_run(source) or source)
    path = path or storage.join(run, TUNED)
    head = [f"Made by `benben tune {run} --labels {labels}`.", *_basis(found)]
    text = written.config_text(base, before, learned.rules, learned.evidence, head)
    storage.write_bytes(path, text.encode())
    read_rules(path)  # what was written is a config
    return [*_basis(found), "", *_table(learned), "", f"written: {path}"]


def _basis(found: Labelled) -> list[str]:
    """What was labelled."""
    lines = [
        f"{found.signals.num_rows:,} labelled documents of {found.domains:,} domains, "
        f"{found.gold_pages:,} with their main text."
    ]
    for scope, weights in found.weights.items():
        unit = "tokens" if scope == "text_node" and found.gold_pages else "rows"
        good, bad = weights.gold.sum(), weights.other.sum()
        lines.append(f"{SCOPES[scope]}: {good:,.0f} {unit} of gold, {bad:,.0f} others.")
    missing = [SCOPES[scope] for scope in SCOPES if scope not in found.weights]
    if missing:
        lines.append(f"No labels of {' and '.join(missing)}: their rules are as they were.")
    return lines


def _table(learned: Learned) -> list[str]:
    lines = []
    for one in learned.evidence:
        lines.append(f"{one.scope}.{one.signal}: {written.describe(one)}")
    return lines
