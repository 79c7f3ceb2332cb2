"""Processor time and memory of a worker on hostile inputs: a table of forms, the dearest first.

Each form runs in a process of its own, forked from one that has everything loaded. The figure is
the largest processor time of any form in seconds, against the bar of 10. `--size` is the bytes of
each input (default: the largest page and picture that the default config allows).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from benben import extract_page
from benben.pipeline import config
from benben.pipeline.archive.http_response import PayloadError, decode_body
from benben.pipeline.archive.warc import read_captures_of
from benben.pipeline.consent.site_files import ROBOTS, TDMREP, OriginConsent, SiteFile
from benben.pipeline.images.processing.picture import Decoder
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.storage.ranges import Bytes
from benchmarks.hostile.forms import ARCHIVES, BODIES, PAGES, PICTURES, SITE_FILES
from benchmarks.support import figure

SIZE = 20_000_000
SECONDS, MEGABYTES = 10.0, 600.0  # the bars
DEADLINE = 30  # processor seconds, until a form is ended
PATIENCE = 900  # seconds of waiting for it; some inputs take long to make
Work = Callable[[], str | None]


def page(make: Callable[[int], bytes], size: int) -> Work:
    """Extract a page."""
    data = make(size)
    return lambda: extract_page(data, "http://a.example/").reason


def picture(make: Callable[[int], bytes], size: int, settings: FetchSettings) -> Work:
    """Decode a picture."""
    data = make(size)
    return lambda: Decoder(settings).decode(data).reason


def body(make: Callable[[int], bytes], size: int, encoding: str) -> Work:
    """Decode the body of a response."""
    data = make(size)

    def work() -> str | None:
        try:
            decode_body(data, {"content-encoding": encoding}, SIZE)
        except PayloadError as error:
            return error.reason
        return None

    return work


def archive(make: Callable[[int], bytes], size: int) -> Work:
    """Read the captures of an archive."""
    data = make(size)

    def work() -> str | None:
        found = read_captures_of(Bytes(data, "x.warc", 0), 0, len(data), SIZE)
        return f"{sum(1 for _ in found)} captures and losses"

    return work


def site_file(make: Callable[[int], bytes], size: int, path: str, settings: FetchSettings) -> Work:
    """Read a site's file, and ask it about some addresses."""
    text = make(size).decode()

    def work() -> str | None:
        answer = SiteFile("http://a.example", path, 200, text, 0.0)
        addresses = [f"http://a.example/{'a' * number}" for number in range(0, 2_000, 100)]
        consent = OriginConsent([answer], settings.consent, "benben")
        return str([consent.reason(address) for address in addresses][-1])

    return work


def forms(size: int) -> dict[str, Callable[[], Work]]:
    """Name -> what makes the input and returns the work on it."""
    fetch = config.load("default", ["input=[x]"]).fetch
    found: dict[str, Callable[[], Work]] = {}
    for name, make in PAGES.items():
        found[f"page: {name}"] = partial(page, make, size)
    for name, make in PICTURES.items():
        found[f"picture: {name}"] = partial(picture, make, size, fetch)
    for name, (encoding, make) in BODIES.items():
        found[f"body: {name}"] = partial(body, make, size, encoding)
    for name, make in SITE_FILES.items():
        path = ROBOTS if name.startswith("robots") else TDMREP
        found[f"site: {name}"] = partial(site_file, make, size, path, fetch)
    for name, make in ARCHIVES.items():
        found[f"archive: {name}"] = partial(archive, make, size)
    return found


def measure(make: Callable[[], Work]) -> dict[str, Any]:
    """Run one form in a child process."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(make, sender))
    child.start()
    sender.close()
    found: dict[str, Any] = {"reason": "ended by its process", "seconds": DEADLINE, "megabytes": 0}
    if receiver.poll(PATIENCE):
        with suppress(EOFError):
            found = receiver.recv()
    child.kill()
    child.join()
    return found


def _run(make: Callable[[], Work], sender: Any) -> None:
    work = make()
    before = resource.getrusage(resource.RUSAGE_SELF)
    with suppress(OSError), open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # the peak from here on
    signal.setitimer(signal.ITIMER_PROF, DEADLINE)
    reason = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sender.send({"reason": reason, "seconds": seconds, "megabytes": _peak() / 1e6})


def _peak() -> float:
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return float(line.split()[1]) * 1024


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The measurements as lines, the dearest first."""
    rows = sorted(found.items(), key=lambda row: -row[1]["seconds"])
    return "\n".join(
        f"{one['seconds']:8.2f} s {one['megabytes']:7.0f} MB  {name:45} {one['reason'] or 'kept'}"
        for name, one in rows
    )


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--only", default="", help="forms whose name holds this")
    chosen = parser.parse_args()
    extract_page("<p>warm", "http://a.example/")
    Decoder(config.load("default", ["input=[x]"]).fetch).decode(
        PICTURES["PNG of 5,000 by 5,000"](0)
    )
    found = {
        name: measure(make) for name, make in forms(chosen.size).items() if chosen.only in name
    }
    print(table(found), file=sys.stderr)
    figure.report(
        "amplification",
        max(one["seconds"] for one in found.values()),
        SECONDS,
        unit="processor seconds of the dearest form, against the bar",
        forms=found,
        most_megabytes=max(one["megabytes"] for one in found.values()),
        megabytes_bar=MEGABYTES,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
