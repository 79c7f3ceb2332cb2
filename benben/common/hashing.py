"""splitmix64, the project's hash function for numbers (Steele, Lea and Flood, OOPSLA 2014).

`mix64` is its finaliser: it spreads every input bit over all 64 output bits. It works on numpy
arrays, and numba compiles the same function for single numbers (`filters/signals/text.py`). PyTorch
cannot multiply unsigned 64-bit integers, so tensors have a signed form that gives the same bits.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Unsigned = TypeVar("Unsigned", Hashes, np.uint64)
Signed = TypeVar("Signed", bound=Any)  # a tensor or an array of int64

GOLDEN_GAMMA = 0x9E37_79B9_7F4A_7C15  # 2^64 divided by the golden ratio, odd: splitmix64's step
SHIFTS = (30, 27, 31)
FACTORS = (0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB)

_SHIFT_1, _SHIFT_2, _SHIFT_3 = (np.uint64(shift) for shift in SHIFTS)
_FACTOR_1, _FACTOR_2 = (np.uint64(factor) for factor in FACTORS)


def mix64(values: Unsigned) -> Unsigned:
    """Hash uint64 element-wise in place, and return the array. 0 stays 0."""
    values ^= values >> _SHIFT_1
    values *= _FACTOR_1
    values ^= values >> _SHIFT_2
    values *= _FACTOR_2
    values ^= values >> _SHIFT_3
    return values


def splitmix64(values: Hashes) -> Hashes:
    """Hash uint64 element-wise into a new array."""
    return mix64(values + np.uint64(GOLDEN_GAMMA))


def signed(value: int) -> int:
    """Return the int64 with the same bits as a uint64."""
    return value - 2**64 if value >= 2**63 else value


def mix64_signed(values: Signed) -> Signed:
    """Hash int64 element-wise into a new tensor, with the same bits as `mix64`.

    The masks clear the copies of the sign bit that a signed right shift inserts.
    """
    first, second, third = SHIFTS
    values = (values ^ ((values >> first) & (2 ** (64 - first) - 1))) * signed(FACTORS[0])
    values = (values ^ ((values >> second) & (2 ** (64 - second) - 1))) * signed(FACTORS[1])
    values ^= (values >> third) & (2 ** (64 - third) - 1)
    return values
