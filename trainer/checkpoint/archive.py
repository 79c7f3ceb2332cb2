"""The archival format: one safetensors file for each parameter, with its value and both moments.

A folder has `manifest.json` and `parameters/NAME.safetensors`, each with tensors `value` (float32),
`exp_avg` and `exp_avg_sq`: the atoms of Universal Checkpointing (Lian et al. 2024). The format
depends on no version of torch, no mesh and no padding: rows beyond the vocabulary are cut off, and
added again on import.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benben.common.config_files import validate
from benben.trainer.checkpoint import digest, store
from benben.trainer.checkpoint.store import VOCABULARY, CheckpointError
from benben.trainer.data.packing import load_vocabulary
from benben.trainer.model import huggingface, huggingface_vlm
from benben.trainer.model.vlm import group_of
from benben.trainer.object_stores import Place
from benben.trainer.settings import Config, LMConfig

KINDS = {"model": "value", "exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}
FORMAT = 1


def read_whole(path: Place, names: list[str], content: dict[str, Any]) -> dict[str, Tensor]:
    """Read whole tensors of a checkpoint, by `kind/name`. Raises CheckpointError for damage."""
    state = {
        name: torch.empty(content["shapes"][name], dtype=getattr(torch, content["dtypes"][name]))
        for name in names
    }
    store.read_tensors(path, state, alone=True)
    for name, found in digest.tensors(state).items():
        if found != content["tensors"][name]:
            raise CheckpointError(f"{path}: {name} is damaged")
    return state


def _parameters(content: dict[str, Any]) -> list[str]:
    return [n.removeprefix("model/") for n in content["shapes"] if n.startswith("model/")]


def export(path: Place, folder: Path) -> int:
    """Write a checkpoint in this format, one parameter in memory at a time; return their number."""
    content = store.manifest(path)
    store.verify_files(path, content["files"])
    size = lm_config(content).vocab_size
    target = folder / "parameters"
    target.mkdir(parents=True, exist_ok=True)
    entries: dict[str, Any] = {}
    for name in _parameters(content):
        keys = [f"{kind}/{name}" for kind in KINDS if f"{kind}/{name}" in content["shapes"]]
        state = read_whole(path, keys, content)
        atoms = {}
        for key, tensor in state.items():
            wide = tensor if tensor.dtype == torch.float64 else tensor.float()
            wide = wide[:size] if name in VOCABULARY else wide
            atoms[KINDS[key.split("/")[0]]] = wide.contiguous()
        file = target / f"{name}.safetensors"
        save_file(atoms, file)
        entries[name] = {
            "shape": list(atoms["value"].shape),
            "padded": content["shapes"][f"model/{name}"],
            "vocabulary": name in VOCABULARY,
            "dtypes": {key.split("/")[0]: content["dtypes"][key] for key in keys},
            "digest": digest.file(file),
        }
    index = {
        "format": FORMAT,
        "step": content["step"],
        "meta": content["meta"],
        "parameters": entries,
    }
    (folder / "manifest.json").write_text(json.dumps(index, indent=1))
    return len(entries)


def load(folder: Path, multiple: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read an archive; return a checkpoint's state and the archive's manifest.

    `multiple` pads the vocabulary to a multiple of it instead of the size it had. Raises
    CheckpointError for damage.
    """
    try:
        index = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: no readable manifest.json ({error})") from None
    state: dict[str, Tensor] = {}
    for name, entry in index["parameters"].items():
        file = folder / "parameters" / f"{name}.safetensors"
        if not file.is_file() or digest.file(file) != entry["digest"]:
            raise CheckpointError(f"{file}: damaged or missing")
        rows = entry["padded"][0] if entry["padded"] else 0
        if entry["vocabulary"] and multiple:
            rows = -(-entry["shape"][0] // multiple) * multiple
        with safe_open(file, "pt") as atoms:
            for kind, dtype in entry["dtypes"].items():
                tensor = atoms.get_tensor(KINDS[kind]).to(getattr(torch, dtype))
                if entry["vocabulary"]:
                    extra = rows - tensor.shape[0]
                    tensor = torch.cat([tensor, tensor.new_zeros(extra, *tensor.shape[1:])])
                state[f"{kind}/{name}"] = tensor
    return state, index


def restore(folder: Path, run: Place, multiple: int | None = None) -> Place:
    """Write an archive as a checkpoint into a run's folder; return the checkpoint's own folder."""
    state, index = load(folder, multiple)
    saver = store.Saver(run, keep=1_000_000)
    saver.save(index["step"], state, index["meta"])
    return run / f"step_{index['step']:08d}"


def lm_config(content: dict[str, Any]) -> LMConfig:
    """Return the decoder's settings from a checkpoint's manifest. Raises ConfigError."""
    return run_config(content).model.lm


def run_config(content: dict[str, Any]) -> Config:
    """Return the run's settings from a checkpoint's manifest. Raises ConfigError."""
    return validate(Config, content["meta"]["config"], "the checkpoint's config")


def to_huggingface(
    path: Place, folder: Path, dtype: str = "bfloat16", decoder: bool = False
) -> None:
    """Write a checkpoint as a model that transformers loads, with its tokenizer.

    A model with an image encoder has its processor too; `decoder` writes the decoder alone.
    Low-rank additions are multiplied out.
    """
    content = store.manifest(path)
    store.verify_files(path, content["files"])
    config = run_config(content)
    alone = decoder or config.model.vision is None
    groups = ("lm", "lora") if alone else ("lm", "lora", "vision", "connector", "cross")
    names = [n for n in _parameters(content) if group_of(n) in groups]
    whole = {n: read_whole(path, [f"model/{n}"], content)[f"model/{n}"] for n in names}
    to = getattr(torch, dtype)
    state = {n: t.to(to) for n, t in huggingface_vlm.with_lora(whole).items()}
    vocabulary = load_vocabulary(config.data.tokenizer or str(path.parent / "tokenizer.json"))
    if alone:
        huggingface.export(config.model.lm, state, folder)
        huggingface_vlm.write_tokenizer(vocabulary, folder)
    else:
        huggingface_vlm.export(config.model, state, vocabulary, folder)
