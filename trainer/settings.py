"""A training run's settings, typed; unknown keys are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=0)]  # of which there may be none
Size = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
FusionName = Literal["early", "cross"]  # the classes of `model/fusion.py`
AttentionKernel = Literal["auto", "documents", "flex"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LMConfig(Section):
    """The decoder. Defaults are Llama's shape of block at a tiny size."""

    vocab_size: Count = 0  # 0: the tokenizer's
    vocab_multiple: Size = 128  # embedding rows are padded to it; padding rows have no logit
    hidden: Size = 128
    layers: Size = 2
    heads: Size = 4
    kv_heads: Size | None = None  # None: as many as heads
    head_dim: Size | None = None
    intermediate: Size | None = None  # None: 4 hidden (gelu), 8/3 hidden rounded up to 64 (swiglu)
    positions: Literal["rope", "alibi", "learned", "none"] = "rope"
    rope_theta: float = 10000.0
    rope_scaling: dict[str, float] | None = None  # Llama 3.1: factor, low/high_freq_factor, ...
    max_positions: Size = 2048  # learned positions only
    no_rope_layers: list[Count] = []  # rope: layers that have no positions (SmolLM3)
    activation: Literal["swiglu", "geglu", "gelu"] = "swiglu"  # the first two are gated
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    norm_eps: float = 1e-5
    bias: bool = False
    qkv_bias: bool = False  # of query, key and value alone (Qwen2)
    qk_norm: bool = False  # RMSNorm of each head's query and key (Qwen3)
    embed_scale: Positive = 1.0  # of the embeddings at the input (Gemma: the root of hidden)
    embed_norm: bool = False
    tie: bool = False
    init: float | Literal["small"] = "small"  # small: sqrt(1 / (3 hidden)), BLOOM's
    huggingface: str | None = None  # folder or hub name of Llama or BLOOM weights to start from

    @property
    def kv(self) -> int:
        return self.kv_heads or self.heads

    @property
    def dim(self) -> int:
        return self.head_dim or self.hidden // self.heads

    @property
    def ffn(self) -> int:
        if self.intermediate:
            return self.intermediate
        if self.activation == "gelu":
            return 4 * self.hidden
        return -(-8 * self.hidden // 3 // 64) * 64

    @property
    def rows(self) -> int:
        """Rows of the embedding: the vocabulary padded to `vocab_multiple`."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple

    @model_validator(mode="after")
    def _shapes(self) -> LMConfig:
        if self.heads % self.kv:
            raise ValueError(f"heads {self.heads} must be a multiple of kv_heads {self.kv}")
        if not self.head_dim and self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} must be a multiple of heads {self.heads}")
        return self


class VisionConfig(Section):
    """The image encoder: a random SigLIP or CLIP of these sizes, or published weights."""

    family: Literal["siglip", "clip"] = "siglip"
    huggingface: str | None = None  # folder or hub name; sizes then come from it
    image_size: Size = 32
    patch_size: Size = 8
    stem: Count = 0  # channels of the first of log2(patch_size) convolutions; 0: a patch embedding
    hidden: Size = 64
    intermediate: Size | None = None  # None: 4 hidden
    layers: Size = 2
    heads: Size = 4
    connector: Literal["pixel_shuffle", "perceiver"] = "pixel_shuffle"
    shuffle: Size = 2  # pixel shuffle's scale: tokens an image = patches / shuffle^2
    latents: Size = 8  # perceiver's tokens an image
    depth: Size = 2  # perceiver's layers

    @model_validator(mode="after")
    def _stem(self) -> VisionConfig:
        if self.stem and self.huggingface:
            raise ValueError("published weights have no stem: leave vision.stem at 0")
        if self.stem and self.patch_size & (self.patch_size - 1):
            raise ValueError(f"a stem halves: patch_size {self.patch_size} must be a power of two")
        return self


class ModelConfig(Section):
    lm: LMConfig = LMConfig()
    vision: VisionConfig | None = VisionConfig()
    fusion: FusionName = "early"
    cross_every: Count = 4  # cross: a gated block before every k-th layer
    freeze: list[Literal["lm", "vision", "connector", "cross"]] = []
    lora_rank: Count = 0
    lora_targets: list[str] = ["q", "k", "v", "o", "gate", "up", "down"]


class Source(Section):
    """One corpus: parquet files (local, or any URL fsspec opens) and its share of the documents."""

    path: str  # a folder or a glob of OBELICS-schema parquet
    images: str | None = None  # folder or glob of sha256/format/bytes parquet beside it
    split: str = "train"  # of files named SPLIT-*.parquet; files without a split in the name: all
    weight: Amount = 1.0
    name: str | None = None  # seeds its order; None: its number in the mix


class DataConfig(Section):
    mix: list[Source] = []
    languages: dict[str, float] | float | None = None  # weights, or alpha of n_l ** alpha
    tokenizer: str | None = None  # tokenizer.json, or a folder with one; None: trained on the data
    tokenizer_vocab: Size = 1024
    seq_len: Size = 512
    max_images: Count = 16  # of a document; later ones are left out
    window: Size = 256  # documents packed together
    lanes: Size = 8  # windows read at a time; a multiple of the data-parallel degree
    block: Size = 4096  # rows shuffled with each other
    workers: Count = 0
    prefetch: Size = 8  # packs that each worker makes ahead
    seed: int = 0
    eval_split: str | None = None  # evaluated on; None: `holdout` of the training split
    holdout: Share = 0.05  # share of the documents kept for evaluation, without `eval_split`
    holdout_by: Literal["host", "document"] = "host"
    skip: list[tuple[int, int]] = []  # [a, b): packs never trained on


class ParallelConfig(Section):
    dp: Count = 0  # 0: the number of processes over sp x tp
    sp: Size = 1
    tp: Size = 1
    timeout: Positive = 600.0  # seconds that ranks wait for one another, then the run ends


class MemoryConfig(Section):
    recompute: Literal["none", "layer"] = "none"
    group: Size = 1  # layers between stored states; > 1 recomputes in two levels
    offload: bool = False  # stored states are in host memory
    keep_on_device: Count = 0  # groups whose state stays on the device although offload is on
    attention: AttentionKernel = "auto"  # the kernel; documents: a call for each of them
    tile_loss: Count = 0  # tokens of a tile; 0: the whole sequence
    tile_mlp: Count = 0


class OptimConfig(Section):
    lr: Amount = 3e-4
    lr_scale: dict[str, float] = {}  # per group: lm, vision, connector, cross, lora
    betas: tuple[float, float] = (0.9, 0.95)
    eps: Amount = 1e-8
    weight_decay: Amount = 0.1
    clip: Amount = 1.0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_tokens: Amount = 0
    decay_tokens: Amount = 0  # 0: the whole run
    floor: Share = 0.1  # of the peak rate
    batch_packs: Size = 8  # packs a step, over all ranks
    ramp_from: Count = 0  # batch ramp: packs a step at the start
    ramp_step: Count = 0  # packs added at each increase
    ramp_tokens: Amount = 0  # tokens until the full batch
    z_loss: Amount = 0.0
    dtype: Literal["float32", "bfloat16", "float64"] = "float32"  # of computation
    params: Literal["float32", "bfloat16", "float64"] = "float32"  # as the optimiser keeps them
    state: Literal["float32", "bfloat16", "float64"] = "float32"  # bfloat16: stochastic rounding


class CheckpointConfig(Section):
    dir: str = "runs/default"  # or a URL of an object store
    every: Size = 250
    keep: Size = 3
    asynchronous: bool = False
    probe_tolerance: Amount = 1e-3  # relative change of the probe loss that refuses a load
    new_data: Literal["refuse", "remaining", "restart"] = "refuse"  # `loop/resumed_data.py`


class GuardConfig(Section):
    """Roll back when the loss leaves median + factor x MAD of the last `window` steps."""

    enabled: bool = True
    window: Size = 200
    minimum: Count = 20  # steps seen before the guard acts
    factor: float = 6.0
    rollbacks: Count = 10  # of a run, then it stops


class RunConfig(Section):
    steps: Size = 100
    micro_packs: Size = 1  # packs of one forward pass
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False  # MLPs and norms of the decoder by torch.compile
    threads: Count = 0  # of a process on CPU; 0: torch's choice
    log_every: Size = 10
    eval_every: Count = 0  # 0: at the end
    eval_packs: Count = 8
    peak_tflops: Positive = 989.0  # of one device, dense bf16 (H100/H200)
    tensorboard: bool = True
    seed: int = 0


class Config(Section):
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    parallel: ParallelConfig = ParallelConfig()
    memory: MemoryConfig = MemoryConfig()
    optim: OptimConfig = OptimConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    guard: GuardConfig = GuardConfig()
    run: RunConfig = RunConfig()
