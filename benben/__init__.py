"""WARC archives to interleaved documents: the functions people call, loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benben.pipeline import extract_page as extract_page
    from benben.pipeline.settings import Config as Config

__version__ = "0.1.0"
PUBLIC = {
    "Config": "benben.pipeline.settings",
    "extract_page": "benben.pipeline",
}
__all__ = ["Config", "__version__", "extract_page"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import benben` stays light."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'benben' has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)
