"""A training run's settings, typed; unknown keys are refused."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

FusionName = Literal["early", "cross"]  # the classes of `model/fusion.py`


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LMConfig(Section):
    """The decoder. Defaults are Llama's shape of block at a tiny size."""

    vocab_size: int = 0  # 0: the tokenizer's
    vocab_multiple: int = 128  # embedding rows are padded to it; padding rows have no logit
    hidden: int = 128
    layers: int = 2
    heads: int = 4
    kv_heads: int | None = None  # None: as many as heads
    head_dim: int | None = None
    intermediate: int | None = None  # None: 4 hidden (gelu), 8/3 hidden rounded up to 64 (swiglu)
    positions: Literal["rope", "alibi", "learned", "none"] = "rope"
    rope_theta: float = 10000.0
    rope_scaling: dict[str, float] | None = None  # Llama 3.1: factor, low/high_freq_factor, ...
    max_positions: int = 2048  # learned positions only
    activation: Literal["swiglu", "gelu"] = "swiglu"
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    norm_eps: float = 1e-5
    bias: bool = False
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
    image_size: int = 32
    patch_size: int = 8
    stem: int = 0  # channels of the first of log2(patch_size) convolutions; 0: a patch embedding
    hidden: int = 64
    intermediate: int | None = None  # None: 4 hidden
    layers: int = 2
    heads: int = 4
    connector: Literal["pixel_shuffle", "perceiver"] = "pixel_shuffle"
    shuffle: int = 2  # pixel shuffle's scale: tokens an image = patches / shuffle^2
    latents: int = 8  # perceiver's tokens an image
    depth: int = 2  # perceiver's layers

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
    cross_every: int = 4  # cross: a gated block before every k-th layer
    freeze: list[Literal["lm", "vision", "connector", "cross"]] = []
    lora_rank: int = 0
    lora_targets: list[str] = ["q", "k", "v", "o", "gate", "up", "down"]


class Source(Section):
    """One corpus: parquet files (local, or any URL fsspec opens) and its share of the documents."""

    path: str  # a folder or a glob of OBELICS-schema parquet
    images: str | None = None  # folder or glob of sha256/format/bytes parquet beside it
    split: str = "train"  # of files named SPLIT-*.parquet; files without a split in the name: all
    weight: float = 1.0
    name: str | None = None


class DataConfig(Section):
    mix: list[Source] = []
    languages: dict[str, float] | float | None = None  # weights, or alpha of n_l ** alpha
    tokenizer: str | None = None  # tokenizer.json, or a folder with one; None: trained on the data
    tokenizer_vocab: int = 1024
    seq_len: int = 512
    max_images: int = 16  # of a document; later ones are left out
    window: int = 256  # documents packed together
    lanes: int = 8  # windows read at a time; a multiple of the data-parallel degree
    block: int = 4096  # rows shuffled with each other
    workers: int = 0
    seed: int = 0
    eval_split: str | None = None  # evaluated on; None: `holdout` of the training split
    holdout: float = 0.05  # share of the documents kept for evaluation, without `eval_split`
    holdout_by: Literal["host", "document"] = "host"
    skip: list[tuple[int, int]] = []  # [a, b): packs never trained on


class ParallelConfig(Section):
    dp: int = 0  # 0: the number of processes over sp x tp
    sp: int = 1
    tp: int = 1
    timeout: float = 600.0  # seconds that ranks wait for one another, then the run ends


class MemoryConfig(Section):
    recompute: Literal["none", "layer"] = "none"
    group: int = 1  # layers between stored states; > 1 recomputes in two levels
    offload: bool = False  # stored states are in host memory
    keep_on_device: int = 0  # groups whose state stays on the device although offload is on
    tile_loss: int = 0  # tokens of a tile; 0: the whole sequence
    tile_mlp: int = 0


class OptimConfig(Section):
    lr: float = 3e-4
    lr_scale: dict[str, float] = {}  # per group: lm, vision, connector, cross, lora
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_tokens: float = 0
    decay_tokens: float = 0  # 0: the whole run
    floor: float = 0.1  # of the peak rate
    batch_packs: int = 8  # packs a step, over all ranks
    ramp_from: int = 0  # batch ramp: packs a step at the start
    ramp_step: int = 0  # packs added at each increase
    ramp_tokens: float = 0  # tokens until the full batch
    z_loss: float = 0.0
    dtype: Literal["float32", "bfloat16", "float64"] = "float32"  # of computation
    params: Literal["float32", "bfloat16", "float64"] = "float32"  # as the optimiser keeps them
    state: Literal["float32", "bfloat16", "float64"] = "float32"  # bfloat16: stochastic rounding


class CheckpointConfig(Section):
    dir: str = "runs/default"
    every: int = 250
    keep: int = 3
    asynchronous: bool = False
    probe_tolerance: float = 1e-3  # relative change of the probe loss that refuses a load
    new_data: Literal["refuse", "restart"] = "refuse"  # on resume, when the data has changed


class GuardConfig(Section):
    """Roll back when the loss leaves median + factor x MAD of the last `window` steps."""

    enabled: bool = True
    window: int = 200
    minimum: int = 20  # steps seen before the guard acts
    factor: float = 6.0
    rollbacks: int = 10  # of a run, then it stops


class RunConfig(Section):
    steps: int = 100
    micro_packs: int = 1  # packs of one forward pass
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0  # of a process on CPU; 0: torch's choice
    log_every: int = 10
    eval_every: int = 0  # 0: at the end
    eval_packs: int = 8
    peak_tflops: float = 989.0  # of one device, dense bf16 (H100/H200)
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
