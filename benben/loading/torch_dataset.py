"""A stream of documents as an IterableDataset of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch.distributed as dist
from torch.utils.data import IterableDataset, get_worker_info

from benben.loading.documents import Document

if TYPE_CHECKING:
    from benben.loading.dataset import Documents


class TorchDocuments(IterableDataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Gives each worker its own shard, and the position of the shard that this process reads.

    torchdata's StatefulDataLoader asks `state_dict` in the workers and hands it back to them.
    """

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self._here: Documents | None = None
        self._state: Mapping[str, Any] | None = None

    def __iter__(self) -> Iterator[Document]:
        info = get_worker_info()
        mine = (
            self.documents.shard(info.id, info.num_workers) if info else self.documents.shard(0, 1)
        )
        if self._state is not None:
            mine.load_state_dict(self._state)
            self._state = None
        self._here = mine
        yield from mine

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next loop."""
        self.documents.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of this process's shard."""
        return (self._here or self.documents).state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next loop of this process go on at a position of its shard."""
        self._state = state


def to_torch(documents: Documents, rank: int | None, ranks: int | None) -> TorchDocuments:
    """Shard a stream over ranks; see `Documents.to_torch`."""
    if ranks is None and dist.is_available() and dist.is_initialized():
        rank, ranks = dist.get_rank(), dist.get_world_size()
    return TorchDocuments(documents.shard(rank or 0, ranks or 1))
