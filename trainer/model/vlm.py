"""The whole model: decoder, and with a tower the images, fused early or by cross-attention."""

from __future__ import annotations

import contextlib

import torch
import torch.distributed as dist
from torch import Tensor, nn

from benben.trainer import counter
from benben.trainer.data.batch import Batch
from benben.trainer.distributed.shards import parameters, shard_of
from benben.trainer.longseq.recompute import HostStore
from benben.trainer.longseq.tiling import loss_sum, nll_each
from benben.trainer.model.decoder import Context, Decoder
from benben.trainer.model.positions import alibi_slopes
from benben.trainer.model.vision import Tower, make_connector
from benben.trainer.settings import MemoryConfig, ModelConfig

FROZEN_ALWAYS = {"lora": {"lm"}}  # low-rank training leaves the base weights alone
CHUNK = 1 << 24  # elements initialised at a time


class VLM(nn.Module):
    """Computes the summed loss of a batch. `sp`, `tp_rank`, `tp_size` are set by `parallel`."""

    def __init__(
        self, config: ModelConfig, memory: MemoryConfig | None = None, lazy: bool = False
    ) -> None:
        """`lazy` leaves decoder and connector without storage (the meta device)."""
        super().__init__()
        self.config, self.memory = config, memory or MemoryConfig()
        self.sp: dist.ProcessGroup | None = None
        self.tp_rank, self.tp_size = 0, 1
        self.store = HostStore(self.memory.offload, self.memory.keep_on_device)
        vision = config.vision
        cross = config.fusion == "cross" and vision is not None
        self.vision = Tower(vision) if vision else None
        self.connector = None
        with torch.device("meta") if lazy else contextlib.nullcontext():
            if vision and self.vision:
                self.connector = make_connector(vision, self.vision, config.lm.hidden)
            every = config.cross_every if cross else 0
            latents = self.tokens_per_image
            self.lm = Decoder(config.lm, self.memory.group, every, config.lora_rank, latents)
        freeze(self)

    @property
    def tokens_per_image(self) -> int:
        return self.connector.tokens if self.connector is not None else 0

    def forward(
        self, batch: Batch, z: float = 0.0, want: str = "loss"
    ) -> tuple[Tensor, Tensor] | Tensor:
        """Return (summed loss, its z-loss part).

        `want` "logits": those, [T, vocab]; "nll": that of each label, [T].
        """
        x = self.lm.embed(batch.ids)
        latents = None
        if self.vision is not None and self.connector is not None:
            latents = self.connector(self._see(batch.pixels)).flatten(0, 1)
            x, latents = self._fuse(x, latents, batch)
        context = Context(
            layout=batch.layout,
            rope=self.lm.rope(batch.layout, x.dtype),
            slopes=self._slopes(x),
            sp=self.sp,
            memory=self.memory,
            store=self.store,
            runs=batch.runs,
        )
        hidden = self.lm(x, context, latents)
        weight = self.lm.output_weight
        if want == "logits":
            return hidden @ weight.T
        if want == "nll":
            return nll_each(hidden, weight, batch.labels)
        return loss_sum(hidden, weight, batch.labels, self.memory.tile_loss, z)

    def _see(self, pixels: Tensor) -> Tensor:
        assert self.vision is not None
        if any(p.requires_grad for p in self.vision.parameters()):
            return self.vision(pixels)
        with torch.no_grad():
            return self.vision(pixels)

    def _fuse(self, x: Tensor, latents: Tensor, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Early: image features replace the embeddings of their placeholders."""
        if self.config.fusion == "cross":
            return x + 0 * latents.sum().to(x.dtype) if not batch.images else x, latents
        if not batch.images:  # every rank runs the tower, so that collectives match
            return x + 0 * latents.sum().to(x.dtype), None
        return x.index_copy(0, batch.target, latents[batch.source].to(x.dtype)), None

    def _slopes(self, x: Tensor) -> Tensor | None:
        if self.config.lm.positions != "alibi":
            return None
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        slopes = torch.tensor(alibi_slopes(self.config.lm.heads), dtype=dtype, device=x.device)
        return slopes.chunk(self.tp_size)[self.tp_rank]


def group_of(name: str) -> str:
    """Return a parameter's group: lm, vision, connector, cross or lora."""
    if "lora_" in name:
        return "lora"
    if ".cross" in name:
        return "cross"
    return name.split(".")[0]


def freeze(model: VLM) -> None:
    """Turn off gradients of the frozen groups; with LoRA the decoder's own weights freeze too."""
    frozen = set(model.config.freeze)
    if model.config.lora_rank:
        frozen |= FROZEN_ALWAYS["lora"]
    for name, parameter in parameters(model):
        parameter.requires_grad_(group_of(name) not in frozen)


@torch.no_grad()
def initialise(model: VLM, seed: int = 0) -> None:
    """Fill every parameter from (seed, name, index): the same model on any mesh.

    Matrices are normal: the decoder's with `lm.init`, others with 1/sqrt(inputs); norms are one,
    biases, gates and LoRA's B zero. Weights that come from published ones are loaded afterwards.
    """
    lm = model.config.lm
    std_lm = (1 / (3 * lm.hidden)) ** 0.5 if lm.init == "small" else float(lm.init)
    keep_tower = bool(model.config.vision and model.config.vision.huggingface)
    for name, parameter in parameters(model):
        if keep_tower and name.startswith("vision."):
            continue
        shard = shard_of(parameter)
        if "alpha_" in name or name.endswith(("bias", "lora_b")):
            shard.local.zero_()
        elif parameter.dim() < 2 and "norm" in name:
            shard.local.fill_(1.0)
        else:
            fan_in = parameter.shape[-1] if parameter.dim() < 3 else parameter[0].numel()
            std = std_lm if name.startswith("lm.") and ".cross" not in name else fan_in**-0.5
            flat = shard.local.view(-1) if shard.local.is_contiguous() else shard.local.reshape(-1)
            for a in range(0, flat.numel(), CHUNK):
                index = shard.index(a, min(a + CHUNK, flat.numel()))
                flat[a : a + CHUNK] = counter.normal(counter.key(seed, name), index) * std
    if lm.vocab_size < lm.rows:
        zero_padding(model)


@torch.no_grad()
def zero_padding(model: VLM) -> None:
    """Zero the embedding's rows beyond the vocabulary: they mean nothing and never train."""
    width, used = model.config.lm.hidden, model.config.lm.vocab_size
    for name, parameter in parameters(model):
        if name in ("lm.embed.weight", "lm.head.weight"):
            shard = shard_of(parameter)
            rows = torch.arange(shard.local.shape[0], device=shard.local.device)
            shard.local[(rows + shard.offset[0]) >= used] = 0
            assert shard.shape[1] == width
