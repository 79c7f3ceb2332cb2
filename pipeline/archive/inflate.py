"""gzip, zlib and raw deflate, decompressed with a bound on what comes out."""

from __future__ import annotations

import zlib
from typing import Literal

from isal import isal_zlib

Form = Literal["gzip", "zlib", "raw"]
_WBITS = {"gzip": zlib.MAX_WBITS | 16, "zlib": zlib.MAX_WBITS, "raw": -zlib.MAX_WBITS}
_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub says instance


class CorruptError(Exception):
    """The compressed bytes contradict themselves: not this format, or damaged."""


class Inflate:
    """One compressed stream, fed piece by piece."""

    def __init__(self, form: Form) -> None:
        self._stream = isal_zlib.decompressobj(_WBITS[form])

    def feed(self, data: bytes | memoryview, limit: int = 0) -> bytes:
        """Decompress more; at most `limit` bytes come out unless it is 0. Raises CorruptError."""
        try:
            return self._stream.decompress(data, limit)
        except _ERROR as error:
            raise CorruptError(str(error)) from None

    @property
    def finished(self) -> bool:
        """The stream's end was seen and its checksum agreed."""
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        """What was fed beyond the end of the stream."""
        return self._stream.unused_data
