"""Predicts peak memory, the longest sequence and the memory options that fit, without a GPU.

A step is run on fake tensors under torch's memory tracker; nothing is computed or allocated.
Sharded states are counted by arithmetic: parameters, gradients and moments divide by dp x sp.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benben.trainer.distributed import torch_compat
from benben.trainer.loop.optimizer import CHUNK
from benben.trainer.model.batch import Batch, Layout
from benben.trainer.model.vlm import VLM
from benben.trainer.settings import Config, MemoryConfig, ModelConfig

GIB = 2**30
TOKENS_PER_IMAGE = 1024  # a plan assumes one image for so many tokens
TEMPORARIES = 4  # AdamW's temporaries at a time, each the size of a parameter
LOW_TEMPORARIES = 64  # bytes for each element of a chunk, with stochastic rounding
# Memory options in the order they are tried: each costs more time, or more host memory.
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"memory": {"tile_loss": 4096}},
    {"memory": {"tile_loss": 4096, "recompute": "layer"}},
    {"memory": {"tile_loss": 4096, "recompute": "layer", "tile_mlp": 8192}},
    {"memory": {"tile_loss": 4096, "recompute": "layer", "tile_mlp": 8192, "offload": True}},
    {
        "memory": {
            "tile_loss": 4096,
            "recompute": "layer",
            "tile_mlp": 8192,
            "offload": True,
            "group": 4,
        }
    },
)
LOW_PRECISION = {"optim": {"dtype": "bfloat16", "params": "bfloat16", "state": "bfloat16"}}


@dataclass(frozen=True)
class Memory:
    """Peak bytes on the device and bytes kept on the host."""

    device: int
    host: int


@contextlib.contextmanager
def _tracked() -> Iterator[Any]:
    tracker = torch_compat.memory_tracker()
    with FakeTensorMode(allow_non_fake_inputs=True), tracker:
        yield tracker


def peak(run: Callable[[], Any]) -> int:
    """Return the peak bytes while `run` works on fake CPU tensors (any build of torch)."""
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


def fake_batch(model: VLM, tokens: int, images: int = 1) -> Batch:
    """Return a batch of one document; its images are encoded but replace no token."""
    layout = Layout((tokens,), 0, tokens, torch.device("cpu"))
    ids = torch.zeros(tokens, dtype=torch.int64)
    layout.__dict__["positions"] = torch.zeros_like(ids)
    side = model.vision.image_size if model.vision is not None else 1
    pixels = torch.zeros(max(images, 1), 3, side, side)
    return Batch(ids, ids, layout, pixels, spans=[])


def step_memory(
    config: ModelConfig,
    memory: MemoryConfig,
    tokens: int,
    dtype: torch.dtype = torch.bfloat16,
    images: int = 1,
) -> Memory:
    """Return the memory of forward and backward pass, parameters and gradients included.

    Results are cached: plans for different numbers of GPUs differ only in the sharded states.
    """
    return _step_memory(config.model_dump_json(), memory.model_dump_json(), tokens, dtype, images)


@functools.lru_cache(maxsize=256)
def _step_memory(config: str, memory: str, tokens: int, dtype: torch.dtype, images: int) -> Memory:
    hosts: list[int] = []

    def run() -> None:
        with default_dtype(dtype):
            model = VLM(
                ModelConfig.model_validate_json(config), MemoryConfig.model_validate_json(memory)
            )
            batch = fake_batch(model, tokens, images)
        loss, _ = model(batch)
        loss.backward()
        hosts.append(model.host_peak)

    return Memory(peak(run), hosts[0])


def parameter_sizes(config: ModelConfig, trained: bool = False) -> list[int]:
    """Return the number of elements of every parameter, or of those that train."""
    with torch.device("meta"):
        model = VLM(config)
    return [p.numel() for p in model.parameters() if p.requires_grad or not trained]


def parameter_count(config: ModelConfig, trained: bool = False) -> int:
    return sum(parameter_sizes(config, trained))


def state_bytes(config: Config, gradients: bool = True) -> float:
    """Return the bytes on one device of parameters, and of gradients and moments of what trains."""
    count, trained = parameter_count(config.model), parameter_count(config.model, trained=True)
    wide, moment = (_size(name) for name in (config.optim.params, config.optim.state))
    shards = max(config.parallel.dp, 1) * config.parallel.sp
    size = count * wide + trained * (gradients * wide + 2 * moment)
    return size / shards / config.parallel.tp


def _size(dtype: str) -> int:
    return torch.empty((), dtype=getattr(torch, dtype)).element_size()


def run_memory(config: Config, tokens: int) -> Memory:
    """Return what a device needs for packs of `tokens` tokens, with one image in every 1,024.

    A forward pass takes `run.micro_packs` of them; only its micro-batch is on the device.

    A step has three peaks. At the start of the backward pass there are all boundary states and no
    gradients of layers; at its end, all gradients and one state; then come the temporaries of the
    optimizer. Depth is extrapolated from two and three groups of layers, as each peak is linear in
    it. With sequence parallelism a device holds tokens / sp, and attention all tokens for
    heads / sp: the same bytes.
    """
    packs = max(1, config.optim.batch_packs // max(config.parallel.dp, 1))  # of a data rank
    local = -(-tokens * min(config.run.micro_packs, packs) // config.parallel.sp)
    dtype, width = getattr(torch, config.optim.dtype), _size(config.optim.dtype)
    images = max(1, local // TOKENS_PER_IMAGE)
    group, layers = config.memory.group, config.model.lm.layers
    found, counts, trained = [], [], []
    for depth in (2 * group, 3 * group):
        model = _with_layers(config.model, depth)
        found.append(step_memory(model, config.memory, local, dtype, images))
        counts.append(parameter_count(model))
        trained.append(parameter_count(model, trained=True))
    one, two = (m.device - n * width for m, n in zip(found, counts, strict=True))
    more, gradients = layers / group - 2, (trained[1] - trained[0]) * width
    if two - one > 1.001 * gradients:  # states grow faster with depth than gradients
        device = state_bytes(config, gradients=False) + one + (two - one) * more
    else:
        device = state_bytes(config) + one - trained[0] * width
    device += _gathered_bytes(config)
    host = found[0].host + (found[1].host - found[0].host) * more
    return Memory(int(max(device, state_bytes(config) + _update_bytes(config))), int(host))


def _gathered_bytes(config: Config) -> float:
    """Return the bytes of what FSDP holds whole, in the type of computation, beside its shards.

    Parameters and gradients of the root (embedding, head, connector) stay for the whole step. Of
    the layers' groups two are gathered at a time, as the next is prefetched; the gradients of one
    are held in that type and, to be summed over the ranks, as float32.
    """
    optim, parallel = config.optim, config.parallel
    if max(parallel.dp, 1) * parallel.sp == 1 and optim.dtype == optim.params:
        return 0.0
    with torch.device("meta"):
        model = VLM(config.model, config.memory)
    width, wide = _size(optim.dtype), max(4, _size(optim.dtype))
    units = [*model.lm.groups, *([model.vision] if model.vision is not None else [])]
    sizes = [_elements(unit) for unit in units]
    whole, trained = _elements(model)
    root, root_trained = whole - sum(s for s, _ in sizes), trained - sum(t for _, t in sizes)
    unit = max(2 * size * width + some * (width + wide) for size, some in sizes) / parallel.tp
    return (root + root_trained) * width + max(unit, root_trained * wide)


def _elements(module: torch.nn.Module) -> tuple[int, int]:
    """Return the number of elements of a module's parameters, and of those that train."""
    found = [(p.numel(), p.requires_grad) for p in module.parameters()]
    return sum(n for n, _ in found), sum(n for n, trains in found if trains)


def _update_bytes(config: Config) -> float:
    """Return the bytes of the optimizer's temporaries: whole parameters, or chunks of them."""
    shards = max(config.parallel.dp, 1) * config.parallel.sp * config.parallel.tp
    largest = max(parameter_sizes(config.model, trained=True), default=0) / shards
    if "bfloat16" in (config.optim.params, config.optim.state):
        return min(largest, CHUNK) * LOW_TEMPORARIES
    return largest * _size(config.optim.state) * TEMPORARIES


def _with_layers(config: ModelConfig, layers: int) -> ModelConfig:
    return config.model_copy(update={"lm": config.lm.model_copy(update={"layers": layers})})


def longest(config: Config, device_cap: float, host_cap: float, start: int = 8192) -> int:
    """Return the longest sequence within both caps (bytes), rounded down to 1024; 0 if none fits.

    The memory needed is a maximum of linear functions of the length: a few secant steps find it.
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
        if guess in (a, b):  # as near as multiples of 1,024 come
            break
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


def advise(
    config: Config, device_gib: float, host_gib: float
) -> tuple[list[str], Config, Memory] | None:
    """Return the first memory options that fit: overrides, config, and the memory needed.

    Returns None if none fits: then shard over more GPUs, or shorten the sequence.
    """
    for low in ({}, LOW_PRECISION):
        for options in OPTIONS:
            changed = _with(config, {**options, **low})
            need = run_memory(changed, config.data.seq_len)
            if need.device <= device_gib * GIB and need.host <= host_gib * GIB:
                return _named(config, changed), changed, need
    return None


def _with(config: Config, sections: dict[str, Any]) -> Config:
    data = config.model_dump()
    for section, values in sections.items():
        data[section] |= values
    return Config.model_validate(data)


def _named(before: Config, after: Config) -> list[str]:
    """Return the settings that differ, as overrides."""
    found = []
    for section in ("memory", "optim"):
        old, new = getattr(before, section).model_dump(), getattr(after, section).model_dump()
        found += [f"{section}.{key}={new[key]}" for key in old if old[key] != new[key]]
    return found
