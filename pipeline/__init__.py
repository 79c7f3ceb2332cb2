"""Plain Python over one page or one batch: no Spark, no torch.

The door for callers outside is `extract_page`: one page's bytes to an ordered list of nodes.
"""

from pipeline.document import Document, Node
from pipeline.page.extract import extract_page

__all__ = ["Document", "Node", "extract_page"]
