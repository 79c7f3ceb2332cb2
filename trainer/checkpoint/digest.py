"""Digests of tensors that do not depend on how they are sharded.

Each element is hashed with its global index and the hashes are summed (mod 2^64, twice with
different keys: 128 bits), so ranks sum the hashes of what they hold and nothing is gathered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from benben.common.hashing import mix64_signed
from benben.trainer import counter_rng
from benben.trainer.distributed.shards import Shard, shard_of
from benben.trainer.object_stores import Place

CHUNK = 1 << 24
READ = 1 << 22  # bytes of a file at a time
_KEYS = (counter_rng.key("digest", 0), counter_rng.key("digest", 1))
_VIEWS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def sums(shards: Sequence[Shard]) -> Tensor:
    """Return the sums of this rank's hashes of each tensor, [tensors, 2] int64 on the CPU."""
    result = []
    for shard in shards:
        total = torch.zeros(2, dtype=torch.int64, device=shard.local.device)
        if shard.first:
            flat = shard.local.detach().contiguous().view(-1)
            for start in range(0, flat.numel(), CHUNK):
                part = flat[start : start + CHUNK]
                bits = part.view(_VIEWS[part.element_size()]).to(torch.int64)
                index = shard.index(start, start + len(part))
                for i, seed in enumerate(_KEYS):
                    total[i] += mix64_signed(counter_rng.bits(seed, index) ^ bits).sum()
        result.append(total)
    if not result:
        return torch.zeros(0, 2, dtype=torch.int64)
    return torch.stack([total.cpu() for total in result])  # some may be on the host already


def over_ranks(names: Iterable[str], mine: Tensor) -> dict[str, str]:
    """Return the digests, in hexadecimal, from every rank's sums; a collective call."""
    if dist.is_initialized() and len(mine):
        dist.all_reduce(mine)
    return {
        name: "".join(f"{int(part) & (2**64 - 1):016x}" for part in row)
        for name, row in zip(names, mine, strict=True)
    }


def tensors(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Return each tensor's digest in hexadecimal; a collective call."""
    return over_ranks(state, sums([shard_of(tensor) for tensor in state.values()]))


def file(path: Place) -> str:
    """Return a file's BLAKE2b digest."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while block := stream.read(READ):
            digest.update(block)
    return digest.hexdigest()
