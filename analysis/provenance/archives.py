"""The archives a run was made from, where they lie now: to read single pages of them again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benben.pipeline import config
from benben.pipeline.archive import inputs
from benben.pipeline.archive.warc import Capture, read_capture_at
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT


@dataclass(frozen=True)
class Originals:
    """Archives, folders or path lists, and how they are reached."""

    inputs: Sequence[str] = ()
    access: ArchiveSettings = DEFAULT

    @cached_property
    def _places(self) -> dict[str, str]:
        found = inputs.find(self.inputs, self.access) if self.inputs else []
        return {archive.url.rsplit("/", 1)[-1]: archive.url for archive in found}

    def find(self, warc: str) -> str | None:
        """Where an archive lies, by its file's name; None when it is not at hand."""
        return self._places.get(warc.rsplit("/", 1)[-1])

    def read(self, place: str, offset: int, length: int) -> Capture:
        """The capture at a byte range. Raises OSError, ValueError when there is none."""
        return read_capture_at(place, offset, length, access=self.access)


def add_arguments(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Options that say where the archives lie; with `required`, one of them has to."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--input", action="append", default=[], help="archives, or their folder")
    group.add_argument("--config", help="the run's config, for its input and its way of access")


def from_arguments(given: argparse.Namespace) -> Originals:
    """What the options say. Raises UserError."""
    if given.config:
        settings = config.load(given.config)
        return Originals(settings.input, settings.archives)
    return Originals(given.input)
