"""Evaluates on held-out documents, with images given, blanked and exchanged."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from benben.trainer.data.loader import Loader, NoDocuments
from benben.trainer.loop.session import Session
from benben.trainer.model.batch import IGNORE, Pack
from benben.trainer.object_stores import Place, local_folder, upload
from benben.trainer.settings import DataConfig

Sums = dict[str, list[float]]  # name -> [summed nll, tokens, bytes]
PICTURES = ("given", "blank", "shuffled")


def held_out(session: Session, packs: int, data: DataConfig | None = None) -> dict[str, Any]:
    """Evaluate on about `packs` packs of held-out documents; a collective call.

    `data` replaces the run's data settings: other corpora, another length.

    Returns `split` (which documents), `nll` and `bits_per_byte` over all text, the same per
    language, `interleaved` (documents with images) and `text_only`, and `captions`: the NLL of
    first paragraphs right after an image with the images given, blanked, and exchanged with one
    another. It ends early, without results, where a rank was asked to stop.
    """
    chosen = data or session.config.data
    split = chosen.eval_split or f"{chosen.holdout:g} of train"
    loader = Loader(session.held_out_source(data), session.mesh.dp_rank, session.mesh.dp)
    sums: Sums = defaultdict(lambda: [0.0, 0.0, 0.0])
    was = session.model.training
    session.model.eval()
    try:
        for pack in session.take(loader, -(-packs // session.mesh.dp) * session.mesh.dp):
            if session.stopping():
                return {"split": split, "stopped": True}
            _measure(session, pack, sums)
    except NoDocuments:
        return {"split": split, "documents": 0}
    finally:
        session.model.train(was)
    return {"split": split, **_report(_gather(session, sums))}


def token_losses(session: Session, pack: Pack) -> np.ndarray:
    """Return each label's NLL in this rank's slice of a pack, [T / sp]."""
    with torch.no_grad():
        losses = session.model(session.batch([pack]), want="nll")
    assert isinstance(losses, Tensor)
    return losses.double().cpu().numpy()


def with_images(pack: Pack, pictures: str) -> Pack:
    """Return the pack with its images given, blank (mean grey), or each replaced by the next.

    Mean grey is 0 once normalised, which no uint8 is: blank images are float32.
    """
    if pictures == "given" or not len(pack.pixels):
        return pack
    blank = pictures == "blank"
    changed = np.zeros(pack.pixels.shape, np.float32) if blank else np.roll(pack.pixels, 1, 0)
    return dataclasses.replace(pack, pixels=changed)


def _measure(session: Session, pack: Pack, sums: Sums) -> None:
    part = len(pack.ids) // session.mesh.sp
    start = session.mesh.sp_rank * part
    local = slice(start, start + part)
    valid = pack.labels != IGNORE
    caption = np.zeros(len(pack.ids), bool)
    for a, b in pack.captions:
        caption[a - 1 : b - 1] = True
    document = np.repeat(np.arange(len(pack.lengths)), pack.lengths)
    seen = {int(document[slot]) for slot in pack.slots}
    for pictures in PICTURES:
        losses = token_losses(session, with_images(pack, pictures))
        chosen = caption[local] & valid[local]
        _add(sums, f"captions/{pictures}", losses[chosen], 0)
        if pictures != "given":
            continue
        for number, (lang, size) in enumerate(zip(pack.languages, pack.sizes, strict=True)):
            mine = losses[(document[local] == number) & valid[local]]
            first = sum(pack.lengths[:number])
            count = size if start <= first < start + part else 0
            kind = "interleaved" if number in seen else "text_only"
            for name in ("all", f"languages/{lang}", kind):
                _add(sums, name, mine, count)


def _add(sums: Sums, name: str, losses: np.ndarray, size: int) -> None:
    entry = sums[name]
    entry[0] += float(losses.sum())
    entry[1] += losses.size
    entry[2] += size


def _gather(session: Session, sums: Sums) -> Sums:
    """Sum over data and sequence ranks; tensor ranks hold equal values."""
    if not dist.is_initialized():
        return dict(sums)
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, dict(sums) if session.mesh.tp_rank == 0 else {})
    total: Sums = defaultdict(lambda: [0.0, 0.0, 0.0])
    for part in parts:
        for name, values in part.items():
            total[name] = [a + b for a, b in zip(total[name], values, strict=True)]
    return dict(total)


def _report(sums: Sums) -> dict[str, Any]:
    def line(values: list[float]) -> dict[str, float]:
        nll, tokens, size = values
        result = {"nll": nll / max(tokens, 1), "tokens": int(tokens)}
        if size:
            result["bits_per_byte"] = nll / math.log(2) / size
        return result

    captions = {p: line(sums.get(f"captions/{p}", [0.0, 0.0, 0.0])) for p in PICTURES}
    given = captions["given"]["nll"]
    languages = sorted(name for name in sums if name.startswith("languages/"))
    return {
        **line(sums["all"]),
        "interleaved": line(sums.get("interleaved", [0.0, 0.0, 0.0])),
        "text_only": line(sums.get("text_only", [0.0, 0.0, 0.0])),
        "languages": {name.split("/", 1)[1]: line(sums[name]) for name in languages},
        "captions": {
            **{p: values["nll"] for p, values in captions.items()},
            "tokens": captions["given"]["tokens"],
            "blank_minus_given": captions["blank"]["nll"] - given,
            "shuffled_minus_given": captions["shuffled"]["nll"] - given,
            "given_over_blank": given / captions["blank"]["nll"] if given else None,
        },
    }


def flat(result: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested results to `a/b/c` names."""
    values: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}/")
        else:
            values[f"{prefix}{name}"] = value
    return values


def write(result: Mapping[str, Any], folder: Place) -> None:
    """Write `evaluation.json` and a table `evaluation.md`."""
    local = local_folder(folder)
    local.mkdir(parents=True, exist_ok=True)
    (local / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n")
    rows = [f"| {name} | {_shown(value)} |" for name, value in flat(result).items()]
    table = "\n".join(["| measure | value |", "|---|---|", *rows])
    (local / "evaluation.md").write_text(table + "\n")
    upload(folder, ("evaluation.json", "evaluation.md"))


def _shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
