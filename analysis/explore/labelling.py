"""Labels given in the browser: kept in the run's file of labels, which the tuner reads too."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from benben.analysis.tables import RunTables
from benben.analysis.tuning import labels
from benben.analysis.tuning.tuner import LABELS
from benben.pipeline import storage

DOCUMENT = -1  # index that stands for the document itself
ACTIONS = {"keep": True, "drop": False}  # what a form sends -> label; "undo" takes the last back


@dataclass
class Labelling:
    """The labels of a run's documents, with a token that forms must send.

    The token is drawn when the server starts, so that no other website can make a browser send a
    label.
    """

    tables: RunTables
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    # Each label that was given here, with the label before it.
    changes: list[tuple[labels.Key, bool | None]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The file of labels."""
        return storage.join(self.tables.output, LABELS)

    def of(self, doc_id: str) -> str:
        """The label of a document: keep, drop or nothing."""
        given = labels.read(self.path).get((doc_id, DOCUMENT))
        return "" if given is None else "keep" if given else "drop"

    def number(self) -> int:
        """How many documents have a label."""
        return sum(index == DOCUMENT for _, index in labels.read(self.path))

    def trusted(self, token: str) -> bool:
        """Whether a form was made by this server."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def act(self, form: Mapping[str, str]) -> str | None:
        """Do what a form asks, and save; returns the id of the labelled document.

        None when the form asks for nothing that can be done.
        """
        known = labels.read(self.path)
        action, key = form.get("action", ""), (form.get("doc_id", ""), DOCUMENT)
        if action == "undo":
            if not self.changes:
                return None
            key, before = self.changes.pop()
            known.pop(key, None)
            if before is not None:
                known[key] = before
        elif action in ACTIONS and self.tables.lookup("documents", "doc_id", [key[0]], ["doc_id"]):
            self.changes.append((key, known.get(key)))
            known[key] = ACTIONS[action]
        else:
            return None
        labels.save(self.path, known)
        return key[0]
