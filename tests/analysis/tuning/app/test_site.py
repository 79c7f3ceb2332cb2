"""The tuning app by its answers: counts, samples, sweeps, labels, history, files."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from selectolax.lexbor import LexborHTMLParser

from benben.analysis.tables import RunTables
from benben.analysis.tuning import exchange, labels
from benben.analysis.tuning.app import server
from benben.analysis.tuning.app.site import Site
from benben.analysis.tuning.tuner import Tuner
from benben.filters.signal_table import read_rules
from benben.filters.verdicts import count_verdicts
from benben.jobs.commands.cli import main
from benben.jobs.decide import by_rules
from benben.jobs.engine.stage import Part
from benben.pipeline.errors import UserError
from benben.pipeline.manifest import Counts, add_counts
from benben.pipeline.settings.signals import RuleSettings
from benben.sample.serve import running
from tests.analysis import run_folder

LOOSE = """base: no_rules
rules:
  text_node: {words: {min: 3}, stopword_ratio: {min: 0.05}}
  image_node: {url_words: {max: 0}, width: {min: 10}}
  document: {opt_outs: {max: 9}, words: {min: 20, max: 5000}, images: {min: 1, max: 30}}
"""


def decided(run: str, rules: RuleSettings, counts: Counts | None = None) -> set[str]:
    """Ids of the documents that the stage `decide` keeps; adds what it counts to `counts`."""
    kept: set[str] = set()
    for number, files in sorted(RunTables(run).paths("signals").items()):
        for signals, verdicts in by_rules(Part(number, {"signals": files[0]}), rules):
            rows = verdicts.to_pylist()
            kept |= {row["doc_id"] for row in rows if row["kept"]}
            add_counts({} if counts is None else counts, count_verdicts(signals, verdicts))
    return kept


@pytest.fixture
def run(tmp_path: Path) -> str:
    return run_folder.make(tmp_path / "run")


@pytest.fixture
def site(run: str, tmp_path: Path) -> Site:
    rules = tmp_path / "loose.yaml"
    rules.write_text(LOOSE)
    return Site(Tuner(run, str(rules)), str(tmp_path / "tuned.yaml"))


def get(site: Site, name: str, **fields: str) -> Any:
    answer = site.get(name, fields)
    assert answer is not None, name
    return json.loads(answer.text) if answer.kind == "application/json" else answer.text


def post(site: Site, name: str, text: str = "", **fields: str) -> Any:
    answer = site.post(name, {"token": site.token, **fields}, text)
    assert answer is not None, (name, fields)
    return json.loads(answer.text)


def move(site: Site, scope: str, signal: str, end: str, bound: str, **more: str) -> Any:
    given = {"scope": scope, "signal": signal, "end": end, "bound": bound, **more}
    return post(site, "move", commit="1", **given)


def test_moved_bounds_count_what_decide_keeps_with_the_written_config(site: Site) -> None:
    run = site.tuner.tables.output
    first = get(site, "state.json", scope="document", charts="*")
    assert first["totals"]["document"]["rows"] == 12
    assert set(first["charts"]) == {"opt_outs", "words", "images"}
    chart = first["charts"]["words"]
    assert sum(chart["kept"]) + sum(chart["dropped"]) == 12
    moves = [
        ("document", "words", "min", "80"),
        ("text_node", "stopword_ratio", "min", "0.4123"),  # a page falls below 80 words
        ("image_node", "url_words", "max", "-1"),  # no image is left
        ("image_node", "url_words", "max", "0"),
        ("document", "words", "min", "60"),
        ("document", "images", "min", ""),
    ]
    seen = []
    for one in moves:
        state = move(site, *one)
        post(site, "write")
        counts: Counts = {}
        kept = decided(run, read_rules(site.path), counts)
        assert state["totals"]["document"]["kept"] == len(kept)
        assert state["totals"]["text_node"]["kept"] == counts["paragraphs"].kept
        assert state["totals"]["image_node"]["kept"] == counts["images"].kept
        tuner = site.tuner
        mine = {
            doc_id
            for doc_id, keeps in zip(tuner.replay.ids, tuner.replay.kept["document"], strict=True)
            if keeps
        }
        assert mine == kept
        seen.append(len(kept))
    assert seen == [10, 9, 0, 9, 11, 11]


def test_a_drag_is_one_move_of_the_history_and_is_undone_after_a_restart(
    site: Site, tmp_path: Path
) -> None:
    before = get(site, "state.json", scope="document")
    for bound in ("60", "70", "80"):
        post(site, "move", scope="document", signal="words", end="min", bound=bound)
    state = move(site, "document", "words", "min", "90")
    assert [one["says"] for one in state["history"]] == ["words min 20 → 90"]
    move(site, "text_node", "words", "off", "")
    state = move(site, "text_node", "words", "on", "")
    assert (len(state["history"]), state["position"]) == (3, 3)
    again = Site(Tuner(site.tuner.tables.output, str(tmp_path / "loose.yaml")), site.path)
    kept = get(again, "state.json", scope="document")
    assert kept["totals"]["document"]["kept"] == state["totals"]["document"]["kept"]
    undone = post(again, "go", scope="document", position="0")
    assert undone["totals"] == before["totals"]
    redone = post(again, "go", scope="document", position="1")
    assert redone["rules"][1]["bounds"] == {"min": 90, "max": 5000}
    move(again, "document", "words", "min", "50")
    assert len(get(again, "state.json")["history"]) == 2  # what was undone is forgotten


def test_bounds_of_a_language_alone_and_counts_by_language_and_type(site: Site) -> None:
    everything = get(site, "state.json", scope="document")
    english = get(site, "state.json", scope="document", lang="en")
    assert english["totals"]["document"]["rows"] <= everything["totals"]["document"]["rows"]
    assert get(site, "state.json", lang="xx")["totals"]["text_node"]["rows"] == 0
    assert get(site, "state.json", type="forum")["totals"]["document"]["rows"] == 0
    state = move(site, "document", "words", "min", "5000", by="language", group="en")
    words = next(one for one in state["rules"] if one["signal"] == "words")
    assert words["groups"] == [
        {"by": "language", "group": "en", "bounds": {"min": 5000, "max": 5000}}
    ]
    assert words["bounds"] == {"min": 20, "max": 5000}
    post(site, "write")
    rules = read_rules(site.path)
    assert rules.document["words"].languages["en"].min == 5000
    assert state["totals"]["document"]["kept"] == len(decided(site.tuner.tables.output, rules))


def test_bounds_of_a_group_alone_count_what_decide_keeps(site: Site) -> None:
    for by, group, end, bound in (
        ("kind", "text", "min", "3.5"),
        ("page_type", "article", "max", "60"),
        ("kind", "text", "min", "9"),
    ):
        state = move(site, "text_node", "words", end, bound, by=by, group=group)
        post(site, "write")
        counts: Counts = {}
        kept = decided(site.tuner.tables.output, read_rules(site.path), counts)
        assert state["totals"]["document"]["kept"] == len(kept)
        assert state["totals"]["text_node"]["kept"] == counts["paragraphs"].kept
    words = next(one for one in state["rules"] if one["signal"] == "words")
    assert words["bounds"] == {"min": 3}
    assert [(one["by"], one["group"], one["bounds"]) for one in words["groups"]] == [
        ("kind", "text", {"min": 9}), ("page_type", "article", {"min": 3, "max": 60})
    ]  # fmt: skip
    assert [one["says"] for one in state["history"]] == [
        "words min (kind text) none → 3.5",
        "words min (page_type article) none → 3, max (page_type article) none → 60",
        "words min (kind text) 3.5 → 9",
    ]
    wrong = {"scope": "text_node", "signal": "words", "end": "min", "bound": "9", "by": "kind"}
    assert site.post("move", {"token": site.token, **wrong, "group": "menu"}) is None
    again = Site(Tuner(site.tuner.tables.output, str(site.tuner.source)), site.path)
    assert again.tuner.rules == site.tuner.rules


def test_samples_show_the_part_that_decided_and_escape_it(site: Site) -> None:
    move(site, "document", "words", "min", "80")
    for scope, signal in (
        ("document", "words"), ("document", "images"), ("text_node", "stopword_ratio"),
        ("image_node", "url_words"),
    ):  # fmt: skip
        text = get(site, "samples.html", scope=scope, signal=signal)
        page = LexborHTMLParser(text)
        assert page.css("article.sample .part"), signal
        assert not page.css("script")
        assert not [e for e in page.css("*") if any(n.startswith("on") for n in e.attributes)]
    page = LexborHTMLParser(get(site, "samples.html", scope="document", signal="words"))
    assert {"passes this rule", "dropped by this rule"} == {
        one.text() for one in page.css(".verdict")
    }


def test_sweeps_end_where_the_rule_is_and_labels_give_curves(site: Site) -> None:
    found = get(site, "sweep.json", scope="document", signal="words", end="min")
    now = next(one for one in found["points"] if one["bound"] == found["now"])
    state = get(site, "state.json", scope="document")
    assert now["kept"] == state["totals"]["document"]["kept"]
    kept = [one["kept"] for one in found["points"]]
    assert kept == sorted(kept, reverse=True)
    assert "f1" not in now
    for number, doc_id in enumerate(site.tuner.replay.ids):
        action = "keep" if number % 2 else "drop"
        post(site, "label", scope="document", doc_id=doc_id, index="-1", action=action)
    last = get(site, "sweep.json", scope="document", signal="words", end="min")["points"][-1]
    assert last["recall"] == 1 or last["kept"]
    both = get(site, "sweep.json", scope="document", signal="words", end="min",
               other="images", other_end="min")  # fmt: skip
    assert len(both["kept"]) == len(both["bounds"])
    place = both["bounds"].index(20), both["other_bounds"].index(1)
    assert both["kept"][place[0]][place[1]] == now["kept"]


def test_labels_are_saved_undone_exported_and_imported(site: Site) -> None:
    one, two = site.tuner.replay.ids[:2]
    found = post(site, "label", doc_id=one, index="-1", action="keep")
    assert found["labels"]["all"] == 1
    post(site, "label", doc_id=two, index="0", action="drop")
    path = f"{site.tuner.tables.output}/labels.jsonl"
    assert labels.read(path) == {(one, -1): True, (two, 0): False}
    files = {name: get(site, name) for name in exchange.FORMATS}
    assert "Nobody knows who made it" in json.dumps(files["label-studio.json"])
    undone = post(site, "label", action="undo")
    assert (undone["doc_id"], undone["index"], undone["label"]) == (two, 0, "")
    assert labels.read(path) == {(one, -1): True}
    for name, text in files.items():
        sent = text if isinstance(text, str) else json.dumps(text)
        assert post(site, "import", sent)["read"] == 2, name
        assert labels.read(path) == {(one, -1): True, (two, 0): False}
        assert post(site, "label", action="undo")["index"] == 0
        assert post(site, "label", action="undo")["index"] == -1
    assert "error" in post(site, "import", "nothing, of this\nkind,x")
    assert post(site, "import", "doc_id,label\nffff,keep\n") | {"labels": 0} == {
        "read": 0, "unknown": 1, "labels": 0}  # fmt: skip


def test_a_signal_without_a_rule_is_added_and_bounded(site: Site) -> None:
    state = post(site, "watch", scope="document", signal="special_ratio", charts="*")
    assert "special_ratio" in state["charts"]
    assert "special_ratio" not in get(site, "tuned.yaml")
    state = move(site, "document", "special_ratio", "max", "0.03")
    assert "special_ratio: {max: 0.03}" in get(site, "tuned.yaml")
    post(site, "write")
    run = site.tuner.tables.output
    assert state["totals"]["document"]["kept"] == len(decided(run, read_rules(site.path)))


def test_nothing_else_is_answered(site: Site) -> None:
    assert site.get("../secret", {}) is None
    assert site.get("state.json", {"scope": "other"}) is None
    assert site.get("samples.html", {"signal": "none"}) is None
    assert site.get("sweep.json", {"signal": "words", "end": "__class__"}) is None
    good = {"token": site.token, "signal": "words", "end": "min", "bound": "7"}
    assert site.post("move", {**good, "token": ""}) is None
    assert site.post("move", {**good, "bound": "nan"}) is None
    assert site.post("move", {**good, "bound": "x"}) is None
    assert site.post("move", {**good, "end": "other"}) is None
    assert site.post("move", {**good, "signal": "opt_outs"}) is None  # consent is not tuned
    assert site.post("label", {**good, "doc_id": "ffff", "index": "0", "action": "keep"}) is None
    assert site.post("label", {**good, "action": "undo"}) is None
    assert site.post("go", {**good, "position": "-1"}) is None
    assert site.post("other", good) is None


def test_the_server_takes_forms_of_its_own_page_alone(site: Site) -> None:
    with running(server.make_server(site)) as port:

        def ask(method: str, path: str, body: str = "", host: str = "127.0.0.1") -> Any:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, path, body or None, {"Host": host})
            answer = connection.getresponse()
            found = answer.status, answer.headers, answer.read().decode()
            connection.close()
            return found

        status, headers, text = ask("GET", "/")
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "connect-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert site.token in text
        assert ask("GET", "/", host="evil.example")[0] == 403
        form = {"signal": "words", "end": "min", "bound": "50"}
        assert ask("POST", "/move", urlencode(form))[0] == 403
        sent = urlencode({**form, "token": site.token})
        assert ask("POST", "/move", sent, host="evil.example")[0] == 403
        assert ask("POST", "/move", sent)[0] == 200
        assert ask("GET", "/none.json")[0] == 404
    with pytest.raises(UserError, match="loopback only"):
        server.make_server(site, host="0.0.0.0")


def test_the_command_wants_labels_or_a_browser(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", run]) == 2
    assert "--labels FILE or --serve" in capsys.readouterr().err
