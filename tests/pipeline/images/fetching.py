"""Fetch URLs in this process, across redirects, as the stage does over its rounds."""

from __future__ import annotations

from collections.abc import Iterable

from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.consent.site_files import SiteFile
from benben.pipeline.images.fetch.fetcher import Sinks, fetch_images
from benben.pipeline.images.fetch.request import Outcome, Request
from benben.pipeline.images.fetch.resolver import Lookup, owner
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.settings.fetch import FetchSettings


def fetch_all(
    urls: Iterable[str], settings: FetchSettings, lookup: Lookup | None = None
) -> list[Outcome]:
    """The outcomes of distinct URLs, in the order of the URLs."""
    done: dict[str, Outcome] = {}
    site_files: list[SiteFile] = []
    processor = ImageProcessor(settings, OptOutLists(settings.consent))
    order = list(dict.fromkeys(urls))
    requests = [Request(url, url) for url in order]
    while requests:
        requests.sort(key=lambda request: owner(request.target))
        moved: list[Request] = []

        def keep(outcome: Outcome, moved: list[Request] = moved) -> None:
            if outcome.moved is not None:
                moved.append(outcome.moved)
            else:
                done[outcome.url] = outcome

        sinks = Sinks(keep, site_files.append)
        fetch_images(requests, settings, sinks, processor, list(site_files), lookup)
        requests = moved
    return [done[url] for url in order]
