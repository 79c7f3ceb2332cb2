from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlencode

import pytest

from benben.analysis.explore import original, server
from benben.analysis.explore.explorer import Explorer
from benben.analysis.tuning import labels
from benben.sample.serve import running
from tests.analysis.run_folder import make


@pytest.fixture
def made(tmp_path: Path) -> Explorer:
    return Explorer(make(tmp_path / "run"))


def post(port: int, path: str = "/label", host: str = "", **form: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if host:
        headers["Host"] = host
    connection.request("POST", path, urlencode(form), headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers.get("Location", "")
    connection.close()
    return found


def test_labels_are_saved_where_the_tuner_reads_them_and_undone(made: Explorer) -> None:
    with running(server.make_server(made)) as port:
        known = made.labelling
        assert known
        one, two = made.index.doc_id(0), made.index.doc_id(1)
        given = {"token": known.token}
        assert post(port, "/label?lang=en", **given, action="keep", doc_id=one) == (
            303,
            f"/document-{one}.html?lang=en",
        )
        post(port, **given, action="drop", doc_id=two)
        post(port, **given, action="drop", doc_id=one)
        assert labels.read(known.path) == {(one, -1): False, (two, -1): False}
        assert post(port, **given, action="undo")[1] == f"/document-{one}.html"
        assert labels.read(known.path) == {(one, -1): True, (two, -1): False}
        post(port, **given, action="undo")
        post(port, **given, action="undo")
        assert labels.read(known.path) == {}
        assert post(port, **given, action="undo")[0] == 403  # nothing is left


def test_only_forms_of_this_server_label(made: Explorer) -> None:
    with running(server.make_server(made)) as port:
        known = made.labelling
        assert known
        form = {"action": "keep", "doc_id": made.index.doc_id(0)}
        assert post(port, **form)[0] == 403
        assert post(port, **form, token="é" + known.token)[0] == 403
        assert post(port, host="evil.example", **form, token=known.token)[0] == 403
        assert post(port, "/other", **form, token=known.token)[0] == 403
        unknown = {**form, "doc_id": "0" * 32, "token": known.token}
        assert post(port, **unknown)[0] == 403
        assert labels.read(known.path) == {}
        assert known.token not in Explorer(made.tables.output).policy


def test_a_server_that_others_reach_takes_no_labels(made: Explorer) -> None:
    server.make_server(made, host="0.0.0.0").server_close()
    assert made.labelling is None
    page = made.page(f"document-{made.index.doc_id(0)}.html", {})
    assert page
    assert 'method="post"' not in page


HOSTILE = """<html><head><base href="http://evil/">
<meta http-equiv="refresh" content="0;url=//evil"><link rel="dns-prefetch" href="//evil">
<script>evil()</script></head><body onload="evil()"><a href="http://evil/" ping="//evil">text</a>
<img src="http://evil/a.png" srcset="http://evil/b"><iframe src="http://evil"></iframe>
<form action="http://evil"><button formaction="//evil">go</button></form>
<svg><a xlink:href="http://evil">s</a></svg><img src="kept.png"></body></html>"""


def test_nothing_of_a_page_as_it_was_leads_elsewhere() -> None:
    page = original.safe_page(HOSTILE, {"kept.png": "data:image/jpeg;base64,AAAA"})
    assert page is not None
    assert "evil" not in page
    assert "text" in page
    assert page.count("data:image/jpeg;base64,AAAA") == 1
    assert "sandbox" in original.POLICY
