"""MinHash-like signatures: two agree in a slot with probability equal to the Jaccard similarity.

The sketch is that of Dahlgaard, Knudsen and Thorup, "Fast Similarity Sketching" (FOCS 2017,
arXiv:1704.04370): in each round a shingle falls into one slot. So a long text costs one hash per
shingle, where MinHash (Broder 1997) costs one per shingle and permutation. The slots are used like
those of MinHash: banding and estimates follow the same formulas.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benben.common.hashing import GOLDEN_GAMMA, Hashes, mix64
from benben.pipeline.deduplication.shingles import Offsets

Signatures = npt.NDArray[np.uint32]  # [documents, slots]

ROUND_STEP = 0xA24B_AED4_963E_E407
MASK = 0xFFFF_FFFF_FFFF_FFFF
LOW = np.uint64(0xFFFF_FFFF)
HALF = np.uint64(32)


def signatures(hashes: Hashes, offsets: Offsets, slots: int, seed: int) -> Signatures:
    """Compute the signature of each document; `hashes[offsets[i]:offsets[i + 1]]` are document i's.

    Returns [documents, slots]. A document without shingles gets zeros, which mean nothing.
    """
    documents = len(offsets) - 1
    signature = np.zeros(documents * slots, np.uint32)
    filled = np.zeros(documents * slots, np.bool_)
    owners = np.repeat(np.arange(documents), np.diff(offsets))
    empty = np.repeat(np.diff(offsets) == 0, slots)
    filled[empty] = True
    for number in range(2 * slots):
        places = _best_in_round(hashes, owners, slots, number, seed)
        place, value = (places >> HALF).astype(np.int64), (places & LOW).astype(np.uint32)
        new = ~np.asarray(filled[place])
        signature[place[new]] = value[new]
        filled[place] = True
        incomplete = np.asarray(~filled.reshape(documents, slots).all(axis=1))
        if not incomplete.any():
            break
        active = incomplete[owners]
        if not active.all():
            hashes, owners = hashes[active], owners[active]
    return signature.reshape(documents, slots)


def _best_in_round(
    hashes: Hashes, owners: npt.NDArray[np.int64], slots: int, number: int, seed: int
) -> Hashes:
    """Smallest value of each slot that got a shingle in this round, as slot index << 32 | value.

    The slots of all documents are numbered through: document * slots + slot.
    """
    salt = np.uint64((seed * ROUND_STEP + (number + 1) * GOLDEN_GAMMA) & MASK)
    drawn = mix64(hashes ^ salt)
    if number < slots:
        slot = ((drawn & LOW) * np.uint64(slots)) >> HALF
    else:  # the last rounds put all shingles into one slot, so that none stays empty
        slot = np.full(len(drawn), number - slots, np.uint64)
    keys = owners.astype(np.uint64)
    keys *= np.uint64(slots)
    keys += slot
    keys <<= HALF
    keys |= drawn >> HALF
    keys.sort()
    places = keys >> HALF
    first = np.ones(len(keys), np.bool_)
    first[1:] = places[1:] != places[:-1]
    return keys[first]


def band_keys(signature: Signatures, bands: int) -> npt.NDArray[np.int64]:
    """Hash each band of slots to a 64-bit key: [documents, bands]. Keys of two bands differ."""
    documents, slots = signature.shape
    rows = slots // bands
    banded = signature[:, : bands * rows].reshape(documents, bands, rows)
    keys = np.empty((documents, bands), np.uint64)
    keys[:] = np.arange(1, bands + 1, dtype=np.uint64) * np.uint64(ROUND_STEP)
    for row in range(rows):
        keys = mix64(keys ^ banded[:, :, row])
    return keys.view(np.int64)


def compact(signature: Signatures) -> npt.NDArray[np.uint8]:
    """Keep 8 bits of each slot, which suffice (b-bit minwise hashing, Li and König, 2010)."""
    return signature.astype(np.uint8)


def similarity(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Estimate Jaccard similarities from compact signatures along the last axis.

    Slots that differ still agree in 8 bits once in 256; the estimate is corrected for that.
    """
    agreeing = (one == other).mean(axis=-1, dtype=np.float32)
    estimate: npt.NDArray[np.float32] = np.clip((agreeing * 256 - 1) / 255, 0, 1, dtype=np.float32)
    return estimate
