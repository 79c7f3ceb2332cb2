"""What a run will need, without a GPU: peak memory and longest sequence by fake tensors.

A step is run on fake tensors under torch's memory tracker; nothing is computed or allocated.
Sharded states are counted by arithmetic: parameters, gradients and moments divide by dp x sp.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from trainer import compat
from trainer.batch import Batch
from trainer.model import huggingface
from trainer.model.layout import Layout
from trainer.model.vlm import VLM
from trainer.settings import Config, MemoryConfig, ModelConfig

GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """Peak bytes on the device and bytes kept on the host."""

    device: int
    host: int


@contextlib.contextmanager
def _tracked() -> Iterator[Any]:
    if compat.MemTracker is None:
        raise RuntimeError("this torch has no memory tracker; `plan` needs torch 2.5 to 2.13")
    tracker = compat.MemTracker()
    with FakeTensorMode(allow_non_fake_inputs=True), tracker:
        yield tracker


def peak(run: Callable[[], Any]) -> int:
    """Return the peak bytes while `run` executes on fake tensors (of the CPU: any build has it)."""
    with _tracked() as tracker:
        run()
    parts = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
    return int(next(v for k, v in parts.items() if getattr(k, "value", k) == "Total"))


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)


def fake_batch(model: VLM, tokens: int) -> Batch:
    """Return a batch of one document of text."""
    layout = Layout((tokens,), 0, tokens, torch.device("cpu"))
    ids = torch.zeros(tokens, dtype=torch.int64)
    layout.__dict__["positions"] = torch.zeros_like(ids)
    side = model.vision.image_size if model.vision is not None else 1
    pixels = torch.zeros(1, 3, side, side)
    empty = torch.zeros(0, dtype=torch.int64)
    return Batch(ids, ids, layout, pixels, empty, empty, [], 0)


def step_memory(
    config: ModelConfig, memory: MemoryConfig, tokens: int, dtype: torch.dtype = torch.bfloat16
) -> Memory:
    """Return the memory of forward and backward, parameters and gradients included."""
    hosts: list[int] = []

    def run() -> None:
        with default_dtype(dtype):
            model = VLM(config, memory)
            batch = fake_batch(model, tokens)
        loss, _ = model(batch)
        loss.backward()
        hosts.append(model.store.host_peak)

    return Memory(peak(run), hosts[0])


def parameter_count(config: ModelConfig) -> int:
    with torch.device("meta"):
        model = VLM(config)
    return sum(p.numel() for p in model.parameters())


def state_bytes(config: Config) -> float:
    """Return the bytes of parameters, gradients and moments on one device."""
    count = parameter_count(config.model)
    wide = torch.empty((), dtype=getattr(torch, config.optim.params)).element_size()
    moment = torch.empty((), dtype=getattr(torch, config.optim.state)).element_size()
    shards = max(config.parallel.dp, 1) * config.parallel.sp
    return count * (2 * wide + 2 * moment) / shards / config.parallel.tp


def with_sizes(config: Config) -> Config:
    """Return the config with a published decoder's sizes and some vocabulary filled in."""
    lm = config.model.lm
    if lm.huggingface:
        lm = huggingface.decoder_config(lm)
    lm = lm.model_copy(update={"vocab_size": lm.vocab_size or config.data.tokenizer_vocab})
    return config.model_copy(update={"model": config.model.model_copy(update={"lm": lm})})


def run_memory(config: Config, tokens: int) -> Memory:
    """Return a device's need for a step of `tokens` tokens: states and what the step adds.

    Depth is extrapolated from one and two groups of layers (memory is linear in it). With sequence
    parallelism a device holds tokens / sp and attention all tokens for heads / sp: the same bytes.
    """
    local = -(-tokens // config.parallel.sp)
    dtype = getattr(torch, config.optim.dtype)
    group, layers = config.memory.group, config.model.lm.layers
    found, counts = [], []
    for depth in (group, 2 * group):
        model = _with_layers(config.model, depth)
        found.append(step_memory(model, config.memory, local, dtype))
        counts.append(parameter_count(model))
    width = torch.empty((), dtype=dtype).element_size() * 2  # parameters and gradients
    one, two = (m.device - n * width for m, n in zip(found, counts, strict=True))
    more = layers / group - 1
    device = state_bytes(config) + one + max(two - one, 0) * more
    host = found[0].host + (found[1].host - found[0].host) * more
    return Memory(int(device), int(host))


def _with_layers(config: ModelConfig, layers: int) -> ModelConfig:
    return config.model_copy(update={"lm": config.lm.model_copy(update={"layers": layers})})


def longest(config: Config, device_cap: float, host_cap: float, start: int = 8192) -> int:
    """Return the longest sequence (rounded down to 1024) within both caps, in bytes; 0 for none.

    The need is a maximum of linear functions of the length: secants close in from a few samples.
    """
    samples = [(n, run_memory(config, n)) for n in (start, 2 * start)]
    for _ in range(4):
        (a, need_a), (b, need_b) = samples[-2:]
        lengths = [
            _crossing(a, b, need_a.device, need_b.device, device_cap),
            _crossing(a, b, need_a.host, need_b.host, host_cap),
        ]
        guess = int(min(lengths)) // 1024 * 1024
        if guess <= 1024:
            return 0
        need = run_memory(config, guess)
        fits = need.device <= device_cap and need.host <= host_cap
        if fits and (need.device > 0.98 * device_cap or need.host > 0.98 * host_cap):
            return guess
        samples.append((guess, need))
    good = [n for n, m in samples if m.device <= device_cap and m.host <= host_cap]
    return max(good, default=0)


def _crossing(a: int, b: int, need_a: float, need_b: float, cap: float) -> float:
    slope = (need_b - need_a) / (b - a)
    return min(b + (0.995 * cap - need_b) / slope, 2.0**27) if slope > 0 else 2.0**27


def loss_peak(tokens: int, vocabulary: int, hidden: int, tile: int) -> int:
    """Return the peak bytes of the head's loss alone, bfloat16, forward and backward."""
    from trainer.longseq.tiling import loss_sum

    def run() -> None:
        def make(*shape: int) -> Tensor:
            return torch.empty(*shape, dtype=torch.bfloat16, requires_grad=True)

        states, weight = make(tokens, hidden), make(vocabulary, hidden)
        labels = torch.zeros(tokens, dtype=torch.int64)
        loss, _ = loss_sum(states, weight, labels, tile)
        loss.backward()

    return peak(run)
