"""A plug-in: signals of a package installed beside Benben are measured and judged by rules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import ROOT

EXAMPLE = ROOT / "examples" / "signal_package"
WORK = """
import json
from benben.filters.decide import decide_batch
from benben.filters.signal_table import SIGNALS, check_rules, measure_batch, required_columns
from benben.pipeline import config
from benben.pipeline.manifest import code_version
from tests.filters.pages import batch, page, text

settings = config.load(FILE, ["input=[x]"])
check_rules(settings.rules)
soup = "Boil the stock for an hour, add salt, and serve it with the fresh bread of the day."
pages = [
    page(text(f"{soup} Take 200 g of leek."), text("200 g 1 kg 3 tbsp 5 ml"), title="Recipe: soup"),
    page(text(soup), title="Soup"),
]
signals = measure_batch(batch(*pages), settings.signals)
rules = settings.rules.model_copy(update={
    "text_node": {"quantity_ratio": settings.rules.text_node["quantity_ratio"]},
})
verdicts = decide_batch(signals, rules).to_pylist()
print(json.dumps({
    "version": code_version(),
    "columns": [SIGNALS.names[-1], SIGNALS.field("paragraphs").type.value_type[-1].name],
    "read": required_columns(rules),
    "dropped": [[one["reason"] for one in verdict["dropped"]] for verdict in verdicts],
    "reasons": [verdict["reasons"] for verdict in verdicts],
}))
"""


def run(code: str, *site: Path) -> str:
    """Run code in a new process that also finds packages in these folders; return its output."""
    paths = os.pathsep.join([str(ROOT), *map(str, site)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package installed."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "package"
    subprocess.run(["cp", "-r", str(EXAMPLE), str(source)], check=True)  # the build writes there
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    pip = [sys.executable, "-m", "pip", "install", *options, str(source)]
    subprocess.run(pip, check=True)
    return folder


@pytest.mark.slow
def test_an_installed_package_adds_signals_that_rules_judge(site: Path) -> None:
    found = json.loads(run(WORK.replace("FILE", repr(str(EXAMPLE / "recipes.yaml"))), site))
    assert found["columns"] == ["recipe_title", "quantities"], "they come after Benben's own"
    assert {"recipe_title", "paragraphs.list.element.quantities"} <= set(found["read"])
    assert found["dropped"] == [["text_node.quantity_ratio.max"], []]
    assert found["reasons"] == [[], ["document.recipe_title.min"]]
    version = "from benben.pipeline.manifest import code_version; print(code_version())"
    assert found["version"] != run(version).strip(), "stages run again"


@pytest.mark.slow
def test_rules_of_a_package_that_is_not_installed_are_refused() -> None:
    told = run(
        "from benben.filters.signal_table import read_rules\n"
        "from benben.pipeline.config import ConfigError\n"
        f"try: read_rules({str(EXAMPLE / 'recipes.yaml')!r})\n"
        "except ConfigError as error: print(error)"
    )
    assert "rules.document.recipe_title: no signal 'recipe_title' for document" in told
