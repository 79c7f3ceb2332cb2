"""Documents reach real processor classes of `transformers` with each picture at its place."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from PIL import Image

import benben
from benben.loading import chat
from benben.loading.documents import Document, Picture, Text
from tests.loading import made

pytest.importorskip("torch", reason="processors make tensors: make setup-trainer")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
WORDS = ["<unk>", "Document", "begins", "After", "picture", "0", "1", "4", "5", "."]
QWEN = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")
IDEFICS = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>")
TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def tokenizer(special: tuple[str, ...]) -> Any:
    """A tokenizer of a few words, and the marks of a model."""
    words = {word: number for number, word in enumerate(WORDS)}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain,
        unk_token="<unk>",
        pad_token="<unk>",
        additional_special_tokens=list(special),
    )


def without_video(base: type) -> Any:
    """A processor class whose part for video, which needs torchvision, is left out."""

    class Without(base):  # type: ignore[misc, valid-type]
        def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
            if name != "video_processor":
                return super().check_argument_for_proper_class(name, argument)
            return type(None)

    return Without


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """Documents with one and two pictures."""
    folder = made.write_dataset(tmp_path_factory.mktemp("dataset"), 6)
    return list(benben.load(str(folder)))[4:]


def held(processor: Any, ids: Any, mark: str) -> list[int]:
    """For each document how many tokens hold places of pictures."""
    number = processor.tokenizer.convert_tokens_to_ids(mark)
    return [int(count) for count in (ids == number).sum(dim=1)]


@pytest.mark.parametrize("family", ["Idefics3", "SmolVLM"])
def test_idefics_and_smolvlm(
    family: str, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = getattr(transformers, f"{family}ImageProcessor")(do_image_splitting=False)
    made_by = getattr(transformers, f"{family}Processor")
    parts = [images, tokenizer(IDEFICS)]
    if family == "SmolVLM":
        made_by, parts = without_video(made_by), [*parts, None]
        # it spells the times of videos, and is not needed for pictures
        monkeypatch.setattr(sys.modules[made_by.__mro__[1].__module__], "num2words", print)
    processor = made_by(*parts, image_seq_len=4)
    found = chat.idefics(documents, processor)
    assert found["pixel_values"].shape[:2] == (2, 2)
    assert held(processor, found["input_ids"], "<image>") == [4, 8]


def test_qwen_vl(documents: list[Document]) -> None:
    made_by = without_video(transformers.Qwen2VLProcessor)
    processor = made_by(transformers.Qwen2VLImageProcessor(), tokenizer(QWEN), None)
    found = chat.qwen_vl(documents, processor)
    each = found["image_grid_thw"].prod(dim=1) // 4  # patches are merged by two and two
    assert len(each) == 3
    counts = [int(each[0]), int(each[1] + each[2])]
    assert held(processor, found["input_ids"], "<|image_pad|>") == counts


def test_llava(documents: list[Document]) -> None:
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessor(),
        tokenizer(("<image>",)),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    found = chat.llava(documents, processor)
    assert found["pixel_values"].shape == (3, 3, 224, 224)
    assert held(processor, found["input_ids"], "<image>") == [256, 512]
    ids = found["input_ids"][1]
    words = [w for w in processor.tokenizer.convert_ids_to_tokens(ids) if w != "<unk>"]
    assert words[:4] == ["Document", "5", "begins", "."]
    after = words.index("After")
    assert words[after - 256 : after] == ["<image>"] * 256


def test_a_chat_template_gets_texts_and_pictures_in_order(documents: list[Document]) -> None:
    processor = transformers.Idefics3Processor(
        transformers.Idefics3ImageProcessor(do_image_splitting=False),
        tokenizer(IDEFICS),
        image_seq_len=4,
        chat_template=TEMPLATE,
    )
    conversation = chat.messages(documents[1])
    kinds = [part["type"] for part in conversation[0]["content"]]
    assert kinds == ["text", "image", "image", "text"]
    found = processor.apply_chat_template(
        conversation, tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert held(processor, found["input_ids"], "<image>") == [8]


def test_marks_that_a_page_has_as_text_hold_no_place() -> None:
    picture = Picture("u", None, {}, image=Image.new("RGB", (4, 4)))
    items: list[Text | Picture] = [Text("write <image> or <|image_pad|>"), picture]
    document = Document("1", None, items)
    text, images = chat.interleaved(document, chat.IMAGE)
    assert text.count("<image>") == len(images) == 1
    assert chat.interleaved(document, chat.QWEN_IMAGE)[0].count("<|image_pad|>") == 1
    assert "<image>" not in chat.messages(document)[0]["content"][0]["text"]


def test_a_picture_without_pixels_leaves_no_mark() -> None:
    items: list[Text | Picture] = [Picture("u", None, {}, reason="broken"), Text("alone")]
    assert chat.interleaved(Document("1", None, items), chat.IMAGE) == ("alone", [])
