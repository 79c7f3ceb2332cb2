"""A decoder with switches: Llama's and BLOOM's blocks and what lies between.

All tensors are packed: [T, hidden], with a Layout saying where documents lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from benben.trainer.longseq import ulysses
from benben.trainer.longseq.recompute import HostStore, recompute
from benben.trainer.longseq.tiling import tiled
from benben.trainer.model.attention import attend
from benben.trainer.model.cross import CrossBlock
from benben.trainer.model.layout import Layout
from benben.trainer.model.linear import Linear
from benben.trainer.model.positions import rope_tables, rotate
from benben.trainer.settings import LMConfig, MemoryConfig


@dataclass(frozen=True)
class Context:
    """What every layer needs besides its input."""

    layout: Layout
    rope: tuple[Tensor, Tensor] | None
    slopes: Tensor | None  # of this tensor-parallel rank's heads
    sp: dist.ProcessGroup | None
    memory: MemoryConfig
    store: HostStore | None
    runs: list[tuple[int, int, int]]  # cross fusion: tokens [a, b) see image i


def make_norm(config: LMConfig) -> nn.Module:
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.hidden, eps=config.norm_eps)
    return nn.LayerNorm(config.hidden, eps=config.norm_eps)


class Attention(nn.Module):
    def __init__(self, config: LMConfig, rank: int) -> None:
        super().__init__()
        self.dim = config.dim
        wide, narrow = config.heads * config.dim, config.kv * config.dim
        self.q = Linear(config.hidden, wide, config.bias, rank)
        self.k = Linear(config.hidden, narrow, config.bias, rank)
        self.v = Linear(config.hidden, narrow, config.bias, rank)
        self.o = Linear(wide, config.hidden, config.bias, rank)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        q, k, v = (proj(x).unflatten(-1, (-1, self.dim)) for proj in (self.q, self.k, self.v))
        if context.rope:
            q, k = rotate(q, context.rope), rotate(k, context.rope)
        slopes = context.slopes
        if context.sp:
            q, k, v = ulysses.scatter_heads(q, k, v, context.sp)
            slopes = None if slopes is None else ulysses.head_slice(slopes, context.sp)
        out = attend(q, k, v, context.layout, slopes)
        if context.sp:
            out = ulysses.gather_heads(out, context.sp)
        return self.o(out.flatten(-2))


class MLP(nn.Module):
    def __init__(self, config: LMConfig, rank: int) -> None:
        super().__init__()
        self.gate = (
            Linear(config.hidden, config.ffn, config.bias, rank)
            if config.activation == "swiglu"
            else None
        )
        self.up = Linear(config.hidden, config.ffn, config.bias, rank)
        self.down = Linear(config.ffn, config.hidden, config.bias, rank)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is not None:
            return self.down(F.silu(self.gate(x)) * self.up(x))
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, config: LMConfig, rank: int) -> None:
        super().__init__()
        self.norm1, self.attn = make_norm(config), Attention(config, rank)
        self.norm2, self.mlp = make_norm(config), MLP(config, rank)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = x + self.attn(self.norm1(x), context)
        return x + tiled(self.mlp, self.norm2(x), context.memory.tile_mlp)


class Group(nn.Module):
    """Consecutive layers between two kept states; the unit of sharding.

    Children are named by the layer's number, so that names can be told without the grouping.
    """

    def __init__(self, blocks: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = list(blocks)
        for name, block in blocks.items():
            self.add_module(name, block)

    def forward(self, x: Tensor, context: Context, latents: Tensor | None = None) -> Tensor:
        def run_all(x: Tensor, latents: Tensor | None) -> Tensor:
            for name in self.names:
                x = self._one(name, x, context, latents, inner=context.memory.group > 1)
            return x

        if context.memory.recompute == "none" or not torch.is_grad_enabled():
            for name in self.names:
                x = self._one(name, x, context, latents, inner=False)
            return x
        return recompute(run_all, self, x, latents, context.store)

    def _one(
        self, name: str, x: Tensor, context: Context, latents: Tensor | None, inner: bool
    ) -> Tensor:
        block = self.get_submodule(name)

        def run(x: Tensor, latents: Tensor | None) -> Tensor:
            if isinstance(block, CrossBlock):
                return block(x, latents, context.runs)
            return block(x, context)

        if inner and torch.is_grad_enabled():
            return recompute(run, block, x, latents if isinstance(block, CrossBlock) else None)
        return run(x, latents)


class Decoder(nn.Module):
    """Embedding, groups of layers, final norm, head (None: tied to the embedding)."""

    def __init__(
        self, config: LMConfig, group: int = 1, cross_every: int = 0, rank: int = 0, latent: int = 0
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
                if cross_every and i % cross_every == 0:
                    blocks[f"cross{i}"] = CrossBlock(config, latent)
                blocks[str(i)] = Block(config, rank)
            groups.append(Group(blocks))
        self.groups = nn.ModuleList(groups)
        self.norm = make_norm(config)
        self.head = None if config.tie else nn.Linear(config.hidden, config.rows, bias=False)

    def forward(self, x: Tensor, context: Context, latents: Tensor | None = None) -> Tensor:
        """Map embeddings [T, hidden] to final hidden states."""
        if self.places is not None:
            x = x + self.places(context.layout.positions)
        if self.embed_norm is not None:
            x = self.embed_norm(x)
        for group in self.groups:
            x = group(x, context, latents)
        return self.norm(x)

    @property
    def output_weight(self) -> Tensor:
        """Return the head's rows that stand for tokens (padding rows are cut off)."""
        weight = self.embed.weight if self.head is None else self.head.weight
        return weight[: self.config.vocab_size]

    def rope(self, layout: Layout, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        if self.config.positions != "rope":
            return None
        return rope_tables(self.config, layout.positions, dtype)
