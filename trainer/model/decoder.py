"""The decoder: Llama's and BLOOM's blocks and everything between them, by settings.

All tensors are packed, [T, hidden]; a Layout says where documents lie. In the order of the file:
positions, attention, the layers, the decoder.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from benben.trainer.distributed import torch_compat
from benben.trainer.long_sequences import ulysses
from benben.trainer.long_sequences.recompute import HostStore, recompute
from benben.trainer.long_sequences.tiling import tiled
from benben.trainer.model.batch import ImageSpan, Layout, wide_dtype
from benben.trainer.settings import AttentionKernel, LMConfig, MemoryConfig

LORA_SCALE = 2.0  # alpha over rank
ALIBI_ROWS = 256  # query rows whose bias is in memory at a time on the CPU

# Positions: rotary tables and ALiBi's slopes.


def rope_frequencies(config: LMConfig, device: torch.device) -> Tensor:
    """Return the rotary frequencies, [dim / 2] float32 (Su et al. 2021).

    `rope_scaling` stretches long wavelengths as Llama 3.1 does.
    """
    exponent = torch.arange(0, config.dim, 2, device=device, dtype=torch.int64).float() / config.dim
    frequencies = 1.0 / (config.rope_theta**exponent)
    scaling = config.rope_scaling
    if not scaling:
        return frequencies
    old = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    wavelength = 2 * math.pi / frequencies
    smooth = ((old / wavelength - low) / (high - low)).clamp(0, 1)
    return (1 - smooth) * frequencies / scaling["factor"] + smooth * frequencies


def rope_tables(config: LMConfig, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosines and sines for the positions, each [T, 1, dim]."""
    wide = wide_dtype(dtype)
    frequencies = rope_frequencies(config, positions.device).to(wide)
    angles = positions.to(wide)[:, None] * frequencies
    angles = torch.cat([angles, angles], -1)[:, None, :]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions to [T, heads, dim]; halves are rotated, as in Hugging Face's Llama."""
    cos, sin = tables
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def alibi_slopes(heads: int) -> list[float]:
    """Return ALiBi's slopes (Press et al. 2022): 2^(-8i/n) for n = 2^k heads.

    For other numbers of heads: the slopes of the next lower power p, then every second one of 2p.
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8.0 * i / power) for i in range(1, power + 1)]
    if power < heads:
        slopes += alibi_slopes(2 * power)[0::2][: heads - power]
    return slopes


# Attention over packed documents, never with a T x T mask. On the CPU there is one call for each
# document; on CUDA it is `varlen_attn` (without a bias) or FlexAttention (ALiBi), neither of which
# has a backward pass on the CPU. `memory.attention` chooses another one. All take and return
# [T, heads, dim].


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: Layout,
    slopes: Tensor | None = None,
    kernel: AttentionKernel = "auto",
) -> Tensor:
    """Causal attention within each document; `slopes` [heads] add ALiBi's bias m (j - i)."""
    automatic = kernel == "auto" and q.is_cuda
    if kernel == "flex" or (automatic and slopes is not None):
        return _flex(q, k, v, layout, slopes)
    half = q.dtype in (torch.bfloat16, torch.float16)  # all that the flash kernels take
    if automatic and half and torch_compat.varlen_attn is not None:
        borders, longest = layout.cumulative_lengths, layout.longest
        return torch_compat.varlen_causal(q, k, v, borders, borders, (longest, longest))
    one = _causal if slopes is None else functools.partial(_causal_alibi, slopes=slopes)
    parts = [
        one(q[a:b], k[a:b], v[a:b]) for a, b in zip(layout.bounds, layout.bounds[1:], strict=False)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def scaled_dot_product(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """torch's attention on [T, H, d]; groups of query heads share key and value heads."""
    if k.shape[1] != q.shape[1]:
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, **options)
    return out.squeeze(0).transpose(0, 1)


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return scaled_dot_product(q, k, v, is_causal=True)


def _causal_alibi(q: Tensor, k: Tensor, v: Tensor, slopes: Tensor) -> Tensor:
    """Attend in blocks of query rows, so that the bias takes ALIBI_ROWS x T at a time."""
    parts = []
    for start in range(0, q.shape[0], ALIBI_ROWS):
        stop = min(start + ALIBI_ROWS, q.shape[0])
        rows = torch.arange(start, stop, device=q.device)
        distance = torch.arange(stop, device=q.device)[None, :] - rows[:, None]
        bias = slopes[:, None, None] * distance.to(slopes.dtype)
        bias = bias.masked_fill(distance > 0, float("-inf")).to(q.dtype)
        parts.append(scaled_dot_product(q[start:stop], k[:stop], v[:stop], attn_mask=bias[None]))
    return torch.cat(parts)


@functools.cache
def _flex_kernel(compiled: bool) -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    kernel: Callable[..., Tensor] = flex_attention
    return torch.compile(kernel, dynamic=False) if compiled else kernel


def _flex(q: Tensor, k: Tensor, v: Tensor, layout: Layout, slopes: Tensor | None = None) -> Tensor:
    """FlexAttention with a block-sparse causal document mask (1/16384 of T x T).

    On CUDA it is compiled; on the CPU it computes T x T scores, and has no backward pass.
    """
    from torch.nn.attention.flex_attention import create_block_mask

    document, size = layout.document, q.shape[0]

    def mask(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (i >= j) & (document[i] == document[j])

    def score(s: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return s if slopes is None else s + slopes[h] * (j - i)

    blocks = layout.__dict__.get("_blocks")
    if blocks is None:
        blocks = create_block_mask(
            mask, None, None, size, size, device=q.device, _compile=q.is_cuda
        )
        layout.__dict__["_blocks"] = blocks
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
    options: dict[str, Any] = {"enable_gqa": k.shape[1] != q.shape[1]}
    options["score_mod"] = None if slopes is None else score
    out = _flex_kernel(q.is_cuda)(q, k, v, block_mask=blocks, **options)
    return out.squeeze(0).transpose(0, 1)


class Cache:
    """Keys and values of the tokens of one document so far, and what its images gave.

    `length` is the number of tokens. A fork shares what is there and grows by itself.
    """

    def __init__(self) -> None:
        self.length = 0
        self.features: Tensor | None = None  # of images, for the blocks that read them
        self.image = -1  # the last image so far
        self._kept: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def fork(self) -> Cache:
        """Return a copy, so that several continuations share a beginning."""
        other = Cache()
        other.length, other.features, other.image = self.length, self.features, self.image
        other._kept = dict(self._kept)
        return other

    def extend(self, layer: nn.Module, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append a layer's keys and values [t, H, d]; return all of them."""
        if layer in self._kept:
            old_k, old_v = self._kept[layer]
            k, v = torch.cat([old_k, k]), torch.cat([old_v, v])
        self._kept[layer] = (k, v)
        return k, v


def attend_cached(q: Tensor, k: Tensor, v: Tensor, slopes: Tensor | None) -> Tensor:
    """Causal attention of the last tokens q [t, H, d] to all of a document, k and v [T, H, d]."""
    if slopes is None and q.shape[0] in (1, k.shape[0]):
        return scaled_dot_product(q, k, v, is_causal=q.shape[0] > 1)
    rows = torch.arange(k.shape[0] - q.shape[0], k.shape[0], device=q.device)
    distance = torch.arange(k.shape[0], device=q.device)[None, :] - rows[:, None]
    none = torch.zeros(q.shape[1], dtype=wide_dtype(q.dtype), device=q.device)
    bias = (none if slopes is None else slopes)[:, None, None] * distance
    bias = bias.masked_fill(distance > 0, float("-inf")).to(q.dtype)
    return scaled_dot_product(q, k, v, attn_mask=bias[None])


# The layers.


@dataclass(frozen=True)
class Context:
    """What every layer needs besides its input."""

    layout: Layout
    rope: tuple[Tensor, Tensor] | None
    slopes: Tensor | None  # of the heads of this tensor-parallel rank
    sp: dist.ProcessGroup | None
    memory: MemoryConfig
    store: HostStore | None
    spans: list[ImageSpan]  # which tokens need which image
    cache: Cache | None = None  # of one document that is generated


def make_norm(config: LMConfig) -> nn.Module:
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.hidden, eps=config.norm_eps)
    return nn.LayerNorm(config.hidden, eps=config.norm_eps)


class Linear(nn.Linear):
    """A linear layer with an optional low-rank addition (LoRA, Hu et al. 2021).

    y = x W' + b + (x A') B' * 2; B starts at zero. The base weight keeps its name.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool, rank: int = 0) -> None:
        super().__init__(inputs, outputs, bias)
        self.lora_a = nn.Parameter(torch.empty(rank, inputs)) if rank else None
        self.lora_b = nn.Parameter(torch.empty(outputs, rank)) if rank else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight, self.bias)
        if self.lora_a is None or self.lora_b is None:
            return y
        return y + F.linear(F.linear(x, self.lora_a), self.lora_b) * LORA_SCALE


class Attention(nn.Module):
    def __init__(self, config: LMConfig, rank: int, layer: int = 0) -> None:
        super().__init__()
        self.dim, self.rotates = config.dim, layer not in config.no_rope_layers
        wide, narrow = config.heads * config.dim, config.kv * config.dim
        bias = config.bias or config.qkv_bias
        self.q = Linear(config.hidden, wide, bias, rank)
        self.k = Linear(config.hidden, narrow, bias, rank)
        self.v = Linear(config.hidden, narrow, bias, rank)
        self.norm_q, self.norm_k = (
            nn.RMSNorm(config.dim, eps=config.norm_eps) if config.qk_norm else None
            for _ in range(2)
        )
        self.o = Linear(wide, config.hidden, config.bias, rank)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        q, k, v = (proj(x).unflatten(-1, (-1, self.dim)) for proj in (self.q, self.k, self.v))
        if self.norm_q is not None and self.norm_k is not None:
            q, k = self.norm_q(q), self.norm_k(k)
        if context.rope and self.rotates:
            q, k = rotate(q, context.rope), rotate(k, context.rope)
        slopes = context.slopes
        if context.sp:
            q, k, v = ulysses.scatter_heads(q, k, v, context.sp)
            slopes = None if slopes is None else ulysses.head_slice(slopes, context.sp)
        if context.cache is not None:
            k, v = context.cache.extend(self, k, v)
            out = attend_cached(q, k, v, slopes)
        else:
            out = attend(q, k, v, context.layout, slopes, context.memory.attention)
        if context.sp:
            out = ulysses.gather_heads(out, context.sp)
        return self.o(out.flatten(-2))


class MLP(nn.Module):
    def __init__(self, config: LMConfig, rank: int) -> None:
        super().__init__()
        self.gate = (
            Linear(config.hidden, config.ffn, config.bias, rank)
            if config.activation != "gelu"
            else None
        )
        self.silu = config.activation == "swiglu"
        self.up = Linear(config.hidden, config.ffn, config.bias, rank)
        self.down = Linear(config.ffn, config.hidden, config.bias, rank)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is not None and self.silu:
            return self.down(F.silu(self.gate(x)) * self.up(x))
        if self.gate is not None:
            return self.down(F.gelu(self.gate(x), approximate="tanh") * self.up(x))
        return self.down(F.gelu(self.up(x), approximate="tanh"))


def compile_parts(decoder: nn.Module, backend: str = "inductor") -> int:
    """Let torch.compile fuse the MLPs and norms, in place; return how many.

    Attention has kernels of its own, and what is around it depends on the documents of a pack.
    """
    parts = [m for m in decoder.modules() if isinstance(m, MLP | nn.RMSNorm | nn.LayerNorm)]
    for part in parts:
        part.compile(backend=backend, dynamic=True)
    return len(parts)


class Block(nn.Module):
    """x + attention(norm x), then x + MLP(norm x)."""

    reads_images = False

    def __init__(self, config: LMConfig, rank: int, layer: int = 0) -> None:
        super().__init__()
        self.norm1, self.attn = make_norm(config), Attention(config, rank, layer)
        self.norm2, self.mlp = make_norm(config), MLP(config, rank)

    def forward(self, x: Tensor, context: Context, features: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), context)
        normed, tile = self.norm2(x), context.memory.tile_mlp
        return x + (tiled(self.mlp, normed, tile) if tile else self.mlp(normed))


class Group(nn.Module):
    """Consecutive layers between two kept states; the unit of sharding.

    Children are named by the layer's number, so that parameter names can be told without knowing
    the groups.
    """

    def __init__(self, blocks: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = list(blocks)
        for name, block in blocks.items():
            self.add_module(name, block)

    def forward(self, x: Tensor, context: Context, features: Tensor | None = None) -> Tensor:
        def run_all(x: Tensor, features: Tensor | None) -> Tensor:
            for name in self.names:
                x = self._one(name, x, context, features, inner=context.memory.group > 1)
            return x

        if context.memory.recompute == "none" or not torch.is_grad_enabled():
            for name in self.names:
                x = self._one(name, x, context, features, inner=False)
            return x
        return recompute(run_all, self, x, features, context.store)

    def _one(
        self, name: str, x: Tensor, context: Context, features: Tensor | None, inner: bool
    ) -> Tensor:
        block = self.get_submodule(name)

        def run(x: Tensor, features: Tensor | None) -> Tensor:
            return block(x, context, features)

        if inner and torch.is_grad_enabled():
            return recompute(run, block, x, features if block.reads_images else None)
        return run(x, features)


class Decoder(nn.Module):
    """Embedding, groups of layers, final norm, head (None: tied to the embedding).

    `blocks_before` gives the blocks that a fusion of images puts before a layer.
    """

    def __init__(
        self,
        config: LMConfig,
        group: int = 1,
        rank: int = 0,
        blocks_before: Callable[[int, LMConfig], dict[str, nn.Module]] = lambda *_: {},
    ) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.rows, config.hidden)
        learned = config.positions == "learned"
        self.places = nn.Embedding(config.max_positions, config.hidden) if learned else None
        self.embed_norm = make_norm(config) if config.embed_norm else None
        groups: list[nn.Module] = []
        for start in range(0, config.layers, group):
            blocks: dict[str, nn.Module] = {}
            for i in range(start, min(start + group, config.layers)):
                blocks |= {**blocks_before(i, config), str(i): Block(config, rank, i)}
            groups.append(Group(blocks))
        self.groups = nn.ModuleList(groups)
        self.norm = make_norm(config)
        self.head = None if config.tie else nn.Linear(config.hidden, config.rows, bias=False)

    def forward(self, x: Tensor, context: Context, features: Tensor | None = None) -> Tensor:
        """Map embeddings [T, hidden] to final hidden states; `features` are those of images."""
        if self.places is not None:
            x = x + self.places(context.layout.positions)
        if self.embed_norm is not None:
            x = self.embed_norm(x)
        for group in self.groups:
            x = group(x, context, features)
        return self.norm(x)

    @property
    def output_weight(self) -> Tensor:
        """The rows of the head that stand for tokens (padding rows are cut off)."""
        weight = self.embed.weight if self.head is None else self.head.weight
        return weight[: self.config.vocab_size]

    def rope(self, layout: Layout, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        if self.config.positions != "rope":
            return None
        return rope_tables(self.config, layout.positions, dtype)
