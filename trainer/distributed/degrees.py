"""What a mesh of given degrees refuses of a config: shared by `train` and `plan`."""

from __future__ import annotations

from collections.abc import Iterator

from benben.trainer.settings import Config


def misfits(config: Config, dp: int, sp: int, tp: int) -> list[str]:
    """Return why a run cannot start on dp x sp x tp ranks, one sentence each; empty if it can."""
    return [*_data(config, dp, sp), *_decoder(config, sp, tp)]


def _data(config: Config, dp: int, sp: int) -> Iterator[str]:
    data, optim = config.data, config.optim
    if not data.mix:
        yield "data.mix names no corpus"
    packs = {"optim.batch_packs": optim.batch_packs, "data.lanes": data.lanes}
    if optim.ramp_from:
        packs |= {"optim.ramp_from": optim.ramp_from, "optim.ramp_step": optim.ramp_step}
    for name, value in packs.items():
        if value % dp:
            yield f"{name} {value} must be a multiple of the {dp} data ranks"
    lanes = data.lanes // dp
    if data.lanes % dp == 0 and data.workers and lanes % data.workers:
        yield f"data.workers {data.workers} must divide the {lanes} lanes of a data rank"
    if data.seq_len % sp:
        yield f"data.seq_len {data.seq_len} must be a multiple of parallel.sp {sp}"


def _decoder(config: Config, sp: int, tp: int) -> Iterator[str]:
    lm = config.model.lm
    if tp > 1 and config.model.lora_rank:
        yield "model.lora_rank needs parallel.tp 1"
    if tp > 1 and lm.qk_norm:
        yield "model.lm.qk_norm needs parallel.tp 1"
    if lm.huggingface and not lm.vocab_size:
        return  # the sizes are those of its config.json, not read yet
    for name, size in (("heads", lm.heads), ("kv_heads", lm.kv), ("intermediate", lm.ffn)):
        if size % tp:
            yield f"model.lm.{name} {size} must be a multiple of parallel.tp {tp}"
    heads, kv = lm.heads // tp, max(lm.kv // tp, 1)
    if heads % sp:
        yield f"{heads} heads of a tensor rank must be a multiple of parallel.sp {sp}"
    elif kv % sp and sp % kv:
        yield f"{kv} key-value heads neither divide nor replicate to parallel.sp {sp}"
