"""Images fetched a second against img2dataset, from one local server, runs in turn.

Ours: consent files, hashes, perceptual hash, signals, journal and both parquet tables, in one
process (one host has one owner) without Spark. img2dataset: 2 processes of 64 threads, no resize,
parquet, as its users run it. Both with start-up, their modules compiled as an install has them. The
machine may be busy, so the CPU time of all processes is compared as well (`cpu_ratio`); the best of
three runs counts.

`fetch_speed` asks for each image under three query strings, `fetch_speed_distinct` once for each
distinct content: the first gains from what we remember of equal bytes, the second does not.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from benchmarks.support import figure
from benchmarks.support.data import DATA

SITE = DATA / "site" / "www"
ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")
QUERIES, RUNS = 3, 3

PEER = """
import sys
from img2dataset import download
download(url_list=sys.argv[1], output_folder=sys.argv[2], processes_count=2, thread_count=64,
         resize_mode="no", output_format="parquet", input_format="txt")
"""


def ours(list_path: str, folder: str, *more: str) -> None:
    """Fetch a list of URLs into the tables `images`, `image_bytes` and `consent`.

    The bytes are written to parquet files too. `more` are overrides of the default config.
    """
    from benben.pipeline import config, storage
    from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
    from benben.pipeline.images.fetch.fetcher import fetch_part
    from benben.pipeline.images.fetch.journal import SLOTS, FetchFolders, SlotRange
    from benben.pipeline.images.fetch.plan import PartOutcomes, WantedImage, stored_places
    from benben.pipeline.images.store import stored
    from benben.pipeline.schema import CONSENT, IMAGE_PLACES, IMAGES

    urls = Path(list_path).read_text().split()
    host = f"['{urls[0].split('/')[2]}']"
    overrides = [f"fetch.allow_hosts={host}", f"fetch.politeness.unlimited_hosts={host}"]
    settings = config.load("default", ["input=[none]", *overrides, *more]).fetch
    everything, store = SlotRange(0, SLOTS), FetchFolders(f"{folder}/journal", f"{folder}/shards")
    fetch_part(
        [WantedImage.of(url) for url in urls], store, everything, settings, ArchiveLookup({})
    )
    outcomes = PartOutcomes(store, everything, [(url, 0) for url in urls])
    images = outcomes.images()
    reasons = dict(zip(images["url"].to_pylist(), images["reason"].to_pylist(), strict=True))
    with storage.ParquetWriter(f"{folder}/consent.parquet", CONSENT) as writer:
        writer.write(pa.Table.from_pylist(list(outcomes.receipts(reasons)), CONSENT))
    with storage.ParquetWriter(f"{folder}/images.parquet", IMAGES) as writer:
        writer.write(images)
    with storage.ParquetWriter(f"{folder}/places.parquet", IMAGE_PLACES) as writer:
        for batch in stored_places(store, everything):
            writer.write(batch)
    rows = stored.read(f"{folder}/places.parquet", store.shards)
    stored.write_shards(rows, f"{folder}/bytes", 0, 1, settings.shard_bytes)
    print(images["reason"].null_count)


def peer_python() -> str:
    """An interpreter that has img2dataset, in an environment of its own: it pins old packages."""
    folder = figure.FOLDER / "img2dataset"
    python = folder / "bin" / "python"
    if not python.exists():
        print("making an environment with img2dataset ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "img2dataset"], check=True)
    return str(python)


def timed(command: list[str]) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds of the command and its children, and its output."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    compiled = {"PYTHONPYCACHEPREFIX": str((figure.FOLDER / "bytecode").resolve())}
    environment = {**os.environ, **compiled, "NO_ALBUMENTATIONS_UPDATE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"fetch_speed: {' '.join(command[:3])} failed:\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, done.stdout


def peer_kept(folder: Path) -> int:
    """Images img2dataset wrote, by its own counts."""
    counts = [json.loads(path.read_text()) for path in folder.glob("*_stats.json")]
    return sum(int(count["successes"]) for count in counts)


def site_files() -> list[Path]:
    """The images of the test data's site. Ends the program if there are none."""
    files = [path for path in sorted(SITE.rglob("*")) if path.suffix.lower() in ENDINGS]
    if not files:
        sys.exit(f"{sys.argv[0]}: no images under {SITE} (set BENBEN_SHARED)")
    return files


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Serve the site in a process of its own; yields its base URL."""
    command = [sys.executable, "-m", "benchmarks.image_server", str(SITE), *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()


def main() -> None:
    """Run both in turn and report images a second."""
    files = site_files()
    with served() as base, tempfile.TemporaryDirectory(prefix="fetch-speed-") as folder:
        work = Path(folder)
        paths = [quote(str(path.relative_to(SITE))) for path in files]
        urls = [f"{base}/{path}?v={query}" for query in range(QUERIES) for path in paths]
        compare("fetch_speed", work / "all", urls)
        first = {path.read_bytes(): quote(str(path.relative_to(SITE))) for path in files}
        compare("fetch_speed_distinct", work / "distinct", [f"{base}/{p}" for p in first.values()])


def compare(name: str, work: Path, urls: list[str]) -> None:
    """Interleave the runs; the fastest of each side counts."""
    work.mkdir()
    (work / "urls.txt").write_text("\n".join(urls))
    python, runs, number = peer_python(), [], len(urls)
    for run in range(RUNS):
        mine, theirs = work / f"ours-{run}", work / f"peer-{run}"
        itself = [sys.executable, "-m", "benchmarks.fetch_speed", "--ours"]
        seconds, cpu, out = timed([*itself, str(work / "urls.txt"), str(mine)])
        peer = timed([python, "-c", PEER, str(work / "urls.txt"), str(theirs)])
        runs.append((seconds, cpu, int(out), *peer[:2], peer_kept(theirs)))
    wall, cpu, _, peer_wall, peer_cpu, _ = (min(column) for column in zip(*runs, strict=True))
    figure.report(
        name,
        number / wall,
        number / peer_wall,
        unit="images a second",
        bar=2.0,
        urls=number,
        kept=runs[-1][2],
        peer_kept=runs[-1][5],
        cpu_ms_an_image=1000 * cpu / number,
        peer_cpu_ms_an_image=1000 * peer_cpu / number,
        cpu_ratio=peer_cpu / cpu,
        runs=runs,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        ours(*sys.argv[2:])
    else:
        main()
