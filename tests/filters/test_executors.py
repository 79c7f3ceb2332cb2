"""What an executor unpickles in a fresh process finds every signal and every list."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from functools import partial

from benben.filters.signal_table import CATALOGUE, check_rules, measure_batch
from tests.filters.pages import OBELICS, batch, page, text
from tests.shared import ROOT

READ = "import pickle, sys; work = pickle.load(sys.stdin.buffer); result = work(); "


def in_fresh_process(work: object, then: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READ + then],
        input=pickle.dumps(work),
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout.decode().strip()


def test_rules_find_their_signals_in_a_fresh_process() -> None:
    catalogue = (
        "from benben.filters.signal_table import CATALOGUE\n"
        "print(sum(map(len, CATALOGUE.values())))"
    )
    found = in_fresh_process(partial(check_rules, OBELICS.rules), catalogue)
    assert int(found) == sum(map(len, CATALOGUE.values()))


def test_signals_are_equal_in_a_fresh_process() -> None:
    rows = batch(page(text("The owl slept in the old barn.")), page(text("Сова спала.")))
    work = partial(measure_batch, rows, OBELICS.signals)
    digest = "import hashlib; print(hashlib.md5(str(result.to_pylist()).encode()).hexdigest())"
    here = hashlib.md5(str(work().to_pylist()).encode()).hexdigest()
    assert in_fresh_process(work, digest) == here
