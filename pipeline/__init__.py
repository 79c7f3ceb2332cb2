"""Plain Python over one page or one batch: no Spark, no torch.

The door for callers outside is `extract_page`: one page's bytes to an ordered list of nodes. What
it needs is imported when it is asked for, since stages that extract nothing can do without.
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
