"""The steps of the pipeline on one page or one batch: plain Python without Spark or torch.

The entry point for other callers is `extract_page`: the bytes of one page to an ordered list of
nodes. Public names are imported at their first use: every module below this package imports this
file, and most need neither the parser nor the archive reader.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benben.pipeline.document import Document, Node
    from benben.pipeline.page.extract import extract_page

__all__ = ["Document", "Node", "extract_page"]
_MODULES = {  # public name -> the module that defines it
    "Document": "benben.pipeline.document",
    "Node": "benben.pipeline.document",
    "extract_page": "benben.pipeline.page.extract",
}


def __getattr__(name: str) -> Any:
    """Import a public name. Raises AttributeError for any other."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
