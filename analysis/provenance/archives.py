"""The archives that a run was made from, as they are stored now, to read single captures again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benben.pipeline.archive import inputs
from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import Capture, read_capture_at
from benben.pipeline.errors import InputError
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT

MAX_SOURCE_CHARS = 200_000


@dataclass(frozen=True)
class Archives:
    """Archives, folders or path lists, and how to access them.

    With `optional`, archives that cannot be listed are as if they were not named.
    """

    inputs: Sequence[str] = ()
    access: ArchiveSettings = DEFAULT
    optional: bool = False

    def find(self, warc: str) -> str | None:
        """URL of the archive with this file name; None when it is not among the inputs."""
        return self._urls.get(_file_name(warc))

    def read(self, url: str, offset: int, length: int) -> Capture:
        """Read the capture at a byte range. Raises OSError or ValueError when there is none."""
        return read_capture_at(url, offset, length, access=self.access)

    def html_source(self, document: Mapping[str, Any]) -> str | None:
        """The start of a document's HTML; None when its archive is not among the inputs.

        `document` is a row of DOCUMENTS.
        """
        url = self.find(document["warc"] or "")
        if url is None:
            return None
        capture = self.read(url, document["warc_offset"], document["warc_length"])
        text, _ = decode_html(capture.payload, capture.mime)
        return text[:MAX_SOURCE_CHARS]

    @cached_property
    def _urls(self) -> dict[str, str]:
        try:
            found = inputs.find(self.inputs, self.access) if self.inputs else []
        except InputError as error:
            if not self.optional:
                raise
            print(f"benben: pages are not shown as they were: {error}", file=sys.stderr)
            found = []
        return {_file_name(archive.url): archive.url for archive in found}


NO_ARCHIVES = Archives()


def _file_name(url: str) -> str:
    return url.rsplit("/", 1)[-1]
