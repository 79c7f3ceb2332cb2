"""The image encoder (SigLIP or CLIP of transformers) and the connectors to the decoder."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benben.trainer.model.foreign_config import tower_sizes
from benben.trainer.settings import VisionConfig

MEAN_AND_DEVIATION = {  # by channel, of the published encoders
    "siglip": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


class Tower(nn.Module):
    """Pixels [n, 3, H, W] to patch features [n, patches, hidden]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        import transformers

        kind = {"siglip": "Siglip", "clip": "CLIP"}[config.family]
        model_class: Any = getattr(transformers, f"{kind}VisionModel")
        if config.huggingface:
            tower_sizes(config)  # refuses another family
            self.model = model_class.from_pretrained(config.huggingface)
        else:
            sizes = {
                "hidden_size": config.hidden,
                "intermediate_size": config.intermediate or 4 * config.hidden,
                "num_hidden_layers": config.layers,
                "num_attention_heads": config.heads,
                "image_size": config.image_size,
                "patch_size": config.patch_size,
            }
            if config.family == "siglip":
                sizes["vision_use_head"] = False
            hf_config: Any = getattr(transformers, f"{kind}VisionConfig")(**sizes)
            # `initialise` fills every weight, so transformers' own initialisation is skipped
            name, no_init = model_class.__name__, {"init_weights": lambda self: None}
            bare: Any = type(name, (model_class,), no_init)
            self.model = bare._from_config(hf_config, attn_implementation="sdpa")
            if config.stem:
                inner: Any = getattr(self.model, "vision_model", self.model)
                inner.embeddings.patch_embedding = ConvStem(config)
        self.hidden = int(self.model.config.hidden_size)
        self.image_size = int(self.model.config.image_size)
        self.side = self.image_size // int(self.model.config.patch_size)
        self.skip = 1 if config.family == "clip" else 0  # the class token
        self.mean, self.deviation = MEAN_AND_DEVIATION[config.family]

    def normalise(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Return uint8 pixels as the encoder was trained on them; others are normalised already."""
        if pixels.is_floating_point():
            return pixels
        scaled = pixels.float() / 255
        channels = [
            (scaled[:, i] - mean) / deviation
            for i, (mean, deviation) in enumerate(zip(self.mean, self.deviation, strict=True))
        ]
        return torch.stack(channels, 1).to(dtype)

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.model(pixel_values=pixels).last_hidden_state
        return features[:, self.skip :].contiguous() if self.skip else features


class ConvStem(nn.Conv2d):
    """Stride-2 convolutions in place of the patch embedding, so that a tower trains sooner.

    Xiao et al. 2021, "Early Convolutions Help Transformers See Better". The module itself is the
    last convolution, 1 x 1 to the tower's width: the tower reads its weight.
    """

    def __init__(self, config: VisionConfig) -> None:
        halvings = config.patch_size.bit_length() - 1
        widths = [3, *(config.stem * 2**i for i in range(halvings))]
        super().__init__(widths[-1], config.hidden, 1)
        self.early = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in widths[1:])

    def forward(self, pixels: Tensor) -> Tensor:
        """[n, 3, H, W] to [n, hidden, H / patch, W / patch]."""
        for layer, norm in zip(self.early, self.norms, strict=True):
            pixels = F.gelu(norm(layer(pixels)))
        return super().forward(pixels)


class PixelShuffle(nn.Module):
    """Folds s x s patches into one token, then a bias-free linear (Idefics3, SmolVLM)."""

    def __init__(self, config: VisionConfig, side: int, width: int, hidden: int) -> None:
        super().__init__()
        if side % config.shuffle:
            raise ValueError(f"{side} patches a side do not divide by shuffle {config.shuffle}")
        self.side, self.scale = side, config.shuffle
        self.tokens = (side // config.shuffle) ** 2
        self.proj = nn.Linear(width * config.shuffle**2, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, patches, width] to [n, tokens, hidden]."""
        n, s, g = x.shape[0], self.scale, self.side // self.scale
        x = x.view(n, g, s, g, s, -1).transpose(2, 3)
        return self.proj(x.reshape(n, g * g, -1))


class PerceiverLayer(nn.Module):
    """Latents attend to patches and latents; then a feed-forward of four times the width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_x, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, width, bias=False)
        self.o = nn.Linear(width, width, bias=False)
        self.norm_mlp = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        normed = self.norm_latents(latents)
        keys = torch.cat([self.norm_x(x), normed], 1)
        q, k, v = (
            proj(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for proj, y in ((self.q, normed), (self.k, keys), (self.v, keys))
        )
        out = F.scaled_dot_product_attention(q, k, v)
        latents = latents + self.o(out.transpose(1, 2).flatten(-2))
        return latents + self.down(F.gelu(self.up(self.norm_mlp(latents))))


class Perceiver(nn.Module):
    """A fixed number of learned latents read each image (Flamingo's resampler)."""

    def __init__(self, config: VisionConfig, width: int, hidden: int) -> None:
        super().__init__()
        self.tokens = config.latents
        self.latents = nn.Parameter(torch.empty(config.latents, width))
        heads = config.heads if width % config.heads == 0 else 1
        self.layers = nn.ModuleList(PerceiverLayer(width, heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        latents = self.latents.expand(x.shape[0], -1, -1)
        for layer in self.layers:
            latents = layer(x, latents)
        return self.proj(self.norm(latents))


def make_connector(config: VisionConfig, tower: Tower, hidden: int) -> PixelShuffle | Perceiver:
    if config.connector == "perceiver":
        return Perceiver(config, tower.hidden, hidden)
    return PixelShuffle(config, tower.side, tower.hidden, hidden)
