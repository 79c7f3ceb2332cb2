"""Documents sketched a second on one core, against datatrove's signature code beside it.

datatrove is installed from its wheel into a virtual environment of its own. Both sides get the
same texts, shingle them and compute 14 x 8 slots; processor time counts, loading does not.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import sys
import time
import venv

from benben.pipeline import config
from benben.pipeline.deduplication.fingerprint import sketches
from benben.pipeline.settings.deduplicate import FingerprintSettings
from benchmarks.support import figure
from benchmarks.support.data import GOLD

PEER = ["datatrove[processing]==0.10.1", "spacy"]  # spacy: its English tokenizer
ROUNDS, PEER_TEXTS = 3, 100
WORKER = """
import json, sys, time
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
texts = json.load(open(sys.argv[1]))
config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
step = MinhashDedupSignature(sys.argv[2], config)
step.get_signature(step.get_shingles(texts[0]))
started = time.process_time()
for text in texts:
    step.get_signature(step.get_shingles(text))
print(len(texts) / (time.process_time() - started))
"""


def main() -> None:
    """Measure both in turn and report documents a second."""
    texts = gold_texts()
    settings = config.load("default", ["input=[x]"]).fingerprint
    sketches(texts[:10], settings)
    if sys.argv[1:] == ["--ours"]:  # no peer is installed
        print(f"dedup_speed, ours alone: {rate(texts, settings):.4g} documents a second and core")
        return
    python = peer_python()
    folder = figure.FOLDER / "datatrove"
    every = max(1, len(texts) // PEER_TEXTS)
    (folder / "texts.json").write_text(json.dumps(texts[::every]))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(rate(texts, settings))
        command = [python, "-c", WORKER, str(folder / "texts.json"), str(folder / "signatures")]
        theirs.append(float(subprocess.check_output(command, text=True).split()[-1]))
    figure.report(
        "dedup_speed",
        statistics.median(ours),
        statistics.median(theirs),
        unit="documents a second and core",
        mean_characters=sum(map(len, texts)) / len(texts),
        rounds={"ours": ours, "datatrove": theirs},
    )


def rate(texts: list[str], settings: FingerprintSettings) -> float:
    """Documents that we sketch in a second of processor time."""
    started = time.process_time()
    sketches(texts, settings)
    return len(texts) / (time.process_time() - started)


def gold_texts() -> list[str]:
    """Main texts of real pages."""
    found = []
    for path in sorted(GOLD.glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            found += [json.loads(line).get("gold_text") for line in lines]
    texts = [text for text in found if text]
    if not texts:
        sys.exit(f"dedup_speed: no gold texts under {GOLD} (set BENBEN_SHARED)")
    return texts


def peer_python() -> str:
    """Python of an environment that has datatrove; made on the first call."""
    folder = figure.FOLDER / "datatrove"
    python = folder / "bin" / "python"
    marker, wanted = folder / "installed", " ".join(PEER)
    if not marker.exists() or marker.read_text() != wanted:
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *PEER], check=True)
        marker.write_text(wanted)
    return str(python)


if __name__ == "__main__":
    main()
