"""A run's model, optimizer and data on a mesh: built, saved and resumed together."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benben.common.config_files import ConfigError
from benben.common.errors import UserError
from benben.trainer import counter_rng
from benben.trainer.checkpoint import store
from benben.trainer.data.loader import DataSource, Loader, NoDocuments
from benben.trainer.data.order import DataState
from benben.trainer.data.packing import Vocabulary, load_vocabulary, train_vocabulary
from benben.trainer.distributed import parallel
from benben.trainer.distributed.degrees import misfits
from benben.trainer.distributed.parallel import Mesh
from benben.trainer.distributed.shards import copy_full
from benben.trainer.loop import resumed_data
from benben.trainer.loop.optimizer import AdamW
from benben.trainer.model import foreign_config, huggingface
from benben.trainer.model.batch import IGNORE, Batch, Pack, cut, join
from benben.trainer.model.decoder import compile_parts
from benben.trainer.model.fusion import make_fusion
from benben.trainer.model.vlm import VLM, initialise
from benben.trainer.object_stores import Place, place, upload
from benben.trainer.settings import Config, DataConfig

TRAINING_DOCUMENTS = 20_000  # read to train a tokenizer


class Session:
    """State of a run; `step` and `tokens` count what was trained."""

    def __init__(self, config: Config) -> None:
        device = parallel.pick_device(config.run.device)
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        self.folder = place(config.checkpoint.dir)
        mixed = config.optim.dtype != config.optim.params
        self.mesh = parallel.make_mesh(config.parallel, device, mixed)
        check(config, self.mesh)
        self.vocabulary = find_vocabulary(config, self.mesh)
        self.config = config = with_vocabulary(config, self.vocabulary)
        check(config, self.mesh)  # again: a published decoder's sizes are known now
        self.dtype = getattr(torch, config.optim.dtype)
        self.model = build(config, self.mesh)
        self.optimizer = AdamW(self.model, config.optim)
        source = self.source()
        if self.model.vision is not None and not source.has_images():
            raise ConfigError(
                "model.vision reads images, but no corpus of data.mix has any: name the folder of "
                "their parquet as `images`, or train without model.vision"
            )
        self.present = source  # in the order of what the corpora hold now
        self.loader = Loader(source, self.mesh.dp_rank, self.mesh.dp)
        self.saver = store.Saver(
            self.folder, config.checkpoint.keep, config.checkpoint.asynchronous
        )
        self.departures = resumed_data.Departures()
        self.step, self.tokens = 0, 0
        self.stop_asked = False  # on this rank; `stopping` asks all

    def stopping(self) -> bool:
        """Tell whether any rank was asked to stop; a collective call."""
        return self.mesh.agreement.any(self.stop_asked)[0]

    def newest(self) -> Place | None:
        """Return the run's newest checkpoint as rank 0 sees it; a collective call."""
        return self.mesh.agreement.of_first(store.newest(self.folder))

    def take(self, loader: Loader, packs: int) -> list[Pack]:
        """Return this rank's share of packs; a collective call.

        Raises the error of the first rank whose data failed, on all ranks.
        """
        taken: list[Pack] = []
        error: Exception | None = None
        try:
            taken = loader.take(packs)
        except (UserError, OSError, ValueError) as found:
            error = found
        if self.mesh.agreement.any(error is not None)[0]:
            errors = enumerate(self.mesh.agreement.gather(error and _portable(error)))
            rank, first = next((rank, e) for rank, e in errors if e is not None)
            raise error or type(first)(f"rank {rank}: {first}")
        return taken

    def source(self, data: DataConfig | None = None) -> DataSource:
        """Return the training documents of the run's data settings, or of `data`."""
        tower = self.model.vision
        return DataSource(
            data or self.config.data,
            self.vocabulary,
            self.model.fusion,
            tower.image_size if tower else 32,
        )

    def held_out_source(self, data: DataConfig | None = None) -> DataSource:
        """Return the held-out documents of the run's corpora, or of those of `data`."""
        data = data or self.config.data
        if data.eval_split is not None:
            split = {"split": data.eval_split}
            mix = [entry.model_copy(update=split) for entry in data.mix]
            return self.source(data.model_copy(update={"mix": mix}))
        same = data is self.config.data
        source = copy.copy(self.loader.source) if same else self.source(data)
        source.evaluation = True
        return source

    def cut(self, packs: list[Pack]) -> Batch:
        """Cut this rank's slice from packs, on the host."""
        pack = join(packs)
        return cut(pack, self.model.fusion.spans(pack), self.mesh.sp_rank, self.mesh.sp)

    def batch(self, packs: list[Pack]) -> Batch:
        """Cut this rank's slice from packs and copy it to the device."""
        return self.cut(packs).to(self.mesh.device, self.dtype)

    def save(self, extra: dict[str, Any]) -> None:
        """Save the whole run; a collective call."""
        if self.mesh.rank == 0:
            resumed_data.keep_roster(self.folder, self.loader.source)
            upload(self.folder, ("metrics.jsonl",))
        meta = {
            "tokens": self.tokens,
            "data": self.loader.gather().to_json(),
            "fingerprint": self.loader.source.fingerprint(),
            "documents": self.departures.to_json(self.loader.source),
            "probe": self.probe(),
            "config": self.config.model_dump(mode="json"),
            **extra,
        }
        self.saver.save(self.step, store.state_of(self.model, self.optimizer), meta)

    def resume(self, path: Place | None = None, training: bool = True) -> dict[str, Any] | None:
        """Continue from a checkpoint, by default the newest; return its meta, or None without one.

        Without `training` only the weights matter, not the place in the data. Raises
        CheckpointError if the data would come in another order than before, or if the loss of the
        probe is not what it was at saving.
        """
        self.saver.finish()
        path = path or self.newest()
        if path is None:
            return None
        if training:
            self._restore_data(path)
        meta = store.load(path, self.model, self.optimizer)
        self.step, self.tokens = store.manifest(path)["step"], meta["tokens"]
        found, expected = self.probe(), meta["probe"]
        if not abs(found - expected) <= self.config.checkpoint.probe_tolerance * abs(expected):
            raise store.CheckpointError(
                f"{path}: the probe's loss was {expected:.6f} when saved and is {found:.6f} now"
            )
        return meta

    def _restore_data(self, path: Place) -> None:
        """Go to the checkpoint's place in the data, or refuse data in another order."""
        source, state, self.departures = resumed_data.resumed(
            self.folder,
            path,
            store.manifest(path),
            self.present,
            self.config.checkpoint.new_data,
        )
        skip = tuple(dict.fromkeys((*state.skip, *self.config.data.skip)))
        self.loader.restore(DataState(state.next, state.lanes, skip), source)

    @torch.no_grad()
    def probe(self) -> float:
        """Return the mean loss on a fixed random batch, the same on any mesh."""
        random = counter_rng.generator("probe")
        tower = self.model.vision
        size = 512 * -(-(self.model.tokens_per_image + 8) // 512)
        ids = random.integers(0, self.vocabulary.size, size)
        labels = np.append(ids[1:], IGNORE)
        side = tower.image_size if tower else 8
        pixels = random.standard_normal((1 if tower else 0, 3, side, side)).astype(np.float32)
        pack = Pack(ids, labels, (64,) * (size // 64), pixels, (3,) if tower else ())
        piece = self.cut([pack])
        loss, _ = self.model(piece.to(self.mesh.device, self.dtype))
        total, count = self.mesh.total(float(loss), piece.valid)
        return total / count


def _portable(error: Exception) -> Exception:
    """Return an error that every rank can unpickle, of a kind that callers know."""
    kinds: tuple[type[Exception], ...] = (NoDocuments, UserError)
    kind = next((kind for kind in kinds if isinstance(error, kind)), UserError)
    return kind(str(error))


def check(config: Config, mesh: Mesh) -> None:
    """Raise ConfigError for sizes that do not divide among the ranks, or a run without data."""
    wrong = misfits(config, mesh.dp, mesh.sp, mesh.tp)
    if config.memory.attention == "flex" and mesh.device.type == "cpu":
        wrong.append("memory.attention: FlexAttention has no backward pass on the CPU")
    if config.run.compile and mesh.tp > 1:
        wrong.append("run.compile needs tp 1")
    if wrong:
        raise ConfigError("; ".join(wrong))


def build(config: Config, mesh: Mesh) -> VLM:
    """Make the model, shard it over the mesh, and fill it: random weights, then published ones.

    Decoder and connector have no storage until they are sharded. The image encoder is small and is
    made whole.
    """
    model = VLM(config.model, config.memory, lazy=True).to(getattr(torch, config.optim.params))
    tower = {name: tensor.clone() for name, tensor in _tower(model)}
    parallel.distribute(model, mesh, getattr(torch, config.optim.dtype))
    model.to_empty(device=mesh.device)
    for name, tensor in _tower(model):
        copy_full(tensor, tower[name])
    initialise(model, config.run.seed)
    if config.model.lm.huggingface:
        huggingface.load_decoder(model, config.model.lm.huggingface)
    if config.run.compile:
        compile_parts(model.lm)
    return model


def _tower(model: VLM) -> list[tuple[str, torch.Tensor]]:
    if model.vision is None:
        return []
    parameters = [(name, p.detach()) for name, p in model.vision.named_parameters()]
    return [*parameters, *model.vision.named_buffers()]


def find_vocabulary(config: Config, mesh: Mesh) -> Vocabulary:
    """Return the run's tokenizer: as configured, as kept in its folder, or newly trained."""
    if config.data.tokenizer:
        return load_vocabulary(config.data.tokenizer)
    kept = place(config.checkpoint.dir) / "tokenizer.json"
    if not kept.is_file() and mesh.rank == 0:
        bare = train_vocabulary([], 256)
        source = DataSource(config.data, bare, make_fusion(config.model, tokens_per_image=0))
        trained = train_vocabulary(source.texts(TRAINING_DOCUMENTS), config.data.tokenizer_vocab)
        if isinstance(kept, Path):
            kept.parent.mkdir(parents=True, exist_ok=True)
        trained.save(kept)
    store.barrier()
    return load_vocabulary(str(kept))


def with_vocabulary(config: Config, vocabulary: Vocabulary) -> Config:
    """Return the config with the decoder's vocabulary size set."""
    lm = config.model.lm
    if lm.huggingface:
        lm = foreign_config.decoder_config(lm)
    lm = lm.model_copy(update={"vocab_size": max(lm.vocab_size, vocabulary.size)})
    return config.model_copy(update={"model": config.model.model_copy(update={"lm": lm})})
