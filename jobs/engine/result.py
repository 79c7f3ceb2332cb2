"""What a task, a wave or a whole stage has written and counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from benben.pipeline.manifest import Counts, PartFile, add_counts


@dataclass
class Result:
    """Files, counts and metrics of one task, or of all tasks added up."""

    files: dict[str, list[PartFile]] = field(default_factory=dict)  # by table
    counts: Counts = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def rows(self, table: str) -> int:
        """Rows written to a table."""
        return sum(file.rows for file in self.files.get(table, []))

    def add(self, other: Result) -> None:
        """Add another task's result in place."""
        for table, files in other.files.items():
            self.files.setdefault(table, []).extend(files)
        add_counts(self.counts, other.counts)
        for name, value in other.metrics.items():
            self.metrics[name] = self.metrics.get(name, 0.0) + value
