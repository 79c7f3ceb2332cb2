"""Golden lints, the wave formula, and BLOOM's published throughput in the right order."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from benben.trainer.commands import cli
from benben.trainer.config import ConfigError, load
from benben.trainer.planning import gemm, hardware, lint, published, search, shape
from benben.trainer.settings import Config, LMConfig

A100 = hardware.gpu("a100")
# hidden, layers, tensor ranks, sequences a GPU; TFLOP/s by heads; the slow row. One run each, 48
# nodes of 8 A100: BigScience's chronicles of its 176B model's shape.
BLOOM_TABLE: list[tuple[int, int, int, int, dict[int, float], int | None]] = [
    (14336, 72, 8, 4, {16: 133.2, 32: 130.0, 64: 134.2, 112: 116.2, 128: 129.1, 256: 121.4}, 112),
    (13824, 78, 8, 4, {64: 133.9, 96: 130.2, 128: 99.8}, 128),
    (12288, 96, 8, 4, {64: 128.7, 96: 108.8, 128: 122.3}, 96),
    (13312, 84, 8, 4, {64: 132.0, 128: 125.6}, None),
    (13312, 82, 4, 2, {64: 151.7, 104: 128.1, 128: 145.7}, 104),
    (14336, 70, 4, 2, {64: 153.7, 112: 150.05, 128: 148.1}, None),
]


def config(tp: int = 1, **lm: Any) -> Config:
    return Config.model_validate(
        {"model": {"lm": lm, "vision": None}, "parallel": {"tp": tp}, "data": {"seq_len": 2048}}
    )


def findings(tp: int = 1, **lm: Any) -> dict[str, str]:
    return {f.rule: f.fix for f in lint.lint(config(tp, **lm))}


def test_head_dimension_80_becomes_128() -> None:
    """GPT-3 2.7B."""
    found = findings(vocab_size=50304, hidden=2560, layers=32, heads=32, activation="gelu")
    assert found == {"head-dim": "use 128 (20 heads)"}


def test_vocabularies_are_padded() -> None:
    sizes = {"hidden": 2560, "layers": 32, "heads": 20, "activation": "gelu", "vocab_multiple": 1}
    assert "(50,304 rows)" in findings(vocab_size=50257, **sizes)["vocabulary"]
    found = findings(4, vocab_size=250680, **{**sizes, "heads": 40, "hidden": 5120})
    assert "(250,880 rows)" in found["vocabulary"]


def test_swiglu_width_of_llama_2() -> None:
    lm = {"vocab_size": 32000, "hidden": 4096, "layers": 32, "heads": 32, "intermediate": 10922}
    assert "11,008" in findings(**lm)["mlp-width"].split(", ")
    assert 11008 in lint.widths(LMConfig(**lm))[:3]


@pytest.mark.parametrize(("name", "tp"), [("bigscience/bloom", 4), ("meta-llama/Llama-3.1-8B", 1)])
def test_published_shapes_are_clean(name: str, tp: int) -> None:
    assert findings(tp, huggingface=name) == {}


def test_what_cannot_run_is_refused_at_load(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("model: {lm: {heads: 6, hidden: 96, vocab_size: 100}}\ndata: {seq_len: 100}\n")
    with pytest.raises(ConfigError, match=r"6 heads .* 4 sequence ranks; use sp 2"):
        load(str(file), ["parallel.sp=4"])
    with pytest.raises(ConfigError, match=r"tensor-ranks: heads 6"):
        load(str(file), ["parallel.tp=4"])
    with pytest.raises(ConfigError, match="use shuffle 2"):
        load(str(file), ["model.vision.shuffle=3"])
    assert load(str(file)).model.lm.heads == 6


def test_slow_shapes_are_told_at_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("model: {lm: {heads: 32, hidden: 2560, vocab_size: 50304}}\n")
    load(str(file))
    message = capsys.readouterr().err
    assert "warning head-dim: head dimension 80" in message
    assert "use 128 (20 heads)" in message


def test_waves() -> None:
    assert gemm.wave_share(108, 108) == 1.0
    assert gemm.wave_share(109, 108) == pytest.approx(0.5046, abs=1e-4)


def test_a_product_is_bound_by_what_it_lacks() -> None:
    large = gemm.score(gemm.Gemm("large", 8192, 8192, 8192), A100)
    thin = gemm.score(gemm.Gemm("thin", 8192, 1024, 64, batch=64), A100)
    assert (large.bound, thin.bound) == ("compute", "memory")
    assert large.tile_share == 1.0
    odd = gemm.score(gemm.Gemm("odd", 8192, 8190, 8192), A100)
    assert odd.seconds > 2 * large.seconds
    assert gemm.score(gemm.Gemm("x", 8, 8, 8), A100, {(1, 8, 8, 8): 3.0}).seconds == 3.0


def predicted(row: tuple[Any, ...]) -> dict[int, float]:
    """TFLOP/s by heads, of parameters' work."""
    hidden, layers, tp, sequences, measured, _ = row
    work = shape.Work(sequences=sequences, length=2048, tp=tp, fused=False)
    found = {}
    for heads in measured:
        sizes = {"hidden": hidden, "layers": layers, "heads": heads, "vocab_size": 250880}
        bloom = published.decoder(LMConfig(huggingface="bigscience/bloom"))
        lm = bloom.model_copy(update=sizes)
        found[heads] = shape.parameters(lm) / shape.step_seconds(lm, work, A100)
    return found


def order_accuracy() -> float:
    right = total = 0
    for row in BLOOM_TABLE:
        measured, guess = row[4], predicted(row)
        for a, b in itertools.combinations(measured, 2):
            right += (measured[a] > measured[b]) == (guess[a] > guess[b])
            total += 1
    return right / total


def test_blooms_table_is_ranked() -> None:
    """The bar: slow rows slowest or second slowest, at least 70% of pairs in order."""
    assert order_accuracy() >= 0.7
    for row in BLOOM_TABLE:
        if row[5]:
            guess = predicted(row)
            assert row[5] in sorted(guess, key=guess.__getitem__)[:2], row


def test_blooms_pairs_are_in_order_without_what_was_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """`odd_heads` was fitted to this table; the rest of the model was not."""
    monkeypatch.setitem(hardware.facts(), "odd_heads", 1.0)
    assert order_accuracy() >= 0.7


def test_parameters_are_the_models() -> None:
    from benben.trainer.planning.memory import parameter_count
    from benben.trainer.settings import ModelConfig

    for lm in (
        LMConfig(vocab_size=300, kv_heads=2),
        LMConfig(vocab_size=300, positions="learned", activation="gelu", bias=True, tie=True),
        LMConfig(vocab_size=300, embed_norm=True, norm="layernorm", bias=True),
    ):
        assert shape.parameters(lm) == parameter_count(ModelConfig(lm=lm, vision=None))


def test_bloom_has_176_billion() -> None:
    """70 layers of 14,336 and 250,880 rows."""
    bloom = published.decoder(LMConfig(huggingface="bigscience/bloom"))
    assert shape.parameters(bloom) == pytest.approx(176.2e9, rel=0.01)
    assert shape.parameters(bloom) == 176_247_271_424  # as its model card has it


def test_search_betters_a_bad_shape_at_equal_parameters() -> None:
    bad = LMConfig(vocab_size=50257, hidden=2560, layers=32, heads=32, vocab_multiple=1)
    started = time.process_time()
    found = search.neighbours(bad, shape.Work(), A100)
    assert time.process_time() - started < 2
    assert found[0].speedup > 1.05
    target = shape.parameters(bad)
    for candidate in found:
        assert candidate.parameters == pytest.approx(target, rel=0.02)
        assert lint.lint(config(**candidate.lm.model_dump())) == []
    depths = [abs(c.lm.layers - bad.layers) for c in found]
    assert depths == sorted(depths, reverse=True)


def test_measured_products_are_kept(tmp_path: Path) -> None:
    """The same code times CUDA's products; here the CPU's."""
    from benben.trainer.planning import measure

    path = measure.table_path(tmp_path, "Some GPU")
    one = gemm.Gemm("one", 32, 16, 8)
    table = measure.measure([one], path, "cpu")
    assert set(table) == {(1, 32, 16, 8), (1, 32, 8, 16), (1, 8, 16, 32)}
    assert measure.load(path) == table
    rows = json.loads(path.read_text())
    rows["products"][0][4] = 9.0
    path.write_text(json.dumps(rows))
    assert measure.measure([one], path, "cpu")[1, 8, 16, 32] == 9.0, "measured again"


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["shape", "llama-8b-512k", "data.seq_len=4096", "--search"]) == 0
    out = capsys.readouterr().out
    assert "no remarks; 8,030,261,248 parameters" in out
    assert "speedup" in out
    assert cli.main(["shape", "demo", "--gpu", "tpu"]) == 2
    assert "known: v100" in capsys.readouterr().err
    import torch

    if not torch.cuda.is_available():
        assert cli.main(["shape", "demo", "--measure"]) == 2
        assert "needs a CUDA GPU" in capsys.readouterr().err
