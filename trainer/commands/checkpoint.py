"""`benben-train ckpt`: list, verify, export, import, huggingface, merge."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benben.trainer.object_stores import Place, place, size


def add(commands: Any) -> None:
    """Add the `ckpt` command and its actions."""
    parser = commands.add_parser("ckpt", help="list, verify, export, import and merge checkpoints")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, run, text in (
        ("list", _list, "list the committed checkpoints of a run"),
        ("verify", _verify, "verify every file and tensor"),
        ("export", _export, "export to the archival format: one safetensors file per parameter"),
        ("import", _import, "import from the archival format; the vocabulary is padded again"),
        (
            "huggingface",
            _huggingface,
            "export as a model of transformers, with tokenizer and processor",
        ),
        ("merge", _merge, "merge tensor-parallel shards of other trainers, by a table of rules"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(run=run)
        if name == "merge":
            action.add_argument("rules", type=Path, help="YAML list of rules")
            action.add_argument("shards", type=Path, nargs="+", help="safetensors, in rank order")
            action.add_argument("--out", type=Path, required=True)
            continue
        action.add_argument("source", type=place, help="a run's folder, or one step_N folder in it")
        if name in ("export", "import", "huggingface"):
            action.add_argument("target", type=place)
        if name == "import":
            action.add_argument(
                "--multiple", type=int, help="pad the vocabulary to a multiple of this"
            )
        if name == "huggingface":
            action.add_argument("--dtype", default="bfloat16")
            action.add_argument("--decoder", action="store_true", help="the decoder alone")


def _one(path: Place) -> Place:
    from benben.trainer.checkpoint import store

    found = path if (path / store.MANIFEST).is_file() else store.newest(path)
    if found is None:
        raise store.CheckpointError(f"{path}: no committed checkpoint")
    return found


def _list(options: argparse.Namespace) -> None:
    from benben.trainer.checkpoint import store

    for path in store.checkpoints(options.source):
        content = store.manifest(path)
        tokens = content["meta"].get("tokens", 0)
        print(f"{path}  step {content['step']}  {tokens:,} tokens  {size(path) / 2**20:,.1f} MiB")


def _verify(options: argparse.Namespace) -> None:
    from benben.trainer.checkpoint import archive, store

    path = _one(options.source)
    content = store.manifest(path)
    store.verify_files(path, content["files"])
    for name in content["shapes"]:
        archive.read_whole(path, [name], content)
    print(f"{path}: {len(content['files'])} files, {len(content['shapes'])} tensors, all verified")


def _export(options: argparse.Namespace) -> None:
    from benben.trainer.checkpoint import archive

    count = archive.export(_one(options.source), options.target)
    print(f"{options.target}: {count} parameters")


def _import(options: argparse.Namespace) -> None:
    from benben.trainer.checkpoint import archive

    print(archive.restore(options.source, options.target, options.multiple))


def _huggingface(options: argparse.Namespace) -> None:
    from benben.trainer.checkpoint import archive

    archive.to_huggingface(_one(options.source), options.target, options.dtype, options.decoder)
    print(options.target)


def _merge(options: argparse.Namespace) -> None:
    import yaml
    from safetensors.torch import load_file, save_file

    from benben.trainer.checkpoint.merging import Rule, merge

    rules = [Rule.model_validate(entry) for entry in yaml.safe_load(options.rules.read_text())]
    merged = merge([load_file(path) for path in options.shards], rules)
    save_file(merged, options.out)
    print(f"{options.out}: {len(merged)} tensors")
