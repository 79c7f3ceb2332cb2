"""Labels in the formats of other tools: CSV, Label Studio's JSON, and records of Argilla.

https://labelstud.io/guide/export (tasks with annotations of choices);
https://docs.argilla.io/latest/how_to_guides/record (records with fields, metadata and responses).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from benben.analysis.tuning.labels import Key
from benben.common.text import lines
from benben.pipeline.errors import InputError

Labels = Mapping[Key, bool]
WORDS = {True: "keep", False: "drop"}
_MEANINGS = {"keep": True, "true": True, "1": True, "drop": False, "false": False, "0": False}
QUESTION = "verdict"  # name of the choice in both tools
COLUMNS = ("doc_id", "index", "label", "url", "text")
Shown = Mapping[Key, tuple[str, str]]  # URL and text of what is labelled


def read(data: bytes, name: str) -> dict[Key, bool]:
    """Read labels of any of the formats, or the JSON lines that a run keeps.

    `name`: of the file, for messages. Raises InputError for anything else.
    """
    try:
        text = data.decode("utf-8-sig").strip()
        if text.startswith("["):
            rows = json.loads(text)
        elif text.startswith("{"):
            rows = [json.loads(line) for line in lines(text.encode()) if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text)))
        return {_key(row): label for row in rows if (label := _label(row)) is not None}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name}: not labels that can be read: {error}") from None


def _key(row: Mapping[str, Any]) -> Key:
    known = row.get("data") or row.get("metadata") or row
    return str(known["doc_id"]), int(known.get("index") or 0 if "index" in known else -1)


def _label(row: Mapping[str, Any]) -> bool | None:
    """What a row says; None where nobody has answered. Raises ValueError for another word."""
    if "annotations" in row:  # Label Studio
        found = [
            choice
            for annotation in row["annotations"]
            if not annotation.get("was_cancelled")
            for result in annotation["result"]
            for choice in result["value"].get("choices", [])
        ]
    elif "responses" in row:  # Argilla: by question, or a list of answers
        found = _answers(row["responses"])
    else:
        found = [row["label"] if "label" in row else row["keep"]]
    words = [str(one).strip().lower() for one in found if one not in (None, "")]
    if not words:
        return None
    if words[-1] not in _MEANINGS:
        raise ValueError(f"'{words[-1]}' is neither keep nor drop")
    return _MEANINGS[words[-1]]


def _answers(responses: Any) -> list[Any]:
    if isinstance(responses, Mapping):
        return [one["value"] for one in responses.get(QUESTION, [])]
    found = []
    for one in responses:
        if "values" in one:
            found.append(one["values"][QUESTION]["value"])
        elif one.get("question_name") == QUESTION:
            found.append(one["value"])
    return found


def to_csv(labels: Labels, shown: Shown) -> str:
    """Labels as CSV, one row each."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for (doc_id, index), keep in sorted(labels.items()):
        texts = [_safe(text) for text in shown.get((doc_id, index), ("", ""))]
        writer.writerow([doc_id, index, WORDS[keep], *texts])
    return stream.getvalue()


def _safe(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def to_label_studio(labels: Labels, shown: Shown) -> str:
    """Labels as tasks of Label Studio, for a project with the choices keep and drop."""
    tasks = []
    for (doc_id, index), keep in sorted(labels.items()):
        url, text = shown.get((doc_id, index), ("", ""))
        value = {"choices": [WORDS[keep]]}
        result = {"from_name": QUESTION, "to_name": "text", "type": "choices", "value": value}
        tasks.append(
            {
                "data": {"doc_id": doc_id, "index": index, "url": url, "text": text},
                "annotations": [{"result": [result]}],
            }
        )
    return json.dumps(tasks, ensure_ascii=False, indent=1)


def to_argilla(labels: Labels, shown: Shown) -> str:
    """Labels as records of Argilla, with a question of the choices keep and drop."""
    records = []
    for (doc_id, index), keep in sorted(labels.items()):
        url, text = shown.get((doc_id, index), ("", ""))
        records.append(
            {
                "id": f"{doc_id}:{index}",
                "fields": {"text": text, "url": url},
                "metadata": {"doc_id": doc_id, "index": index},
                "responses": {QUESTION: [{"value": WORDS[keep]}]},
            }
        )
    return json.dumps(records, ensure_ascii=False, indent=1)


FORMATS: dict[str, Callable[[Labels, Shown], str]] = {
    "labels.csv": to_csv,
    "label-studio.json": to_label_studio,
    "argilla.json": to_argilla,
}
