"""The whole model: image encoder, connector, decoder, the loss; its groups and initialisation."""

from __future__ import annotations

import contextlib
import re

import torch
import torch.distributed as dist
from torch import Tensor, nn

from benben.trainer import counter_rng
from benben.trainer.distributed.shards import parameters, shard_of
from benben.trainer.long_sequences.recompute import HostStore
from benben.trainer.long_sequences.tiling import tiled_loss
from benben.trainer.model.batch import IGNORE, Batch, ImageSpan, to_device, wide_dtype
from benben.trainer.model.decoder import Cache, Context, Decoder, alibi_slopes
from benben.trainer.model.fusion import make_fusion
from benben.trainer.model.vision import Tower, make_connector
from benben.trainer.settings import MemoryConfig, ModelConfig

CHUNK = 1 << 24  # elements initialised at a time
_EXTRA_BLOCK = re.compile(r"^lm\.(?:layers|groups\.\d+)\.([a-z_]+)\d+\.")  # a fusion's


class VLM(nn.Module):
    """Computes the summed loss of a batch.

    `parallel.distribute` sets `sp` (the sequence group), `tp_rank` and `tp_size`.
    """

    def __init__(
        self, config: ModelConfig, memory: MemoryConfig | None = None, lazy: bool = False
    ) -> None:
        """With `lazy`, decoder and connector get no storage (torch's meta device)."""
        super().__init__()
        self.config, self.memory = config, memory or MemoryConfig()
        self.sp: dist.ProcessGroup | None = None
        self.tp_rank, self.tp_size = 0, 1
        self.store: HostStore | None = None
        if self.memory.recompute != "none":
            self.store = HostStore(self.memory.offload, self.memory.keep_on_device)
        vision, lm = config.vision, config.lm
        self.vision = Tower(vision) if vision else None
        self.connector = None
        with torch.device("meta") if lazy else contextlib.nullcontext():
            if vision and self.vision:
                self.connector = make_connector(vision, self.vision, lm.hidden)
            self.fusion = make_fusion(config, self.tokens_per_image)
            blocks = self.fusion.blocks_before
            self.lm = Decoder(lm, self.memory.group, config.lora_rank, blocks)
        freeze(self)

    @property
    def tokens_per_image(self) -> int:
        return self.connector.tokens if self.connector is not None else 0

    @property
    def host_peak(self) -> int:
        """The most bytes that recomputation has kept in host memory."""
        return self.store.host_peak if self.store else 0

    def forward(
        self, batch: Batch, z: float = 0.0, want: str = "loss", cache: Cache | None = None
    ) -> tuple[Tensor, Tensor] | Tensor:
        """Return the summed loss and its z-loss part.

        `want` "logits" returns those instead, [T, vocab]; "nll" the loss of each label, [T]. With a
        cache the batch is the next tokens of its document; only the first ones may have images.
        """
        x, features = self._embed(batch) if cache is None else self._embed_next(batch, cache)
        spans = batch.spans
        if cache is not None:
            batch.layout.__dict__["positions"] = batch.layout.positions + cache.length
            if cache.length:
                spans = [ImageSpan(0, len(batch.ids), cache.image, 0)] if cache.image >= 0 else []
        context = Context(
            layout=batch.layout,
            rope=self.lm.rope(batch.layout, x.dtype),
            slopes=self._slopes(x),
            sp=self.sp,
            memory=self.memory,
            store=self.store,
            spans=spans,
            cache=cache,
        )
        hidden = self.lm(x, context, features)
        if cache is not None:
            cache.length += len(batch.ids)
        weight = self.lm.output_weight
        if want == "logits":
            return hidden @ weight.T
        if want == "nll":
            return nll_each(hidden, weight, batch.labels)
        return loss_sum(hidden, weight, batch.labels, self.memory.tile_loss, z)

    def _tokens(self, ids: Tensor) -> Tensor:
        """Embed ids, scaled where the decoder does so; the scale is rounded as embeddings are."""
        x = self.lm.embed(ids)
        scale = self.config.lm.embed_scale
        return x if scale == 1.0 else x * torch.tensor(scale, dtype=x.dtype)

    def _embed(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Embed the tokens and fuse them with the images' features."""
        x = self._tokens(batch.ids)
        if self.vision is None or self.connector is None:
            return x, None
        features = self.connector(self._encode(batch.pixels, x.dtype)).flatten(0, 1)
        if not batch.images:  # every rank runs the encoder, so that the collective calls match
            x = x + 0 * features.sum().to(x.dtype)
        return self.fusion.fuse(x, features, batch.spans)

    def _embed_next(self, batch: Batch, cache: Cache) -> tuple[Tensor, Tensor | None]:
        """Embed the next tokens of a document, whose images were encoded with its first tokens."""
        if not cache.length:
            x, cache.features = self._embed(batch)
            cache.image = max((span.image for span in batch.spans), default=-1)
            return x, cache.features
        return self._tokens(batch.ids), cache.features

    def _encode(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        assert self.vision is not None
        pixels = self.vision.normalise(pixels, dtype)
        if any(p.requires_grad for p in self.vision.parameters()):
            return self.vision(pixels)
        with torch.no_grad():
            return self.vision(pixels)

    def _slopes(self, x: Tensor) -> Tensor | None:
        if self.config.lm.positions != "alibi":
            return None
        values = alibi_slopes(self.config.lm.heads)
        slopes = to_device(torch.tensor(values, dtype=wide_dtype(x.dtype)), x.device)
        return slopes.chunk(self.tp_size)[self.tp_rank]


def loss_sum(
    hidden: Tensor, weight: Tensor, labels: Tensor, tile: int = 0, z: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of hidden states [T, D] and its z-loss part (detached).

    `labels` [T] are already shifted; -100 is ignored. The loss is computed `tile` tokens at a time,
    or at once for 0. z-loss: z * logsumexp^2 (PaLM).
    """
    if tile:
        return tiled_loss(hidden, weight, labels, tile, z)
    logits = (hidden @ weight.T).to(wide_dtype(hidden.dtype))
    nll = nn.functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    if not z:
        return nll, torch.zeros_like(nll)
    z_loss = z * (logits.logsumexp(-1).square() * (labels != IGNORE)).sum()
    return nll + z_loss, z_loss.detach()


@torch.no_grad()
def nll_each(hidden: Tensor, weight: Tensor, labels: Tensor, tile: int = 2048) -> Tensor:
    """Return the negative log-likelihood of each label [T], 0 where ignored; for evaluation."""
    parts = []
    for start in range(0, hidden.shape[0], tile):
        rows = slice(start, start + tile)
        logits = (hidden[rows] @ weight.T).to(wide_dtype(hidden.dtype))
        parts.append(
            nn.functional.cross_entropy(logits, labels[rows], ignore_index=IGNORE, reduction="none")
        )
    return torch.cat(parts)


def group_of(name: str) -> str:
    """Return a parameter's group: lm, vision, connector, lora, or a fusion's (such as cross)."""
    if "lora_" in name:
        return "lora"
    extra = _EXTRA_BLOCK.match(name)
    return extra[1] if extra else name.split(".")[0]


def freeze(model: VLM) -> None:
    """Turn off the gradients of the frozen groups; LoRA also freezes the decoder's own weights."""
    frozen: set[str] = {*model.config.freeze, *(["lm"] if model.config.lora_rank else [])}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(group_of(name) not in frozen)


@torch.no_grad()
def initialise(model: VLM, seed: int = 0) -> None:
    """Fill every parameter from its (seed, name, index), which gives the same model on any mesh.

    Matrices are normal: the decoder's with `lm.init`, others with 1/sqrt(inputs). Norms are one;
    biases, gates and LoRA's B are zero. Published weights are loaded afterwards.
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
            std = std_lm if group_of(name) in ("lm", "lora") else fan_in**-0.5
            flat = shard.local.view(-1) if shard.local.is_contiguous() else shard.local.reshape(-1)
            for a in range(0, flat.numel(), CHUNK):
                index = shard.index(a, min(a + CHUNK, flat.numel()))
                flat[a : a + CHUNK] = counter_rng.normal(counter_rng.key(seed, name), index) * std
    if lm.vocab_size < lm.rows:
        zero_padding(model)


@torch.no_grad()
def zero_padding(model: VLM) -> None:
    """Zero the rows of embedding and head beyond the vocabulary: they stand for no token."""
    width, used = model.config.lm.hidden, model.config.lm.vocab_size
    for name, parameter in parameters(model):
        if name in ("lm.embed.weight", "lm.head.weight"):
            shard = shard_of(parameter)
            rows = torch.arange(shard.local.shape[0], device=shard.local.device)
            shard.local[(rows + shard.offset[0]) >= used] = 0
            assert shard.shape[1] == width
