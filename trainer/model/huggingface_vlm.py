"""Writes a whole model as transformers' Idefics3, with its tokenizer and processor.

Idefics3 (Laurençon et al. 2024; SmolVLM has the same parts) is a SigLIP encoder, pixel shuffle with
one linear layer, and a decoder of Llama's kind that reads the features in place of its image
tokens: our `siglip`, `pixel_shuffle` and `early`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, normalizers, processors
from torch import Tensor

from benben.trainer.data.packing import BEGIN, END, IMAGE, PAD, Vocabulary
from benben.trainer.model import huggingface
from benben.trainer.model.decoder import LORA_SCALE
from benben.trainer.model.foreign_config import FormatError, kind_of, to_config, tower_sizes
from benben.trainer.model.vision import MEAN_AND_DEVIATION
from benben.trainer.settings import ModelConfig

DECODERS = ("llama", "qwen2", "qwen3", "smollm3")
FENCE_NAME, GLOBAL_TAG = "<fake_token_around_image>", "<global-img>"  # Idefics3's
BICUBIC = 3  # Pillow's number


def export(
    config: ModelConfig, state: Mapping[str, Tensor], vocabulary: Vocabulary, folder: Path
) -> None:
    """Write model, tokenizer and processor that `from_pretrained` loads.

    `state`: whole tensors by our names. Raises FormatError for a model that is no Idefics3.
    """
    sizes = _vision_sizes(config)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(_names(config, with_lora(state)))
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write(folder / "config.json", _config(config, sizes, vocabulary, dtype))
    ends = {"bos_token_id": vocabulary.bos, "eos_token_id": vocabulary.eos}
    _write(folder / "generation_config.json", {**ends, "pad_token_id": vocabulary.pad})
    write_tokenizer(vocabulary, folder)
    _write_processor(config, sizes, folder)


def with_lora(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with low-rank additions multiplied out into the weights they add to."""
    result = {name: tensor for name, tensor in state.items() if "lora_" not in name}
    for name, low in state.items():
        if name.endswith("lora_a"):
            stem = name.removesuffix("lora_a")
            added = LORA_SCALE * state[f"{stem}lora_b"].float() @ low.float()
            weight = result[f"{stem}weight"]
            result[f"{stem}weight"] = (weight.float() + added).to(weight.dtype)
    return result


def _vision_sizes(config: ModelConfig) -> dict[str, Any]:
    """Return the encoder's sizes. Raises FormatError where Idefics3 lacks a part of the model."""
    vision, kind = config.vision, kind_of(config.lm)
    if vision is None:
        raise FormatError("a model without an image encoder is exported as its decoder")
    sizes = {
        **vision.model_dump(include={"image_size", "patch_size", "hidden", "layers", "heads"}),
        "intermediate": vision.intermediate or 4 * vision.hidden,
        **(tower_sizes(vision) if vision.huggingface else {}),
    }
    side = sizes["image_size"] // sizes["patch_size"]
    wrong = [
        f"{name} {found} (it has {needed})"
        for name, found, needed in (
            ("model.fusion", config.fusion, "early"),
            ("vision.family", vision.family, "siglip"),
            ("vision.connector", vision.connector, "pixel_shuffle"),
            ("vision.stem", vision.stem, 0),
        )
        if found != needed
    ]
    if kind not in DECODERS:
        wrong.append(f"a decoder of {kind}'s kind (it has {', '.join(DECODERS)})")
    if not positions_agree(side):
        wrong.append(f"{side} patches a side, whose positions it rounds to others")
    if wrong:
        raise FormatError(
            f"transformers' Idefics3 cannot hold {'; '.join(wrong)}: --decoder exports that alone"
        )
    return sizes


def positions_agree(side: int) -> bool:
    """Tell whether Idefics3's encoder finds the position of each patch of a whole image.

    It sorts fractions of the side into buckets in float32, which goes wrong for some sides.
    """
    borders = torch.arange(1 / side, 1.0, 1 / side)
    places = (torch.arange(side, dtype=torch.float32) * (1.0 / torch.tensor(side))).clamp(
        max=1.0 - 1e-6
    )
    return torch.bucketize(places, borders, right=True).tolist() == list(range(side))


def _names(config: ModelConfig, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors; the encoder's pooling head, which nothing reads, is left out."""
    result: dict[str, Tensor] = {}
    for foreign, tensor in huggingface.foreign_tensors(config.lm, state):
        body = foreign.removeprefix("model.")
        result[foreign if body == foreign else f"model.text_model.{body}"] = tensor
    for name, tensor in state.items():
        if name.startswith("vision."):
            inner = name.removeprefix("vision.model.").removeprefix("vision_model.")
            if not inner.startswith("head."):
                result[f"model.vision_model.{inner}"] = tensor.contiguous()
        elif name == "connector.proj.weight":
            result["model.connector.modality_projection.proj.weight"] = tensor.contiguous()
    return result


def _config(
    config: ModelConfig, sizes: Mapping[str, Any], vocabulary: Vocabulary, dtype: str
) -> dict[str, Any]:
    assert config.vision is not None
    ids = {
        "bos_token_id": vocabulary.bos,
        "eos_token_id": vocabulary.eos,
        "pad_token_id": vocabulary.pad,
    }
    return {
        "model_type": "idefics3",
        "architectures": ["Idefics3ForConditionalGeneration"],
        "image_token_id": vocabulary.image,
        "scale_factor": config.vision.shuffle,
        "tie_word_embeddings": config.lm.tie,
        "torch_dtype": dtype,
        "text_config": {**to_config(config.lm, dtype), **ids},
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_size": sizes["hidden"],
            "intermediate_size": sizes["intermediate"],
            "num_hidden_layers": sizes["layers"],
            "num_attention_heads": sizes["heads"],
            "image_size": sizes["image_size"],
            "patch_size": sizes["patch_size"],
        },
        **ids,
    }


def write_tokenizer(vocabulary: Vocabulary, folder: Path) -> None:
    """Write `tokenizer.json` and its config; the marks have the ids that the model was trained on.

    It puts the begin mark before a text, as training did. The tag that Idefics3's processor puts
    before an image, which training did not know, gives no token.
    """
    content = json.loads(vocabulary.tokenizer.to_str())
    names = {vocabulary.fence: FENCE_NAME, vocabulary.image: IMAGE[0]}
    for entry in content["added_tokens"]:
        entry["content"] = names.get(entry["id"], entry["content"])
    words = content["model"]["vocab"]
    for word, number in list(words.items()) if isinstance(words, dict) else []:
        if number in names:
            words[names[number]] = words.pop(word)
    tokenizer = Tokenizer.from_str(json.dumps(content))
    marks = {"bos": BEGIN[0], "eos": END[0], "pad": PAD[0], "image": IMAGE[0], "fence": FENCE_NAME}
    known: dict[str, str] = {}
    for kind, name in sorted(marks.items(), key=lambda item: getattr(vocabulary, item[0])):
        number = getattr(vocabulary, kind)
        known[kind] = tokenizer.id_to_token(number) or name
        tokenizer.add_special_tokens([AddedToken(known[kind], normalized=False, special=True)])
        if tokenizer.token_to_id(known[kind]) != number:
            raise FormatError(f"tokenizer: {known[kind]} cannot have the id {number}")
    tag = normalizers.Replace(GLOBAL_TAG, "")
    before = tokenizer.normalizer
    tokenizer.normalizer = normalizers.Sequence([before, tag]) if before else tag
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{known['bos']} $A", special_tokens=[(known["bos"], vocabulary.bos)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": known["bos"],
            "eos_token": known["eos"],
            "pad_token": known["pad"],
            "clean_up_tokenization_spaces": False,
            "extra_special_tokens": {"image_token": known["image"], "fence_token": known["fence"]},
        },
    )


def _write_processor(config: ModelConfig, sizes: Mapping[str, Any], folder: Path) -> None:
    assert config.vision is not None
    mean, deviation = MEAN_AND_DEVIATION[config.vision.family]
    side = sizes["image_size"] // sizes["patch_size"] // config.vision.shuffle
    images = {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_resize": False,
        "do_image_splitting": False,  # each image is resized to the encoder's square
        "max_image_size": {"longest_edge": sizes["image_size"]},
        "size": {"longest_edge": sizes["image_size"]},
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(mean),
        "image_std": list(deviation),
        "do_pad": True,
        "do_convert_rgb": True,
    }
    _write(folder / "preprocessor_config.json", images)
    processor = {"processor_class": "Idefics3Processor", "image_seq_len": side * side}
    _write(folder / "processor_config.json", processor)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
