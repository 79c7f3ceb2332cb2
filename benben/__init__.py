"""Common Crawl archives to datasets of interleaved text and images: what other programs call.

One page to an ordered list of nodes:

>>> import benben
>>> html = '<h1>The barn owl</h1><p>It hunts at night.</p><img src="owl.jpg" alt="An owl">'
>>> document = benben.extract_page(html, "http://example.org/")
>>> [(node.kind, node.text or node.url) for node in document.nodes]
[('text', 'The barn owl'), ('text', 'It hunts at night.'), ('image', 'http://example.org/owl.jpg')]

All stages of a config, in this process's Spark session:

    tables = benben.run("default", ["input=crawl/", "output=runs/first"])

The documents of a dataset, with texts and decoded pictures in order:

    for document in benben.load("runs/first"):
        for item in document.items: ...

Each name is imported at its first use, so that `import benben` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benben.jobs.stages import run as run
    from benben.loading.dataset import load as load
    from benben.pipeline.document import Document as Document
    from benben.pipeline.document import Node as Node
    from benben.pipeline.errors import UserError as UserError
    from benben.pipeline.page.extract import extract_page as extract_page
    from benben.pipeline.settings import Config as Config

__version__ = "0.1.0"
__all__ = ["Config", "Document", "Node", "UserError", "__version__", "extract_page", "load", "run"]

_MODULES = {  # public name -> the module that defines it
    "Config": "benben.pipeline.settings",
    "Document": "benben.pipeline.document",
    "Node": "benben.pipeline.document",
    "UserError": "benben.pipeline.errors",
    "extract_page": "benben.pipeline.page.extract",
    "load": "benben.loading.dataset",
    "run": "benben.jobs.stages",
}


def __getattr__(name: str) -> Any:
    """Import a public name. Raises AttributeError for any other."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
