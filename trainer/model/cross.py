"""IDEFICS's fusion: gated cross-attention of text to the latents of the last image before it.

Gates start at zero, so that the model is the language model alone at first
(Flamingo, Alayrac et al. 2022; OBELICS, Laurençon et al. 2023).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benben.trainer.model.attention import attend_runs
from benben.trainer.settings import LMConfig


class CrossBlock(nn.Module):
    """x + tanh(a) XAttn(norm x, latents), then x + tanh(b) MLP(norm x)."""

    def __init__(self, config: LMConfig, latents: int) -> None:
        super().__init__()
        self.dim, self.latents = config.dim, latents
        wide = config.heads * config.dim
        self.norm1 = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.q = nn.Linear(config.hidden, wide, bias=False)
        self.k = nn.Linear(config.hidden, wide, bias=False)
        self.v = nn.Linear(config.hidden, wide, bias=False)
        self.o = nn.Linear(wide, config.hidden, bias=False)
        self.norm_q = nn.RMSNorm(config.dim, eps=config.norm_eps)
        self.norm_k = nn.RMSNorm(config.dim, eps=config.norm_eps)
        self.norm2 = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.gate = nn.Linear(config.hidden, config.ffn, bias=False)
        self.up = nn.Linear(config.hidden, config.ffn, bias=False)
        self.down = nn.Linear(config.ffn, config.hidden, bias=False)
        self.alpha_attn = nn.Parameter(torch.zeros(1))
        self.alpha_mlp = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, latents: Tensor, runs: list[tuple[int, int, int]]) -> Tensor:
        """`latents` [images x tokens, hidden]; tokens of no run attend to nothing."""
        q, k, v = (
            proj(y).unflatten(-1, (-1, self.dim))
            for proj, y in ((self.q, self.norm1(x)), (self.k, latents), (self.v, latents))
        )
        out = attend_runs(self.norm_q(q), self.norm_k(k), v, runs, self.latents)
        x = x + torch.tanh(self.alpha_attn) * self.o(out.flatten(-2))
        h = self.norm2(x)
        return x + torch.tanh(self.alpha_mlp) * self.down(F.silu(self.gate(h)) * self.up(h))
