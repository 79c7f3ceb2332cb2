"""The archival format: one safetensors file a parameter, with float32 value and both moments.

`DIR/manifest.json` and `DIR/parameters/NAME.safetensors` with tensors `value`, `exp_avg`,
`exp_avg_sq` (Universal Checkpointing's atoms, Lian et al. 2024). It depends on no version of
torch, no mesh and no padding: vocabulary rows beyond the true size are cut off and come back on
import.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benben.trainer.checkpoint import digest, store
from benben.trainer.checkpoint.store import VOCABULARY, CheckpointError
from benben.trainer.model import huggingface
from benben.trainer.settings import Config, LMConfig

KINDS = {"model": "value", "exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}
FORMAT = 1


def read_whole(path: Path, names: list[str], content: dict[str, Any]) -> dict[str, Tensor]:
    """Read tensors of a checkpoint whole, by `kind/name`, and check their digests."""
    state = {
        name: torch.empty(content["shapes"][name], dtype=getattr(torch, content["dtypes"][name]))
        for name in names
    }
    dcp.load(state, checkpoint_id=path, no_dist=True)
    for name, found in digest.tensors(state).items():
        if found != content["tensors"][name]:
            raise CheckpointError(f"{path}: {name} is damaged")
    return state


def _parameters(content: dict[str, Any]) -> list[str]:
    return [n.removeprefix("model/") for n in content["shapes"] if n.startswith("model/")]


def export(path: Path, folder: Path) -> int:
    """Write a checkpoint as atoms; return the number of parameters. One is in memory at a time."""
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
    """Read atoms as a checkpoint's state and their manifest.

    `multiple` pads vocabularies to another size than they had. Raises CheckpointError for damage.
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


def restore(folder: Path, run: Path, multiple: int | None = None) -> Path:
    """Write atoms as a checkpoint of the run in `run`; return its folder."""
    state, index = load(folder, multiple)
    saver = store.Saver(run, keep=1_000_000)
    saver.save(index["step"], state, index["meta"])
    return run / f"step_{index['step']:08d}"


def lm_config(content: dict[str, Any]) -> LMConfig:
    """Return the decoder's settings that a checkpoint's manifest keeps."""
    return Config.model_validate(content["meta"]["config"]).model.lm


def to_huggingface(path: Path, folder: Path, dtype: str = "bfloat16") -> None:
    """Write the decoder of a checkpoint as a Llama or BLOOM that transformers loads."""
    content = store.manifest(path)
    store.verify_files(path, content["files"])
    config = lm_config(content)
    state = {name: tensor.to(getattr(torch, dtype)) for name, tensor in _decoder(path, content)}
    huggingface.export(config, state, folder)


def _decoder(path: Path, content: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for name in _parameters(content):
        if name.startswith("lm.") and ".cross" not in name and "lora_" not in name:
            yield name, read_whole(path, [f"model/{name}"], content)[f"model/{name}"]
