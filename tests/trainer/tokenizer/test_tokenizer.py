"""Training twice, coming back, and what a report says."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.trainer.commands import cli
from benben.trainer.data.corpus import Corpus
from benben.trainer.data.packing import load_vocabulary
from benben.trainer.tokenizer import fertility, training

WORDS = {
    "en": "the boat goes over the water and every lighthouse is lit when night comes",
    "de": "das Boot fährt über das Wasser und jeder Leuchtturm brennt wenn die Nacht kommt",
    "fr": "le bateau passe sur l'eau et chaque phare s'allume quand la nuit tombe",
    "es": "el barco va sobre el agua y cada faro se enciende cuando llega la noche",
    "sw": "mashua inapita juu ya maji na kila mnara unawaka usiku unapofika",
    "ru": "лодка идёт по воде и каждый маяк горит когда приходит ночь",
    "ar": "القارب يمر فوق الماء وكل منارة تضيء عندما يأتي الليل",
    "hi": "नाव पानी पर जाती है और रात होने पर हर दीपस्तंभ जलता है",
    "zh": "小 船 在 水 上 走 天 黑 了 每 座 灯 塔 都 亮 着",
}
ODD = [
    "emoji 👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 ﷺ\u200f",
    "def f(x):\n\treturn {'a': [x ** 2, \"\\n\"]}  # <image> <s>\r\n",
    "ไทยไม่มีช่องว่าง ကျွန်တော် བོད་ཡིག 日本語テキスト 한국어",
    "  leading, trailing  \n\n\n tabs\t\t",
    "a\x00b \u2028 \ufeff \U0010ffff",
    "",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents in nine languages, English ten times as many as the others."""
    made = random.Random(0)
    rows: dict[str, list[object]] = {"images": [], "texts": [], "lang": [], "doc_id": []}
    for lang, line in WORDS.items():
        words = line.split()
        glue = "" if lang == "zh" else " "
        for number in range(400 if lang == "en" else 40):
            text = glue.join(made.choices(words, k=40))
            rows["images"].append([None])
            rows["texts"].append([text])
            rows["lang"].append(lang)
            rows["doc_id"].append(f"{lang}-{number}")
    schema = pa.schema(
        {
            "images": pa.list_(pa.string()),
            "texts": pa.list_(pa.string()),
            "lang": pa.string(),
            "doc_id": pa.string(),
        }
    )
    folder = tmp_path_factory.mktemp("corpus")
    pq.write_table(pa.table(rows, schema), folder / "part.parquet")
    return folder


def command(action: str, corpus: Path, out: Path, *more: str) -> int:
    common = ["--data", str(corpus), "--out", str(out), "--bytes", "60000"]
    return cli.main(["tokenizer", action, *common, *more])


def test_trained_twice_is_byte_identical(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert command("train", corpus, tmp_path / name, "--vocab", "700", "--reserved", "20") == 0
        assert command("report", corpus, tmp_path / name, "--gap", "0.5") == 0
    for file in ("tokenizer.json", "fertility.md", "fertility.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert "| en | " in capsys.readouterr().out


def test_every_text_comes_back(corpus: Path, tmp_path: Path) -> None:
    assert command("train", corpus, tmp_path, "--vocab", "700", "--reserved", "20") == 0
    found = load_vocabulary(str(tmp_path))
    assert found.size == 700
    texts = [*WORDS.values(), *ODD]
    ids = found.encode(texts)
    assert [found.tokenizer.decode(i) for i in ids] == texts
    marks = {found.bos, found.eos, found.pad, found.image, found.fence}
    assert len(marks) == 5
    assert max(marks) < found.size, "the file has ids for the marks"
    assert not marks & {i for line in ids for i in line}, "text that spells a mark became one"


def test_small_languages_are_raised(corpus: Path) -> None:
    share = {}
    for alpha in (1.0, 0.3):
        texts = training.sample([Corpus(str(corpus))], alpha, 30_000)
        assert set(texts) == set(WORDS)
        sizes = {lang: sum(len(t.encode()) for t in v) for lang, v in texts.items()}
        share[alpha] = sizes["sw"] / sum(sizes.values())
    assert share[0.3] > 1.5 * share[1.0]


def test_rows_are_padded() -> None:
    assert training.rows(250_680, 4) == 250_880
    assert training.rows(50_257, 1) == 50_304


def test_gate_fails_a_language_that_was_left_out(corpus: Path, tmp_path: Path) -> None:
    texts = training.sample([Corpus(str(corpus))], 1.0, 10**6)
    without = {lang: v for lang, v in texts.items() if lang != "ru"}
    made = training.train(without, 700)
    made.save(str(tmp_path / "tokenizer.json"))
    lines = {x.lang: x for x in fertility.report(made, texts, texts, 512)}
    assert not lines["ru"].passes()
    assert lines["en"].passes()
    assert lines["ru"].parity is not None
    assert lines["ru"].parity > 3
    assert lines["zh"].words == sum(len(t) for t in texts["zh"]), "a letter is a word there"
    assert command("report", corpus, tmp_path, "--baseline-vocab", "512") == 1


def test_words_keep_their_marks() -> None:
    assert fertility.WORD.findall("हिन्दी don't 2026 ไทย 日本") == [
        *("हिन्दी", "don", "t", "2026", "ไ", "ท", "ย", "日", "本"),
    ]
