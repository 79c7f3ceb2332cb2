"""The rounds of a fetch: first requests, then redirects that other tasks have to follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from benben.pipeline.images.fetch_part import Share
from benben.pipeline.images.journal import Range
from benben.pipeline.images.recorder import Store
from benben.pipeline.images.wanted import WantedFile


@dataclass(frozen=True)
class Rounds:
    """Where the requests of all rounds and their outcomes lie."""

    work: str
    store: Store
    tasks: int
    files: list[dict[int, str]] = field(default_factory=list)  # a round: part -> requests

    @property
    def parts(self) -> list[int]:
        """Parts with requests in any round."""
        return sorted({part for files in self.files for part in files})

    def range(self, part: int) -> Range:
        """The slots of one part."""
        return Range.of(part, self.tasks)

    def share(self, part: int) -> Share:
        """What the journal says about the requests of one part."""
        return self.asked(part, *(files[part] for files in self.files if part in files))

    def asked(self, part: int, *paths: str) -> Share:
        """What the journal says about the requests in some files of one part."""
        wanted = ((image.url, image.hops) for path in paths for image in WantedFile(path))
        return Share(self.store, self.range(part), wanted)
