"""The steps of the pipeline on one page or one batch: plain Python without Spark or torch.

The entry point for other callers is `extract_page`: the bytes of one page to an ordered list of
nodes. It is imported on first use, since stages that extract nothing do not need its libraries.
"""

from typing import TYPE_CHECKING, Any

from benben.pipeline.document import Document, Node

if TYPE_CHECKING:
    from benben.pipeline.page.extract import extract_page

__all__ = ["Document", "Node", "extract_page"]


def __getattr__(name: str) -> Any:
    if name == "extract_page":
        from benben.pipeline.page.extract import extract_page

        return extract_page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
