"""How images reach the decoder: one class for each fusion.

To add one, write a subclass of `Fusion`, enter it in `FUSIONS`, and add its name to
`settings.FusionName`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benben.common.config_files import ConfigError
from benben.trainer.model.batch import ImageSpan, Pack, to_device
from benben.trainer.model.decoder import Context, scaled_dot_product
from benben.trainer.settings import LMConfig, ModelConfig


class Fusion(ABC):
    """All that depends on the kind of fusion; pickled to the data workers, so without weights.

    `tokens_per_image` is the number of features the connector makes of an image; 0 for a model
    of text alone. `every` is the distance of extra blocks, where a fusion has any.
    """

    def __init__(self, tokens_per_image: int, every: int = 0) -> None:
        self.tokens_per_image, self.every = tokens_per_image, every

    @abstractmethod
    def image_marks(self, image: int, fence: int) -> tuple[int, ...]:
        """Return the ids that hold the place of an image, given the ids of both marks."""

    @abstractmethod
    def spans(self, pack: Pack) -> list[tuple[int, int]]:
        """Return for each image of a pack the tokens [a, b) that need it."""

    @abstractmethod
    def fuse(
        self, x: Tensor, features: Tensor, spans: Sequence[ImageSpan]
    ) -> tuple[Tensor, Tensor | None]:
        """Return the embeddings [T, hidden] and the features that extra blocks read, if any.

        `features` are [images x tokens, hidden].
        """

    def blocks_before(self, layer: int, config: LMConfig) -> dict[str, nn.Module]:
        """Return the extra blocks before a layer of the decoder.

        A name is one word for the fusion and the layer's number: the word is the parameters' group
        (`freeze`, `optim.lr_scale`).
        """
        return {}


class EarlyFusion(Fusion):
    """Image features replace the embeddings of their placeholders (LLaVA, Idefics2)."""

    def image_marks(self, image: int, fence: int) -> tuple[int, ...]:
        return (fence, *[image] * self.tokens_per_image, fence)

    def spans(self, pack: Pack) -> list[tuple[int, int]]:
        return [(slot, slot + self.tokens_per_image) for slot in pack.slots]

    def fuse(
        self, x: Tensor, features: Tensor, spans: Sequence[ImageSpan]
    ) -> tuple[Tensor, Tensor | None]:
        if not spans:
            return x, None
        places: list[int] = []
        rows: list[int] = []
        for span in spans:
            first = span.image * self.tokens_per_image + span.skipped
            places += range(span.start, span.stop)
            rows += range(first, first + span.stop - span.start)
        target, source = (to_device(torch.tensor(v), x.device) for v in (places, rows))
        return x.index_copy(0, target, features[source].to(x.dtype)), None


class CrossFusion(Fusion):
    """Text attends to the last image before it, in gated blocks before every k-th layer.

    IDEFICS's fusion (OBELICS, Laurençon et al. 2023, after Flamingo, Alayrac et al. 2022).
    """

    def image_marks(self, image: int, fence: int) -> tuple[int, ...]:
        return (image,)

    def spans(self, pack: Pack) -> list[tuple[int, int]]:
        """Return for each image the tokens from itself to the next image or the document's end."""
        spans = []
        for i, slot in enumerate(pack.slots):
            end = next(b for b in pack.bounds if b > slot)
            if i + 1 < len(pack.slots):
                end = min(end, pack.slots[i + 1])
            spans.append((slot, end))
        return spans

    def fuse(
        self, x: Tensor, features: Tensor, spans: Sequence[ImageSpan]
    ) -> tuple[Tensor, Tensor | None]:
        return x, features

    def blocks_before(self, layer: int, config: LMConfig) -> dict[str, nn.Module]:
        if not self.tokens_per_image or layer % self.every:
            return {}
        return {f"cross{layer}": CrossBlock(config, self.tokens_per_image)}


FUSIONS: dict[str, type[Fusion]] = {"early": EarlyFusion, "cross": CrossFusion}


def make_fusion(config: ModelConfig, tokens_per_image: int) -> Fusion:
    """Return the fusion that a config names. Raises ConfigError for an unknown one."""
    if config.fusion not in FUSIONS:
        known = ", ".join(FUSIONS)
        raise ConfigError(f"model.fusion: {config.fusion!r} is unknown; known: {known}")
    return FUSIONS[config.fusion](tokens_per_image, config.cross_every)


class CrossBlock(nn.Module):
    """x + tanh(a) XAttn(norm x, features), then x + tanh(b) MLP(norm x).

    The gates a and b start at zero, so that the model is at first the language model alone.
    """

    reads_images = True

    def __init__(self, config: LMConfig, tokens_per_image: int) -> None:
        super().__init__()
        self.dim, self.tokens_per_image = config.dim, tokens_per_image
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

    def forward(self, x: Tensor, context: Context, features: Tensor) -> Tensor:
        """Add to x [T, hidden] what it reads from the features [images x tokens, hidden]."""
        q, k, v = (
            proj(y).unflatten(-1, (-1, self.dim))
            for proj, y in ((self.q, self.norm1(x)), (self.k, features), (self.v, features))
        )
        q, k = self.norm_q(q), self.norm_k(k)
        out = attend_images(q, k, v, context.spans, self.tokens_per_image)
        x = x + torch.tanh(self.alpha_attn) * self.o(out.flatten(-2))
        h = self.norm2(x)
        return x + torch.tanh(self.alpha_mlp) * self.down(F.silu(self.gate(h)) * self.up(h))


def attend_images(
    q: Tensor, k: Tensor, v: Tensor, spans: Sequence[ImageSpan], tokens_per_image: int
) -> Tensor:
    """Cross-attention: the tokens of a span attend to the features of its image.

    q is [T, H, d]; k and v are [images x tokens, H, d]. Tokens in no span get exactly zero.
    """
    if not spans:  # still a function of all three: every rank must have the same gradients
        return 0 * q + 0 * (k.sum() + v.sum())
    parts, places = [], []
    for start, stop, image, _ in spans:
        keys = slice(image * tokens_per_image, (image + 1) * tokens_per_image)
        parts.append(scaled_dot_product(q[start:stop], k[keys], v[keys]))
        places.append(torch.arange(start, stop, device=q.device))
    return torch.zeros_like(q).index_copy(0, torch.cat(places), torch.cat(parts))
